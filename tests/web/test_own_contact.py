"""*Correct my contact details*: what is changed, what comes back after a mistake, and two who are at it at once."""

from __future__ import annotations

import asyncio
import html
import json
import re
import time

import httpx
import pytest

from clinic_app.core import cookies, crypto, routes
from clinic_app.services.accounts import flash
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient, view_patient
from tests import factories
from tests.db import tools
from tests.web.conftest import Shown, patient_signed_in

INTENT = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def desk(database):
    return factories.make_staff(username="desk")


def notice(answer: httpx.Response) -> str:
    """What the next page says once."""
    return flash.pop_note(crypto.digest(answer.cookies.get(cookies.flash_name()) or "")).get("notice", "")


def filled(answer: httpx.Response) -> dict[str, str]:
    """The form as a browser would send it back."""
    page = Shown(answer)
    form = {
        one["name"]: one.get("value", "")
        for one in page.all("input")
        if "name" in one and (one.get("type") != "checkbox" or "checked" in one)
    }
    for name, body in re.findall(r'<textarea[^>]* name="(\w+)"[^>]*>\n(.*?)</textarea>', answer.text, re.S):
        form[name] = html.unescape(body)
    for name, body in re.findall(r'<select[^>]* name="(\w+)"[^>]*>(.*?)</select>', answer.text, re.S):
        form[name] = html.unescape((re.findall(r'value="([^"]*)" selected', body) or [""])[0])
    return form


async def opened(browser: httpx.AsyncClient) -> dict[str, str]:
    return filled(await browser.get(routes.PORTAL_CONTACT))


async def test_the_form_begins_with_the_record_and_sent_back_changes_nothing(browser, desk):
    made = await patient_signed_in(browser, desk, "amina@example.org", address='\n Plot 5 "<\r\nKisumu')
    form = await opened(browser)
    assert form["phone"] == "0712 445901"
    assert form["address"] == 'Plot 5 "<\nKisumu'
    assert (form["email_allowed"], form["sms_allowed"], form["preferred_language"]) == ("on", "on", "sw")
    before = view_patient(desk, made.patient.id).version
    answer = await browser.post(routes.PORTAL_CONTACT, data={**form, "address": form["address"].replace("\n", "\r\n")})
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL)
    assert notice(answer) == ""
    assert view_patient(desk, made.patient.id).version == before


