"""*Pending verification* in a tab: what is shown, what is decided, other desks, and the number in the menu."""

from __future__ import annotations

import pytest

from clinic_app.services.patients.profile import view_patient
from clinic_app.services.patients.verification import count_waiting, verify_patient
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.pending.state import PendingState
from clinic_app.ui.session.guard import Refusal
from clinic_app.ui.session.presses import PressState
from tests import factories
from tests.db import tools

PRESS = "0123456789abcdef0123456789abcdef-1"
OTHER = "1123456789abcdef0123456789abcdef-1"
KNOWN = {"first_name": "Esther", "last_name": "Wangari", "phone": "0745 313872", "date_of_birth": "5 May 2003"}


@pytest.fixture
def here(desk, people):
    """A receptionist at the page."""
    desk.sign_in(people.receptionist)
    desk.at("/patients/pending")
    return desk


def _form(press: str = PRESS, **changes: str) -> dict[str, str]:
    return {"intent": press, **changes}


async def test_what_was_typed_stands_beside_whom_they_may_be(here, people):
    known = factories.make_patient(people.receptionist, **KNOWN).patient
    person = factories.registered_themselves(**KNOWN, email="e@example.org")
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    (one,) = state.rows
    assert (state.mode, one.id, one.name, one.patient_id) == ("rows", person, "Esther Wangari", "")
    assert one.registered.startswith("Registered herself today, ")
    facts = {fact.label: (fact.value, fact.more) for fact in one.facts}
    assert facts["Email"] == ("e@example.org", "Confirmed")
    assert facts["Born"][0].startswith("5 May 2003 (")
    assert facts["Gender"] == ("Female", "")
    (match,) = one.matches
    assert (match.patient_id, match.grade, match.tone) == (known.patient_id, "Certain", "bad")
    assert match.chips


async def test_verified_as_a_new_patient(here, people):
    factories.registered_themselves()
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    (one,) = state.rows
    await here.fire(PendingState.verify, one.id, one.version, one.seen, False, PRESS)
    assert state.mode == "empty"
    assert state.done == "Esther Wangari was verified."
    assert state.done_href == f"/patients/{state.done_patient}"
    assert here.state(PressState).answered == f"{PRESS} done"
    await here.fire(PendingState.verify, one.id, one.version, one.seen, False, PRESS)  # the same press, sent again
    assert tools.number("SELECT count(*) FROM patients WHERE first_name = 'Esther'") == 1


async def test_linked_and_undone(here, people):
    known = factories.make_patient(people.receptionist, **KNOWN, email="", national_id="").patient
    factories.registered_themselves(**KNOWN, email="e@example.org", national_id="3390 2214")
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    (one,) = state.rows
    (match,) = one.matches
    await here.fire(PendingState.link, one.id, match.patient_id, match.version, PRESS)
    said = (f"Esther Wangari was linked to {known.patient_id}.", state.done_more, state.done_href, one.id)
    assert said[1] == "National ID and email were added there; the registration is closed."
    assert state.decided == 1
    here.at(state.done_href)  # *Open LMC…*, and back
    await here.fire(ShellState.enter)
    assert (state.done, state.undo_id) == ("", 0)  # nothing of it stays in the tab
    here.at("/patients/pending")
    for _ in range(2):  # and loaded again
        await here.fire(PendingState.load)
        assert (state.mode, state.done, state.done_more, state.done_href, state.undo_id) == ("empty", *said)
        assert state.decided == 0  # the focus stays where it is
    await here.fire(PendingState.undo, state.undo_id, OTHER)
    assert (state.mode, state.done, state.undo_id) == ("rows", "The link was undone.", 0)
    assert view_patient(people.receptionist, known.id).email is None
    await here.fire(PendingState.load)
    assert (state.done, state.undo_id) == ("", 0)


async def test_a_patient_who_waits_is_compared_with_whom_they_may_be(here, people):
    known = factories.make_patient(people.receptionist, **KNOWN).patient
    waits = factories.make_patient(people.receptionist, **KNOWN).patient
    tools.write("UPDATE patients SET verification_status = 'PENDING' WHERE id = :id", id=waits.id)
    factories.registered_themselves(**KNOWN)
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    patient, registration = state.rows
    assert [match.compare for match in patient.matches] == [
        f"/patients/duplicates/{known.patient_id}-{waits.patient_id}"
    ]
    assert [match.compare for match in registration.matches] == ["", ""]


