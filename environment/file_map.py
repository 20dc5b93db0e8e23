"""The README's file map: one line for each module, taken from the first sentence of its docstring (`make file-map`)."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("data", "pretrain", "evaluate", "transfer", "results", "benchmarks", "environment")
BEGIN, END = "<!-- file map: begin -->", "<!-- file map: end -->"


def first_paragraph(path: Path) -> str:
    """The first paragraph of a module's docstring, on one line."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def file_map() -> str:
    """The whole map as Markdown: a heading line for each room, a list entry for each of its modules."""
    lines = []
    for room in ROOMS:
        lines += [f"**{room}/** {first_paragraph(ROOT / room / '__init__.py')}", ""]
        modules = sorted(path for path in (ROOT / room).rglob("*.py") if path.name != "__init__.py")
        lines += [f"- `{path.relative_to(ROOT)}` {first_paragraph(path)}" for path in modules]
        lines.append("")
    return "\n".join(lines).strip()


def updated(readme: str) -> str:
    """The README with its map replaced by the current one."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{file_map()}\n{END}{after}"


def main() -> int:
    """Rewrite the map in README.md."""
    readme = ROOT / "README.md"
    readme.write_text(updated(readme.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
