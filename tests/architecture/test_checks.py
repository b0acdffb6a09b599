"""What `make check` looks at beside the code, and that a part of `.ci/run` that fails fails all of it."""

from __future__ import annotations

import collections
import os
import subprocess
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _tool(name: str) -> ModuleType:
    loader = SourceFileLoader(name, str(ROOT / "tools" / name))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    made = module_from_spec(spec)
    loader.exec_module(made)
    return made


@pytest.fixture(autouse=True)
def _leave_no_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)


def test_every_test_has_a_name_of_its_own(request):
    """Of two with one name only the first runs where tests are spread over several processes."""
    names = collections.Counter(item.nodeid for item in request.session.items)
    assert [name for name, count in names.items() if count > 1] == []


# --- licences -----------------------------------------------------------------------------------


def test_every_licence_is_agreed_to():
    licences = _tool("licences")
    assert licences.unknown() == []
    assert len(list(licences.python_packages())) > 50
    assert len(list(licences.pages_packages())) > 200


def test_a_new_licence_is_told_in_a_sentence(monkeypatch):
    licences = _tool("licences")
    monkeypatch.setattr(licences, "python_packages", lambda: iter([("some-package", "SSPL-1.0"), ("other", "")]))
    monkeypatch.setattr(licences, "pages_packages", lambda: iter([("fine", "MIT")]))
    rest = "is not in tools/licences.toml. Read it, and add it there, or do without the package."
    assert licences.unknown() == [
        f"some-package: the licence “SSPL-1.0” {rest}",
        f"other: the licence “not stated” {rest}",
    ]


@pytest.mark.parametrize(
    ("licence", "agreed"),
    [
        ("MIT", True),
        ("(MIT OR GPL-3.0)", True),
        ("MIT AND Apache-2.0", True),
        ("MIT AND GPL-3.0", False),
        ("GPL-3.0 OR AGPL-3.0", False),
        ("mit", False),
        ("", False),
    ],
)
def test_one_of_several_is_enough_and_all_of_those_together_are_needed(licence, agreed):
    assert _tool("licences").agreed(licence, {"MIT", "Apache-2.0"}) is agreed


# --- versions -----------------------------------------------------------------------------------


def test_every_version_is_exact():
    pins = _tool("pins")
    assert [sentence for name in pins.FILES for sentence in pins.loose(ROOT / name)] == []


@pytest.mark.parametrize(
    "line", ["httpx", "httpx>=0.28", "httpx~=0.28.1", "httpx==0.28.*", "httpx==0.28.1,<1", "httpx @ file:///x", "-e ."]
)
def test_a_line_that_allows_more_than_one_version_is_told_in_a_sentence(tmp_path, line):
    file = tmp_path / "requirements.txt"
    file.write_text(f"# what is needed\nreflex==0.10.1\npsycopg[binary]==3.3.9  # why\n{line}\n")
    assert list(_tool("pins").loose(file)) == [
        f"requirements.txt, line 4: “{line}” is not one exact version. Write name==version."
    ]


# --- continuous integration -------------------------------------------------------------------


def _ci(folder: Path, fails: str) -> tuple[int, list[str]]:
    """How ``.ci/run`` ends where ``make <fails>`` does not succeed, and which parts it began."""
    make, log = folder / "make", folder / "log"
    make.write_text(f'#!/bin/sh\necho "$1 $CI" >>{log}\n[ "$1" != "{fails}" ]\n')
    make.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([ROOT / ".ci" / "run"], env={"PATH": path}, capture_output=True, text=True, timeout=60)
    return done.returncode, log.read_text().splitlines()


@pytest.mark.parametrize("place", range(3))
def test_a_part_that_fails_fails_the_run(tmp_path, place):
    parts = ["check true", "test true", "test-full true"]
    status, begun = _ci(tmp_path, parts[place].split()[0])
    assert status != 0
    assert begun == parts[: place + 1]


def test_a_run_without_failures_succeeds(tmp_path):
    assert _ci(tmp_path, "nothing") == (0, ["check true", "test true", "test-full true"])


@pytest.mark.parametrize("away", [["PY=false"], ["PY=true", "VENV=/nonexistent"]], ids=["PyPI", "npm"])
def test_an_audit_that_can_ask_nobody_says_so_and_fails(away):
    done = subprocess.run(
        ["make", "--old-file=venv-dev", "audit", *away], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "so nothing was asked: try again later, or set https_proxy." in done.stderr
    assert done.stdout == ""
