"""Jobs through submitit: the local executor runs them, and SLURM is asked for the right things."""

import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from results.cluster import Cluster, CommandJob, submit, submit_jobs
from results.records import read_records
from results.refusal import Refusal
from results.tasks import Request, tasks_of

submitit = pytest.importorskip("submitit")


@pytest.fixture
def request_of_two(beside_stand_ins: Path) -> Request:
    """Two stages at the demo's size for the random control alone."""
    roots = {"imagenet": beside_stand_ins}
    return Request("paper", "random-init", beside_stand_ins / "runs", roots, only=("knn", "linear"), gpus=2)


@pytest.mark.slow
def test_the_local_executor_runs_doctor_cells_and_report(
    request_of_two: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("results.tasks._launcher", lambda request, stage: [sys.executable, "-m", stage.room])
    assert submit_jobs(request_of_two, "local", "", "", skip_doctor=False) == 0
    assert len(read_records(request_of_two.records)[0]) == 4
    assert (request_of_two.root / "report.html").is_file()
    assert "report: job" in capsys.readouterr().out
    monkeypatch.setenv("FAILING", "knn")
    (next(request_of_two.records.glob("table5.knn_20*"))).unlink()
    assert submit_jobs(request_of_two, "local", "", "", skip_doctor=True) == 1
    assert "failed: knn" in capsys.readouterr().out


class FakeJob:
    """What submitit gives back."""

    def __init__(self, number: int) -> None:
        self.job_id = str(100 + number)

    def exception(self) -> None:
        """It ended well."""
        return


class FakeExecutor:
    """Keeps what it was asked for."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, folder: Path, cluster: str) -> None:
        self.parameters: dict[str, Any] = {"folder": folder, "cluster": cluster}

    def update_parameters(self, **parameters: Any) -> None:
        """Keep them."""
        self.parameters |= parameters

    def submit(self, job: CommandJob) -> FakeJob:
        """Keep the job's command too."""
        FakeExecutor.asked.append({**self.parameters, "command": " ".join(job.command)})
        return FakeJob(len(FakeExecutor.asked))


def test_slurm_gets_one_job_for_each_task_between_doctor_and_report(
    request_of_two: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitit, "AutoExecutor", FakeExecutor)
    monkeypatch.setattr(FakeExecutor, "asked", [])
    cluster = Cluster("slurm", "gpu", "lab")
    jobs = submit(tasks_of(request_of_two), request_of_two, cluster, skip_doctor=False)
    doctor, knn, linear, report = FakeExecutor.asked
    assert [job.after for job in jobs] == [(), ("101",), ("101",), ("102", "103")]
    places = f"--checkpoint random-init --root {request_of_two.root} --imagenet"
    assert f"results doctor {places}" in doctor["command"] and "gpus_per_node" not in doctor
    assert knn["slurm_additional_parameters"] == {
        "dependency": "afterok:101", "kill-on-invalid-dep": "yes",
    }  # fmt: skip
    assert (linear["gpus_per_node"], linear["slurm_partition"], linear["slurm_account"]) == (2, "gpu", "lab")
    assert linear["timeout_min"] > knn["timeout_min"] >= 60
    assert report["slurm_additional_parameters"]["dependency"] == "afterany:102:103"
    assert "results report" in report["command"]


def test_a_damaged_record_is_warned_of_before_jobs_are_submitted(
    request_of_two: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(submitit, "AutoExecutor", FakeExecutor)
    request_of_two.records.mkdir(parents=True)
    (request_of_two.records / "cut.json").write_text("{")
    assert submit_jobs(request_of_two, "slurm", "", "", skip_doctor=True) == 0
    assert "cut.json: not a readable JSON record" in capsys.readouterr().err


def test_a_job_that_slurm_refuses_is_one_clear_line(request_of_two: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: FakeExecutor, job: CommandJob) -> FakeJob:
        raise RuntimeError("sbatch: error\ninvalid partition specified: gpu")

    monkeypatch.setattr(submitit, "AutoExecutor", FakeExecutor)
    monkeypatch.setattr(FakeExecutor, "submit", refuse)
    with pytest.raises(Refusal, match="job doctor was not accepted: invalid partition"):
        submit(tasks_of(request_of_two), request_of_two, Cluster("slurm"), skip_doctor=False)


def test_a_command_that_fails_fails_its_job() -> None:
    assert CommandJob(["true"])() == 0
    with pytest.raises(RuntimeError, match="exit status 1"):
        CommandJob(["false"])()
