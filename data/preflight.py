"""What every long command looks at before it starts: disk, memory, packages, its weights, and its data set."""

import os
import sys
from pathlib import Path

from data import doctor
from data.doctor import Severity
from results.doctor import SYMBOLS, Finding, State, before_work
from results.records import DatasetIdentity
from results.refusal import Refusal

STATES: dict[Severity, State] = {Severity.NOTE: "ok", Severity.PROBLEM: "warning", Severity.UNUSABLE: "problem"}


def look_first(protocol: str, dataset: DatasetIdentity, root: Path, folder: Path, checkpoint: str = "") -> None:
    """Have the doctor look at all that `protocol` needs, and say on stderr what is not as it should be.

    Only the first of several ranks looks. A data set with other counts than the published ones is worth a warning, one
    that cannot be read is a problem; the same goes for memory and disk.

    Raises:
        Refusal: there is a problem; it names the first.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    full_size = dataset.corpus == "official" and not dataset.subset
    if full_size:
        print(f"looking at {root} first; --run.skip-doctor starts at once", file=sys.stderr)
    all_of_it = f"(all of it: `python -m data doctor --dataset {dataset.name} --root {root}`)"
    data = [
        Finding("data", STATES[found.severity], f"{found.check}: {found.message} {all_of_it}")
        for found in doctor.examine(dataset.name, root)
    ]
    findings = before_work(protocol, folder, checkpoint, data, full_size=full_size)
    for finding in findings:
        if finding.state == "warning":
            print(f"{SYMBOLS[finding.state]} {finding.area}: {finding.text}", file=sys.stderr)
    problems = [finding.text for finding in findings if finding.state == "problem"]
    if problems:
        raise Refusal(f"{problems[0]}; mend it, or give --run.skip-doctor to start regardless")