async def test_why_is_asked_before_a_registration_is_rejected(here, people):
    factories.registered_themselves()
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    (one,) = state.rows
    await here.fire(PendingState.ask_reject, one.id, True)
    assert state.rejecting == one.id
    await here.fire(PendingState.reject, one.id, _form())
    assert state.errors == {"reason": "Choose why it is rejected."}
    assert count_waiting(people.receptionist) == 1
    await here.fire(PendingState.reject, one.id, _form(OTHER, reason="NOT_REAL", words="Nobody of this name"))
    assert (state.mode, state.done) == ("empty", "The registration of Esther Wangari was rejected.")


async def test_another_desk_was_quicker_and_that_is_said(here, people):
    person = factories.registered_themselves()
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    done = verify_patient(people.admin, person)
    await here.fire(PendingState.reject, person, _form(reason="TWICE"))
    assert state.mode == "empty"
    assert state.failure.startswith(f"{people.admin.name} verified it as {done.patient_id} today at ")
    assert here.state(PressState).answered == f"{PRESS} refused"


async def test_what_was_refused_stays_said_while_other_desks_work(here, people, news):
    person = factories.registered_themselves()
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    verify_patient(people.admin, person)
    await here.fire(PendingState.reject, person, _form(reason="TWICE"))
    said = state.failure
    assert said
    factories.registered_themselves(first_name="Another")
    await here.fire(PendingState.watch)
    assert (len(state.rows), state.failure) == (1, said)
    await here.fire(PendingState.load)
    assert state.failure == ""


async def test_a_national_id_of_somebody_else_offers_to_leave_it_out(here, people):
    factories.make_patient(people.receptionist, national_id="3390 2214")
    factories.registered_themselves(national_id="33902214")
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    (one,) = state.rows
    await here.fire(PendingState.verify, one.id, one.version, one.seen, False, PRESS)
    assert (state.refused_id, state.without_id) == (one.id, True)
    assert "national ID already exists" in state.refused
    await here.fire(PendingState.verify, one.id, one.version, one.seen, True, OTHER)
    assert (state.mode, state.refused) == ("empty", "")


async def test_ten_a_page(here, people):
    for number in range(12):
        factories.registered_themselves(first_name=f"Esther {'abcdefghijkl'[number]}")
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    assert (len(state.rows), state.pages, state.summary) == (10, 2, "1–10 of 12 people")
    await here.fire(PendingState.turn, 1)
    assert (len(state.rows), state.page) == (2, 2)
    await here.fire(PendingState.turn, 1)
    assert state.page == 2


async def test_what_was_decided_stays_said_when_the_page_is_turned(here, people):
    for number in range(12):
        factories.registered_themselves(first_name=f"Esther {'abcdefghijkl'[number]}")
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    await here.fire(PendingState.reject, state.rows[0].id, _form(reason="TWICE"))
    said = state.done
    assert said
    await here.fire(PendingState.turn, 1)
    assert (state.page, state.done) == (2, said)


@pytest.mark.parametrize("given", ["", None, -1, 2**40, {"a": 1}, True])
async def test_nonsense_changes_nothing(here, people, given):
    factories.registered_themselves()
    state = here.state(PendingState)
    await here.fire(PendingState.load)
    await here.fire(PendingState.verify, given, given, given, given, PRESS)
    await here.fire(PendingState.link, given, given, given, OTHER)
    assert state.failure == "This registration is not there any more. Nothing was changed."
    assert (len(state.rows), count_waiting(people.receptionist)) == (1, 1)


async def test_the_number_stands_in_the_menu_of_the_desk_and_of_nobody_else(here, people):
    factories.registered_themselves()
    shell = here.state(ShellState)
    await here.fire(ShellState.enter)
    assert shell.pending == "1"
    here.sign_in(people.clinician)
    await here.fire(ShellState.enter)
    assert shell.pending == ""
    await here.fire(PendingState.load)
    assert here.state(Refusal).words == "Only receptionists and administrators can verify patients."
