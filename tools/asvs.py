"""Writes the table of ASVS requirements into docs/security.md: ``python tools/asvs.py``.

The catalogue is docs/asvs.toml; which tests hold a requirement is read from ``@pytest.mark.asvs("6.2.1", …)`` in
the sources of the tests, so the table cannot say more than there is.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- asvs: begin (make docs) -->", "<!-- asvs: end -->"
SHOWN = 3  # tests named in a row; the others are counted


@dataclass(frozen=True)
class Requirement:
    """One requirement, in our own words. ``reason`` stands where no test of ours can hold it."""

    id: str
    level: int
    text: str
    reason: str = ""

    @property
    def order(self) -> tuple[int, ...]:
        """As a person counts: 6.2.10 after 6.2.9."""
        return tuple(int(part) for part in self.id.split("."))


def catalogue() -> list[Requirement]:
    """The requirements of docs/asvs.toml, in their order. Raises ``ValueError`` for one that is there twice."""
    found = tomllib.loads((ROOT / "docs" / "asvs.toml").read_text(encoding="utf-8"))["requirement"]
    made = sorted((Requirement(**each) for each in found), key=lambda each: each.order)
    ids = [each.id for each in made]
    if len(set(ids)) != len(ids):
        raise ValueError(f"twice in docs/asvs.toml: {sorted({each for each in ids if ids.count(each) > 1})}")
    return made


def _marks(nodes: list[ast.expr]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("mark.asvs"):
                found += [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    return found


def _functions(body: list[ast.stmt], marks: list[str]) -> Iterator[tuple[str, list[str]]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, [*marks, *_marks(node.decorator_list)])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, [*marks, *_marks(node.decorator_list)]


def marked() -> dict[str, list[str]]:
    """Requirement → the tests that hold it, as ``file::test``."""
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        whole = [
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and any(ast.unparse(target) == "pytestmark" for target in node.targets)
        ]
        for name, ids in _functions(tree.body, _marks(whole)):
            for ident in dict.fromkeys(ids):
                found.setdefault(ident, []).append(f"{file.relative_to(ROOT / 'tests')}::{name}")
    return found


def _held(requirement: Requirement, tests: list[str]) -> str:
    named = "<br>".join(f"`{test}`" for test in tests[:SHOWN])
    more = f"<br>and {len(tests) - SHOWN} more" if len(tests) > SHOWN else ""
    return "<br>".join(part for part in (named + more, requirement.reason) if part)


def table() -> str:
    """All requirements, as a Markdown table."""
    tests = marked()
    rows = ["| id | level | requirement | held by, or why not |", "| --- | --- | --- | --- |"]
    for each in catalogue():
        rows.append(f"| {each.id} | {each.level} | {each.text} | {_held(each, tests.get(each.id, []))} |")
    return "\n".join(rows)


def insert(document: str) -> str:
    """``document`` with the table between its two marks. Raises ``ValueError`` if they are missing."""
    head, _, rest = document.partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        raise ValueError("the marks around the table are missing")
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    written = insert(DOCUMENT.read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        sys.exit(
            0 if written == DOCUMENT.read_text(encoding="utf-8") else "docs/security.md is not up to date: make docs"
        )
    DOCUMENT.write_text(written, encoding="utf-8")
