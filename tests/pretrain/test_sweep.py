"""A sweep runs what is missing, goes on after a kill, trains doubles once, and lets no failure stop the rest."""

import hashlib
import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ranks
import small

from pretrain import sweep as sweeping
from pretrain.child import call
from pretrain.run import Slurm
from pretrain.sweep import Sweep, legs
from pretrain.sweep_job import SweepJob
from results.provenance import new_record
from results.records import CheckpointIdentity, DatasetIdentity, Measurement, read_records, write_record
from results.refusal import Refusal

HERE = Slurm()


class Shell:
    """Stands for the children: writes the files that they would write; `answers` are statuses to give instead of 0."""

    def __init__(self, root: Path, answers: dict[int, int]) -> None:
        self.root, self.answers = root, answers
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str]) -> int:
        self.commands.append(command)
        status = self.answers.get(len(self.commands), 0)
        words = dict(itertools.pairwise(command))
        if status == 0 and words["-m"] == "pretrain":
            folder = Path(words["--run.output"])
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            (folder / "checkpoints" / "step_000000001.pt").touch()
            card = {"sha256": digest(folder.name)}
            (folder / "resnet50.pth.json").write_text(json.dumps(card))
        elif status == 0:
            name = Path(words["--run.checkpoint"]).parent.name
            record(self.root, words["--run.cell"], digest(name), words["evaluate"])
        return status

    def short(self) -> list[str]:
        """Room and recipe or cell of each command."""
        words = [dict(itertools.pairwise(command)) for command in self.commands]
        return [w["pretrain"] if w["-m"] == "pretrain" else w["--run.cell"] for w in words]


def digest(name: str) -> str:
    """Stands for the digest of a row's backbone."""
    return hashlib.sha256(name.encode()).hexdigest()


def record(root: Path, cell: str, sha256: str, protocol: str) -> None:
    write_record(
        new_record(
            Measurement(cell, 50.0, 360), checkpoint=CheckpointIdentity(sha256, "test", "VICReg"),
            dataset=DatasetIdentity("imagenet", "digits", "f", {"val": 360}), protocol_name=protocol,
            named_protocol=HERE, used_protocol=HERE, seed=0, wall_time_seconds=1.0,
        ),
        root / "records",
    )  # fmt: skip


def run(table: sweeping.Table, shell: Shell, monkeypatch: pytest.MonkeyPatch, **settings: object) -> int:
    monkeypatch.setattr(sweeping, "call", shell)
    return sweeping.run(table, Sweep(root=shell.root, **settings), HERE)  # type: ignore[arg-type]


def test_each_missing_row_is_pretrained_then_probed_into_its_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell(tmp_path, {})
    assert run("table4a", shell, monkeypatch) == 0
    assert shell.short() == [
        "table3-vicreg-bn-no-reg", "table4a/inv/top1", "table4a-inv-cov", "table4a/inv_cov/top1",
        "table4a-var-cov", "table4a/var_cov/top1", "table3-vicreg-bn-var-reg", "table4a/inv_var/top1",
        "official-100", "table4a/inv_var_cov/top1",
    ]  # fmt: skip
    cells = {one.cell for one in read_records(tmp_path / "records")[0]}
    assert len(cells) == 5 and "table4a/inv_cov/top1" in cells


def test_a_killed_sweep_goes_on_with_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The fourth command is the second row's probe; it is told to leave.
    assert run("table4a", Shell(tmp_path, {4: 75}), monkeypatch) == 75
    rest = Shell(tmp_path, {})
    assert run("table4a", rest, monkeypatch) == 0
    # The pretraining is asked for again and finds itself done; the first row is not touched.
    assert rest.short()[:3] == ["table4a-inv-cov", "table4a/inv_cov/top1", "table4a-var-cov"]
    nothing = Shell(tmp_path, {})
    assert run("table4a", nothing, monkeypatch) == 0
    assert nothing.commands == []


@pytest.mark.parametrize("card", ["", '{"sha2', "[]", "{}"])
def test_a_row_with_a_damaged_card_is_missing_so_that_its_pretraining_mends_it(card: str, tmp_path: Path) -> None:
    sweep = Sweep(root=tmp_path)
    leg = legs("table6", sweep)[0]
    leg.folder(sweep).mkdir(parents=True)
    leg.backbone(sweep).with_suffix(".pth.json").write_text(card)
    assert leg.missing(sweep, []) == leg.rows


