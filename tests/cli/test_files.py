"""What a command writes is whole under its name or not there, however the command ends; half of it never stays."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from clinic_app.cli import files
from clinic_app.cli.failure import CommandFailed
from tests.conftest import ROOT

#: Writes half of a file, or of a backup's copy, and waits for its end.
_EXPORT = """
import sys, time
from pathlib import Path
from clinic_app.cli import files
with files.new_file(Path(sys.argv[1]) / "all.csv") as out:
    out.write("half")
    out.flush()
    print("there", flush=True)
    time.sleep(60)
"""
_BACKUP = """
import sys, time
from pathlib import Path
from clinic_app.cli import files
from clinic_app.services.backups import making
with files.tidily(), making._work_in(Path(sys.argv[1])) as work:
    (work / "database.sqlite3").write_text("records")
    print("there", flush=True)
    time.sleep(60)
"""


def _ended(program: str, folder: Path, number: int) -> int:
    """The exit code of a command that is sent a signal when half is written."""
    half = subprocess.Popen([sys.executable, "-c", program, folder], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert half.stdout is not None
    assert half.stdout.readline() == "there\n"
    assert list(folder.iterdir())
    half.send_signal(number)
    half.communicate(timeout=20)
    return half.returncode


@pytest.mark.parametrize("program", [_EXPORT, _BACKUP], ids=["export", "backup"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_a_signal_ends_leaves_nothing(tmp_path, program, number):
    code = _ended(program, tmp_path, number)
    assert code == (128 + number if number != signal.SIGINT else -signal.SIGINT)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_export_leaves_no_half_under_its_name_and_the_next_one_removes_it(tmp_path):
    assert _ended(_EXPORT, tmp_path, signal.SIGKILL) == -signal.SIGKILL
    out = tmp_path / "all.csv"
    (left,) = tmp_path.iterdir()
    assert left != out
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    with files.new_file(out) as file:
        file.write("all")
        (under_way,) = tmp_path.glob(".all.csv.*")
        files._remove_left(out)
        assert under_way.exists(), "who still writes is left alone"
    assert out.read_text() == "all"
    assert list(tmp_path.iterdir()) == [out]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def _beaten_to_it(out: Path) -> None:
    with files.new_file(out) as file:
        file.write("all")
        out.write_text("precious")


def test_a_file_that_came_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    out = tmp_path / "all.csv"
    for _ in range(2):  # at the end, and at the beginning
        with pytest.raises(CommandFailed, match="File exists"):
            _beaten_to_it(out)
    assert out.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]
    with files.new_file(out, instead=True) as file:
        file.write("all")
    assert out.read_text() == "all"
    out.unlink()

    def no_links(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", no_links)
    with files.new_file(out) as file:
        file.write("all")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["all"]