async def test_what_is_changed_is_saved_and_said(browser, desk):
    made = await patient_signed_in(browser, desk, "amina@example.org")
    form = await opened(browser)
    del form["sms_allowed"]  # an empty tick is not sent
    answer = await browser.post(routes.PORTAL_CONTACT, data={**form, "phone": "0733 100 200", "address": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL)
    assert notice(answer) == "Saved. You changed your phone number, choice of messages and address."
    now = view_patient(desk, made.patient.id)
    assert (now.phone, now.address, now.sms_allowed, now.email_allowed) == ("+254733100200", None, False, True)


async def test_a_mistake_is_said_at_its_field_and_everything_typed_is_kept(browser, desk):
    made = await patient_signed_in(browser, desk, "amina@example.org")
    form = await opened(browser)
    typed = {**form, "phone": "0712 or 0733", "address": "Plot 7\n<Kisumu>", "preferred_language": "fr"}
    del typed["email_allowed"]
    answer = await browser.post(routes.PORTAL_CONTACT, data=typed)
    page = Shown(answer)
    assert (page.status, page.title) == (400, "Error: Correct my contact details · Lakeside Medical Centre")
    assert page.focused["id"] == "error-summary"
    assert page.the("phone")["aria-invalid"] == "true"
    assert "Passwords are never" not in page.words
    assert filled(answer) == typed
    fixed = {**filled(answer), "phone": "0733 100 200"}
    assert (await browser.post(routes.PORTAL_CONTACT, data=fixed)).status_code == 303
    now = view_patient(desk, made.patient.id)
    assert (now.address, now.preferred_language, now.email_allowed) == ("Plot 7\n<Kisumu>", "fr", False)


async def test_an_edit_at_the_desk_meanwhile_is_said_and_the_next_save_is_meant(browser, desk):
    made = await patient_signed_in(browser, desk, "amina@example.org")
    form = await opened(browser)
    update_patient(desk, made.patient.id, PatientUpdate.parse({"next_of_kin_name": "Jane", "address": "Theirs"}))
    answer = await browser.post(routes.PORTAL_CONTACT, data={**form, "address": "Mine"})
    page = Shown(answer)
    assert page.status == 409
    assert "Somebody else changed this record while you were editing. Nothing you typed is lost." in page.words
    assert "Jane" in page.words
    again = filled(answer)
    assert (again["address"], again["next_of_kin_name"]) == ("Mine", "Jane")
    assert (await browser.post(routes.PORTAL_CONTACT, data=again)).status_code == 303
    now = view_patient(desk, made.patient.id)
    assert (now.address, now.next_of_kin_name) == ("Mine", "Jane")


@pytest.mark.parametrize("intent", ["", INTENT])
async def test_sent_twice_it_is_saved_once_and_said_to_be_saved(browser, desk, intent):
    await patient_signed_in(browser, desk, "amina@example.org")
    form = {**await opened(browser), "phone": "0733 100 200", "intent": intent}
    for _ in range(2):
        answer = await browser.post(routes.PORTAL_CONTACT, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL)
        assert notice(answer) == "Saved. You changed your phone number."
    assert len(tools.trail("PATIENT_UPDATED")) == 1


async def test_of_two_at_once_both_read_that_it_is_saved(own_database, new_browser):
    desk = factories.make_staff(username="desk")
    async with new_browser() as browser:
        await patient_signed_in(browser, desk, "amina@example.org")
        form = {**await opened(browser), "phone": "0733 100 200", "intent": INTENT}
        answers = await asyncio.gather(*(browser.post(routes.PORTAL_CONTACT, data=form) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [303] * 3
    assert len(tools.trail("PATIENT_UPDATED")) == 1


@pytest.mark.parametrize(
    "broken",
    [{}, {"began": "{"}, {"began": "[]"}, {"began": json.dumps({"phone": 1})}, {"version": "x"}, {"version": ""}],
)
async def test_a_form_that_is_none_of_ours_changes_nothing(browser, desk, broken):
    made = await patient_signed_in(browser, desk, "amina@example.org")
    form = {**await opened(browser), **broken, "phone": "0733 100 200"} if broken else {"phone": "0733 100 200"}
    answer = await browser.post(routes.PORTAL_CONTACT, data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL_CONTACT)
    assert view_patient(desk, made.patient.id).phone == "+254712445901"


async def test_enormous_and_hostile_text_is_refused_soon_and_comes_back_cut(browser, desk):
    await patient_signed_in(browser, desk, "amina@example.org")
    form = await opened(browser)
    for name in ("address", "next_of_kin_name", "phone"):
        began = time.process_time()
        answer = await browser.post(routes.PORTAL_CONTACT, data={**form, name: "a" + "\u0301" * 170_000})
        assert time.process_time() - began < 2
        page = Shown(answer)
        assert page.status == 400
        assert page.the(name)["aria-invalid"] == "true"
        assert len(page.html) < 60_000


async def test_a_language_that_is_not_offered_any_more_stays(browser, desk, settings):
    made = await patient_signed_in(browser, desk, "amina@example.org")
    settings.setenv("CLINIC_LANGUAGES", "en,fr")
    from clinic_app.core.settings import get_settings

    get_settings.cache_clear()
    form = await opened(browser)
    assert form["preferred_language"] == "sw"
    assert (await browser.post(routes.PORTAL_CONTACT, data={**form, "address": "Plot 9"})).status_code == 303
    now = view_patient(desk, made.patient.id)
    assert (now.preferred_language, now.address) == ("sw", "Plot 9")


async def test_another_patients_record_cannot_be_named(browser, desk):
    other = factories.make_patient(desk)
    await patient_signed_in(browser, desk, "amina@example.org")
    named = {"patient_id": other.patient.patient_id, "id": str(other.patient.id), "patient": "1"}
    form = {**await opened(browser), **named, "address": "Mine"}
    assert (await browser.post(routes.PORTAL_CONTACT, data=form)).status_code == 303
    assert view_patient(desk, other.patient.id).address == "12 Lake Road, Kisumu"
