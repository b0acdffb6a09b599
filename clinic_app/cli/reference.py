"""The table of settings for the documentation: ``python -m clinic_app.cli.reference README.md docs/operations.md``."""

from __future__ import annotations

import sys
import typing
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from clinic_app.core.settings import Settings

BEGIN, END = "<!-- settings: begin (make docs) -->", "<!-- settings: end -->"


def settings_table() -> str:
    """Every setting with its default and what it is for, as a Markdown table."""
    rows = ["| setting | default | what it is for |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `CLINIC_{name.upper()}` | {_default(field)} | {_allowed(field)}{field.description} |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    value = field.default
    return "" if value is None or value == "" else f"`{value}`"


def _allowed(field: FieldInfo) -> str:
    if typing.get_origin(field.annotation) is typing.Literal:
        return "One of " + ", ".join(f"`{value}`" for value in typing.get_args(field.annotation)) + ". "
    if field.annotation == SecretStr | None:
        return "Secret. "
    return ""


def insert(document: str) -> str:
    """``document`` with the table between its two marks. Raises ``ValueError`` if they are missing."""
    head, _, rest = document.partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        raise ValueError("the marks around the table are missing")
    return f"{head}{BEGIN}\n{settings_table()}\n{END}{tail}"


if __name__ == "__main__":
    for target in map(Path, sys.argv[1:]):
        target.write_text(insert(target.read_text(encoding="utf-8")), encoding="utf-8")
