"""*My record* as it is drawn: who looked, how one signs in, and what the plain pages leave to be said."""

from __future__ import annotations

import datetime as dt

from clinic_app.core import addresses, crypto
from clinic_app.services.accounts import flash
from clinic_app.services.accounts.views import OwnPasskey
from clinic_app.services.patients.profile import view_patient
from clinic_app.ui import presenters
from clinic_app.ui.own_record.state import OwnRecordState
from clinic_app.ui.session import identity
from clinic_app.ui.view_models import Look

NOW = dt.datetime(2026, 6, 16, 9, 0, tzinfo=dt.UTC)


async def test_the_latest_looks_are_shown_and_how_many_there_are(desk, people):
    desk.sign_in(people.patient)
    await desk.fire(OwnRecordState.load)
    state = desk.state(OwnRecordState)
    assert [(one.initials, one.who, one.what) for one in state.viewers] == [
        ("GW", "Grace Wanjiru, reception,", "registered you and gave you this sign-in")
    ]
    assert state.viewed == ""
    for _ in range(4):
        view_patient(people.clinician, people.patient.patient_id)
    await desk.fire(OwnRecordState.load)
    state = desk.state(OwnRecordState)
    assert (len(state.viewers), state.viewed) == (3, "5")
    assert state.viewers[0] == Look("DA", "Dr Achieng, clinician,", "opened your record", state.viewers[0].when)


async def test_it_says_how_one_signs_in(desk, people):
    desk.sign_in(people.patient)
    await desk.fire(OwnRecordState.load)
    state = desk.state(OwnRecordState)
    assert state.username == people.patient.username
    assert state.password_since.startswith("Changed ")
    assert (state.has_passkeys, state.passkeys) == (True, "None yet")


def test_one_passkey_is_named_and_several_are_counted():
    one = OwnPasskey(1, "Amina's phone", NOW, None)
    assert presenters.passkeys((one,)) == "One, on Amina's phone"
    assert presenters.passkeys((one, one)) == "2"


async def test_where_no_passkey_can_be_made_none_is_spoken_of(monkeypatch, desk, people):
    monkeypatch.setattr(addresses, "passkey_site", lambda _: "")  # as at a bare IP address
    desk.sign_in(people.patient)
    await desk.fire(OwnRecordState.load)
    assert (desk.state(OwnRecordState).has_passkeys, desk.state(OwnRecordState).passkeys) == (False, "")
    assert desk.state(OwnRecordState).loaded


async def test_what_the_form_before_left_is_said_once_and_stays_after_a_lost_line(desk, people, monkeypatch):
    desk.sign_in(people.patient)
    token = flash.put_note(notice="Saved. You changed your address.")
    monkeypatch.setattr(identity, "flash_hash", lambda _: crypto.digest(token))
    for _ in range(2):
        await desk.fire(OwnRecordState.load)
        assert desk.state(OwnRecordState).notice == "Saved. You changed your address."
    assert flash.pop_note(crypto.digest(token)) == {}
