"""Is everything in place before a long run? Data sets, checkpoint, environment, disk and memory, in one list."""

import importlib.util
import json
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from results import atomic
from results.checkpoints import file_and_part
from results.costs import costs
from results.probe import cores, free_disk_gib, host_memory_gib
from results.refusal import Refusal, one_line
from results.sealed import given_file_sha256
from results.stages import STAGES, Stage

State = Literal["ok", "warning", "problem"]
VERDICTS = ("ok", "note", "problem", "unusable")
"""Of the data room's checks, from the best to the worst."""
SYMBOLS: dict[State, str] = {"ok": "✓", "warning": "!", "problem": "✗"}
OLDEST_PYTHON = (3, 11)
HOST_MEMORY_GIB = 8.0
LEAST_DISK_GIB = 0.5
"""Whatever its size, a run keeps weights, states and logs."""
DEMO_GIB_PER_STAGE = 0.4
"""A whole demo of nine stages left 3.6 GiB behind, most of it the detectors' checkpoints."""
DOCTOR_SECONDS = 3600.0
GPU_SECONDS = 60.0
NEEDED = ("torch", "torchvision", "numpy", "tyro", "rich", "scikit-learn", "liblinear-official", "pycocotools")
ENGINES = {"vissl": "places205, inat18 and voc07 run on this suite's own loops", "detectron2": "voc0712, coco"}
# The first bytes of what torch.save writes: a zip archive today, a pickle in its older form.
TORCH_MAGICS = (b"PK\x03\x04", b"\x80")
# A safetensors file starts with the length of its JSON header in eight bytes, and then the header.
HEADER_LENGTH = 8


@dataclass(frozen=True)
class Finding:
    """One thing looked at: where it belongs, how it is, and what was seen."""

    area: str
    state: State
    text: str


def examine(
    roots: Mapping[str, Path],
    checkpoint: str = "",
    folder: Path = Path("runs"),
    stages: Sequence[Stage] = STAGES,
    *,
    full_size: bool = True,
) -> list[Finding]:
    """All findings for the data roots given, the checkpoint, and a run of `stages` that writes below `folder`.

    At full size each stage needs the disk that costs.csv gives it; the demo's need `DEMO_GIB_PER_STAGE`.
    """
    fed = [stage for stage in stages if stage.source in roots]
    needed_gib = sum(costs()[stage.protocol].work_gib if full_size else DEMO_GIB_PER_STAGE for stage in fed)
    findings = [*environment(stages), *machine(folder, needed_gib)]
    if checkpoint:
        findings.append(checkpoint_file(checkpoint))
    return findings + data_sets(roots, stages)


def environment(stages: Sequence[Stage]) -> list[Finding]:
    """Python, the packages with their versions, the engines that `stages` need, and the GPUs."""
    found = sys.version_info[:2]
    state: State = "ok" if found >= OLDEST_PYTHON else "problem"
    findings = [Finding("environment", state, f"Python {found[0]}.{found[1]}")]
    versions = {name: _version(name) for name in NEEDED}
    if missing := [name for name, version in versions.items() if version is None]:
        findings.append(Finding("environment", "problem", f"not installed: {', '.join(missing)}; run `make setup`"))
    present = ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None)
    findings.append(Finding("environment", "ok", present))
    if any(stage.room == "transfer" for stage in stages):
        findings += [_engine(name, use) for name, use in ENGINES.items()]
    return [*findings, _gpus()]


def before_work(
    protocol: str, folder: Path, checkpoint: str, data: Iterable[Finding], *, full_size: bool
) -> list[Finding]:
    """What one command, which measures or trains `protocol` below `folder`, looks at before it starts.

    Only at full size does it need the disk that full size needs, and is a missing GPU worth a word.
    """
    needed_gib = max((cost.work_gib for name, cost in costs().items() if protocol.startswith(name)), default=0.0)
    findings = [*environment(()), *machine(folder, needed_gib if full_size else LEAST_DISK_GIB), *data]
    if checkpoint:
        findings.append(checkpoint_file(checkpoint))
    return [finding for finding in findings if full_size or finding.area != "environment" or finding.state == "problem"]


def machine(folder: Path, needed_gib: float) -> list[Finding]:
    """Disk below `folder` against what will be written there, memory, and cores."""
    try:
        atomic.refuse_unwritable(folder)
    except Refusal as refusal:
        return [Finding("machine", "problem", str(refusal))]
    free = free_disk_gib(folder)
    total, available = host_memory_gib()
    return [
        Finding(
            "machine", "ok" if free > max(needed_gib, LEAST_DISK_GIB) else "problem",
            f"{free:.1f} GiB free below {folder}, {max(needed_gib, LEAST_DISK_GIB):.1f} needed",
        ),
        Finding(
            "machine", "ok" if available > HOST_MEMORY_GIB or not total else "warning",
            f"{available:.0f} of {total:.0f} GiB memory available, {cores()} cores",
        ),
    ]  # fmt: skip


