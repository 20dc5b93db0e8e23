"""What `explain` says of a cell: claim, protocol, reports, and causes that fit the difference."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from results.cards import CARDS, read_card
from results.causes import causes, causes_of
from results.explain import explain
from results.records import Record
from results.refusal import Refusal
from results.stages import STAGES
from results.tables import targets, tolerances

Make = Callable[..., Record]
PLACEHOLDERS = {"CHECKPOINT", "IMAGENET", "PLACES205", "INAT18", "VOC", "COCO"}


def test_every_cell_can_be_explained_within_100_columns_but_for_its_commands() -> None:
    for cell, target in targets().items():
        text = explain(cell, [])
        assert text.startswith(f"{cell}: {target.value:.1f} percent\n")
        assert target.read_at.split(",")[0] in text
        assert max(len(line) for line in text.splitlines() if "test: python" not in line) <= 100


def test_a_users_report_is_shown_with_its_number() -> None:
    text = explain("table2/voc0712/AP50", [])
    assert "VICReg 79.07: the paper's settings (lr 0.05); unresolved (facebookresearch/vicreg issue 15)" in text
    assert "voc0712-iclr" in text


def test_a_delta_of_minus_3_in_voc_detection_points_to_the_learning_rate() -> None:
    found = causes_of("table2/voc0712/AP50", -3.3)
    assert found[0].command.startswith("python -m transfer voc0712-iclr")
    assert not any("did not reach" in cause.cause for cause in found)


@pytest.mark.parametrize(
    ("cell", "delta", "words"),
    [
        ("table2/voc0712/AP50", -25.0, "did not reach the detector"),
        ("table1/linear/top1", -60.0, "did not reach the network"),
        ("table1/linear/top1", -4.6, "100-epoch checkpoint"),
        ("table2/inat18/top1", -37.0, "no batch norm between"),
        ("table2/places205/top1", -13.3, "no batch norm between"),
        ("table2/coco_det/AP", -1.4, "plain configuration"),
        ("table2/voc07/mAP", 0.6, "another layer or crop"),
        ("table4a/inv_var_cov/top1", -60.0, "collapse"),
    ],
)
def test_known_failures_are_among_the_causes_of_their_own_size(cell: str, delta: float, words: str) -> None:
    assert any(words in cause.cause for cause in causes_of(cell, delta))


def test_a_cause_of_losses_does_not_explain_a_gain() -> None:
    assert all(cause.direction != "below" for cause in causes_of("table1/linear/top1", 0.5))


def test_every_stage_and_the_ablations_have_causes_with_a_command_each() -> None:
    named = {name for cause in causes() for name in cause.stages.split()}
    assert named == {stage.protocol for stage in STAGES} | {"pretraining"}
    for cause in causes():
        assert cause.evidence and cause.source and cause.least < cause.most
        words = shlex.split(cause.command)
        assert words[0] == "cat" or words[:2] == ["python", "-m"]
        assert {word for word in words if word.isupper()} <= PLACEHOLDERS


def test_a_measured_difference_is_explained_by_itself(make_record: Make) -> None:
    text = explain("table1/linear/top1", [make_record(value=68.6)])
    assert "VICReg: 68.60 over 1 seed, delta -4.60, ▼ below; protocol linear" in text
    assert "Likely causes of -4.60" in text and "it is a 100-epoch checkpoint" in text


def test_a_deviating_record_is_not_what_is_explained(make_record: Make) -> None:
    text = explain("table1/linear/top1", [make_record(value=10.0, deviations=("epochs: 100 -> 1",))])
    assert "≠ deviates (epochs: 100 -> 1)" in text and "Known causes" in text


def test_an_unknown_cell_is_refused_with_what_is_near() -> None:
    with pytest.raises(Refusal, match="did you mean table2/voc07/mAP"):
        explain("voc07/mAP", [])


def test_a_card_is_shown_with_each_settings_source_and_what_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = {
        "settings": [{"setting": "epochs", "value": 28, "source": "paper B.4", "note": "drops at 4, 8, 12"}],
        "open_questions": ["which layer?"],
    }
    (tmp_path / "places205.json").write_text(json.dumps(card))
    monkeypatch.setattr("results.explain.read_card", lambda protocol: read_card(protocol, tmp_path))
    text = explain("table2/places205/top1", [])
    assert "epochs" in text and "28" in text and "paper B.4" in text and "open: which layer?" in text


@pytest.mark.parametrize("content", ["{", '{"settings": [{"setting": "lr"}]}', '"card"', '{"settings": 3}'])
def test_a_malformed_card_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "linear.json").write_text(content)
    with pytest.raises(Refusal, match=r"linear\.json: not a protocol card"):
        read_card("linear", tmp_path)


def test_every_card_in_the_repository_reads_and_gives_a_source_for_each_setting() -> None:
    for path in sorted(CARDS.glob("*.json")) if CARDS.is_dir() else []:
        card = read_card(path.stem)
        assert card is not None and card.settings
        assert all(item.setting and item.source for item in card.settings), path


@pytest.mark.slow
def test_the_commands_that_test_a_cause_are_understood_by_their_rooms() -> None:
    stand_ins = dict.fromkeys(PLACEHOLDERS, "somewhere") | {"CHECKPOINT": "random-init"}
    commands = {
        tuple(stand_ins.get(word, word) for word in shlex.split(cause.command))
        for cause in causes()
        if cause.command.startswith(("python -m evaluate", "python -m transfer")) and " convert " not in cause.command
    }
    assert len(commands) > 20
    for command in sorted(commands):
        is_dry = "--run.dry-run" in command or "inspect" in command
        words = [sys.executable, *command[1:], *([] if is_dry else ["--run.dry-run"])]
        done = subprocess.run(
            words, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.parametrize("times", [1.05, 3, 10, 30])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_measured_difference_of_any_sign_and_size_has_a_cause_to_test(sign: int, times: float) -> None:
    without = [
        cell
        for cell, target in targets().items()
        for delta in [sign * times * tolerances()[cell].tolerance]
        if 0 <= target.value + delta <= 100 and not causes_of(cell, delta)
    ]
    assert without == []
