"""The table that ends `make setup` tells what cannot be imported, and why, without dying of it."""

from pathlib import Path

import pytest

from environment import table


def test_a_module_that_fails_or_kills_the_interpreter_is_a_row_and_the_others_are_still_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text("raise OSError('no such library')\n")
    (tmp_path / "deadly_module.py").write_text("import os; os._exit(9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert table.imported(["broken_module", "deadly_module", "json"]) == {
        "broken_module": "no: OSError: no such library",
        "deadly_module": "no: the interpreter ended with status 9",
        "json": "yes",
    }


def test_requirements_are_read_without_comments() -> None:
    pins = table.required()
    assert pins["fvcore"] == "0.1.5.post20221221" and all("#" not in version for version in pins.values())


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert table.installed_version("no-such-package") == "-"
