"""Where and how a number came to be: commit, library versions, hardware, command; and the record that carries them."""

import dataclasses
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from results.records import CheckpointIdentity, DatasetIdentity, Measurement, Record
from results.refusal import printable
from results.settings import canonical_json, deviations, settings_hash

REPORTED_PACKAGES = (
    "torch", "torchvision", "numpy", "pillow", "scikit-learn", "liblinear-official", "vissl", "sal-detectron2",
    "detectron2", "pycocotools", "faster-coco-eval",
)  # fmt: skip


def new_record(
    measurement: Measurement,
    *,
    checkpoint: CheckpointIdentity,
    dataset: DatasetIdentity,
    protocol_name: str,
    named_protocol: Any,
    used_protocol: Any,
    seed: int,
    wall_time_seconds: float,
    accelerator: str = "",
    attachments: Mapping[str, str] | None = None,
    resumed: bool = False,
    extra_deviations: tuple[str, ...] = (),
) -> Record:
    """A complete record of `measurement`, with every difference between the named and the used protocol as deviations.

    `accelerator` is what the measurement ran on beside the CPU ("8 x NVIDIA H200"); `attachments` maps a kind
    ("predictions", "picture") to a path relative to the records folder.
    """
    return Record(
        measurement=measurement,
        checkpoint=dataclasses.replace(
            checkpoint, origin=printable(checkpoint.origin), label=printable(checkpoint.label)
        ),
        dataset=dataset,
        protocol=protocol_name,
        protocol_hash=settings_hash(used_protocol),
        protocol_settings=json.loads(canonical_json(used_protocol)),
        deviations=deviations(named_protocol, used_protocol) + extra_deviations,
        seed=seed,
        commit=commit(),
        versions=versions(),
        hardware=hardware(accelerator),
        wall_time_seconds=round(float(wall_time_seconds), 3),
        command=command(),
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        attachments=dict(attachments or {}),
        resumed=resumed,
    )


def commit() -> str:
    """The commit of this suite's code, with "+changes" when the working tree differs from it, or "unknown"."""
    root = Path(__file__).parent.parent
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def versions() -> dict[str, str]:
    """Installed versions of Python and of the libraries that can move a number."""
    found = {"python": platform.python_version()}
    for name in REPORTED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware(accelerator: str = "") -> str:
    """The processor, its cores, and the accelerator if one was used."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    host = f"{_processor()}, {cores} cores"
    return f"{accelerator}; {host}" if accelerator else host


def command() -> str:
    """The command line of this process, as a user would type it."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is None:
        return shlex.join(sys.argv)
    return shlex.join(["python", "-m", spec.name.removesuffix(".__main__"), *sys.argv[1:]])


def as_json(record: Record) -> dict[str, Any]:
    """The record as plain JSON, for display."""
    return dataclasses.asdict(record)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()
