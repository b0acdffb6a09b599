"""The guard and ``safe``: where somebody is sent, what reaches the page, what a strange tab inherits."""

from __future__ import annotations

import json

import pytest
import reflex as rx

from clinic_app.core.errors import Conflict
from clinic_app.services.access import REFUSALS, Permission
from clinic_app.services.accounts import signing_in, staff
from clinic_app.services.patients.forms import PatientRegistration
from clinic_app.services.patients.registration import register_patient
from clinic_app.ui.account import page as account_page
from clinic_app.ui.account.state import AccountState
from clinic_app.ui.frame.state import SearchState, ShellState
from clinic_app.ui.own_record.state import OwnRecordState
from clinic_app.ui.patients.state import PatientListState
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session import guard
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.handler import Asking, fields, handler, text
from tests import factories
from tests.db import tools
from tests.ui.conftest import events


@pytest.mark.parametrize(("path", "to"), [("/patients", "/login"), ("/patient-portal", "/patient-portal/login")])
async def test_nobody_is_sent_to_the_sign_in_of_the_side_they_are_on(desk, path, to):
    desk.at(path)
    assert events(await desk.fire(PatientListState.load)) == [f"_redirect {to}"]
    assert events(await desk.fire(OwnRecordState.load)) == [f"_redirect {to}"]
    assert desk.state(PatientListState).rows == []


async def test_a_patient_is_sent_to_their_own_side(desk, people):
    desk.sign_in(people.patient)
    for loader in (PatientListState.load, RegistrationState.load, ShellState.enter):
        assert events(await desk.fire(loader)) == ["_redirect /patient-portal"]
    assert await desk.fire(OwnRecordState.load) == [None]
    assert desk.state(OwnRecordState).loaded is True


async def test_a_temporary_password_leads_to_choosing_one(desk, people):
    done = factories.make_patient(people.receptionist, portal_email="first.time@example.org")
    first = signing_in.sign_in(
        signing_in.PATIENT_DOOR, done.credentials.username, done.credentials.temporary_password
    ).actor
    desk.sign_in(first)
    for loader in (OwnRecordState.load, PatientListState.load, ShellState.enter):
        assert events(await desk.fire(loader)) == ["_redirect /patient-portal/change-password"]
    assert desk.state(OwnRecordState).details == []


class _Registered:
    """An app that only remembers what a page's arrival runs."""

    def __init__(self) -> None:
        self.loaders: list[rx.event.EventHandler] = []

    def add_page(self, _page, *, on_load, **_more) -> None:
        self.loaders = on_load


async def test_who_must_choose_a_password_first_is_led_there_and_is_refused_nothing(desk, people):
    made = staff.create_staff_with_temporary_password(people.admin, "mercy", "Mercy Akinyi", "CLINICIAN")
    desk.sign_in(signing_in.sign_in(signing_in.STAFF_DOOR, "mercy", made.credentials.temporary_password).actor)
    desk.at("/account")
    page = _Registered()
    account_page.add(page)
    told = [event for loader in page.loaders if not loader.is_background for event in await desk.fire(loader)]
    assert events(told) == ["_redirect /choose-password"]
    assert desk.state(AccountState).mode == "loading"
    assert tools.trail("ACCESS_DENIED") == []


async def test_entering_a_page_closes_the_list_of_the_search_before(tab, people):
    factories.make_patient(people.receptionist, first_name="Wambui")
    await tab.fire(SearchState.search, "wambui")
    assert tab.state(SearchState).shown is True
    await tab.fire(ShellState.enter)
    assert (tab.state(SearchState).rows, tab.state(SearchState).shown) == ([], False)


async def test_staff_without_the_permission_stay_and_are_told_whose_it_is(desk, people):
    desk.sign_in(people.clinician)
    assert events(await desk.fire(RegistrationState.load)) == []
    assert desk.state(guard.Refusal).words == REFUSALS[Permission.PATIENT_REGISTER]
    await desk.fire(ShellState.enter)
    assert desk.state(guard.Refusal).words == "", "said until another page is entered"


@pytest.mark.parametrize("junk", [None, 1, [], {}, "nonsense", "<b>", "x" * 5000, "own:session"])
async def test_a_failure_shows_a_constant_sentence_only(desk, junk):
    await desk.fire(ShellState.show_failure, "<b>x</b>" if junk in ("nonsense", "x" * 5000) else junk)
    assert desk.state(ShellState).failure == ""
    await desk.fire(ShellState.show_failure, "abc123" * 20)
    assert len(desk.state(ShellState).failure) < 80


