"""Keys are changed, or lost: what was made before can be read, or it is said that it cannot."""

from __future__ import annotations

import json

import pytest

from clinic_app.core import bootstrap, crypto, encryption, keys
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.services.audit import chain, key_rotation, known_keys
from tests import factories
from tests.db import tools
from tests.faults.conftest import KEYS, forget

ALL = ["pepper", "audit_key", "token_key"]


@pytest.fixture
def clinic(own_database, tmp_path, monkeypatch):
    """A clinic with keys in a file, in this process."""
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLINIC_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CLINIC_DATABASE_URL", own_database.url.render_as_string(hide_password=False))
    forget()
    bootstrap.start()
    known_keys.check()
    yield tmp_path / "data" / "keys.json"
    monkeypatch.undo()
    forget()


def _again() -> None:
    """As another process that starts."""
    forget()
    bootstrap.start()
    known_keys.check()


def test_everything_before_is_read_and_everything_after_is_under_the_new_keys(clinic):
    desk = factories.make_staff()
    factories.make_patient(desk)
    secret = encryption.encrypt("a secret", "test", "1")
    before, old = tools.raw("SELECT password_hash FROM accounts")[0][0], json.loads(clinic.read_text())
    for round_ in (2, 3):
        assert key_rotation.rotate_keys(ALL) == dict.fromkeys(ALL, round_)
        _again()
        assert encryption.decrypt(secret, "test", "1") == "a secret"
        newer = encryption.encrypt("another", "test", "1")
        assert encryption.decrypt(newer, "test", "1") == "another"
        factories.make_patient(desk)
        assert chain.verify().ok
    kept = json.loads(clinic.read_text())
    assert {name: kept["retired"][name]["1"] for name in ALL} == {name: old[name] for name in ALL}
    assert "next" not in kept
    assert sign_in(STAFF_DOOR, desk.username, factories.PASSWORD).actor.account_id == desk.account_id
    after = tools.raw("SELECT password_hash FROM accounts")[0][0]
    assert (before[:6], after[:6]) == ("v2$k1$", "v2$k3$")
    assert crypto.verify_password(factories.PASSWORD, before)
    assert not crypto.verify_password(factories.PASSWORD, after.replace("$k3$", "$k2$"))
    events = tools.trail("KEY_CHANGED")
    found = chain.verify()
    print(f"keys changed {len(events)} times, events {found.count}, whole: {found.ok}")
    assert [event["metadata"]["key"] for event in events] == ["pepper", "token_key", "audit_key"] * 2
    for value in (*old.values(), *(kept[name] for name in ALL)):
        assert value not in str(tools.dump())


@pytest.mark.parametrize("of", ["before", "at", "after"])
def test_a_changed_event_is_found_on_either_side_of_the_change(clinic, own_database, of):
    desk = factories.make_staff()
    key_rotation.rotate_keys(["audit_key"])
    factories.make_patient(desk)
    seq = tools.trail("KEY_CHANGED")[0]["seq"] + {"before": -1, "at": 0, "after": 1}[of]
    postgres = own_database.dialect.name == "postgresql"
    off = "ALTER TABLE audit_events DISABLE TRIGGER ALL" if postgres else "DROP TRIGGER audit_no_update"
    with own_database.begin() as connection:
        connection.exec_driver_sql(off)
        connection.exec_driver_sql(f"UPDATE audit_events SET role = 'NURSE' WHERE seq = {seq}")
    assert (chain.verify().ok, chain.verify().first_bad) == (False, seq)
    with own_database.connect() as connection:
        assert not chain.verify_end(connection)[0].ok


def test_the_end_is_checked_under_the_key_it_was_written_with(clinic, own_database):
    desk = factories.make_staff()
    for _ in range(3):
        key_rotation.rotate_keys(["audit_key"])
        factories.make_patient(desk)
        for last in (1, 2, 3, 100):
            with own_database.connect() as connection:
                assert chain.verify_end(connection, last)[0].ok, last


