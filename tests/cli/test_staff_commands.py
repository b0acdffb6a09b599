"""``staff``: every account can be mended from the terminal, and nobody is locked out for good."""

from __future__ import annotations

import json

import pytest

from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.services.audit import chain

PASSPHRASE = "green lorry quiet tuesday"


@pytest.fixture
def with_admin(clinic):
    """A clinic with one administrator, ``ana``."""
    assert clinic("migrate").exit_code == 0
    made = clinic("staff", "create", "--username", "ana", "--name", "Ana Njeri", "--role", "admin", stdin=PASSPHRASE)
    assert made.exit_code == 0, made.output
    return clinic


def _create(clinic, username="grace", role="RECEPTIONIST"):
    done = clinic(
        "staff", "create", "--username", username, "--name", "Grace W", "--role", role, "--temporary", "--json"
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def _list(clinic):
    return {row["username"]: row for row in json.loads(clinic("staff", "list", "--json").stdout)}


def test_a_temporary_password_is_printed_once_and_opens_the_desk(with_admin):
    made = _create(with_admin)
    assert len(made["temporary_password"]) == 12
    assert sign_in(STAFF_DOOR, "grace", made["temporary_password"]).actor.must_choose_password
    assert _list(with_admin)["grace"]["temporary_password"] is True
    words = with_admin("staff", "reset", "grace").stdout
    assert "Temporary password: " in words
    assert "is not shown again" in words
    again = words.split("Temporary password: ")[1].split("\n")[0]
    assert sign_in(STAFF_DOOR, "grace", again).actor.must_choose_password


def test_the_list_says_how_each_account_stands(with_admin):
    _create(with_admin)
    with_admin("staff", "disable", "grace")
    plain = with_admin("staff", "list").stdout.splitlines()
    assert plain[0].split()[:3] == ["ana", "ADMIN", "active"]
    assert "turned off" in plain[1]
    assert _list(with_admin)["grace"]["active"] is False


def test_role_disable_enable_unlock_and_lost_devices(with_admin):
    made = _create(with_admin)
    assert with_admin("staff", "role", "grace", "--role", "clinician").exit_code == 0
    assert _list(with_admin)["grace"]["role"] == "CLINICIAN"
    assert with_admin("staff", "disable", "GRACE").exit_code == 0
    assert with_admin("staff", "enable", "grace").exit_code == 0
    assert with_admin("staff", "unlock", "grace").exit_code == 0
    lost = json.loads(with_admin("staff", "reset", "grace", "--two-factor", "--json").stdout)
    assert lost == {"id": made["id"], "two_factor": False}
    report = chain.verify()
    assert report.ok


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("unlock", "nobody"), 4, "There is no such staff account."),
        (("disable", "ana"), 5, "Make somebody else an administrator first"),
        (("role", "ana", "--role", "CLINICIAN"), 5, "Make somebody else an administrator first"),
        (("role", "ana", "--role", "BOSS"), 2, "Role must be ADMIN, RECEPTIONIST or CLINICIAN."),
        (("create", "--username", "ana", "--name", "A", "--role", "ADMIN", "--temporary"), 2, "taken"),
    ],
)
def test_what_cannot_be_done_is_said_with_an_exit_code_by_kind(with_admin, arguments, code, words):
    done = with_admin("staff", *arguments)
    assert (done.exit_code, words in done.output) == (code, True), done.output
    assert "Traceback" not in done.output


def test_production_does_not_open_a_demo_database(with_admin, monkeypatch, capsys):
    from clinic_app import asgi
    from clinic_app.core import db
    from clinic_app.core.settings import get_settings
    from clinic_app.models.patients import Counter
    from clinic_app.services.demo import DEMO_MARK

    with db.transaction() as session:
        session.add(Counter(name=DEMO_MARK, value=1))
    monkeypatch.setenv("CLINIC_MODE", "production")
    monkeypatch.setenv("CLINIC_BCRYPT_COST", "12")
    monkeypatch.setenv("CLINIC_PUBLIC_URL", "https://desk.example.org")
    get_settings.cache_clear()
    with pytest.raises(SystemExit) as stopped:
        asgi.create()
    assert stopped.value.code == 2
    assert "passwords are known to everybody" in capsys.readouterr().err
    checked = with_admin("doctor", "--json")
    found = {row["name"]: row for row in json.loads(checked.stdout)}
    assert checked.exit_code == 1
    assert found["database"]["state"] == "missing"
    assert "passwords are known to everybody" in found["database"]["text"]
