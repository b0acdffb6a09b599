"""Forms that the browser itself posts, sent twice: by a double press, or again because the answer was lost.

Each counts once or does no harm a second time, and what the second answer says is true.
"""

from __future__ import annotations

import asyncio

import httpx
import pyotp
import pytest
import time_machine
from fastapi.routing import APIRoute

from clinic_app.core import clock as clinic_clock
from clinic_app.core import cookies, crypto, routes
from clinic_app.services.accounts import flash, two_factor
from clinic_app.services.accounts.staff import create_staff_with_temporary_password
from clinic_app.web import app, requests
from tests import factories
from tests.db import tools
from tests.web.conftest import BASE, BROWSER, Shown, sign_in

INTENT = "0123456789abcdef0123456789abcdef"
NEW = "herons over quiet wetlands"
CHANGED = "Your password was changed. Sign in with the new one."

#: Why each of these may come twice. A route that is not named fails a test below: decide, and say it here.
TWICE = {
    routes.STAFF_SIGN_IN: "another session; the one before ends idle",
    routes.PORTAL_SIGN_IN: "another session; the one before ends idle",
    routes.SIGN_IN_CODE: "a code opens one session: the second answer is the sign-in page, or where the first one led",
    routes.SIGN_IN_RECOVERY: "the same",
    routes.SIGN_OUT: "signed out",
    routes.SIGN_OUT_EVERYWHERE: "signed out",
    routes.STAFF_PASSWORD: "tested below",
    routes.PORTAL_PASSWORD: "tested below",
    routes.CHANGE_PASSWORD: "tested below",
    routes.REAUTHENTICATE: "tested below",
    routes.TWO_FACTOR_BEGIN: "another secret before the first code; the page shows the one that counts",
    routes.TWO_FACTOR_ON: "tested below",
    routes.TWO_FACTOR_CODES: "tested below",
    routes.TWO_FACTOR_OFF: "tested below",
    routes.PASSKEY_CHALLENGE: "another challenge, which lasts five minutes",
    routes.PASSKEY_NEW: "another challenge in place of the first",
    routes.PASSKEY_CONFIRM: "another challenge in place of the first",
    routes.PORTAL_PASSKEY_ADD: "test_passkeys.py: the same key is added once, and the list says so",
    routes.PASSKEY_ADD: "the same",
    routes.PORTAL_PASSKEY_REMOVE: "test_passkeys.py: the list says that it has been removed",
    routes.PASSKEY_REMOVE: "the same",
    routes.AUDIT_EXPORT: "the same file again, and each is recorded",
    routes.IMPORT_FILE: "drops what the same person has begun to send, and begins anew",
    routes.IMPORT_PART: "a part that came is taken again: test_importing.py",
    routes.IMPORT_REPORT: "the same file again, and each is recorded",
    routes.PATIENTS_EXPORT: "the same file again, and each is recorded",
    routes.PATIENT_EXPORT: "the same file again, and each is recorded",
    routes.PORTAL_REPORT: "the same file again, and each is recorded",
    routes.PORTAL_SLIPS: "test_slips.py: made and shown once, and the second answer says so",
    routes.PASSPHRASE: "kept nowhere",
    routes.PASSWORD_STRENGTH: "kept nowhere",
    routes.PORTAL_CONTACT: "tests/web/test_own_contact.py",
    routes.PORTAL_EMAIL: "tests/web/test_own_email.py",
    routes.CONFIRM_EMAIL: "says that it has been used",
    routes.PORTAL_OWN_PASSWORD: "signed out: the sign-in page says that the password was changed",
    routes.PORTAL_SESSION_END: "says that it has already ended",
    routes.PORTAL_DOWNLOAD: "the same file again, and each is recorded",
    routes.LINK_STRENGTH: "kept nowhere",
    routes.ACTIVATE: "a code sets one password: the second answer says that it was used, and leads to signing in",
    routes.FORGOT: "another message, three an hour and six a day at most; the newest link works",
    routes.SELF_REGISTRATION: "a solution counts once: the form comes back as it was typed",
    routes.SELF_REGISTRATION_AGAIN: "the same link again, three an hour and six a day at most",
    routes.CONFIRM_REGISTRATION: "says again that the reception has it",
    routes.SESSION_TOUCH: "says that somebody is there",
    routes.DRAFT: "keeps what is typed now",
}


