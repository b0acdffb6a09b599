"""The clock of the server jumps back: nothing breaks, and nothing that was closed opens again."""

from __future__ import annotations

import pyotp
import pytest

from clinic_app.core import clock as core_clock
from clinic_app.core import crypto, db
from clinic_app.core.errors import AuthenticationRequired, ClinicError
from clinic_app.models.accounts import Account
from clinic_app.services.access import ANONYMOUS
from clinic_app.services.accounts import housekeeping, one_time_codes, own_sessions, sessions, tokens
from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.services.audit import chain
from tests import factories

HOUR, DAY = 3600, 24 * 3600


@pytest.mark.parametrize("back", [180, HOUR, 400 * DAY])
def test_a_session_from_the_future_opens_nothing(clock, people, back):
    done = sign_in(STAFF_DOOR, people.receptionist.username, factories.PASSWORD)
    mark = crypto.digest(done.token)
    assert sessions.resolve(mark).account_id == people.receptionist.account_id
    clock.shift(-back)
    assert sessions.resolve(mark) is ANONYMOUS
    assert sessions.seconds_left(mark) is None
    assert sessions.over_among([mark]) == {mark}
    again = sign_in(STAFF_DOOR, people.receptionist.username, factories.PASSWORD)  # and signing in goes on
    assert sessions.resolve(crypto.digest(again.token)).account_id == people.receptionist.account_id


def test_clocks_of_two_machines_may_differ_a_little(clock, people):
    done = sign_in(STAFF_DOOR, people.receptionist.username, factories.PASSWORD)
    clock.shift(-60)
    assert sessions.resolve(crypto.digest(done.token)).account_id == people.receptionist.account_id


def test_what_was_ended_stays_ended(clock, people):
    done = sign_in(STAFF_DOOR, people.receptionist.username, factories.PASSWORD)
    mark = crypto.digest(done.token)
    own_sessions.sign_out_everywhere(sessions.resolve(mark))
    for back in (30, HOUR, DAY):
        clock.shift(-back)
        assert sessions.resolve(mark) is ANONYMOUS


def test_a_token_of_the_api_from_the_future_is_refused_in_words(clock, people):
    made = tokens.issue_tokens(people.receptionist.username, factories.PASSWORD)
    assert tokens.resolve_access(made.access).account_id == people.receptionist.account_id
    clock.shift(-HOUR)
    with pytest.raises(AuthenticationRequired):
        tokens.resolve_access(made.access)
    with pytest.raises(ClinicError):
        tokens.refresh_tokens(made.refresh)


@pytest.mark.asvs("6.5.8")
def test_a_code_counts_by_the_servers_clock_and_never_twice(clock, people):
    secret = one_time_codes.new_secret()
    account_id = people.admin.account_id or 0

    def code() -> str:
        return pyotp.TOTP(secret).at(core_clock.now())

    first = code()
    counter = one_time_codes.matching_counter(secret, first)
    assert counter is not None
    with db.transaction() as session:
        assert one_time_codes.use_counter(session, account_id, counter)
    clock.shift(-2 * one_time_codes.STEP)
    assert one_time_codes.matching_counter(secret, first) is None  # of a time that is yet to come
    earlier = one_time_codes.matching_counter(secret, code())
    assert earlier is not None
    assert earlier < counter
    with db.transaction() as session:
        assert not one_time_codes.use_counter(session, account_id, earlier)  # nor any before the last one used
        account = session.get(Account, account_id)
        assert account is not None
        assert account.totp_counter == counter


def test_the_trail_and_tidying_go_on(clock, people):
    factories.make_patient(people.receptionist)
    clock.shift(-DAY)
    factories.make_patient(people.receptionist, first_name="Earlier")
    housekeeping.tidy()
    assert chain.verify().ok