@pytest.mark.parametrize("moment", ["before the database", "after the database"])
def test_killed_in_the_middle_it_has_not_begun_or_the_next_start_ends_it(clinic, monkeypatch, moment):
    desk = factories.make_staff()
    secret = encryption.encrypt("a secret", "test", "1")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    where = (key_rotation, "_note") if moment.startswith("before") else (keys, "use_next")
    with monkeypatch.context() as patched:
        patched.setattr(*where, die)
        if moment.startswith("after"):  # not at the first look, whether something was interrupted
            patched.setattr(known_keys, "check", lambda: None)
        with pytest.raises(KeyboardInterrupt):
            key_rotation.rotate_keys(ALL)
    _again()
    done = 1 if moment.startswith("before") else 2
    assert {name: keys.version(name) for name in ALL} == dict.fromkeys(ALL, done)
    factories.make_patient(desk)
    assert chain.verify().ok
    assert encryption.decrypt(secret, "test", "1") == "a secret"
    assert sign_in(STAFF_DOOR, desk.username, factories.PASSWORD)
    key_rotation.rotate_keys(ALL)
    _again()
    assert chain.verify().ok


def test_lost_keys_are_said_to_be_lost_and_the_clinic_goes_on(clinic):
    desk = factories.make_staff()
    secret = encryption.encrypt("a secret", "test", "1")
    with pytest.raises(key_rotation.NotChanged, match="keys_not_changed"):
        key_rotation.replace_lost_keys()
    clinic.unlink()
    forget()
    bootstrap.start()
    with pytest.raises(known_keys.OtherKeys):
        known_keys.check()
    assert not clinic.exists()
    assert key_rotation.replace_lost_keys() == {"pepper": 2, "audit_key": 2, "token_key": 2}
    _again()
    factories.make_patient(desk)
    found = chain.verify()
    print(f"events {found.count}, of which unchecked are told: {found.warnings[-1]}")
    assert found.ok
    assert "the key of that time was lost" in found.warnings[-1]
    with pytest.raises(encryption.Unreadable):
        encryption.decrypt(secret, "test", "1")
    assert not crypto.verify_password(factories.PASSWORD, tools.raw("SELECT password_hash FROM accounts")[0][0])
    assert {event["metadata"]["lost"] for event in tools.trail("KEY_CHANGED")} == {True}
    key_rotation.rotate_keys(["audit_key"])
    _again()
    factories.make_patient(desk)
    assert chain.verify().ok


def test_somebody_with_the_database_alone_cannot_say_that_a_key_was_lost(clinic, own_database):
    """An event that claims it counts only where the key before is really not there."""
    factories.make_staff()
    postgres = own_database.dialect.name == "postgresql"
    off = "ALTER TABLE audit_events DISABLE TRIGGER ALL" if postgres else "DROP TRIGGER audit_no_update"
    with own_database.begin() as connection:
        connection.exec_driver_sql(off)
        lost = '\'{"key": "audit_key", "version": 2, "lost": true}\''
        connection.exec_driver_sql(f"UPDATE audit_events SET action = 'KEY_CHANGED', metadata = {lost} WHERE seq = 1")
    assert not chain.verify().ok


def test_a_key_of_the_environment_or_of_no_name_is_refused(clinic, monkeypatch):
    monkeypatch.setenv("CLINIC_PEPPER", keys.key("pepper").decode())
    get_settings.cache_clear()
    with pytest.raises(key_rotation.NotChanged, match="keys_not_changed") as refused:
        key_rotation.rotate_keys(ALL)
    assert refused.value.detail.startswith("CLINIC_PEPPER is set in the environment")
    with pytest.raises(key_rotation.InvalidInput):
        key_rotation.rotate_keys(["salt"])


def test_as_an_operator_does_it(command):
    command("migrate")
    make = ("staff", "create", "--username", "ana", "--name", "Ana Njeri", "--role", "ADMIN")
    command(*make, stdin="green lorry quiet tuesday\n")
    done = command("keys", "rotate", "audit_key", "--json")
    assert json.loads(done.stdout) == {"audit_key": 2}, done.stderr
    assert json.loads(command("audit", "verify", "--json").stdout)["ok"]
    assert command("keys", "rotate", "salt").returncode == 2
    assert command("keys", "lost").returncode == 2
    (command.folder / "keys.json").unlink()
    assert command("audit", "verify").returncode == 5
    done = command("keys", "lost", "--yes")
    assert "pepper (version 2), audit_key (version 3), token_key (version 2)" in done.stdout, done.stderr
    assert command("audit", "verify").returncode == 0