def test_of_whatever_browsers_post_it_is_known_what_a_second_time_does():
    posted = {
        route.path
        for one in app.ROUTERS
        for route in one.routes
        if isinstance(route, APIRoute)
        if requests.changes(route)
    }
    assert posted == set(TWICE)


def token(browser: httpx.AsyncClient) -> str:
    return browser.cookies.get(cookies.session_name()) or ""


def holding(browser: httpx.AsyncClient, before: str) -> httpx.AsyncClient:
    """The same browser, which has not heard the first answer."""
    cookie = {cookies.session_name(): before}
    return httpx.AsyncClient(transport=browser._transport, base_url=BASE, headers=BROWSER, cookies=cookie)


async def lost(browser: httpx.AsyncClient, before: str, path: str, data: dict[str, str]) -> Shown:
    """What is read by whoever sends the form once more."""
    async with holding(browser, before) as other:
        answer = await other.post(path, data=data)
        return Shown(await other.get(answer.headers["location"]))


def notice(answer: httpx.Response) -> str:
    """What the next page says once."""
    return flash.pop_note(crypto.digest(answer.cookies.get(cookies.flash_name()) or "")).get("notice", "")


def events(action: str) -> int:
    return len(tools.trail(action))


def kept_codes() -> list[str]:
    return [row.code_hash for row in tools.raw("SELECT * FROM recovery_codes WHERE used_at IS NULL ORDER BY id")]


# --- passwords --------------------------------------------------------------------------------------------


async def test_a_password_that_was_saved_is_said_to_count_when_its_answer_was_lost(browser):
    factories.make_staff(username="grace")
    await sign_in(browser, "grace", factories.PASSWORD)
    before = token(browser)
    form = {"current_password": factories.PASSWORD, "new_password": NEW, "confirm_password": NEW}
    assert (await browser.post(routes.CHANGE_PASSWORD, data=form)).headers["location"] == routes.ACCOUNT
    page = await lost(browser, before, routes.CHANGE_PASSWORD, form)
    assert page.title.startswith("Staff sign in")
    assert CHANGED in page.words
    again = await browser.get(routes.STAFF_SIGN_IN)
    assert again.status_code == 303, "a second press left the session of the first one alone"
    assert events("PASSWORD_CHOSEN") == 1


@pytest.mark.parametrize("door", [routes.STAFF_PASSWORD, routes.PORTAL_PASSWORD])
async def test_a_first_password_of_ones_own_too(browser, door):
    admin = factories.make_staff("ADMIN")
    if door == routes.STAFF_PASSWORD:
        made = create_staff_with_temporary_password(admin, "mercy", "Mercy Akinyi", "CLINICIAN")
        page = routes.STAFF_SIGN_IN
    else:
        made = factories.make_patient(factories.make_staff(username="desk"), portal_email="own@example.org")
        page = routes.PORTAL_SIGN_IN
    await sign_in(browser, made.credentials.username, made.credentials.temporary_password, page)
    before, form = token(browser), {"new_password": NEW, "confirm_password": NEW}
    assert (await browser.post(door, data=form)).status_code == 303
    assert CHANGED in (await lost(browser, before, door, form)).words
    assert (await browser.post(door, data=form)).status_code == 303, "signed in as before"
    assert events("PASSWORD_CHOSEN") == 1


async def test_a_session_that_ended_otherwise_is_told_nothing_about_passwords(browser):
    factories.make_staff(username="grace")
    await sign_in(browser, "grace", factories.PASSWORD)
    tools.write("UPDATE login_sessions SET ended_at = created_at, end_reason = 'ended by owner'")
    page = Shown(await browser.get(routes.STAFF_SIGN_IN))
    assert "password was changed" not in page.words


# --- confirming, and the second factor ---------------------------------------------------------------------


