"""*Correct my contact details*, sent when the session is over: what was typed comes back, unsaved, to whose it is."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine

from clinic_app.core import routes
from clinic_app.core.settings import get_settings
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.web import kept_forms
from tests import factories
from tests.db import tools
from tests.web.conftest import Shown, patient_signed_in
from tests.web.test_own_contact import INTENT, filled, notice, opened

EMAIL = "amina@example.org"
NOT_SAVED = "You were signed out before this was saved. What you typed is here: save it now."


@pytest.fixture
def desk(database):
    return factories.make_staff(username="desk")


@pytest.fixture
async def typed(browser, desk):
    """A patient whose session ended while they were typing, and what the browser would send."""
    made = await patient_signed_in(browser, desk, EMAIL)
    form = {**await opened(browser), "address": "Plot 9,\nKisumu", "intent": INTENT}
    tools.write("UPDATE login_sessions SET ended_at = last_seen_at WHERE account_id <> 0")
    return made, form


async def _sent(browser, form) -> Shown:
    return Shown(await browser.post(routes.PORTAL_CONTACT, data=form))


async def _signed_in(browser, page: Shown, username: str = EMAIL, password: str = factories.OWN_PASSWORD):
    """As the browser does it: the same fields again, to where it is sent on to."""
    form = {**filled_hidden(page), "email": username, "password": password}
    answer = await browser.post(routes.PORTAL_SIGN_IN, data=form)
    if answer.status_code == 307:
        return await browser.post(answer.headers["location"], data=form)
    return answer


def filled_hidden(page: Shown) -> dict[str, str]:
    return {one["name"]: one["value"] for one in page.all("input") if one.get("type") == "hidden"}


async def test_it_waits_sealed_on_the_sign_in_page_and_comes_back_unsaved(browser, typed):
    made, form = typed
    page = await _sent(browser, form)
    assert (page.status, page.title) == (200, "Patient portal sign in · Lakeside Medical Centre")
    assert "What you typed is kept: sign in to go on." in page.words
    for word in ("Plot 9", "712445901", "712 445901"):
        assert word not in page.html
    wrong = Shown(
        await browser.post(routes.PORTAL_SIGN_IN, data={**filled_hidden(page), "email": EMAIL, "password": "x"})
    )
    assert filled_hidden(wrong) == filled_hidden(page) != {}
    back = await _signed_in(browser, wrong)
    page = Shown(back)
    assert (page.status, page.title) == (200, "Correct my contact details · Lakeside Medical Centre")
    assert NOT_SAVED in page.words
    assert view_patient(factories.make_staff(), made.patient.id).address != "Plot 9,\nKisumu"
    assert filled(back)["address"] == "Plot 9,\nKisumu"
    answer = await browser.post(routes.PORTAL_CONTACT, data=filled(back))
    assert notice(answer) == "Saved. You changed your address."


async def test_what_is_far_too_long_waits_too_as_far_as_the_form_would_read_it(browser, typed):
    _, form = typed
    page = await _sent(browser, {**form, "address": "\N{GRINNING FACE}" * 40_000, "next_of_kin_name": "Peter Otieno"})
    assert page.title == "Patient portal sign in · Lakeside Medical Centre"
    back = filled(await _signed_in(browser, page))
    assert (back["next_of_kin_name"], len(back["address"])) == ("Peter Otieno", 4001)


async def test_what_others_changed_meanwhile_is_said_and_stays_where_nothing_was_typed(browser, desk, typed):
    made, form = typed
    page = await _sent(browser, form)
    update_patient(desk, made.patient.id, PatientUpdate.parse({"phone": "0733 100 200", "address": "Plot 7"}))
    back = await _signed_in(browser, page)
    assert "Changed meanwhile. It says now:" in Shown(back).words
    assert (filled(back)["address"], filled(back)["phone"]) == ("Plot 9,\nKisumu", "0733 100200")
    await browser.post(routes.PORTAL_CONTACT, data=filled(back))
    now = view_patient(desk, made.patient.id)
    assert (now.address, now.phone) == ("Plot 9,\nKisumu", "+254733100200")


async def test_it_is_kept_where_the_form_has_other_fields_afterwards(browser, desk, typed, settings):
    _, form = typed
    assert "email" not in form
    page = await _sent(browser, form)
    settings.setenv("CLINIC_SMTP_HOST", "mail.clinic.example")
    get_settings.cache_clear()
    back = await _signed_in(browser, page)
    assert (filled(back)["address"], "email" in filled(back)) == ("Plot 9,\nKisumu", True)
    again = await browser.post(routes.PORTAL_CONTACT, data=form)
    assert "This form has other fields now, so nothing was saved." in Shown(again).words
    assert filled(again)["address"] == "Plot 9,\nKisumu"


async def test_somebody_else_who_signs_in_there_gets_nothing_of_it(browser, new_browser, desk, typed):
    _, form = typed
    page = await _sent(browser, form)
    factories.own_password(factories.make_patient(desk, portal_email="other@example.org"))
    before = tools.dump(without=(*tools.TRAIL, "login_sessions", "accounts", "known_devices", "sign_in_limits"))
    answer = await _signed_in(browser, page, "other@example.org")
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL)
    answer = await browser.post(routes.PORTAL_CONTACT, data=filled_hidden(page))
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL_CONTACT)
    after = tools.dump(without=(*tools.TRAIL, "login_sessions", "accounts", "known_devices", "sign_in_limits"))
    assert after == before


async def test_without_a_session_that_was_nothing_is_kept(new_browser, typed):
    _, form = typed
    async with new_browser() as stranger:
        answer = await stranger.post(routes.PORTAL_CONTACT, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL_SIGN_IN)


@pytest.mark.parametrize("kept", ["x", "=", "A" * 300_000, "é"])
async def test_what_is_none_of_ours_leads_where_a_sign_in_leads(browser, desk, kept):
    factories.own_password(factories.make_patient(desk, portal_email=EMAIL))
    await browser.get(routes.PORTAL_SIGN_IN)
    form = {"email": EMAIL, "password": factories.OWN_PASSWORD, "kept": kept}
    answer = await browser.post(routes.PORTAL_SIGN_IN, data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL)
    answer = await browser.post(routes.PORTAL_CONTACT, data={"kept": kept})
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL_CONTACT)


def test_it_is_over_after_half_a_day(database, desk):
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as clock:
        sealed = kept_forms.seal(desk.account_id, routes.PORTAL_CONTACT, {"address": "x"})
        assert kept_forms.of(desk, sealed) == (routes.PORTAL_CONTACT, {"address": "x"})
        clock.shift(dt.timedelta(hours=13))
        assert kept_forms.of(desk, sealed) == ("", {})
