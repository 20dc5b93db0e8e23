"""`python -m data`: write the embedded digits corpus, check a data set, or make one ready."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from results.refusal import run_command_line
from results.usage import usage_errors_in_one_line

Checkable = Literal["imagenet", "imagenet_1pct", "imagenet_10pct", "places205", "inat18", "voc07", "voc0712", "coco"]
Preparable = Literal["places205", "inat18", "voc07"]
SIMCLR_LISTS = "https://raw.githubusercontent.com/google-research/simclr/master/imagenet_subsets"


@dataclass(frozen=True)
class Digits:
    """Write the embedded corpus: real handwritten digits and photographs in the layout of every data set.

    Needs no network, a few seconds and 30 MB. The same seed gives the same bytes; a folder that holds the corpus whole
    already is left as it is, one whose writing was interrupted is begun anew.

    Example: python -m data digits --root runs/digits
    """

    root: Path
    """Folder to write to: a new or an empty one."""
    seed: int = 0
    """Chooses the held-out digits, their sizes, and the scenes."""


@dataclass(frozen=True)
class Doctor:
    """Check a data set before GPU hours are spent on it.

    Image counts against the published ones, classes equal in both splits, label lists by their digest, JSON and XML
    that parse and name no file outside the root, boxes inside their images, and images that decode (a sample of each
    split, or all with --deep). On the embedded digits the counts of their own marker are expected.

    Exit status: 0 all is well, 1 something is wrong, 2 the data cannot be used. Nothing is changed.

    Example: python -m data doctor --dataset imagenet --root /data/imagenet --deep
    """

    dataset: Checkable
    """Which data set to expect; voc07 is classification, voc0712 detection."""
    root: Path
    """Its folder, in the published layout (voc: the folder that holds VOC2007)."""
    deep: bool = False
    """Decode every image, on all cores, with the time left."""
    strict: bool = False
    """Let notes count as findings: stray files, boxes without area, labels that contradict the XML."""
    show: int = 10
    """How many files to list for each finding of the table."""
    format: Literal["table", "json"] = "table"
    """A table for people, or one JSON object with every file."""


@dataclass(frozen=True)
class Prepare:
    """Turn an official archive's layout into what the engines read. The source stays as it is.

    places205: the unpacked archive (data/vision/torralba/..., trainvalsplit_places205/*.csv) becomes
    train/<class>/ and val/<class>/ with one link per image.
    inat18: the JSON files become train_images.npy, train_labels.npy and the same for val; labels 0 to 8141.
    voc07: the image sets become such lists too, labels 1 (present), 0 (absent), -1 (only difficult: ignore).

    Example: python -m data prepare --dataset places205 --root /data/places205_raw --output /data/places205
    """

    dataset: Preparable
    """Which data set; the others are read as published."""
    root: Path
    """Its folder as the official archives unpack."""
    output: Path
    """A new or empty folder for the result, which appears there whole or not at all."""
    copy: bool = False
    """Copy Places205's images (120 GB) in place of linking to them."""


@dataclass(frozen=True)
class Lists:
    """Fetch SimCLR's lists of 1 % and 10 % of ImageNet's labels into ImageNet's folder, once.

    A list is kept only if its SHA-256 is the published one; without a network, put the two files there yourself.

    Example: python -m data lists --root /data/imagenet
    """

    root: Path
    """ImageNet's folder, which holds train/ and val/."""
    source: str = SIMCLR_LISTS
    """The address of the folder that publishes 1percent.txt and 10percent.txt."""


Command = (
    Annotated[Digits, tyro.conf.subcommand("digits")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
    | Annotated[Prepare, tyro.conf.subcommand("prepare")]
    | Annotated[Lists, tyro.conf.subcommand("lists")]
)


def main() -> int:
    """Run the subcommand and return the exit status."""
    with usage_errors_in_one_line():
        command = tyro.cli(Command, prog="python -m data", description=__doc__)
    if isinstance(command, Digits):
        return _digits(command)
    if isinstance(command, Lists):
        return _lists(command)
    return _doctor(command) if isinstance(command, Doctor) else _prepare(command)


def _digits(command: Digits) -> int:
    from data.digits import build

    started = time.monotonic()
    marker, written = build.build(command.root, command.seed)
    print(build.summary(command.root, marker, started, written))
    return 0


def _doctor(command: Doctor) -> int:
    from data import doctor, doctor_report

    checks = doctor.run_checks(command.dataset, command.root, command.deep)
    if command.format == "json":
        print(doctor_report.as_json(command.dataset, command.root, checks))
    else:
        doctor_report.show(command.dataset, command.root, checks, command.show)
    findings = [finding for check in checks for finding in check.findings]
    return doctor.exit_status(findings, command.strict)


def _prepare(command: Prepare) -> int:
    from data.prepare import prepare

    counts, written = prepare(command.dataset, command.root, command.output, copy=command.copy)
    images = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    print(f"{command.output}: {'prepared' if written else 'prepared already,'} {images} images")
    if command.dataset != "places205" and written:
        print("the lists hold absolute paths; prepare again after moving the images", file=sys.stderr)
    return 0


def _lists(command: Lists) -> int:
    from data.label_lists import fetch_lists

    for path, fetched in fetch_lists(command.root, command.source):
        print(f"{path}: {'fetched, and its digest is right' if fetched else 'there already, and its digest is right'}")
    return 0


if __name__ == "__main__":
    run_command_line(main)
