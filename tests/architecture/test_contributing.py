"""CONTRIBUTING.md names files that exist, and says where things really go."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from clinic_app.services.patients.forms import PatientDetails

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "clinic_app"
DOCUMENT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
#: Folders of ui/ that are no screens.
SHARED = {"kit", "session", "frame", "own_sessions", "portal_dialog", "__pycache__"}
SCREENS = sorted(folder.name for folder in (PACKAGE / "ui").iterdir() if folder.is_dir() and folder.name not in SHARED)
FEATURES = ("accounts", "audit", "backups", "notifications", "patients", "portal")
TASKS = ("Add a field to a patient", "Add a screen", "Add a use case")


def section(heading: str) -> str:
    """The text below one heading of the document."""
    _, found, rest = DOCUMENT.partition(f"\n## {heading}\n")
    assert found, heading
    return rest.partition("\n## ")[0]


def paths(text: str) -> list[str]:
    """What stands in backticks and is a file or a folder."""
    named = re.findall(r"`([\w./<>-]+)`", text)
    return [name for name in named if "/" in name or re.search(r"\.(py|md)$", name)]


def found(name: str) -> list[Path]:
    """The files or folders that ``name`` stands for, from the package or from the root."""
    pattern = name.replace("<screen>", "*").replace("<feature>", "*").rstrip("/")
    assert "<" not in pattern, name
    return [*PACKAGE.glob(pattern), *ROOT.glob(pattern)]


@pytest.mark.parametrize("name", sorted(set(paths(DOCUMENT))))
def test_what_is_named_exists(name):
    assert found(name), f"CONTRIBUTING.md names {name}, which is not there"


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_a_list_of_files(task):
    steps = re.findall(r"^(\d+)\. ", section(task), re.M)
    assert steps == [str(number) for number in range(1, len(steps) + 1)]
    assert len(steps) >= 6
    assert len(paths(section(task))) >= len(steps)


def test_every_screen_has_its_page_and_nothing_else_is_one():
    assert len(SCREENS) >= 10
    assert [name for name in SCREENS if not (PACKAGE / "ui" / name / "page.py").is_file()] == []
    pages = {file.parent.name for file in (PACKAGE / "ui").glob("*/page.py")}
    assert pages - SHARED == set(SCREENS)


def test_every_feature_has_its_forms_views_or_errors_where_the_list_says():
    folders = {folder.name for folder in (PACKAGE / "services").iterdir() if (folder / "__init__.py").is_file()}
    assert folders == set(FEATURES)
    for name in ("forms.py", "views.py", "errors.py"):
        assert len(found(f"services/<feature>/{name}")) >= 2, name


def test_the_picture_of_directions_is_the_contract_of_the_linter():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(one["layers"] for one in contracts if one["name"] == "Layers point down")
    drawn = [line.split() for line in section("Direction").partition("```")[2].partition("```")[0].splitlines()]
    first = [words[0].removesuffix(",").removesuffix(".py") for words in drawn if words]
    below = [layer.split(" | ")[0] for layer in layers if "__main__" not in layer]
    assert [name for name in first if "/" not in name] == below
    ways_in = next(layer for layer in layers if layer.startswith("ui"))
    assert ways_in.replace("|", "│") in section("Direction")


def test_the_list_of_a_field_names_where_a_field_is_declared():
    named = paths(section("Add a field to a patient"))
    declared = {Path(PACKAGE / "services/patients/forms.py"), Path(PACKAGE / "models/patients.py")}
    assert declared <= {file for name in named for file in found(name)}
    assert PatientDetails.__module__.replace(".", "/") + ".py" in {f"clinic_app/{name}" for name in named}


def test_a_field_touches_the_files_of_the_list_and_no_others():
    named = {file for name in paths(section("Add a field to a patient")) for file in found(name)}
    touched = {file for file in PACKAGE.rglob("*.py") if re.search(r"\bnext_of_kin_name\b", file.read_text("utf-8"))}
    assert touched, "the field of this test is gone: take another one without rules of its own"
    assert sorted(file.relative_to(PACKAGE).as_posix() for file in touched - named) == []


def test_the_commands_are_targets_of_make():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(re.findall(r"`make ([a-z-]+)", DOCUMENT + (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named, "no command is named"
    assert named <= targets
