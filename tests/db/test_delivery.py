"""The worker, against a real mail server and a real gateway: tried again, given up, never lost, never by two."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from clinic_app.core import db
from clinic_app.core.settings import get_settings
from clinic_app.services.audit import chain
from clinic_app.services.notifications import delivery, links, transports
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient
from clinic_app.services.portal.provisioning import reset_portal_password, turn_off_portal
from tests import counterparts, factories
from tests.counterparts import Gateway, Mailbox, code_in, html_of, text_of
from tests.db import tools

EMAIL, PHONE = "amina@example.com", "0733 100 200"


@pytest.fixture
def mail(settings):
    with counterparts.mail_server() as box:
        counterparts.use_mail_server(settings, box.port)
        yield box


@pytest.fixture
def sms(settings):
    with counterparts.sms_gateway() as gateway:
        counterparts.use_gateway(settings, gateway.url)
        yield gateway


@pytest.fixture(autouse=True)
def _one_at_a_time(request, monkeypatch):
    """Where the test has one connection for everything."""
    if "own_database" not in request.fixturenames:
        monkeypatch.setattr(delivery, "AT_ONCE", 1)


@pytest.fixture(autouse=True)
def _address(settings):
    settings.setenv("CLINIC_PUBLIC_URL", "https://portal.lakeside.example")
    settings.setenv("CLINIC_ADDRESS", "Oginga Odinga Street 14, Kisumu")


def _registered(desk, **changes):
    asked = {"first_name": "Amina", "create_portal_account": True, "portal_email": EMAIL, "portal_phone": PHONE}
    return factories.make_patient(desk, **{**asked, **changes})


def _send(worker: delivery.Worker | None = None) -> int:
    return asyncio.run((worker or delivery.Worker()).send_due())


def _states(columns: str = "channel, state, reason, tries") -> list[tuple[object, ...]]:
    return [tuple(row) for row in tools.raw(f"SELECT {columns} FROM outbox_messages ORDER BY id")]


def test_an_invitation_arrives_with_a_link_that_is_found(mail: Mailbox, clock, desk):
    done = _registered(desk, portal_phone="")
    assert _send() == 1
    (message,) = mail.messages
    assert (message["From"], message["To"]) == ("Lakeside Medical Centre <no-reply@portal.lakeside.example>", EMAIL)
    assert message["Subject"] == "Your sign-in at Lakeside Medical Centre"
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = text_of(message), html_of(message)
    code = code_in(text)
    assert (
        text
        == f"""\
Set your password

Hello Amina,

The reception has made a sign-in for you. With it you see what the
clinic has about you, and can correct your phone and address.

Set your password by Wednesday 17 June 2026, 12:00. It takes two
minutes.

Set my password:
https://portal.lakeside.example/patient-portal/activate#{code}

Your username: amina@example.com
Code from the message: {code}
Later, sign in at: portal.lakeside.example/patient-portal/login

The button does not work? Open
portal.lakeside.example/patient-portal/activate and type the code.

You were given a temporary password on paper? Use either. One of them is
enough.

You do not know about this? Call us, and do not open the link.

