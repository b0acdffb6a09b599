"""Reminders: one for each link and way, when a day is left, and never two of them."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from clinic_app.core import clock as clinic_clock
from clinic_app.core.settings import get_settings
from clinic_app.services.notifications.delivery import Worker
from clinic_app.services.notifications.transports import NotSent
from clinic_app.services.portal import reminders
from clinic_app.services.portal.provisioning import reset_portal_password, turn_off_portal
from clinic_app.services.portal.reminders import remind_due
from tests import factories
from tests.db import tools

DAY = dt.timedelta(hours=24)


@pytest.fixture
def sends(settings, monkeypatch) -> list[str]:
    """There is something to send with, both ways: what was handed over."""
    settings.setenv("CLINIC_SMTP_HOST", "mail.clinic.example")
    settings.setenv("CLINIC_SMS_URL", "json://gateway.example/{phone}")
    monkeypatch.setattr("clinic_app.services.notifications.delivery.AT_ONCE", 1)  # the tests' one connection
    sent: list[str] = []

    async def email(message):
        if message.to.startswith("bad"):
            raise NotSent("ADDRESS_REFUSED", final=True)
        sent.append(f"{message.to}: {message.subject}")

    async def text(message):
        sent.append(f"{message.to}: {message.text}")

    monkeypatch.setattr("clinic_app.services.notifications.transports.send_email", email)
    monkeypatch.setattr("clinic_app.services.notifications.transports.send_text_message", text)
    return sent


def invited(desk, email="amina@example.com", **changes):
    """Somebody with a link by email and SMS, not sent yet."""
    return factories.make_patient(desk, portal_email=email, portal_phone="0733 100 200", **changes)


async def _send() -> None:
    await Worker().send_due()


def reminders_written() -> list[tuple[str, str, str]]:
    rows = tools.raw("SELECT channel, address, state FROM outbox_messages WHERE kind = 'REMINDER' ORDER BY id")
    return [tuple(row) for row in rows]


async def test_an_unused_link_is_spoken_of_once_when_a_day_is_left(clock, sends, desk):
    invited(desk)
    await _send()
    clock.shift(DAY - dt.timedelta(seconds=1))
    assert remind_due() == 0
    clock.shift(dt.timedelta(seconds=1))
    assert remind_due() == 2
    assert reminders_written() == [
        ("email", "amina@example.com", "QUEUED"),
        ("sms", "+254733100200", "QUEUED"),
    ]
    sends.clear()
    await _send()
    assert sends[0] == "amina@example.com: Your link ends soon: Lakeside Medical Centre"
    assert sends[1].startswith("+254733100200: Lakeside Medical Centre: 1 day left to set your password: http")
    for _ in range(3):
        clock.shift(dt.timedelta(hours=7))
        assert remind_due() == 0
    await _send()
    assert len(sends) == 2
    (first, again) = tools.raw("SELECT DISTINCT link_id, kind FROM outbox_messages ORDER BY kind")
    assert first.link_id == again.link_id, "the reminder repeats the link, it makes no other"


async def test_another_link_may_be_spoken_of_too(clock, sends, desk):
    done = invited(desk)
    await _send()
    clock.shift(DAY)
    assert remind_due() == 2
    reset_portal_password(desk, done.patient.id)
    await _send()
    assert remind_due() == 0
    clock.shift(DAY)
    assert remind_due() == 2


def _turned_off(desk, done) -> None:
    turn_off_portal(desk, done.patient.id)


def _own_password(desk, done) -> None:
    factories.own_password(done)


def _not_temporary(desk, done) -> None:
    tools.write("UPDATE accounts SET password_temporary = false WHERE patient_id = :id", id=done.patient.id)


def _used(desk, done) -> None:
    tools.write("UPDATE one_time_links SET ended_at = created_at, end_reason = 'used'")


def _inactive(desk, done) -> None:
    tools.write("UPDATE patients SET is_active = false")


def _other_purpose(desk, done) -> None:
    tools.write("UPDATE one_time_links SET purpose = 'FORGOT'")


def _forbidden(desk, done) -> None:
    tools.write("UPDATE patients SET email_allowed = false, sms_allowed = false")


def _not_sent(desk, done) -> None:
    tools.write("UPDATE outbox_messages SET state = 'FAILED'")


@pytest.mark.parametrize(
    "change", [_turned_off, _own_password, _not_temporary, _used, _inactive, _other_purpose, _forbidden, _not_sent]
)
async def test_nobody_is_reminded_who_need_not_or_may_not_be(clock, sends, desk, change):
    done = invited(desk)
    await _send()
    clock.shift(dt.timedelta(hours=1))
    change(desk, done)
    clock.shift(DAY)
    assert remind_due() == 0
    assert reminders_written() == []


async def test_each_way_asks_for_its_own_consent_and_only_where_it_arrived(clock, sends, desk):
    invited(desk, "bad@example.com")
    await _send()
    invited(desk, "amina@example.com")
    tools.write("UPDATE patients SET sms_allowed = false WHERE email = 'amina@example.com'")
    await _send()
    clock.shift(DAY)
    assert remind_due() == 2
    assert reminders_written() == [("sms", "+254733100200", "QUEUED"), ("email", "amina@example.com", "QUEUED")]


async def test_a_short_life_a_late_arrival_and_an_end_are_not_spoken_of(clock, sends, settings, desk):
    invited(desk)
    clock.shift(dt.timedelta(hours=30))  # the mail server was away
    await _send()
    assert remind_due() == 0
    clock.shift(dt.timedelta(hours=12))
    assert remind_due() == 2
    clock.shift(dt.timedelta(hours=12))
    assert remind_due() == 0
    tools.write("DELETE FROM outbox_messages WHERE kind = 'REMINDER'")
    assert remind_due() == 0, "it is over"
    settings.setenv("CLINIC_TEMPORARY_PASSWORD_HOURS", "36")
    get_settings.cache_clear()
    invited(desk, "short@example.com")
    await _send()
    clock.shift(dt.timedelta(hours=13))
    assert remind_due() == 0


async def test_nothing_is_written_that_nothing_can_send(clock, sends, settings, desk):
    invited(desk)
    await _send()
    clock.shift(DAY)
    settings.delenv("CLINIC_SMS_URL")
    get_settings.cache_clear()
    assert remind_due() == 1
    assert reminders_written() == [("email", "amina@example.com", "QUEUED")]


async def test_there_may_be_very_many(clock, sends, desk, monkeypatch):
    monkeypatch.setattr(reminders, "_AT_ONCE", 2)
    for number in range(3):
        invited(desk, f"p{number}@example.com")
    await _send()
    tools.write(
        "UPDATE one_time_links SET created_at = :at WHERE id = (SELECT min(id) FROM one_time_links)", at=_stored()
    )
    clock.shift(DAY)
    assert remind_due() == 4


def _stored() -> object:
    """An instant as this database keeps it: the link it is written to has lived too short a time."""
    return clinic_clock.now() + dt.timedelta(hours=13)


def test_of_several_workers_one_writes_it(own_database, sends):
    desk = factories.make_staff()
    for number in range(5):
        invited(desk, f"p{number}@example.com")
    _nearly_over()
    written = tools.at_once(*[remind_due] * 6)
    assert sum(written) == 10, written
    assert len(reminders_written()) == len(set(reminders_written())) + 4, "five emails, five times the same phone"
    assert remind_due() == 0


def _nearly_over() -> None:
    """All links were sent long ago, and have a day left at most."""
    long_ago = "'2020-01-01 00:00:00'"
    tools.write(f"UPDATE outbox_messages SET state = 'SENT', ended_at = {long_ago}")
    soon = clinic_clock.now() + dt.timedelta(hours=20)
    tools.write(f"UPDATE one_time_links SET created_at = {long_ago}, expires_at = :soon", soon=soon)


async def test_a_worker_reminds_by_itself(own_database, sends, monkeypatch):
    invited(factories.make_staff())
    _nearly_over()
    monkeypatch.setattr(reminders, "EVERY", 0.01)
    async with reminders.reminding(), asyncio.timeout(10):
        while len(reminders_written()) < 2:
            await asyncio.sleep(0.05)
