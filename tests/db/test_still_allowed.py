"""Whether somebody still may is asked again inside the transaction: who is turned off meanwhile changes nothing."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import pytest
from sqlmodel import Session

from clinic_app.core import crypto
from clinic_app.core.errors import AuthenticationRequired, ClinicError, PermissionDenied
from clinic_app.models.accounts import Role
from clinic_app.services import access
from clinic_app.services.access import Actor
from clinic_app.services.accounts import drafts, own_sessions, sessions, staff, tokens, two_factor
from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.services.audit import actor_check, chain
from clinic_app.services.audit.actor_check import RoleChanged, SessionOver
from clinic_app.services.patients.card import patient_card
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.forms import PatientQuery, PatientRegistration, PatientUpdate
from clinic_app.services.patients.household import household_of
from clinic_app.services.patients.overview import overview
from clinic_app.services.patients.profile import reread_patient, update_patient, view_patient
from clinic_app.services.patients.registration import register_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal import bulk, provisioning
from clinic_app.services.portal.forms import PortalAccountRequest
from tests import factories
from tests.db import tools

EIGHT = 8


def _signed_in(role: str, door: str = "page") -> Actor:
    """Somebody as a page or the API knows them: with a session."""
    made = factories.make_staff(role)
    if door == "api":
        return tokens.resolve_access(tokens.issue_tokens(made.username, factories.PASSWORD).access)
    return sign_in(STAFF_DOOR, made.username, factories.PASSWORD).actor


def _turn_off(actor: Actor) -> None:
    staff.disable_staff(access.SYSTEM, actor.account_id or 0)


def _change_role(actor: Actor) -> None:
    staff.change_role(access.SYSTEM, actor.account_id or 0, Role.CLINICIAN)


def _end_session(actor: Actor) -> None:
    own_sessions.sign_out_everywhere(actor)


ENDS = {"turned off": _turn_off, "role changed": _change_role, "session ended": _end_session}


# --- one after the other: what was allowed at the start is not any more ---------------------------


def _cases(number: int, portal: int) -> dict[str, Callable[[Actor], object]]:
    form = PatientRegistration.parse(factories.registration())
    return {
        "register": lambda actor: register_patient(actor, form, despite=ANYBODY),
        "edit": lambda actor: update_patient(actor, number, PatientUpdate.parse({"first_name": "Changed"})),
        "view": lambda actor: view_patient(actor, number),
        "again": lambda actor: reread_patient(actor, number),
        "card": lambda actor: patient_card(actor, number),
        "household": lambda actor: household_of(actor, number),
        "list": lambda actor: list_patients(actor, PatientQuery()),
        "search": lambda actor: list_patients(actor, PatientQuery(term="odhiambo")),
        "reception": overview,
        "create portal": lambda actor: provisioning.create_portal_account(
            actor, number, PortalAccountRequest.parse({"email": "late@example.org"})
        ),
        "reset": lambda actor: provisioning.reset_portal_password(actor, portal),
        "turn off": lambda actor: provisioning.turn_off_portal(actor, portal),
        "draft": lambda actor: drafts.save_draft(actor, "registration", "a" * 32, {"first_name": "Half"}),
        "sign out everywhere": own_sessions.sign_out_everywhere,
    }


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("door", ["page", "api"])
def test_nothing_is_written_nor_shown_for_somebody_who_may_not_any_more(database, end, door):
    desk = factories.make_staff()
    number = factories.make_patient(desk).patient.id
    portal = factories.make_patient(desk, portal_email="first@example.org").patient.id
    for name, case in _cases(number, portal).items():
        actor = _signed_in(Role.RECEPTIONIST, door)
        ENDS[end](actor)
        before, seq = tools.dump(without=(*tools.TRAIL, "intents")), tools.last_seq()
        with pytest.raises((SessionOver, RoleChanged)) as refused:
            case(actor)
        assert "nothing was done" in refused.value.detail, name
        assert tools.dump(without=(*tools.TRAIL, "intents")) == before, name
        events = tools.trail(after=seq)
        assert {event["outcome"] for event in events} <= {"denied", "failure"}, name
        assert [event["metadata"] for event in events if event["action"] == "ACCESS_DENIED"] == [
            {"permission": refused.value.code}
        ], name


def test_an_account_known_without_a_session_is_looked_at_too(database):
    """The command line acts so for demo data, and so do tests."""
    desk, other = factories.make_staff(), factories.make_staff()
    number = factories.make_patient(desk).patient.id
    _turn_off(desk)
    with pytest.raises(SessionOver):
        view_patient(desk, number)
    _change_role(other)
    with pytest.raises(RoleChanged) as refused:
        view_patient(other, number)
    assert isinstance(refused.value, PermissionDenied)
    assert isinstance(SessionOver(), AuthenticationRequired)


def test_another_accounts_session_vouches_for_nobody(database):
    one, other = _signed_in(Role.RECEPTIONIST), _signed_in(Role.RECEPTIONIST)
    borrowed, form = (
        dataclasses.replace(one, session_id=other.session_id),
        PatientRegistration.parse(factories.registration()),
    )
    with pytest.raises(SessionOver):
        register_patient(borrowed, form, despite=ANYBODY)


def test_a_long_run_stops_and_hands_nothing_over(database, monkeypatch):
    desk, admin = factories.make_staff(), _signed_in(Role.ADMIN)
    factories.make_staff(Role.ADMIN)  # the last one could not be turned off
    numbers = [factories.make_patient(desk, email=f"run{n}@example.org").patient.id for n in range(6)]
    give, tried = bulk.give_account, []

    def turned_off_after_two(actor, key, form):
        tried.append(key)
        if len(tried) == 3:
            _turn_off(admin)
        return give(actor, key, form)

    monkeypatch.setattr(bulk, "give_account", turned_off_after_two)
    with pytest.raises(SessionOver):
        bulk.create_portal_accounts(admin, numbers)
    assert tried == numbers[:3]
    assert len(tools.trail("PORTAL_ACCOUNT_CREATED")) == 2
    assert tools.trail("PORTAL_BULK_RUN") == []


# --- at the same moment ----------------------------------------------------------------------------


@pytest.mark.races
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("door", ["page", "api"])
def test_of_eight_at_work_none_writes_after_the_end(own_database, end, door):
    desk = factories.make_staff()
    number = factories.make_patient(desk).patient.id
    actor = _signed_in(Role.RECEPTIONIST, door)
    begun = threading.Semaphore(0)

    def work(case: Callable[[], object]) -> int:
        """Do it until it is refused; how often it was done."""
        for done in range(500):
            try:
                case()
            except (SessionOver, RoleChanged):
                return done
            begun.release()
        raise AssertionError("never refused")

    def register() -> object:
        return register_patient(actor, PatientRegistration.parse(factories.registration()), despite=ANYBODY)

    cases = [register, lambda: view_patient(actor, number), lambda: list_patients(actor, PatientQuery()), register]

    def finish() -> None:
        for _ in range(10):
            assert begun.acquire(timeout=30)
        ENDS[end](actor)

    jobs = [lambda case=case: work(case) for case in (cases * 2)[: EIGHT - 1]]
    results = tools.at_once(*jobs, finish)
    assert [one for one in results if isinstance(one, BaseException)] == []
    events = tools.trail()
    (last,) = [
        event["seq"]
        for event in events
        if event["action"] in {"STAFF_DISABLED", "STAFF_ROLE_CHANGED", "SESSIONS_ENDED"}
    ]
    own = [event for event in events if event["actor_id"] == actor.account_id and event["outcome"] == "success"]
    assert [event["action"] for event in own if event["seq"] > last] == []
    assert sum(event["action"] == "PATIENT_CREATED" for event in own) == sum(
        done for place, done in enumerate(results[: EIGHT - 1]) if place % 4 in (0, 3)
    )
    assert tools.number("SELECT count(*) FROM patients") == len(tools.trail("PATIENT_CREATED"))
    assert len(tools.trail("ACCESS_DENIED")) >= EIGHT - 1
    assert chain.verify().ok


SILENT: dict[str, Callable[[Actor], object]] = {
    "draft": lambda actor: drafts.save_draft(actor, "registration", "a" * 32, {"first_name": "Half"}),
    "draft discarded": lambda actor: drafts.discard_draft(actor, "registration", "a" * 32),
    "second factor begun": two_factor.begin_two_factor,
    "code counted": two_factor._count,
    "failed tries told": own_sessions.take_failed_tries,
}


@pytest.mark.races
@pytest.mark.parametrize("name", SILENT)
def test_nobody_ends_a_session_between_the_last_look_at_it_and_the_commit(own_database, monkeypatch, name):
    """What leaves no event of its own takes the lock on the end of the trail all the same."""
    actor, look, early = _signed_in(Role.RECEPTIONIST), actor_check.check, list[bool]()
    other = sign_in(STAFF_DOOR, actor.username, factories.PASSWORD).actor
    looked, ended = threading.Event(), threading.Event()
    tools.write("UPDATE accounts SET told_tries = 5")

    def look_and_linger(session: Session) -> None:
        due = actor_check.is_due(session)
        look(session)
        if due and actor_check.actor_of(session) is actor and not looked.is_set():
            looked.set()
            early.append(ended.wait(0.5))

    def end() -> None:
        assert looked.wait(30)
        own_sessions.sign_out_everywhere(other)
        ended.set()

    monkeypatch.setattr(actor_check, "check", look_and_linger)
    results = tools.at_once(lambda: SILENT[name](actor), end)
    assert [one for one in results if isinstance(one, BaseException)] == []
    assert early == [False], "the session ended before what was done in it"
    assert ended.is_set()


@pytest.mark.races
def test_two_who_end_their_own_sessions_do_not_wait_for_each_other(own_database):
    actor = _signed_in(Role.RECEPTIONIST)
    others = [sign_in(STAFF_DOOR, actor.username, factories.PASSWORD).actor for _ in range(EIGHT - 1)]
    results = tools.at_once(*[lambda one=one: own_sessions.sign_out_everywhere(one) for one in [actor, *others]])
    assert all(one is None or isinstance(one, ClinicError) for one in results), results
    assert None in results
    token = sign_in(STAFF_DOOR, actor.username, factories.PASSWORD).token
    assert sessions.resolve(crypto.digest(token)).kind == "account"
