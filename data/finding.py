"""What the doctor finds: one check with what it saw, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class Severity(IntEnum):
    """How bad a finding is. A NOTE is worth knowing and counts only when the doctor is strict."""

    NOTE = 0
    PROBLEM = 1
    UNUSABLE = 2


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: `message` says what was found and expected, `files` which files it concerns."""

    check: str
    message: str
    severity: Severity = Severity.PROBLEM
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Check:
    """One check that was made: `summary` is what it saw, `findings` what is wrong (nothing, if all is well)."""

    name: str
    summary: str
    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> str:
        """ "ok", or how bad its worst finding is: "note", "problem" or "unusable"."""
        worst = max((finding.severity for finding in self.findings), default=None)
        return "ok" if worst is None else worst.name.lower()

    @classmethod
    def failed(
        cls, name: str, message: str, files: Sequence[Path] = (), severity: Severity = Severity.PROBLEM
    ) -> "Check":
        """A check with one finding, whose message is also what it saw."""
        return cls(name, message, (Finding(name, message, severity, tuple(files)),))


@dataclass(frozen=True)
class ImageFile:
    """An image to be decoded; `size` is the (width, height) its annotation claims, where there is one."""

    path: Path
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Examined:
    """A layout's checks, and its images by split for the checks that read them."""

    checks: list[Check]
    images: dict[str, list[ImageFile]]


def missing_check(name: str, files: Sequence[Path], missing: Sequence[Path]) -> Check:
    """The check that every one of `files` exists."""
    if not missing:
        return Check(name, f"{len(files):,} present")
    return Check.failed(name, f"{len(missing):,} of {len(files):,} do not exist", missing)


def count_check(split: str, found: int, expected: int) -> Check:
    """The check that a split has exactly the expected number of images."""
    name = f"{split} count"
    if found == expected:
        return Check(name, f"{found:,} images")
    return Check.failed(name, f"{found:,} images, expected {expected:,}")


def class_check(found: int, expected: int) -> Check:
    """The check that the number of classes is the expected one."""
    if found == expected:
        return Check("classes", f"{found:,} classes")
    return Check.failed("classes", f"{found:,} classes, expected {expected:,}")