def test_rows_with_equal_recipes_share_one_pretraining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("table4a", Shell(tmp_path, {}), monkeypatch) == 0
    assert run("table4b", Shell(tmp_path, {}), monkeypatch) == 0
    # The default, and VICReg without batch norm, have their backbones from the tables before.
    by_name = {leg.name: leg for leg in legs("table3", Sweep(root=tmp_path))}
    assert len(by_name) == 24
    trained = [
        name for name, leg in by_name.items() if leg.backbone(Sweep(root=tmp_path)).with_suffix(".pth.json").is_file()
    ]
    assert trained == [
        "table3-vicreg-bn-no-reg", "table3-vicreg-bn-var-reg", "official-100", "table3-vicreg-none-var-cov-reg",
    ]  # fmt: skip


def test_a_failed_row_stops_no_other_and_is_named_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path, {1: 1})
    assert run("table4b", shell, monkeypatch) == 1
    assert shell.short()[:2] == ["table4b-standardization", "table4b-standardization-no-bn"]
    assert "failed: table4b-standardization, seed 0 (status 1)" in capsys.readouterr().out


def test_states_of_finished_rows_can_be_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(tmp_path, {})
    only = ("table4a-inv-cov",)
    assert run("table4a", shell, monkeypatch, only=only, keep_states=False) == 0
    assert not list(tmp_path.rglob("step_*")) and list(tmp_path.rglob("resnet50.pth.json"))


def test_every_seed_has_its_own_folder() -> None:
    folders = [leg.folder(Sweep(seeds=(0, 3))) for leg in legs("table4a", Sweep(seeds=(0, 3)))]
    assert Path("runs/pretrain/official-100") in folders and Path("runs/pretrain/official-100-seed3") in folders
    assert len(set(folders)) == 10


def test_an_unknown_row_is_refused() -> None:
    with pytest.raises(Refusal, match="'paper' is no row of table6; its rows are width-256, "):
        legs("table6", Sweep(only=("paper",)))


def test_several_gpus_go_through_torchrun() -> None:
    leg = legs("table6", Sweep())[0]
    assert leg.pretraining(Sweep(gpus=8))[1:5] == [
        "-m", "pretrain.torchrun", "--nproc-per-node", "8",
    ]  # fmt: skip


def test_a_child_gets_the_parents_signal_and_what_comes_next_does_not_start() -> None:
    worker = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print(1, flush=True); time.sleep(60)"  # noqa: E501
    parent = (
        "import os, sys; from pretrain.child import call; "
        f"sys.exit(call([sys.executable, '-c', {worker!r}]))"
    )  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=ranks.ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"1\n"
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(20) == 75


def test_a_child_that_ends_by_itself_gives_its_status() -> None:
    assert call([sys.executable, "-c", "raise SystemExit(3)"]) == 3


def test_a_job_of_a_cluster_runs_the_commands_on_every_rank_and_stops_at_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(os.environ['MASTER_PORT'])"
    for name, value in {"MASTER_PORT": "100", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("submitit.helpers.TorchDistributedEnvironment", lambda: _Announced())
    commands = (
        [sys.executable, "-c", write, str(tmp_path / "a")], [sys.executable, "-c", write, str(tmp_path / "b")],
        [sys.executable, "-c", "raise SystemExit(2)"], [sys.executable, "-c", write, str(tmp_path / "c")],
    )  # fmt: skip
    job = SweepJob("row", tmp_path, commands)
    assert job() == 2
    assert [(tmp_path / name).read_text() for name in "ab"] == ["100", "101"]
    assert not (tmp_path / "c").exists()
    assert job.checkpoint().function == job


class _Announced:
    def export(self, *, set_cuda_visible_devices: bool, overwrite: bool) -> None:
        assert overwrite and not set_cuda_visible_devices


@pytest.mark.slow
def test_a_sweep_killed_while_it_trains_ends_with_the_same_record(images: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "pretrain", "sweep", "demo-ablations", "--sweep.data", str(images), "--sweep.root",
        str(tmp_path), "--sweep.only", "demo-table4a-inv", "--sweep.pretrain-args=" + " ".join(small.OPTIONS),
        "--sweep.probe-args=--protocol.epochs 1 --run.workers 0",
    ]  # fmt: skip
    environment = ranks.environment(0, 1, 0)
    first = subprocess.Popen(command, cwd=ranks.ROOT, env=environment)
    log = tmp_path / "pretrain" / "demo-table4a-inv" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.is_file() and '"loss"' in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 75
    assert read_records(tmp_path / "records")[0] == []
    assert subprocess.run(command, cwd=ranks.ROOT, env=environment, timeout=240).returncode == 0
    records, warnings = read_records(tmp_path / "records")
    assert [one.cell for one in records] == ["table4a/inv/top1"] and not warnings
    assert '"resume"' in log.read_text()
    done = subprocess.run(command, cwd=ranks.ROOT, env=environment, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "[1/1] demo-table4a-inv, seed 0: done already\n"
