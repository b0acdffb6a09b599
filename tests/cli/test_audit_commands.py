"""``audit anchor``, ``audit export`` and what ``audit verify`` says about anchors."""

from __future__ import annotations

import csv
import json
import stat

import pytest

from clinic_app.services.audit import chain
from tests.cli.test_commands import PASSPHRASE, bootstrap_engine


@pytest.fixture
def ana(clinic):
    """A clinic with one administrator."""
    clinic("migrate")
    made = clinic("staff", "create", "--username", "ana", "--name", "=Ana Njeri", "--role", "ADMIN", stdin=PASSPHRASE)
    assert made.exit_code == 0, made.stderr
    return clinic


def _cut(rows: int) -> None:
    with bootstrap_engine().begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_no_delete")
        connection.exec_driver_sql(f"DELETE FROM audit_events WHERE seq > {rows}")
        connection.exec_driver_sql(
            f"UPDATE audit_head SET seq = {rows}, hash = (SELECT hash FROM audit_events WHERE seq = {rows})"
        )


def _another(clinic, name):
    done = clinic("staff", "create", "--username", name, "--name", name, "--role", "CLINICIAN", stdin=PASSPHRASE)
    assert done.exit_code == 0, done.stderr


def test_without_anchors_verify_warns_and_succeeds(ana):
    found = ana("audit", "verify")
    assert found.exit_code == 0
    assert found.stderr == f"Warning: {chain.NO_ANCHORS}\n"


def test_a_cut_end_is_told_in_words(ana):
    _another(ana, "ben")
    noted = ana("audit", "anchor", "--json")
    assert noted.exit_code == 0
    assert json.loads(noted.stdout) == {"seq": 2, "file": str(ana.folder / "audit-anchors.jsonl")}
    assert ana("audit", "anchor").stdout == "Nothing has been added since the last note.\n"
    assert "2 rows, 1 anchor." in ana("audit", "verify").stdout
    _cut(1)
    found = ana("audit", "verify")
    assert found.exit_code == 1
    assert found.stdout.startswith(
        "The audit trail is broken at row 2: The trail ends at event 1, but event 2 was there"
    )
    assert json.loads(ana("audit", "verify", "--json").stdout)["finding"] == "cut"
    assert ana("audit", "anchor", "--after-restore").exit_code == 0
    accepted = ana("audit", "verify")
    assert accepted.exit_code == 0
    assert "events 1 to 2 have been replaced" in accepted.stderr


def test_anchors_that_cannot_be_written_are_one_sentence(ana, monkeypatch, tmp_path):
    monkeypatch.setenv("CLINIC_AUDIT_ANCHOR_FILE", str(tmp_path / "nowhere" / "anchors"))
    done = ana("audit", "anchor")
    assert done.exit_code == 1
    assert done.stderr == "The anchors cannot be written (No such file or directory): see CLINIC_AUDIT_ANCHOR_FILE.\n"


@pytest.mark.asvs("1.2.10")
def test_export_writes_a_file_for_its_owner_only(ana, tmp_path):
    _another(ana, "ben")
    out = tmp_path / "trail.csv"
    done = ana("audit", "export", "--out", str(out), "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {"count": 2, "file": str(out)}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    rows = list(csv.DictReader(out.open(encoding="utf-8", newline="")))
    assert [row["action"] for row in rows] == ["STAFF_CREATED"] * 2
    assert "\"'=Ana" not in out.read_text()  # her name is in no row of hers: the system created her
    with bootstrap_engine().connect() as connection:
        last = connection.exec_driver_sql("SELECT action, actor FROM audit_events ORDER BY seq DESC LIMIT 1").one()
    assert tuple(last) == ("AUDIT_EXPORTED", "system")


def test_export_filters_and_says_what_is_wrong_with_a_filter(ana, tmp_path):
    out = str(tmp_path / "trail.csv")
    wrong = ana("audit", "export", "--out", out, "--since", "tomorrow")
    assert (wrong.exit_code, wrong.stderr) == (2, "From must be a date such as 2026-06-18.\n")
    none = ana("audit", "export", "--out", out, "--action", "PATIENT_VIEWED")
    assert (none.exit_code, none.stdout) == (0, f"0 rows written to {out}.\n")


def test_export_never_writes_over_a_file_and_leaves_none_behind(ana, tmp_path, monkeypatch):
    out = tmp_path / "trail.csv"
    out.write_text("precious")
    assert ana("audit", "export", "--out", str(out)).exit_code == 2
    assert out.read_text() == "precious"
    nowhere = ana("audit", "export", "--out", str(tmp_path / "no" / "trail.csv"))
    assert nowhere.stderr.endswith("cannot be written (No such file or directory).\n")

    def broken(*_args):
        raise OSError

    monkeypatch.setattr("clinic_app.cli.exports.export_audit", broken)
    failed = tmp_path / "failed.csv"
    assert ana("audit", "export", "--out", str(failed)).exit_code == 1
    assert not failed.exists()