--\x20
You get this because the reception made a sign-in with this email.
Lakeside Medical Centre, Oginga Odinga Street 14, Kisumu, 020 712 3456
We never ask for your password, by phone, SMS or email.
"""
    )
    assert f'href="https://portal.lakeside.example/patient-portal/activate#{code}"' in html
    for part in (text, html, str(message)):
        assert done.credentials.temporary_password not in part
    with db.reading() as session:
        found = links.find(session, code)
    assert found is not None
    assert links.is_right(found, code)
    assert _states() == [("email", "SENT", None, 1)]


def test_a_text_message_is_one_with_the_same_code(mail: Mailbox, sms: Gateway, clock, desk):
    _registered(desk)
    assert _send() == 2
    ((number, text),) = sms.messages
    code = code_in(text_of(mail.messages[0]))
    assert number == "254733100200"
    assert text == (
        f"Lakeside Medical Centre: your sign-in is {EMAIL}. Set your password by 17 Jun 12:00: "
        f"https://portal.lakeside.example/a#{code} Help: 0207123456"
    )
    assert len(text) <= 160


def test_what_was_sent_is_recorded_and_nobody_is_named(mail: Mailbox, desk):
    done = _registered(desk, portal_phone="")
    _send()
    (event,) = tools.trail("MESSAGE_SENT")
    assert (event["actor"], event["resource_type"], event["resource_id"]) == ("system", "patient", done.patient.id)
    assert event["metadata"] == {"kind": "INVITATION", "channel": "email"}


HOSTILE = "<b>Eve</b> & “Mallory”"


def test_a_name_is_only_a_name(mail: Mailbox, desk):
    _registered(desk, first_name=HOSTILE, portal_phone="")
    _send()
    assert f"Hello {HOSTILE}," in text_of(mail.messages[0])
    assert "<b>Eve" not in html_of(mail.messages[0])
    assert "&lt;b&gt;Eve&lt;/b&gt; &amp; “Mallory”" in html_of(mail.messages[0])


def test_a_host_in_another_script_is_written_as_mail_servers_know_it(mail: Mailbox, desk):
    _registered(desk, portal_email="amina@bücher.example", portal_phone="")
    _send()
    assert _states("state, address") == [("SENT", "amina@bücher.example")]
    assert [str(one["To"]) for one in mail.messages] == ["amina@xn--bcher-kva.example"]


# --- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        ("550 5.1.1 no such user", "FAILED", "ADDRESS_REFUSED"),
        ("450 4.2.0 greylisted", "QUEUED", "LATER"),
        ("452 4.2.2 mailbox full", "QUEUED", "LATER"),
    ],
)
def test_five_hundred_is_reported_and_four_hundred_is_tried_again(mail: Mailbox, clock, desk, answer, state, reason):
    _registered(desk, portal_phone="")
    mail.refuse = lambda _: answer
    assert _send() == 1
    assert _states() == [("email", state, reason, 1)]
    assert _send() == 0  # not before its time
    mail.refuse = lambda _: None
    clock.shift(dt.timedelta(seconds=31))
    _send()
    if state == "FAILED":
        assert mail.messages == []
        assert [e["metadata"]["reason"] for e in tools.trail("MESSAGE_NOT_SENT")] == [reason]
    else:
        assert len(mail.messages) == 1
        assert _states() == [("email", "SENT", None, 2)]


def test_every_try_has_the_same_message_id_and_link(mail: Mailbox, clock, desk):
    _registered(desk, portal_phone="")
    mail.after_data = lambda: "451 4.3.0 try again"  # taken down, and yet refused: it comes again
    for wait in delivery.BACK_OFF:
        _send()
        clock.shift(wait + dt.timedelta(seconds=1))
    assert len(mail.messages) == len(delivery.BACK_OFF)
    assert len({one["Message-ID"] for one in mail.messages}) == 1
    assert len({one["Date"] for one in mail.messages}) == 1
    assert len({code_in(text_of(one)) for one in mail.messages}) == 1
    assert tools.number("SELECT count(DISTINCT code_hash) FROM one_time_links") == 1


def test_pauses_grow_and_end_with_the_link(mail: Mailbox, clock, desk):
    _registered(desk, portal_phone="")
    mail.refuse = lambda _: "450 later"
    tries = []
    step = dt.timedelta(minutes=20)
    for _ in range(3 * 49):
        if _send():
            tries.append(dt.datetime.now(dt.UTC))
        clock.shift(step)
    gaps = [b - a for a, b in itertools.pairwise(tries[:-1])]
    assert all(later >= earlier - step for earlier, later in itertools.pairwise(gaps))
    assert gaps[-1] >= delivery.BACK_OFF[-1]
    assert _states("state, reason") == [("FAILED", "LATER")]
    assert max(tries) - min(tries) <= dt.timedelta(hours=48) + step


def test_a_gateway_that_refuses_is_tried_again_with_the_same_words(sms: Gateway, clock, desk):
    _registered(desk)
    sms.status = 500
    _send()
    assert _states() == [("sms", "QUEUED", "GATEWAY", 1)]
    sms.status = 200
    clock.shift(dt.timedelta(seconds=31))
    _send()
    assert _states() == [("sms", "SENT", None, 2)]
    assert sms.messages[0] == sms.messages[1]


def test_a_server_that_does_not_answer_stops_nobody_and_rests(settings, sms: Gateway, desk, monkeypatch):
    """It takes the connection and says nothing: only the email waits, and the next ones are left for later."""
    monkeypatch.setattr(transports, "STEP", 0.3)
    monkeypatch.setattr(transports, "WHOLE", 0.5)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        counterparts.use_mail_server(settings, silent.getsockname()[1])
        begun = time.perf_counter()
        for number in range(8):
            _registered(desk, portal_email=f"a{number}@example.com")
        took = time.perf_counter() - begun
        worker = delivery.Worker()
        _send(worker)
        assert took < 8
        assert len(sms.messages) == 8
        emails = [row for row in _states() if row[0] == "email"]
        tried = [row for row in emails if row[3]]
        assert {row[:3] for row in tried} == {("email", "QUEUED", "NO_CONNECTION")}
        assert 1 <= len(tried) <= delivery.AT_ONCE
        assert _send(worker) == 0


def test_nothing_listening_is_no_connection(settings, desk):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as gone:
        port = gone.getsockname()[1]
    counterparts.use_mail_server(settings, port)
    _registered(desk, portal_phone="")
    _send()
    assert _states() == [("email", "QUEUED", "NO_CONNECTION", 1)]


def test_a_link_that_expired_in_the_queue_is_not_sent(mail: Mailbox, clock, desk):
    _registered(desk, portal_phone="")
    clock.shift(dt.timedelta(hours=48))
    _send()
    assert mail.messages == []
    assert _states("state, reason") == [("FAILED", "EXPIRED")]


def test_a_link_that_was_replaced_in_the_queue_is_not_sent(mail: Mailbox, desk):
    done = _registered(desk, portal_phone="")
    reset_portal_password(desk, done.patient.id)
    _send()
    assert [one["Subject"] for one in mail.messages] == ["You have a new temporary password"]
    assert _states("kind, state, reason") == [("INVITATION", "DROPPED", "LINK_OVER"), ("PASSWORD_RESET", "SENT", None)]


def test_consent_that_was_withdrawn_in_the_queue_counts(mail: Mailbox, desk):
    done = _registered(desk, portal_phone="")
    changed = PatientUpdate.parse({"email_allowed": False})
    update_patient(desk, done.patient.id, changed)
    _send()
    assert mail.messages == []
    assert _states("state, reason") == [("HELD", "NOT_ALLOWED")]


def test_whose_access_was_turned_off_gets_no_link(mail: Mailbox, desk):
    done = _registered(desk, portal_phone="")
    turn_off_portal(desk, done.patient.id)
    _send()
    assert mail.messages == []
    assert _states("state, reason") == [("DROPPED", "ACCESS_OFF")]


def test_what_nothing_is_configured_for_any_more_is_given_up_in_the_end(mail: Mailbox, settings, clock, desk):
    _registered(desk, portal_phone="")
    settings.setenv("CLINIC_SMTP_HOST", "")
    get_settings.cache_clear()
    _send()
    assert _states("state") == [("QUEUED",)]
    clock.shift(dt.timedelta(hours=49))
    _send()
    assert _states("state, reason") == [("FAILED", "CHANNEL_OFF")]


def test_one_that_cannot_be_made_does_not_hold_up_the_others(mail: Mailbox, desk, monkeypatch):
    _registered(desk, portal_phone="")
    _registered(desk, portal_phone="", portal_email="b@example.com")
    tools.write("UPDATE outbox_messages SET kind = 'UNKNOWN' WHERE address = 'amina@example.com'")
    _send()
    assert [str(one["To"]) for one in mail.messages] == ["b@example.com"]


# --- several workers, and workers that die ------------------------------------------------------


def test_several_workers_send_each_message_once(mail: Mailbox, settings, own_database):
    desk = factories.make_staff()
    for number in range(24):
        _registered(desk, portal_phone="", portal_email=f"a{number}@example.com")
    tools.at_once(*[_send] * 4)
    assert sorted(str(one["To"]) for one in mail.messages) == sorted(f"a{n}@example.com" for n in range(24))
    assert set(_states("state, tries")) == {("SENT", 1)}
    assert chain.verify().ok


def test_a_worker_whose_lease_is_over_changes_nothing_any_more(mail: Mailbox, clock, desk):
    _registered(desk, portal_phone="")
    (first,) = delivery._claim(("email",), 4)
    assert delivery._claim(("email",), 4) == []
    clock.shift(delivery.LEASE)
    (second,) = delivery._claim(("email",), 4)
    delivery._end(first, delivery.MessageState.FAILED, "ADDRESS_REFUSED")
    assert _states("state, lease") == [("QUEUED", second.lease)]
    delivery._end(second, delivery.MessageState.SENT, None)
    assert _states("state, tries") == [("SENT", 2)]
    assert tools.trail("MESSAGE_NOT_SENT") == []


WORKER = """
import asyncio, datetime as dt
from clinic_app.core import bootstrap
from clinic_app.services.notifications import delivery
bootstrap.start()
delivery.LEASE = dt.timedelta(seconds=1)
async def main():
    worker = delivery.Worker()
    print("ready", flush=True)
    while True:
        await worker.send_due()
        await asyncio.sleep(0.05)
