"""*My record* as it is drawn: who looked, how one signs in, and what the plain pages leave to be said."""

from __future__ import annotations

from clinic_app.core import crypto
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts import flash, passkeys
from clinic_app.services.patients.profile import view_patient
from clinic_app.ui.own_record.state import OwnRecordState
from clinic_app.ui.session import identity
from clinic_app.ui.view_models import Look
from tests.authenticator import Authenticator


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


async def test_it_says_which_passkeys_there_are_and_nothing_of_them_where_there_can_be_none(desk, people, settings):
    desk.sign_in(people.patient)
    said = []
    for name in ("", "Amina's phone", "Laptop"):
        if name:
            phone = Authenticator()
            asked = passkeys.begin_adding_passkey(people.patient, name)
            passkeys.finish_adding_passkey(people.patient, name, phone.create(asked))
        await desk.fire(OwnRecordState.load)
        said.append(desk.state(OwnRecordState).passkeys)
    assert said == ["None yet", "One, on Amina's phone", "2 passkeys"]
    settings.setenv("CLINIC_PUBLIC_URL", "http://192.168.1.5:3000")
    get_settings.cache_clear()
    desk.sign_in(people.patient)
    await desk.fire(OwnRecordState.load)
    assert desk.state(OwnRecordState).passkeys == ""


async def test_what_the_form_before_left_is_said_once_and_stays_after_a_lost_line(desk, people, monkeypatch):
    desk.sign_in(people.patient)
    token = flash.put_note(notice="Saved. You changed your address.")
    monkeypatch.setattr(identity, "flash_hash", lambda _: crypto.digest(token))
    for _ in range(2):
        await desk.fire(OwnRecordState.load)
        assert desk.state(OwnRecordState).notice == "Saved. You changed your address."
    assert flash.pop_note(crypto.digest(token)) == {}
