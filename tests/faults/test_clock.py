"""The server's clock is a day ahead for a while, and is set right: nothing lasts or waits longer than it may."""

from __future__ import annotations

import datetime as dt

import pyotp
import pytest
import sqlalchemy as sa
import time_machine

from clinic_app.core import clock as core_clock
from clinic_app.core import crypto, db
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.notifications import ONE_TIME_LINKS, LinkPurpose
from clinic_app.services import rates
from clinic_app.services.access import ANONYMOUS
from clinic_app.services.accounts import clock_back, housekeeping, one_time_codes, sessions, sign_in_throttle
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from clinic_app.services.audit import anchor, chain
from clinic_app.services.notifications import links
from tests import factories
from tests.db import tools

DAY = 24 * 3600


@pytest.fixture
def clock():
    """A clock that stands still; ``clock.shift(seconds)`` moves it."""
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as traveller:
        yield traveller


def _account(account_id):
    with db.reading() as session:
        return session.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.id == account_id)).one()


def test_a_session_of_tomorrow_is_over_for_good(clock, own_database):
    desk = factories.make_staff()
    clock.shift(DAY)
    mark = crypto.digest(sign_in(STAFF_DOOR, desk.username, factories.PASSWORD).token)
    assert sessions.resolve(mark).account_id == desk.account_id
    clock.shift(-DAY)
    housekeeping.tidy()
    assert sessions.resolve(mark) is ANONYMOUS
    alive = 0
    for _ in range(40):  # through the hour to which it belonged, and beyond
        clock.shift(3600)
        alive += sessions.resolve(mark) is not ANONYMOUS
    print(f"hours in which it came back to life: {alive}")
    assert alive == 0


def test_a_session_of_before_lives_no_longer_than_it_may(clock, own_database):
    desk = factories.make_staff()
    mark = crypto.digest(sign_in(STAFF_DOOR, desk.username, factories.PASSWORD).token)
    minutes = 0
    for step in range(24 * 12):  # used every five minutes; in between the clock is a day ahead for a moment
        clock.shift(300)
        if step == 20:
            clock.shift(DAY)
            housekeeping.tidy()
            clock.shift(-DAY)
            housekeeping.tidy()
        if sessions.resolve(mark) is ANONYMOUS:
            break
        minutes += 5
    print(f"alive for {minutes} minutes")
    assert minutes <= get_settings().staff_session_hours * 60


def test_a_temporary_password_and_a_link_of_tomorrow_last_as_long_as_new_ones(clock, own_database):
    desk = factories.make_staff()
    clock.shift(DAY)
    made = factories.make_patient(desk, portal_email="a.b@example.org")
    account = sign_in(PATIENT_DOOR, made.credentials.username, made.credentials.temporary_password).actor.account_id
    life = dt.timedelta(hours=get_settings().temporary_password_hours)
    with db.transaction() as session:
        link = links.new_link(session, account, LinkPurpose.FORGOT, core_clock.now() + dt.timedelta(hours=2))
    clock.shift(-DAY)
    for _ in range(3):  # and what was shortened is not shortened again
        housekeeping.tidy()
        now = core_clock.now()
        left = _account(account).password_expires_at - now
        assert life - dt.timedelta(hours=1) < left <= life
        clock.shift(600)
    with db.reading() as session:
        found = session.execute(sa.select(ONE_TIME_LINKS).where(ONE_TIME_LINKS.c.id == link)).one()
    assert found.expires_at - found.created_at == dt.timedelta(hours=2)
    assert found.created_at == dt.datetime(2026, 6, 15, 9, tzinfo=dt.UTC)
    clock.shift(50 * 3600)
    assert _account(account).password_expires_at < core_clock.now()


def test_a_block_of_tomorrow_is_over_within_its_time(clock, own_database):
    desk = factories.make_staff()
    clock.shift(DAY)
    budget = sign_in_throttle.of_stranger(desk.username, "203.0.113.9", desk.account_id)
    waits = []
    for _ in range(30):
        with db.transaction() as session:
            try:
                waits.append(sign_in_throttle.count_try(session, budget).wait)
            except sign_in_throttle.TryAgainShortly:
                waits.append(0)
                continue
            sign_in_throttle.settle(session, budget)
    assert max(waits) > 0
    clock.shift(-DAY)
    housekeeping.tidy()
    longest = sign_in_throttle.LONGEST_WAIT_MINUTES
    with db.transaction() as session:
        wait = sign_in_throttle.count_try(session, budget).wait
    print(f"wait after the clock was set back: {wait / 60:.0f} minutes")
    assert wait <= longest * 60
    clock.shift(longest * 60 + 1)
    assert sign_in(STAFF_DOOR, desk.username, factories.PASSWORD).actor.account_id == desk.account_id


def test_codes_of_an_authenticator_count_again(clock, own_database):
    desk = factories.make_staff()
    secret = one_time_codes.new_secret()

    def use() -> bool:
        counter = one_time_codes.matching_counter(secret, pyotp.TOTP(secret).at(core_clock.now()))
        with db.transaction() as session:
            return counter is not None and one_time_codes.use_counter(session, desk.account_id, counter)

    clock.shift(DAY)
    assert use()
    factories.make_patient(desk)  # an event of tomorrow
    clock.shift(-DAY)
    assert not use()
    housekeeping.tidy()
    assert not use(), "what counted before the clock was mended is no code again"
    clock.shift(2 * one_time_codes.STEP)
    assert use()
    assert not use()


def test_a_limit_of_tomorrow_holds_nobody_up(clock, own_database, monkeypatch):
    monkeypatch.setenv("CLINIC_API_RATE_FACTOR", "1")
    get_settings.cache_clear()
    desk, own = factories.make_staff(), rates.Rates()
    clock.shift(DAY)
    for _ in range(15):
        try:
            own.spend(desk, "bulk")
        except rates.TooManyRequests:
            break
    clock.shift(-DAY)
    waits = []
    for _ in range(15):
        try:
            own.spend(desk, "bulk")
        except rates.TooManyRequests as refused:
            waits.append(refused.retry_after)
    print(f"longest wait: {max(waits)} s")
    assert max(waits) <= 60
    clock.shift(121)
    own.spend(desk, "bulk")
    get_settings.cache_clear()


def test_what_waits_is_due_and_the_trail_goes_on(clock, own_database, monkeypatch, tmp_path):
    monkeypatch.setenv("CLINIC_AUDIT_ANCHOR_FILE", str(tmp_path / "anchors.jsonl"))
    get_settings.cache_clear()
    desk = factories.make_staff()
    clock.shift(DAY)
    factories.make_patient(desk)
    early = core_clock.now()
    anchor.anchor_head()
    tools.write(
        "INSERT INTO portal_runs (chosen, state, started_at, lease, leased_until) "
        "VALUES ('{}', 'RUNNING', :at, 'x', :at)",
        at=early.replace(tzinfo=None) if own_database.dialect.name == "sqlite" else early,
    )
    clock.shift(-DAY)
    housekeeping.tidy()
    (row,) = tools.raw("SELECT leased_until FROM portal_runs")
    assert str(row.leased_until)[:16] == "2026-06-15 09:00"
    factories.make_patient(desk)
    assert chain.verify().ok
    assert anchor._due(anchor.anchors()[0][-1])


def test_while_the_clock_is_right_nothing_is_looked_for(clock, own_database):
    factories.make_patient(factories.make_staff())
    clock.shift(600)
    with db.transaction() as session:
        assert not clock_back.went_back(session, core_clock.now())
    with tools.statements() as seen:
        housekeeping.tidy()
    assert not [one for one in seen if one.startswith("UPDATE")]