asyncio.run(main())
"""
KILLS = 48


@pytest.mark.slow
def test_a_worker_that_is_killed_forty_eight_times_loses_nothing_and_repeats_one_a_kill(
    mail: Mailbox, sms: Gateway, own_database, tmp_path
):
    """By SIGKILL, at any moment. What had been handed over and not noted comes again, the same to the letter."""
    desk = factories.make_staff()
    count = 60
    for number in range(count):
        _registered(desk, portal_email=f"a{number}@example.com", portal_phone=f"0733 100 {number:03d}")
    slow = threading.Event()
    mail.after_data = lambda: (slow.wait(0.02) and None) or None
    environment = os.environ | {
        "CLINIC_DATABASE_URL": own_database.url.render_as_string(hide_password=False),
        "CLINIC_MODE": "test",
        "CLINIC_LOG_LEVEL": "ERROR",
    }
    kills = 0
    for number in range(400):
        last = kills >= KILLS
        process = subprocess.Popen([sys.executable, "-c", WORKER], env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if last:
            until = time.monotonic() + 60
            while tools.number("SELECT count(*) FROM outbox_messages WHERE state = 'QUEUED'"):
                assert time.monotonic() < until, _states()
                time.sleep(0.2)
        else:
            time.sleep(0.01 + 0.013 * (number % 17))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if last:
            break
        kills += 1
    assert kills == KILLS
    assert set(_states("state")) == {("SENT",)}
    got = [str(one["To"]) for one in mail.messages]
    numbers = [to for to, _ in sms.messages]
    assert set(got) == {f"a{number}@example.com" for number in range(count)}
    assert len(set(numbers)) == count
    # up to AT_ONCE are under way at once, each of them repeated at most once for a kill
    assert len(got) + len(numbers) - 2 * count <= KILLS * delivery.AT_ONCE
    for address in set(got):
        same = mail.to(address)
        assert len({one["Message-ID"] for one in same}) == 1
        assert len({code_in(text_of(one)) for one in same}) == 1
    assert len(set(sms.messages)) == count
    assert chain.verify().ok