async def test_a_session_that_ends_in_the_middle_of_the_work_leads_to_sign_in(tab):
    await tab.fire(PatientListState.load)
    tab.end_session()
    assert events(await tab.fire(PatientListState.turn, 1)) == ["_redirect /login"]
    assert events(await tab.fire(ProfileState.save, {})) == ["_redirect /login"]


async def test_another_session_in_the_same_tab_starts_from_nothing(tab, people):
    gate, event = guard.SessionGuard(), type("Event", (), {"name": f"{rx.State.get_full_name()}.hydrate"})()
    assert await gate.preprocess(None, tab.root, event) is None
    await tab.fire(PatientListState.load)
    assert tab.state(PatientListState).rows
    assert await gate.preprocess(None, tab.root, event) is None
    assert tab.state(PatientListState).rows, "the same session keeps its tab"
    router = tab.root.router_data
    tab.sign_in(people.clinician)
    assert tab.root.router_data != router
    await gate.preprocess(None, tab.root, event)
    assert tab.state(PatientListState).rows == []
    assert tab.state(ShellState).who.name == ""


async def test_while_nobody_can_say_who_is_there_the_tab_keeps_what_it_holds_and_has_to_ask_again(tab, monkeypatch):
    await tab.fire(PatientListState.load)
    gate, dropped = guard.SessionGuard(), []

    class Server:
        """Stands for the socket server: remembers whose connection it ended."""

        manager = type("Manager", (), {"eio_sid_from_sid": staticmethod(lambda sid, namespace: (sid, namespace))})

        class eio:  # noqa: N801  as the library calls it
            """Its lower half."""

            @staticmethod
            async def disconnect(sid):
                """End a connection."""
                dropped.append(sid)

    async def away(*_, **__):
        raise OSError("the database is away")

    monkeypatch.setattr(guard.identity, "actor_of", away)
    app = type("App", (), {"sio": Server})()
    for name in (f"{rx.State.get_full_name()}.hydrate", f"{PatientListState.get_full_name()}.load"):
        event = type("Event", (), {"name": name})()
        update = await gate.preprocess(app, tab.root, event)
        assert update is not None
        assert (update.delta, update.events) == ({}, [])
    assert tab.state(PatientListState).rows, "an error is no end"
    assert [namespace for _, namespace in dropped] == ["/_event"] * 2


@pytest.mark.parametrize("name", ["setvar", "_wipe", "no_such_thing"])
async def test_the_gate_stops_what_nobody_marked(tab, name):
    event = type("Event", (), {"name": f"{PatientListState.get_full_name()}.{name}"})()
    assert await guard.SessionGuard().preprocess(None, tab.root, event) is not None


class Trying(Asking, rx.State):
    """Handlers that fail."""

    shown: str = ""

    def _fail(self, error):
        self.shown = error.detail

    @handler(PUBLIC)
    async def falls(self):
        """A fault of ours."""
        raise ValueError("holds a secret: 123-45-6789")

    @handler(PUBLIC)
    async def falls_after_a_yield(self):
        """The same in a generator."""
        yield rx.set_focus("here")
        raise ValueError("holds a secret: 123-45-6789")

    @handler(PUBLIC)
    async def refuses(self):
        """An error of the domain."""
        raise Conflict("In words.")


async def test_a_handler_never_raises_and_the_page_gets_a_reference_without_values(desk, caplog):
    assert await desk.fire(Trying.falls) == [None]
    assert desk.state(Trying).shown.startswith("Please try again. Reference: ")
    assert "123-45" not in desk.state(Trying).shown + caplog.text
    assert events(await desk.fire(Trying.falls_after_a_yield)) == ["_set_focus ref_here"]
    assert "123-45" not in desk.state(Trying).shown + caplog.text
    await desk.fire(Trying.refuses)
    assert desk.state(Trying).shown == "In words."


@pytest.mark.parametrize("junk", [None, 1, 1.5, True, [], {}, [{"a": 1}], b"x"])
def test_an_argument_that_is_no_text_is_empty_text(junk):
    assert text(junk) == ""
    assert fields(junk if not isinstance(junk, dict) else {"name": junk}, ("name",)) in ({}, {"name": ""})


def test_only_the_fields_asked_for_are_taken_and_none_is_endless():
    given = fields({"a": "x" * 5000, "b": 1, "evil": "y"}, ("a", "b", "c"))
    assert given == {"a": "x" * 1000, "b": ""}


async def test_what_a_state_holds_can_be_sent_as_json_and_holds_no_row_of_a_table(tab, people):
    register_patient(people.receptionist, PatientRegistration.parse(factories.registration()))
    await tab.fire(PatientListState.load)
    tab.at("/patients/LMC000001", patient_id="LMC000001")
    state = tab.state(ProfileState)
    assert "password_hash" not in json.dumps(state.dict(), default=str)
