import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_trunk import measure, records_of, use_tiny_trunk

from evaluate import work
from evaluate.predictions import read_predictions
from results.folder_lock import sole_user
from results.refusal import Refusal

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_trunk(monkeypatch)


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(work, "measure", refuse)


def knn(folder: Path, data: Path, **run: object) -> None:
    measure(folder, data, "knn-demo", neighbours=(20, 200), run={"limit": 250, **run})


def test_a_cell_with_a_record_is_not_measured_again(
    digits_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    knn(tmp_path, digits_root)
    before = sorted((tmp_path / "records").iterdir())
    monkeypatch.setattr(work, "measure", None)
    knn(tmp_path, digits_root)
    assert "table5/knn_200/top1: done already" in capsys.readouterr().out
    assert sorted((tmp_path / "records").iterdir()) == before


def test_deleting_one_record_writes_that_one_alone_from_the_kept_folder(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    knn(tmp_path, digits_root)
    lost = next((tmp_path / "records").glob("table5.knn_20.*.json"))
    kept = next((tmp_path / "records").glob("table5.knn_200.*.json"))
    measured, age = records_of(tmp_path)["table5/knn_20/top1"].measurement, kept.stat().st_mtime_ns
    lost.unlink()
    monkeypatch.setattr(work, "measure", None)
    knn(tmp_path, digits_root)
    again = records_of(tmp_path)
    assert again["table5/knn_20/top1"].measurement == measured
    assert kept.stat().st_mtime_ns == age


def test_asking_again_measures_again_and_keeps_the_earlier_record(digits_root: Path, tmp_path: Path) -> None:
    knn(tmp_path, digits_root)
    knn(tmp_path, digits_root, again=True)
    assert len(list((tmp_path / "records").glob("table5.knn_20.*.json"))) == 2
    assert len(list((tmp_path / "work").glob("knn-demo-*"))) == 2


def test_a_record_holds_what_makes_the_number_checkable(digits_root: Path, tmp_path: Path) -> None:
    knn(tmp_path, digits_root)
    record = records_of(tmp_path)["table5/knn_20/top1"]
    predictions = read_predictions(tmp_path / "records" / record.attachments["predictions"])
    assert predictions.accuracy(1) == pytest.approx(record.measurement.value)
    assert len(predictions.images) == record.measurement.sample_count == 250
    assert all(name.count("/") == 1 for name in predictions.images)
    assert (record.checkpoint.label, record.dataset.corpus) == ("random init", "digits")
    assert record.dataset.subset.startswith("250 of each split")
    votes = [(vote["k"], vote["weights"]) for vote in record.measurement.details["votes"]]
    assert votes == [(k, w) for k in (20, 200) for w in ("exp(cosine / 0.07)", "exp(cosine / 0.1)", "equal")]
    assert not record.deviations


def test_lower_precision_is_a_deviation_and_does_not_stand_for_full_precision(
    digits_root: Path, tmp_path: Path
) -> None:
    measure(tmp_path, digits_root, "knn-demo", neighbours=(20,), run={"precision": "bfloat16"})
    measure(tmp_path, digits_root, "knn-demo", neighbours=(20,))
    found = [json.loads(path.read_text())["deviations"] for path in (tmp_path / "records").glob("*.json")]
    assert sorted(len(one) for one in found) == [1, 2]  # both: fewer neighbours; one: the precision too


def test_skipping_takes_under_two_seconds_and_no_torch(digits_root: Path, tmp_path: Path) -> None:
    knn(tmp_path, digits_root)
    program = (
        "import sys, runpy\n"
        "try:\n    runpy.run_module('evaluate', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    options = {"checkpoint": "random-init", "data": digits_root / "imagenet", "limit": 250}
    options |= {"output": tmp_path / "work", "records": tmp_path / "records"}
    words = ["knn-demo", *(word for key, value in options.items() for word in (f"--run.{key}", str(value)))]
    started = time.process_time()
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done already") == 2
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["linear", "--run.checkpoint", "absent.pth"], "absent.pth does not exist"),
        (["linear"], "run.checkpoint is empty"),
        (["knn", "--run.checkpoint", "vicreg-resnet50"], "python -m evaluate download vicreg-resnet50"),
        (["knn", "--run.checkpoint", "random-init", "--run.data", "absent"], "absent"),
        (["nonsense"], "nonsense"),
        (["linear", "--protocol.epoch", "3"], "--protocol.epoch"),
        (["linear", "--protocol.epochs", "0"], "protocol.epochs is 0"),
        (["card", "nonsense"], "no protocol is called 'nonsense'"),
        (["download", "nonsense"], "no known weights"),
    ],
)
def test_wrong_input_is_refused_with_status_2_and_the_reason(words: list[str], reason: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evaluate", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert reason in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_another_process_works_in_is_refused(tmp_path: Path) -> None:
    with sole_user(tmp_path), pytest.raises(Refusal, match="in use"), sole_user(tmp_path):
        pass


def test_a_result_whose_predictions_are_gone_is_measured_anew(digits_root: Path, tmp_path: Path, no_work: None) -> None:
    with pytest.raises(AssertionError, match="measured again"):
        knn(tmp_path, digits_root)
    shutil.rmtree(tmp_path / "work")


def test_a_refused_checkpoint_leaves_no_folder_and_an_unreadable_record_is_named(
    digits_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "torn.json").write_text('{"digest"')
    path = tmp_path / "weights.pth"
    path.write_bytes(b"no weights")
    with pytest.raises(Refusal, match="neither as a torch nor as a safetensors file"):
        knn(tmp_path, digits_root, checkpoint=str(path))
    assert not (tmp_path / "work").exists()
    assert "torn.json: not a readable JSON record" in capsys.readouterr().err


def test_another_methods_checkpoint_is_not_taken_for_vicreg(
    digits_root: Path, tmp_path: Path, resnet50_state: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "swav.pth.tar"
    state = {f"module.{name}": tensor for name, tensor in resnet50_state.items()}
    torch.save({**state, "module.prototypes.weight": torch.zeros(3000, 128)}, path)
    with pytest.raises(Refusal, match=r"looks like SwAV's .*give --run\.label"):
        knn(tmp_path, digits_root, checkpoint=str(path))