async def test_confirming_twice_leads_on_and_signs_nobody_out(browser):
    factories.make_staff(username="grace")
    await sign_in(browser, "grace", factories.PASSWORD)
    before, form = token(browser), {"password": factories.PASSWORD, "next": routes.ACCOUNT}
    assert (await browser.post(routes.REAUTHENTICATE, data=form)).headers["location"] == routes.ACCOUNT
    async with holding(browser, before) as other:
        second = await other.post(routes.REAUTHENTICATE, data=form)
    assert second.headers["location"] == routes.ACCOUNT
    assert "set-cookie" not in second.headers, "the cookie that came with the first answer stays"
    assert (await browser.get(routes.SESSION_ALIVE)).status_code == 200


@pytest.fixture
def clock():
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as traveller:
        yield traveller


async def sign_grace_in(browser: httpx.AsyncClient) -> dict[str, str]:
    """Signed in, with a secret whose first code has not been given: the form that gives it."""
    actor = factories.make_staff(username="grace")
    await sign_in(browser, "grace", factories.PASSWORD)
    two_factor.begin_two_factor(actor)
    setup = two_factor.show_two_factor(actor)
    assert setup is not None
    code = pyotp.TOTP(setup.secret.replace(" ", "")).at(int(clinic_clock.now().timestamp()))
    return {"code": code}


@pytest.fixture
async def grace(clock, browser):
    return await sign_grace_in(browser)


def codes(answer: httpx.Response) -> list[str]:
    page = answer.text
    return page[page.index('id="recovery-codes"') :].split(">", 1)[1].split("</pre>")[0].split()


async def test_turning_two_factor_on_twice_says_that_it_is_on_and_shows_no_codes_again(browser, grace):
    first = await browser.post(routes.TWO_FACTOR_ON, data=grace)
    assert len(codes(first)) == 10
    second = await browser.post(routes.TWO_FACTOR_ON, data=grace)
    assert second.headers["location"] == routes.ACCOUNT
    assert notice(second).startswith("Two-factor sign-in is on.")
    assert len(kept_codes()) == 10
    assert events("TWO_FACTOR_TURNED_ON") == 1


async def test_recovery_codes_made_once_by_a_press_that_is_sent_again(browser, grace):
    await browser.post(routes.TWO_FACTOR_ON, data=grace)
    first = await browser.post(routes.TWO_FACTOR_CODES, data={"intent": INTENT})
    shown = codes(first)
    kept = kept_codes()
    second = await browser.post(routes.TWO_FACTOR_CODES, data={"intent": INTENT})
    assert second.headers["location"] == routes.ACCOUNT
    assert notice(second).startswith("New recovery codes were made at ")
    assert kept_codes() == kept
    another = await browser.post(routes.TWO_FACTOR_CODES, data={"intent": INTENT[::-1]})
    assert set(codes(another)).isdisjoint(shown)


async def test_of_two_such_forms_at_once_one_makes_codes(clock, own_database, new_browser):
    async with new_browser() as browser:
        await browser.post(routes.TWO_FACTOR_ON, data=await sign_grace_in(browser))
        three = [browser.post(routes.TWO_FACTOR_CODES, data={"intent": INTENT}) for _ in range(3)]
        answers = await asyncio.gather(*three)
    assert sorted(answer.status_code for answer in answers) == [200, 303, 303]
    assert events("RECOVERY_CODES_MADE") == 1


async def test_turning_two_factor_off_twice_leads_to_where_it_is_off(browser, grace):
    await browser.post(routes.TWO_FACTOR_ON, data=grace)
    for _ in range(2):
        assert (await browser.post(routes.TWO_FACTOR_OFF)).headers["location"] == routes.ACCOUNT
    assert events("TWO_FACTOR_TURNED_OFF") == 1


@pytest.mark.parametrize("path", [routes.SIGN_OUT_EVERYWHERE, routes.SIGN_OUT])
async def test_signing_out_twice_is_signed_out(browser, path):
    factories.make_staff(username="grace")
    await sign_in(browser, "grace", factories.PASSWORD)
    for _ in range(2):
        assert (await browser.post(path)).headers["location"] == routes.STAFF_SIGN_IN
