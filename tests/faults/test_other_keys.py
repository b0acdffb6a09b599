"""Started with the keys of another clinic, or without any: it says so, and nothing is written."""

from __future__ import annotations

import json

import pytest

from clinic_app.core import db, keys
from clinic_app.core.settings import get_settings
from clinic_app.services.audit import chain, known_keys
from tests import factories
from tests.db import tools

PASSPHRASE = "green lorry quiet tuesday\n"


@pytest.fixture
def other(monkeypatch):
    """``other("AUDIT_KEY")``: this process is given another key; ``other()``: its own ones again."""

    def change(*names: str) -> None:
        monkeypatch.undo()
        for name in names:
            monkeypatch.setenv(f"CLINIC_{name}", "z" * 40)
        get_settings.cache_clear()
        keys.key.cache_clear()

    yield change
    monkeypatch.undo()
    get_settings.cache_clear()
    keys.key.cache_clear()


def test_each_key_is_known_and_another_one_refused(own_database, other):
    known_keys.check()
    factories.make_patient(factories.make_staff())
    seq, before = tools.last_seq(), tools.dump()
    for name, words in (("PEPPER", "nobody could sign in"), ("AUDIT_KEY", "broken for good"), ("TOKEN_KEY", "be read")):
        other(name)
        with pytest.raises(known_keys.OtherKeys) as refused:
            known_keys.check()
        assert f"CLINIC_{name}: what is in the environment is not" in refused.value.detail
        assert words in refused.value.detail
        assert "z" * 40 not in refused.value.detail
    assert tools.dump() == before
    other()
    known_keys.check()
    assert (tools.last_seq(), chain.verify().ok) == (seq, True)


def test_a_clinic_of_before_is_noted_once_its_trail_fits(own_database, other):
    """Its tables have just been made: nothing is noted yet."""
    factories.make_staff()
    assert tools.number("SELECT count(*) FROM clinic_keys") == 0
    other("AUDIT_KEY")
    with pytest.raises(known_keys.OtherKeys, match="other_keys"):
        known_keys.check()
    assert tools.number("SELECT count(*) FROM clinic_keys") == 0
    other()
    known_keys.check()
    assert tools.number("SELECT count(*) FROM clinic_keys") == 3
    for value in ("p" * 40, "a" * 40, "t" * 40):
        assert value not in str(tools.raw("SELECT * FROM clinic_keys"))


def test_two_that_start_at_once_note_the_same(own_database):
    assert tools.at_once(*[known_keys.check] * 8) == [None] * 8
    assert tools.number("SELECT count(*) FROM clinic_keys") == 3


@pytest.mark.slow
def test_an_operator_with_the_wrong_file_is_told_and_nothing_is_written(command):
    assert command("migrate").returncode == 0
    make = ("staff", "create", "--username", "ana", "--name", "Ana Njeri", "--role", "ADMIN")
    assert command(*make, stdin=PASSPHRASE).returncode == 0
    file = command.folder / "keys.json"
    own = file.read_text()
    wrong = dict.fromkeys(json.loads(own), "z" * 64)
    tries = {"another file": json.dumps(wrong), "no file": None}
    for what, text in tries.items():
        file.unlink()
        if text is not None:
            file.write_text(text)
        for arguments in (
            make,
            ("migrate",),
            ("backup", str(command.folder / "b.tar")),
            ("audit", "anchor"),
            ("serve",),
        ):
            done = command(*arguments, stdin=PASSPHRASE)
            assert done.returncode == 5, (what, arguments, done.stderr)
            assert "Nothing was changed." in done.stderr, (what, arguments, done.stderr)
            assert "zzz" not in done.stderr
        assert file.exists() is (text is not None), "and no new keys are made"
        told = {one["name"]: one for one in json.loads(command("doctor", "--json").stdout)}["keys"]
        assert told["state"] == "missing"
    file.write_text(own[:40])
    torn = command("audit", "verify")
    assert (torn.returncode, "keys.json in it is damaged" in torn.stderr) == (2, True), torn.stderr
    file.write_text(own)
    done = command("audit", "verify", "--json")
    found = json.loads(done.stdout)
    print(f"commands refused: {len(tries) * 5}; events before: 1, after: {found['count']}; whole: {found['ok']}")
    assert (found["ok"], found["count"]) == (True, 1)


def test_the_server_refuses_too(own_database, other, capsys):
    from clinic_app import asgi

    known_keys.check()
    other("PEPPER")
    with pytest.raises(SystemExit) as ended:
        asgi._refuse_other_keys()
    assert ended.value.code == asgi.REFUSED
    assert capsys.readouterr().err.startswith("CLINIC_PEPPER: ")
    db.use(None)
