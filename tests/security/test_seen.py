"""Nobody inside reads unseen: whatever answers with a patient's data leaves an event about them, or about a list.

All routes of the API and all handlers of the pages are walked, each in a session of its own, so that no event of one
covers another; what they answer is searched for the details of one patient.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import reflex as rx
from reflex_base.registry import RegistrationContext

import clinic_app.clinic_app  # noqa: F401  every screen
from clinic_app.core import db, routes
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import Role
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.services.access import Actor
from clinic_app.services.audit.actions import Action
from clinic_app.services.patients import typed_searches
from clinic_app.services.patients.card import patient_card
from clinic_app.services.patients.household import household_of
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.profile import reread_patient, view_patient
from clinic_app.services.patients.verification import verify_patient
from clinic_app.ui.frame.state import SearchState
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.session.guard import MARK
from tests import factories
from tests.api import conftest as api_tests
from tests.api.test_matrix import MATRIX
from tests.db import tools
from tests.security.attack import BRAVO, marks_in, personal
from tests.ui.conftest import Desk

LISTS = {Action.PATIENT_LISTED, Action.PATIENT_SEARCHED, Action.AUDIT_READ, Action.PORTAL_BULK_RUN}


def _seen(after: int, patient: int) -> bool:
    """Whether an event since ``after`` says that this patient, or a list, was shown."""
    return any(
        (event["resource_type"] == "patient" and event["resource_id"] == patient) or event["action"] in LISTS
        for event in tools.trail(after=after)
    )


@dataclasses.dataclass
class Clinic:
    """Its people, and the patient whose details are looked for."""

    admin: Actor
    desk: Actor
    number: str
    key: int
    other: str


def _fill() -> Clinic:
    desk, admin = factories.make_staff(Role.RECEPTIONIST), factories.make_staff(Role.ADMIN)
    factories.make_staff(Role.ADMIN)
    bravo = factories.make_patient(desk, **personal(BRAVO, "420002"), portal_email=f"portal.{BRAVO}@example.org")
    # another one with the same canaries, who has no account yet
    other = factories.make_patient(desk, **{**personal(BRAVO, "420002"), "national_id": "", "phone": ""})
    return Clinic(admin, desk, bravo.patient.patient_id, bravo.patient.id, other.patient.patient_id)


@pytest.fixture
def clinic(database: Any, settings: pytest.MonkeyPatch) -> Clinic:
    """One of them. Invitations wait there, and are not sent."""
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")
    get_settings.cache_clear()
    return _fill()


# --- the API ------------------------------------------------------------------------------------------

#: What is sent to each operation so that it answers with the patient, if it ever does. None: it knows no patient.
SENT: dict[tuple[str, str], dict[str, Any] | None] = {
    ("POST", "/v1/auth/login/"): None,
    ("POST", "/v1/auth/refresh/"): None,
    ("POST", "/v1/auth/logout/"): None,
    ("GET", "/v1/openapi.json/"): None,
    ("GET", "/v1/docs/"): None,
    ("POST", "/v1/patients/"): {"first_name": f"Again{BRAVO}", "last_name": f"Last{BRAVO}"},
    ("GET", "/v1/patients/"): {},
    ("GET", "/v1/patients/search/"): {"?q": BRAVO},
    ("POST", "/v1/patients/search/"): {"q": BRAVO, "page_size": 100},
    ("GET", "/v1/patients/pending-verification/"): {},
    ("GET", "/v1/patients/{id}/"): {},
    ("PATCH", "/v1/patients/{id}/"): {"first_name": f"Kanaria{BRAVO}"},  # as it is: nothing is changed
    ("POST", "/v1/patients/{id}/verify/"): {},  # who is verified already
    ("POST", "/v1/patients/bulk-create-portal/"): {"patient_ids": ["{id}", "{other}"]},
    ("POST", "/v1/patients/{id}/create-portal/"): {"email": "late@example.org"},  # who has one already
    ("POST", "/v1/patients/{id}/reset-portal-password/"): {},
    ("POST", "/v1/patients/{id}/change-portal-username/"): {"email": f"new.{BRAVO}@example.org"},
    ("POST", "/v1/patients/{id}/resend-invitation/"): {},
    ("POST", "/v1/patients/{id}/disable-portal/"): {},
    ("POST", "/v1/patients/{id}/enable-portal/"): {},  # is on already
    ("GET", "/v1/patients/{id}/duplicates/"): {},
    ("POST", "/v1/patients/{id}/not-a-duplicate/"): {"other": "{other}"},
    ("POST", "/v1/patients/{id}/merge/"): {"into": "{other}"},
    ("POST", "/v1/patients/{id}/undo-merge/"): {},  # which is not merged
    ("GET", "/v1/audit/"): {},
}
#: Those whose answer has nothing of a patient as they are sent here.
BARE = {
    ("GET", "/v1/patients/pending-verification/"),
    ("POST", "/v1/patients/{id}/not-a-duplicate/"),
    ("POST", "/v1/patients/{id}/undo-merge/"),
}


def _filled(value: Any, clinic: Clinic) -> Any:
    return json.loads(json.dumps(value).replace("{id}", clinic.number).replace("{other}", clinic.other))


@pytest.fixture
async def http(clinic: Clinic) -> AsyncIterator[httpx.AsyncClient]:
    """The API, as an administrator sees it."""
    transport = httpx.ASGITransport(app=api_tests.served(), raise_app_exceptions=False)
    headers = api_tests.bearer(clinic.admin)
    async with httpx.AsyncClient(transport=transport, base_url=api_tests.BASE, headers=headers) as client:
        yield client


def test_every_operation_of_the_api_is_walked():
    assert set(SENT) == set(MATRIX)


@pytest.mark.parametrize("operation", [one for one, sent in SENT.items() if sent is not None], ids=" ".join)
async def test_what_the_api_tells_of_a_patient_is_recorded(http, clinic, operation):
    method, path = operation
    sent = _filled(SENT[operation], clinic)
    params = {name[1:]: value for name, value in sent.items() if name.startswith("?")}
    body = None if method == "GET" else {name: value for name, value in sent.items() if not name.startswith("?")}
    address = "/api" + path.replace("{id}", clinic.number)
    key = {"Idempotency-Key": "walked"} if method == "POST" else {}
    for time in ("first", "again"):
        seq = tools.last_seq()
        answer = await http.request(method, address, params=params, json=body, headers=key)
        assert answer.status_code < 500, answer.text
        told = clinic.number in answer.text or BRAVO in marks_in(answer.text, BRAVO)
        assert told or operation in BARE, (time, answer.text)
        if told and "/v1/audit/" not in path:
            about = clinic.key
            if path == "/v1/patients/":
                about = answer.json().get("patient", {}).get("id", about)
            assert _seen(seq, about), (time, answer.status_code, answer.text)


async def test_whoever_is_waiting_is_listed_with_an_event(http, clinic):
    tools.write(f"UPDATE patients SET verification_status = 'PENDING' WHERE id = {clinic.key}")
    seq = tools.last_seq()
    assert BRAVO in (await http.get("/api/v1/patients/pending-verification/")).text
    (event,) = tools.trail("PATIENT_LISTED", after=seq)
    assert event["metadata"] == {"kind": "pending", "page": 1, "count": 1}


# --- the pages ------------------------------------------------------------------------------------------

#: These sleep and wake in a loop of their own. What they draw again is in ``test_drawn_again``.
LOOPS = {"watch", "expire"}


def _handlers() -> dict[str, Any]:
    """Every handler of every screen, by state and name."""
    found = {}
    for name, one in RegistrationContext.get().event_handlers.items():
        fn, (state, *_) = one.handler.fn, [*one.states]
        if fn.__module__.startswith("clinic_app.ui") and getattr(fn, MARK, None) is not None:
            found[f"{state.__name__}.{name.rpartition('.')[2]}"] = (state, fn)
    return found


HANDLERS = _handlers()


def _arguments(fn: Any, clinic: Clinic, stamp: str) -> list[Any]:
    import inspect

    known: dict[str, Any] = {
        "patient_id": clinic.number,
        "term": BRAVO,
        "section": "contact",
        "drawn": stamp,
        "form": {"email": f"new.{BRAVO}@example.org", "intent": "a" * 32},
        "press": "",
        "key": "patient_id",
        "by": 1,
        "turn": 0,
        "wanted": True,
        "name": "email",
        "value": f"mail.{BRAVO}@example.org",
        "version": 1,
        "instance": "b" * 32,
    }
    return [known.get(name, 1) for name in list(inspect.signature(fn).parameters)[1:]]


def _told(tab: Desk) -> set[str]:
    """Whether the tab was told of the patient, but for what was typed into it or taken along."""
    text = json.dumps(tab.root.dict(), default=str)
    for given in (f"new.{BRAVO}@example.org", f"mail.{BRAVO}@example.org", f'"{BRAVO}"'):
        text = text.replace(given, "")
    return marks_in(text, BRAVO)


def _fresh_tab(clinic: Clinic, path: str) -> Desk:
    """A new session of an administrator, who has looked at nothing in it."""
    tab = Desk()
    tab.sign_in(clinic.admin)
    tab.at(path, patient_id=clinic.number)
    profile = tab.state(ProfileState)
    object.__setattr__(profile, "_key", lambda: clinic.number if path != routes.PATIENTS else "")
    return tab


async def _fire(tab: Desk, name: str, arguments: list[Any]) -> None:
    import inspect

    cls, fn = HANDLERS[name]
    result = fn(tab.state(cls), *arguments)
    if inspect.isasyncgen(result):
        _ = [one async for one in result]
    else:
        await result


@pytest.mark.parametrize("at", ["profile", "list"])
@pytest.mark.parametrize("before", ["", "household", "listed"])
async def test_what_a_handler_shows_of_a_patient_is_recorded(clinic, at, before):
    path = routes.profile(clinic.number) if at == "profile" else routes.PATIENTS
    stamp = reread_patient(clinic.desk, clinic.number, Seen.DIALOG).access.stamp
    silent, shown = [], set()
    for name in HANDLERS:
        if name.rpartition(".")[2] in LOOPS:
            continue
        tab = _fresh_tab(clinic, path)
        if before == "household":
            tab.state(SearchState).household = clinic.number
        if before == "listed":
            tab.state(SearchState).listed = BRAVO
        seq = tools.last_seq()
        assert _told(tab) == set()
        await _fire(tab, name, _arguments(HANDLERS[name][1], clinic, stamp))
        if _told(tab):
            shown.add(name)
            if not _seen(seq, clinic.key):
                silent.append(name)
    assert silent == []
    assert {"PatientListState.load", "SearchState.search", "ReceptionState.load"} <= shown, shown
    if at == "profile":
        wanted = {"ProfileState.load", "ProfileState.edit", "PortalDialogState.ask_for", "PortalDialogState.ask_reset"}
        assert wanted <= shown, shown


async def test_a_dialog_on_a_record_that_is_open_leaves_no_second_event(clinic):
    tab = _fresh_tab(clinic, routes.profile(clinic.number))
    await _fire(tab, "ProfileState.load", [])
    seq = tools.last_seq()
    await _fire(tab, "PortalDialogState.ask_for", [clinic.number])
    await _fire(tab, "ProfileState.edit", [clinic.number, "contact"])
    assert tab.state(PortalDialogState).for_patient == clinic.number
    assert tools.trail(after=seq) == []
    tab.at(routes.PATIENTS)
    await _fire(tab, "PortalDialogState.ask_for", [clinic.number])
    (event,) = tools.trail(after=seq)
    assert (event["action"], event["resource_id"]) == ("PATIENT_VIEWED", clinic.key)
    assert event["metadata"] == {"page": "dialog"}


@pytest.mark.parametrize("by", ["dialog", "card", "household"])
async def test_whoever_was_shown_less_than_the_record_is_seen_opening_it(clinic, by):
    """A dialog has a name, an email and a phone; the record has the rest. The first is no leave to read the second."""
    tab = _fresh_tab(clinic, routes.profile(clinic.number))
    if by == "dialog":
        await _fire(tab, "PortalDialogState.ask_for", [clinic.number])
    elif by == "card":
        patient_card(clinic.admin, clinic.number)
    else:
        household_of(clinic.admin, clinic.number)
    seq = tools.last_seq()
    await _fire(tab, "ProfileState.edit", [clinic.number, "details"])
    assert tab.state(ProfileState).values["national_id"] == f"NAT-{BRAVO}"
    (event,) = tools.trail(after=seq)
    assert (event["action"], event["resource_id"]) == ("PATIENT_VIEWED", clinic.key)
    assert event["metadata"] == {"page": "open record"}


@pytest.mark.parametrize(
    "guess",
    [
        {"portal_enabled": False},
        {"verification_status": "PENDING"},
        {"version": 7},
        {"portal_username": "a@example.org"},
    ],
    ids=lambda guess: next(iter(guess)),
)
async def test_whoever_is_told_by_a_refusal_what_a_record_has_is_seen(http, clinic, guess):
    """What is as it was read may be sent back, so a refusal of the rest tells whether a guess was right."""
    seq = tools.last_seq()
    answer = await http.patch(f"/api/v1/patients/{clinic.number}/", json={**guess, "first_name": 5})
    assert answer.status_code in (400, 409)
    (event,) = [one for one in tools.trail(after=seq) if one["resource_id"] == clinic.key]
    assert (event["action"], event["metadata"]) == ("PATIENT_VIEWED", {"page": "compared"})


async def test_forty_dialogs_are_forty_events(clinic):
    """As it was done: the register read through a dialog, with the address of a record in the event."""
    more = [factories.make_patient(clinic.desk).patient for _ in range(10)]
    tab, seq = _fresh_tab(clinic, routes.PATIENTS), tools.last_seq()
    for one in more:
        tab.at(routes.profile(one.patient_id), patient_id=one.patient_id)
        await _fire(tab, "PortalDialogState.ask_for", [one.patient_id])
    assert [event["resource_id"] for event in tools.trail("PATIENT_VIEWED", after=seq)] == [one.id for one in more]


# --- reasons ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [Seen.DIALOG, Seen.OUTCOME, Seen.OPEN])
def test_a_look_for_another_reason_leaves_its_page(clinic, page):
    seq = tools.last_seq()
    reread_patient(clinic.desk, clinic.key, page)
    (event,) = tools.trail(after=seq)
    assert (event["action"], event["metadata"]) == ("PATIENT_VIEWED", {"page": page})


def test_an_open_record_is_open_for_its_session_alone(clinic):
    one, other = dataclasses.replace(clinic.desk), clinic.admin
    view_patient(one, clinic.key)
    seq = tools.last_seq()
    reread_patient(one, clinic.key)
    assert tools.trail(after=seq) == []
    reread_patient(other, clinic.key)
    assert [event["actor_id"] for event in tools.trail(after=seq)] == [other.account_id]


def test_what_changes_nothing_after_all_is_a_look(clinic):
    seq = tools.last_seq()
    verify_patient(clinic.desk, clinic.key)
    (event,) = tools.trail(after=seq)
    assert (event["action"], event["metadata"]) == ("PATIENT_VIEWED", {"page": "changed"})


def test_events_are_left_by_a_transaction_of_somebody_or_nothing_is_read(clinic):
    from clinic_app.services.patients import repository

    with db.transaction() as session, pytest.raises(RuntimeError, match="nobody's behalf"):
        repository.find(session, clinic.key, Seen.RECORD)
    with db.reading() as session, pytest.raises(RuntimeError, match="nobody's behalf"):
        repository.find_whole(session, clinic.key, Seen.CHANGED)


# --- searches -------------------------------------------------------------------------------------------


def _searches() -> list[dict[str, Any]]:
    import sqlalchemy as sa

    wanted = sa.select(AUDIT_EVENTS).where(AUDIT_EVENTS.c.action == "PATIENT_SEARCHED").order_by(AUDIT_EVENTS.c.seq)
    with db.reading() as session:
        return [dict(row["metadata"]) for row in session.execute(wanted).mappings()]


async def _type(tab: Desk, term: str) -> None:
    for length in range(1, len(term) + 1):
        await _fire(tab, "SearchState.search", [term[:length]])


async def test_a_term_that_is_left_standing_is_one_event(clinic, monkeypatch):
    tab = _fresh_tab(clinic, routes.RECEPTION)
    await _type(tab, BRAVO)
    assert _searches() == []
    typed_searches.record_due()
    assert _searches() == [], "it has not stood for a second"
    monkeypatch.setattr(typed_searches, "STANDS", 0.0)
    assert typed_searches.record_due() == 1
    (event,) = _searches()
    assert (event["found"], event["answers"]) == (2, len(BRAVO))
    assert typed_searches.record_due() == 0


async def test_a_term_that_is_acted_on_is_an_event_at_once(clinic):
    tab = _fresh_tab(clinic, routes.RECEPTION)
    await _type(tab, "bra")
    await _fire(tab, "SearchState.list_all", [])
    await _type(tab, "kan")
    assert typed_searches.record_due() == 1
    assert [event["answers"] for event in _searches()] == [3]


async def test_reading_by_typing_fast_leaves_an_event_for_each_twenty_answers(clinic):
    tab = _fresh_tab(clinic, routes.RECEPTION)
    for n in range(130):
        await _fire(tab, "SearchState.search", [f"{chr(97 + n % 26)}{chr(97 + n // 26)}"])
    assert [event["answers"] for event in _searches()] == [typed_searches.ANSWERS] * 6


async def test_a_term_of_somebody_who_has_left_is_recorded_all_the_same(clinic):
    tab = _fresh_tab(clinic, routes.RECEPTION)
    await _type(tab, "bra")
    tab.end_session()
    assert typed_searches.record_due(everything=True) == 1
    assert [event["answers"] for event in _searches()] == [3]


async def test_a_search_that_cannot_be_recorded_is_kept(clinic, monkeypatch):
    tab = _fresh_tab(clinic, routes.RECEPTION)
    await _type(tab, "bra")

    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(typed_searches, "record", full)
        with pytest.raises(OSError, match="disk full"):
            typed_searches.record_due(everything=True)
    assert typed_searches.record_due() == 1


# --- the control --------------------------------------------------------------------------------------


def test_the_walk_is_of_all_handlers():
    from tests.security.handlers import registry

    ours = {one.name.rpartition(".")[2] for one in registry().ours if one.mark is not None}
    assert {name.rpartition(".")[2] for name in HANDLERS} == ours
    assert len(HANDLERS) > 60
    assert rx.State is not None
