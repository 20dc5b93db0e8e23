"""The log survives damage: what is no line of it is left out, the rest stays."""

from pathlib import Path

import pytest

from pretrain.journal import Journal, read_metrics


@pytest.mark.parametrize(
    "damage", ['{"step": 1, "lo', "3", "[]", "null", '{"loss": 1.0}', '{"step": null}', "\x00\x00"]
)
def test_a_damaged_line_is_left_out_when_a_run_goes_on(damage: str, tmp_path: Path) -> None:
    text = f'{{"step": 0, "event": "start"}}\n{{"step": 0, "loss": 2.0}}\n{damage}\n{{"step": 5, "loss": 1.0}}\n'
    (tmp_path / "log.jsonl").write_text(text)
    journal = Journal(tmp_path, first_step=5, tensorboard=False)
    assert read_metrics(journal.path) == [{"step": 0, "loss": 2.0}]
    assert '"start"' in journal.path.read_text()
