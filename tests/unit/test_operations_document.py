"""docs/operations.md says what the program does: every setting, every exit code, only commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from clinic_app.cli import errors
from clinic_app.cli.app import app
from clinic_app.cli.reference import insert, settings_table
from clinic_app.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_settings_is_complete_and_current():
    assert insert(DOCUMENT) == DOCUMENT, "run `make docs`"
    assert insert(README) == README, "run `make docs`"
    rows = settings_table().splitlines()[2:]
    assert len(rows) == len(Settings.model_fields)
    for row in rows:
        assert re.fullmatch(r"\| `CLINIC_[A-Z_]+` \| [^|]* \| [^|]{10,} \|", row), row


def test_no_setting_is_mentioned_that_does_not_exist():
    mentioned = set(re.findall(r"\bCLINIC_[A-Z_]+\b", DOCUMENT))
    of_a_command = {"CLINIC_MOVE_TO"}  # of `move`, which has it as an option, too
    assert mentioned == {f"CLINIC_{name.upper()}" for name in Settings.model_fields} | of_a_command


def test_every_exit_code_is_explained():
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", DOCUMENT, re.M)}
    assert listed == {0, errors.UNEXPECTED, errors.WRONG_SETTING, *errors.EXIT_CODES.values()}


def test_only_commands_that_exist_are_mentioned():
    by_name = re.findall(r"(?:^|`|/|sudo |\&\& )clinic ([a-z][a-z-]+)", DOCUMENT, re.M)
    mentioned = {*re.findall(r"-m clinic_app ([a-z]+)", DOCUMENT), *by_name}
    assert mentioned <= set(get_command(app).commands)
    assert {"migrate", "build", "serve", "staff", "doctor", "audit"} <= mentioned
