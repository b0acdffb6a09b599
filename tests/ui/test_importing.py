"""Import and export in a tab: checked, decided, begun, and what others see of it."""

from __future__ import annotations

import pytest

from clinic_app.models.accounts import Role
from clinic_app.services.patients.importing import runs, work
from clinic_app.ui.importing.state import ImportPageState
from tests import factories
from tests.db import tools

PRESS = "{:032x}-1"
FILE = (
    b"external_id,first_name,last_name,date_of_birth\n"
    b"K-1,Zawadi,Odhiambo,14/3/1988\nK-2,Halima,Yusuf,1979\nK-3,,Kamau,\n"
)


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.setenv("CLINIC_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def here(desk, people):
    """An administrator at the page."""
    desk.sign_in(people.admin)
    desk.at("/admin/import")
    return desk


@pytest.fixture
def checked(people):
    """The number of a file that was sent and checked."""
    there = factories.make_patient(
        people.admin, first_name="Zawadi", last_name="Odhiambo", date_of_birth="14/3/1988"
    ).patient
    run = runs.begin_upload(people.admin, "nyanza.csv", len(FILE))
    runs.receive_part(people.admin, run, 0, FILE)
    assert work.work_on()
    return run, there


async def test_a_file_from_the_check_to_the_report(here, people, checked):
    run, there = checked
    state = here.state(ImportPageState)
    await here.fire(ImportPageState.load)
    assert (state.mode, state.number, state.name, state.failure) == ("preview", run, "nyanza.csv", "")
    assert [(one.number, one.words) for one in state.figures] == [
        ("1", "new"), ("1", "possible duplicate"), ("1", "invalid"),
    ]  # fmt: skip
    first, second, third = state.rows
    assert (first.outcome, first.waits, first.alike[0].patient) == ("Possible duplicate", True, there.id)
    assert (second.outcome, second.waits) == ("New", False)
    assert (third.outcome, third.why) == ("Invalid", "First name is required.")
    assert (state.button, state.nothing) == ("Import 1 patient", False)
    await here.fire(ImportPageState.decide, run, 2, "SAME_PERSON", there.id, PRESS.format(1))
    assert (state.button, state.rows[0].alike[0].chosen) == ("Import 1 patient, link 1", True)
    await here.fire(ImportPageState.decide, run, 2, "SAME_PERSON", 999_999, PRESS.format(2))
    assert state.failure == "This row is not waiting for a decision. Nothing was changed."
    await here.fire(ImportPageState.decide_all, run, True, PRESS.format(3))
    assert (state.rest_goes_in, state.button, state.failure) == (True, "Import 1 patient, link 1", "")
    await here.fire(ImportPageState.choose, "invalid")
    assert [one.row for one in state.rows] == [4]
    drawn = state.stamp
    runs.decide_rest(people.admin, run, import_them=False)  # another administrator, at the same moment
    await here.fire(ImportPageState.take_in, run, drawn, PRESS.format(4))
    assert (state.mode, state.failure) == ("preview", "This import has changed meanwhile. Nothing was done.")
    runs.decide_row(people.admin, run, 2, "LEAVE_OUT")
    await here.fire(ImportPageState.take_in, run, state.stamp, PRESS.format(5))
    assert (state.mode, state.button) == ("preview", "Import 1 patient")
    await here.fire(ImportPageState.decide, run, 2, "SAME_PERSON", there.id, PRESS.format(6))
    await here.fire(ImportPageState.take_in, run, state.stamp, PRESS.format(7))
    assert (state.mode, state.failure) == ("running", "")
    assert work.work_on()
    await here.fire(ImportPageState.open_report, run)
    assert (state.mode, state.did) == ("report", "1 patient imported. 1 row was somebody who was there already.")
    assert state.how.startswith("In 1 second, by ")
    assert [(one.number, one.words) for one in state.figures] == [("0", "possible duplicates"), ("1", "invalid")]
    await here.fire(ImportPageState.another)
    assert (state.mode, [one.name for one in state.earlier]) == ("start", ["nyanza.csv"])


async def test_a_press_counts_once_and_another_file_drops_this_one(here, people, checked):
    run, _ = checked
    state = here.state(ImportPageState)
    await here.fire(ImportPageState.load)
    await here.fire(ImportPageState.drop, run, PRESS.format(7))
    assert (state.mode, state.number) == ("start", 0)
    await here.fire(ImportPageState.drop, run, PRESS.format(8))
    assert state.failure == "This import has changed meanwhile. Nothing was done."
    assert len([one for one in tools.trail("PATIENT_IMPORT_RUN") if one["metadata"].get("state") == "DISCARDED"]) == 1


async def test_a_file_of_somebody_else_says_whose_it_is_and_another_file_leaves_it_alone(here, people, checked):
    run, _ = checked
    state = here.state(ImportPageState)
    other = factories.make_staff(Role.ADMIN, name="Rose Akinyi")
    here.sign_in(other)
    await here.fire(ImportPageState.open_report, run)  # as somebody whose page stood open while it was checked
    assert (state.mode, state.by.partition(", by ")[2]) == ("preview", "Daniel Otieno")
    await here.fire(ImportPageState.drop, run, PRESS.format(9))
    assert (state.mode, state.failure) == ("start", "")
    assert runs.view_import(people.admin, run).state == "CHECKED"
    here.sign_in(people.admin)
    await here.fire(ImportPageState.load)
    assert (state.mode, state.number) == ("preview", run)


async def test_hostile_arguments_change_nothing(here, people, checked):
    run, _ = checked
    state = here.state(ImportPageState)
    await here.fire(ImportPageState.load)
    for arguments in (("x", None, [], {}, ""), (run, -1, "SAME_PERSON", "1", ""), (run, 2, "ANYTHING", 0, "")):
        await here.fire(ImportPageState.decide, *arguments)
        assert state.failure
    assert tools.raw("SELECT count(*) FROM patient_import_rows WHERE decision IS NOT NULL")[0][0] == 0
