"""The states of a desk from signing in to an open record, on both databases: its other tests need only SQLite."""

from __future__ import annotations

import pytest

from clinic_app.services.audit import chain
from clinic_app.ui.frame.state import SearchState
from clinic_app.ui.patients.state import PatientListState
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.reception.state import ReceptionState
from clinic_app.ui.registration.state import RegistrationState

pytestmark = pytest.mark.both_databases


async def test_registering_finding_and_editing(tab):
    await tab.fire(RegistrationState.load)
    given = {
        "first_name": "Zawadi",
        "last_name": "Journey",
        "create_portal_account": True,
        "portal_email": "zawadi.journey@example.org",
    }
    await tab.fire(RegistrationState.submit, given)
    registered = tab.state(RegistrationState)
    assert (registered.step, registered.failure) == ("done", "")
    number = registered.patient.patient_id

    await tab.fire(ReceptionState.load)
    assert tab.state(ReceptionState).loaded is True
    await tab.fire(SearchState.search, "journ")
    assert [row.patient_id for row in tab.state(SearchState).rows] == [number]
    await tab.fire(PatientListState.load)
    await tab.fire(PatientListState.search, "zawadi")
    assert [row.patient_id for row in tab.state(PatientListState).rows] == [number]

    tab.at(f"/patients/{number}", patient_id=number)
    record = tab.state(ProfileState)
    object.__setattr__(record, "_key", lambda: number)
    await tab.fire(ProfileState.load)
    await tab.fire(ProfileState.edit, number, "contact")
    await tab.fire(ProfileState.save, number, "contact", record.version, {**record.values, "address": "7 New Street"})
    assert (record.notice, record.failure) == ("Saved.", "")
    await tab.fire(ProfileState.edit, number, "details")
    await tab.fire(ProfileState.save, number, "details", record.version, {**record.values, "last_name": " "})
    assert list(record.errors) == ["last_name"]
    await tab.fire(ProfileState.cancel, number)
    await tab.fire(ProfileState.turn_off, number, record.access.stamp, {"reason": "ASKED"})
    assert record.notice == "Portal access is turned off."
    await tab.fire(ProfileState.turn_on, number, record.access.stamp)
    assert record.notice == "Portal access is turned on."
    assert chain.verify().ok
