"""What is kept of whoever registers themselves, for how long, and what goes out to an address that may be anybody's."""

from __future__ import annotations

import datetime as dt

import pytest

from clinic_app.core.errors import NotFound
from clinic_app.services import challenges
from clinic_app.services.accounts.housekeeping import tidy
from clinic_app.services.notifications import delivery, outbox
from clinic_app.services.patients import self_registration
from clinic_app.services.patients.self_registration import register_oneself
from tests import factories
from tests.db import tools

EMAIL = "beatrice@example.org"


@pytest.fixture
def on(database, settings, monkeypatch, change_setting):
    monkeypatch.setattr(challenges, "HARDNESS", 50)
    change_setting("CLINIC_SELF_REGISTRATION", "true")
    change_setting("CLINIC_SMTP_HOST", "mail.clinic.example")


def _details(**changes: str):
    return self_registration.parse({"first_name": "Beatrice", "last_name": "Achieng", "email": EMAIL, **changes})


def test_switched_off_nobody_registers(database):
    with pytest.raises(NotFound):
        register_oneself(_details(), factories.solution())
    assert tools.number("SELECT count(*) FROM audit_events WHERE action = 'SELF_REGISTERED'") == 0


def test_the_trail_says_that_somebody_registered_and_not_who(on):
    register_oneself(_details(), factories.solution())
    (event,) = tools.trail("SELF_REGISTERED")
    assert (event["actor"], event["resource_type"]) == ("anonymous", "registration")
    assert event["metadata"] == {"way": "email", "sent": True}


def test_what_nobody_confirms_is_removed_with_its_message(on, clock):
    register_oneself(_details(), factories.solution())
    tidy()
    assert tools.number("SELECT count(*) FROM self_registrations") == 1
    clock.shift(dt.timedelta(hours=24, seconds=1).total_seconds())
    tidy()
    for table in ("self_registrations", "outbox_messages", "used_challenges"):
        assert tools.number(f"SELECT count(*) FROM {table}") == 0


def test_the_message_says_nothing_that_was_typed(on):
    register_oneself(_details(first_name="Visit evil.example"), factories.solution())
    (claimed,) = delivery._claim(("email",), 4)
    made = delivery._prepare(claimed)
    assert made.to == EMAIL
    assert made.subject == "Confirm your registration: Lakeside Medical Centre"
    assert "evil" not in made.text + made.html + made.subject
    assert "/register/confirm#" in made.text
    assert tools.raw("SELECT code_digest FROM self_registrations")[0][0]
    tools.write("UPDATE self_registrations SET state = 'WAITING'")
    assert delivery._prepare(claimed).reason == "LINK_OVER"


def test_one_email_gets_three_an_hour_and_six_a_day(on, clock):
    def sent() -> int:
        return tools.number("SELECT count(*) FROM outbox_messages")

    for number, hours in enumerate((0, 0, 0, 0, 1.1, 0, 0, 0, 1.1, 0)):
        clock.shift(hours * 3600)
        with tools.from_address(f"203.0.113.{number}"):
            register_oneself(_details(), factories.solution())
        assert sent() <= (3 if number < 4 else 6)
    assert sent() == 6
    with tools.from_address("203.0.113.99"):
        register_oneself(_details(email="other@example.org"), factories.solution())
    assert sent() == 7


def test_outbox_messages_of_accounts_are_as_before(on, desk):
    done = factories.make_patient(desk, portal_email="amina@example.org")
    assert [one.kind for one in outbox_of(done)] == ["INVITATION"]


def outbox_of(done):
    from clinic_app.core import db

    with db.reading() as session:
        return outbox.deliveries(session, done.patient.access.account_id)


@pytest.mark.races
def test_of_the_same_solution_sent_at_once_one_counts(own_database, settings, monkeypatch):
    from clinic_app.core.settings import get_settings

    monkeypatch.setattr(challenges, "HARDNESS", 50)
    settings.setenv("CLINIC_SELF_REGISTRATION", "true")
    get_settings.cache_clear()
    solution = factories.solution()
    results = tools.at_once(*[lambda: register_oneself(_details(phone="0712445901"), solution)] * 4)
    refused = [one for one in results if isinstance(one, challenges.ChallengeNotSolved)]
    assert len(refused) == 3
    assert tools.number("SELECT count(*) FROM self_registrations") == 1
