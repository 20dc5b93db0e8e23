"""The house keeps its shape: imports go one way, torch stays where it belongs, and the README's file map is true."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from environment import file_map

ROOT = Path(__file__).parents[1]
ROOMS = ("data", "pretrain", "evaluate", "transfer", "results")
MAY_IMPORT = {
    "data": {"data"},
    "pretrain": {"data", "pretrain"},
    "evaluate": {"data", "pretrain", "evaluate"},
    "transfer": {"data", "pretrain", "evaluate", "transfer"},
    "results": {"results"},
}
# What the other rooms may know of results: how to name, refuse, write and record, and whom to ask first; never how to
# compare.
VOCABULARY = {
    "activation",
    "atomic",
    "cards",
    "cells",
    "doctor",
    "folder_lock",
    "json_lines",
    "lifeline",
    "npz",
    "provenance",
    "records",
    "refusal",
    "repetition",
    "sealed",
    "settings",
    "usage",
}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_before_it_and_the_vocabulary_of_results(room: str) -> None:
    strays = []
    for path in modules(room):
        for name, line in imports(path):
            target, _, rest = name.partition(".")
            allowed = target not in ROOMS or target in MAY_IMPORT[room]
            if target == "results" and room != "results":
                allowed = rest.split(".")[0] in VOCABULARY
            if not allowed:
                strays.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert strays == []


def test_only_main_modules_import_the_command_line_library() -> None:
    strays = [
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in modules(room)
        if path.name != "__main__.py" and any(name.split(".")[0] == "tyro" for name, _ in imports(path))
    ]
    assert strays == []


@pytest.mark.parametrize("room", ROOMS)
def test_asking_a_room_for_help_imports_no_torch(room: str) -> None:
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['{room}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('{room}', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code in (0, None), end.code\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_readmes_file_map_is_the_tree_and_says_what_each_module_says_of_itself() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert file_map.updated(readme) == readme, "run `make file-map`"


def test_every_module_says_in_one_sentence_what_it_is() -> None:
    rooms = [ROOT / room for room in file_map.ROOMS]
    silent = [str(path) for room in rooms for path in room.rglob("*.py") if not file_map.first_paragraph(path)]
    assert silent == []


def test_no_module_is_called_utils() -> None:
    assert [str(path) for path in ROOT.glob("*/**/utils.py") if ".venv" not in path.parts] == []


def test_the_repository_stands_alone() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    forbidden = re.compile(r"\.\./" + r"shared|/work/" + r"main|/work/" + r"\.library|/tmp/bash_" + r"jobs")
    strays = []
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yml", ".yaml", ".txt", ".csv", ".json", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            strays += [f"{name}: {match.group()}" for match in forbidden.finditer(text)]
    assert strays == []
