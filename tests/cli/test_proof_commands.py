"""``audit checkpoint``, ``audit key``, ``audit prove`` and ``audit check``."""

from __future__ import annotations

import json
import stat

import pytest
from typer.testing import CliRunner

from clinic_app.cli.app import app
from clinic_app.core import bootstrap, db, keys
from clinic_app.core.settings import get_settings
from tests.cli.test_audit_commands import _another, _cut, ana  # noqa: F401  a fixture


@pytest.fixture
def outside(monkeypatch, tmp_path):
    """Somebody who has the program, and nothing of the clinic: with settings that would start nothing."""

    def run(*arguments):
        bootstrap.stop()
        db.use(None)
        get_settings.cache_clear()
        with monkeypatch.context() as there:
            there.setenv("CLINIC_DATA_DIR", str(tmp_path / "nowhere" / "at all"))
            there.setenv("CLINIC_MODE", "no such mode")
            found = CliRunner().invoke(app, list(arguments))
        assert not (tmp_path / "nowhere").exists()
        return found

    return run


def test_a_checkpoint_a_proof_and_its_check_by_somebody_outside(ana, outside, tmp_path):  # noqa: F811
    proof, note, sheet = (str(tmp_path / name) for name in ("proof.jsonl", "note.txt", "sheet.html"))
    signed = ana("audit", "checkpoint", "--sheet", sheet)
    assert signed.exit_code == 0, signed.stderr
    (tmp_path / "note.txt").write_text(signed.stdout)
    page = (tmp_path / "sheet.html").read_text()
    key = ana("audit", "key").stdout.strip()
    assert signed.stdout in page
    assert key in page
    assert 'src="data:image/svg+xml' in page
    assert stat.S_IMODE((tmp_path / "sheet.html").stat().st_mode) == 0o600
    _another(ana, "ben")
    written = ana("audit", "prove", "1", "--older", note, "--out", proof)
    assert written.exit_code == 0, written.stderr
    assert written.stdout == f"1 event of the 3 in the trail, with the proof of it, written to {proof}.\n"
    assert stat.S_IMODE((tmp_path / "proof.jsonl").stat().st_mode) == 0o600

    found = outside("audit", "check", proof, "--key", key, "--older", note)
    assert found.exit_code == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0].startswith("Event 1: 2")
    assert lines[0].endswith(", STAFF_CREATED (success), by system UNKNOWN, about account 1")
    assert lines[1].endswith(": a trail of 3 events.")
    assert lines[2] == "It begins with that of the older checkpoint (1 of its events): nothing was changed since."
    assert lines[3].startswith("This event is in it, word for word. Whether others were left out")
    as_json = json.loads(outside("audit", "check", proof, "--key", key, "--json").stdout)
    assert (as_json["size"], as_json["older"], as_json["events"][0]["seq"]) == (3, None, 1)

    forged = (tmp_path / "proof.jsonl").read_text().replace("STAFF_CREATED", "STAFF_ENABLED")
    (tmp_path / "forged.jsonl").write_text(forged)
    refused = outside("audit", "check", str(tmp_path / "forged.jsonl"), "--key", key)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("This does not hold: Event 1 is not in the trail")
    other = outside("audit", "check", proof, "--key", "a+00000000+AAAA")
    assert (other.exit_code, other.stdout) == (1, "")
    assert "This does not hold: This is no public key" in other.stderr
    assert "2 signed checkpoints." in ana("audit", "verify").stdout


def test_what_a_proof_needs_is_told(ana, tmp_path):  # noqa: F811
    out = str(tmp_path / "proof.jsonl")
    for wrong in ([], ["1", "--patient", "LMC000001"], ["1", "--since", "2026-06-01"]):
        done = ana("audit", "prove", *wrong, "--out", out)
        assert (done.exit_code, done.stdout) == (2, "")
    missing = ana("audit", "prove", "77", "--out", out)
    assert (missing.exit_code, missing.stderr) == (4, "There is no such event in the audit trail.\n")
    assert not (tmp_path / "proof.jsonl").exists(), "no empty file is left"
    nobody = ana("audit", "prove", "--patient", "LMC999999", "--out", out)
    assert nobody.exit_code == 4
    (tmp_path / "proof.jsonl").write_text("")
    there = ana("audit", "prove", "1", "--out", out)
    assert (there.exit_code, there.stderr) == (2, f"{out} cannot be written (File exists).\n")
    unread = ana("audit", "check", str(tmp_path / "none"), "--key", ana("audit", "key").stdout.strip())
    assert (unread.exit_code, unread.stderr) == (
        2,
        f"{tmp_path / 'none'} cannot be read (No such file or directory).\n",
    )


def test_a_cut_trail_is_not_signed(ana, tmp_path):  # noqa: F811
    _another(ana, "ben")
    assert ana("audit", "checkpoint", "--json").exit_code == 0
    _cut(1)
    refused = ana("audit", "checkpoint")
    assert refused.exit_code == 5
    assert refused.stderr.startswith("The audit trail does not fit its last checkpoint")


def test_text_of_somebody_else_is_shown_as_text():
    from clinic_app.cli.proofs import _told

    shown = _told({"seq": 1, "at": "\x1b[2J", "action": "a\nEvent 2: forged", "outcome": None, "actor": {"a": "\x07"}})
    assert shown.isprintable()


@pytest.fixture
def own_keys(monkeypatch):
    """Keys are made into the data directory: those of the environment cannot be changed."""
    for name in keys.NAMES:
        monkeypatch.delenv(f"CLINIC_{name.upper()}")


def test_a_new_audit_key_and_a_restored_backup(own_keys, ana, outside, tmp_path):  # noqa: F811
    """The trail keeps its name under another key; what was signed after a backup does not fit what it restores."""

    def kept(name):
        (tmp_path / name).write_text(ana("audit", "checkpoint").stdout)
        return str(tmp_path / name)

    first, key = kept("first"), ana("audit", "key").stdout.strip()
    assert ana("keys", "rotate", "audit_key").exit_code == 0
    new, old = ana("audit", "key").stdout.split()
    assert old == key != new
    made = ana("backup", str(tmp_path / "clinic.tar"))
    assert made.exit_code == 0, made.stderr
    _another(ana, "ben")
    later, proof = kept("later"), str(tmp_path / "proof.jsonl")
    assert ana("audit", "prove", "1", "--older", first, "--out", proof).exit_code == 0
    alone = outside("audit", "check", proof, "--key", new, "--older", first)
    assert (alone.exit_code, alone.stdout) == (1, "")
    assert "The older checkpoint: " in alone.stderr
    assert outside("audit", "check", proof, "--key", new, "--key", old, "--older", first).exit_code == 0

    restored = ana("restore", str(tmp_path / "clinic.tar"))
    assert restored.exit_code == 0, restored.stderr
    after = str(tmp_path / "after.jsonl")
    for name in ("cem", "dan", "eve"):
        _another(ana, name)
    refused = ana("audit", "prove", "1", "--older", later, "--out", after)
    assert refused.exit_code == 5
    assert "not of the beginning of this trail" in refused.stderr
    assert ana("audit", "prove", "1", "--older", first, "--out", after).exit_code == 0
    told = outside("audit", "check", after, "--key", new, "--key", old, "--older", later)
    assert (told.exit_code, told.stdout) == (1, "")
    verified = ana("audit", "verify")
    assert (verified.exit_code, "signed checkpoint" in verified.stdout) == (0, True)