def checkpoint_file(checkpoint: str) -> Finding:
    """Whether the file is there, starts as weights do, and fits the card beside it; known names pass."""
    try:
        found = file_and_part(checkpoint)
        if found is None:
            return Finding("checkpoint", "ok", f"{checkpoint}: a known name, resolved when it is measured")
        path, _ = found
        digest = given_file_sha256(path)
    except Refusal as refusal:
        return Finding("checkpoint", "problem", str(refusal))
    if not _starts_as_weights(path):
        return Finding("checkpoint", "problem", f"{path} starts neither as a torch nor as a safetensors file does")
    if _is_cut_short(path):
        return Finding("checkpoint", "problem", f"{path} ends before its last part: copied or downloaded in part")
    card = path.with_name(path.name + ".json")
    try:
        said = json.loads(card.read_text(encoding="utf-8")).get("sha256", digest) if card.is_file() else digest
    except (ValueError, AttributeError):
        return Finding("checkpoint", "warning", f"{card} is not readable")
    if said != digest:
        return Finding("checkpoint", "problem", f"{path} is not the file that its card {card.name} describes")
    return Finding("checkpoint", "ok", f"{path}, {path.stat().st_size / 2**20:.0f} MiB, sha256 {digest[:12]}")


def data_sets(roots: Mapping[str, Path], stages: Sequence[Stage]) -> list[Finding]:
    """What `python -m data doctor` says of each data set that the stages read from the given roots."""
    wanted = list(dict.fromkeys(
        (dataset, roots[stage.source]) for stage in stages if stage.source in roots for dataset in stage.datasets
    ))  # fmt: skip
    with ThreadPoolExecutor(max_workers=max(1, cores())) as pool:
        return list(pool.map(lambda item: data_set(*item), wanted))


def data_set(dataset: str, root: Path) -> Finding:
    """One data set, examined by the data room in a process of its own."""
    arguments = ["-m", "data", "doctor", "--dataset", dataset, "--root", str(root)]
    try:
        command = [sys.executable, *arguments, "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOCTOR_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Finding("data", "problem", f"{dataset} at {root}: no answer within an hour")
    if done.returncode == 0:
        return Finding("data", "ok", f"{dataset} at {root}")
    all_of_it = f"all of it: {shlex.join(['python', *arguments])}"
    return Finding("data", "problem", f"{dataset}: {_worst_check(done.stdout, done.stderr)}; {all_of_it}")


def show(findings: Iterable[Finding], write: Callable[[str], object] = print) -> int:
    """Write one line for each finding; 1 when there is a problem, else 0."""
    listed = list(findings)
    for finding in listed:
        write(f"{SYMBOLS[finding.state]} {finding.area:12} {finding.text}")
    problems = sum(finding.state == "problem" for finding in listed)
    write(f"{problems or 'no'} problem{'s' * (problems != 1)} found")
    return int(problems > 0)


def _starts_as_weights(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(HEADER_LENGTH + 1)
    is_safetensors = start[HEADER_LENGTH:] == b"{" and int.from_bytes(start[:HEADER_LENGTH], "little") < 2**32
    return start.startswith(TORCH_MAGICS) or is_safetensors


def _is_cut_short(path: Path) -> bool:
    """Whether a zip archive, as torch.save writes, lacks the directory at its end."""
    with path.open("rb") as file:
        is_zip = file.read(len(TORCH_MAGICS[0])) == TORCH_MAGICS[0]
    return is_zip and not zipfile.is_zipfile(path)


def _worst_check(answer: str, errors: str) -> str:
    """The worst of the checks in the data room's JSON; where it gave none, its last line of errors."""
    try:
        checks = json.loads(answer)["checks"]
        worst = max(checks, key=lambda check: VERDICTS.index(check["verdict"]))
        return f"{worst['name']}: {worst['summary']}"
    except (ValueError, KeyError, TypeError):
        return next((line for line in reversed(errors.splitlines()) if line.strip()), "it did not say why")


def _engine(name: str, use: str) -> Finding:
    if importlib.util.find_spec(name):
        return Finding("environment", "ok", f"{name} {_version(name) or _version('sal-' + name) or ''}".strip())
    return Finding("environment", "warning", f"{name} is not installed ({use}); run `make engines`")


def _gpus() -> Finding:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding("environment", "warning", "no NVIDIA GPU: everything runs on the CPU")
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=GPU_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("environment", "warning", f"{program} does not answer ({one_line(error)}): is the driver well?")
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not names:
        return Finding("environment", "warning", "nvidia-smi sees no GPU: everything runs on the CPU")
    return Finding("environment", "ok", f"{len(names)} x {names[0]}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
