"""Passkeys over the plain pages: the buttons and where they are not, both ceremonies, the list, what comes twice."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import time_machine

from clinic_app.core import clock as clinic_clock
from clinic_app.core import cookies, crypto, routes
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts import flash, sessions, sign_in_throttle, staff
from tests import factories
from tests.authenticator import Authenticator
from tests.db import tools
from tests.web.conftest import Shown, sign_in

ELSEWHERE = "http://192.168.1.5:3000"
#: Side → the sign-in page, the list, where a passkey is added, and where one begins after signing in.
SIDES = {
    "staff": (routes.STAFF_SIGN_IN, routes.PASSKEYS, routes.PASSKEY_ADD, routes.RECEPTION),
    "patient": (routes.PORTAL_SIGN_IN, routes.PORTAL_PASSKEYS, routes.PORTAL_PASSKEY_ADD, routes.PORTAL),
}


@pytest.fixture
def clock():
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as traveller:
        yield traveller


@pytest.fixture(params=SIDES)
async def side(request, clock, browser):
    """Somebody of that side, signed in with a password; the side's addresses."""
    door = SIDES[request.param][0]
    if request.param == "staff":
        factories.make_staff(username="grace")
        await sign_in(browser, "grace", factories.PASSWORD, door)
    else:
        done = factories.make_patient(factories.make_staff(), portal_email="amina@example.org")
        factories.own_password(done)
        await sign_in(browser, "amina@example.org", factories.OWN_PASSWORD, door)
    return SIDES[request.param]


async def add(browser, side, phone, name="My phone"):
    """Both halves of *Add this passkey*."""
    asked = await browser.post(routes.PASSKEY_NEW, json={"passkey_name": name})
    assert asked.status_code == 200, asked.text
    return await browser.post(side[2], data={"passkey_name": name, "passkey": phone.create(asked.text)})


async def enter(browser, side, phone, **lies):
    """Both halves of *Sign in with a passkey*."""
    await browser.get(side[0])
    asked = await browser.post(routes.PASSKEY_CHALLENGE)
    assert asked.status_code == 200, asked.text
    return await browser.post(side[0], data={"passkey": phone.get(asked.text, **lies)})


def ids() -> list[int]:
    return [row.id for row in tools.raw("SELECT id FROM passkeys ORDER BY id")]


def removal(side, ident: int) -> str:
    return f"{side[1]}/{ident}/remove"


async def test_from_adding_to_signing_in_to_removing(browser, side):
    phone, page = Authenticator(), Shown(await browser.get(side[1]))
    assert page.title == "Passkeys · Lakeside Medical Centre"
    assert "No passkey yet" in page.words
    assert side[2] in [one.get("href") for one in page.all("a")]
    form = Shown(await browser.get(side[2]))
    assert form.title == "Add a passkey · Lakeside Medical Centre"
    assert "password" not in [one.get("id") for one in form.all("input")], "who has just signed in has proved enough"
    answer = await add(browser, side, phone, "<b>Amina's</b> phone")
    assert (answer.status_code, answer.headers["location"]) == (303, side[1])
    page = Shown(await browser.get(side[1]))
    assert "The passkey was added." in page.words
    assert "<b>Amina's</b> phone" in page.words
    assert "Added 15 Jun 2026, not used yet" in page.words
    assert "The passkey was added." not in Shown(await browser.get(side[1])).words

    await browser.post(routes.SIGN_OUT)
    assert (await browser.get(side[1])).headers["location"] == side[0]
    answer = await enter(browser, side, phone)
    assert (answer.status_code, answer.headers["location"]) == (303, side[1]), "back to the page that was asked for"
    assert cookies.session_name() in answer.cookies
    assert cookies.device_name() in browser.cookies
    assert "last used today at 12:00" in Shown(await browser.get(side[1])).words

    (ident,) = ids()
    page = Shown(await browser.get(removal(side, ident)))
    assert page.focused["id"] == "remove-q"
    assert [one["action"] for one in page.all("form") if "remove" in one["action"]] == [removal(side, ident)]
    answer = await browser.post(removal(side, ident))
    assert answer.headers["location"] == side[1]
    assert "has been removed." in Shown(await browser.get(side[1])).words
    await browser.post(routes.SIGN_OUT)
    page = Shown(await enter(browser, side, phone))
    assert (page.status, page.title[:6]) == (400, "Error:")
    assert "This passkey does not open an account here. Sign in with your password." in page.words


async def test_the_same_answers_sent_again_do_nothing_again(browser, side):
    phone = Authenticator()
    asked = await browser.post(routes.PASSKEY_NEW, json={"passkey_name": "Phone"})
    form = {"passkey_name": "Phone", "passkey": phone.create(asked.text)}
    for _ in range(2):
        assert (await browser.post(side[2], data=form)).headers["location"] == side[1]
    assert len(ids()) == 1
    (ident,) = ids()
    for words in ("has been removed. All other devices have been signed out.", "has already been removed"):
        assert (await browser.post(removal(side, ident))).headers["location"] == side[1]
        assert words in Shown(await browser.get(side[1])).words
    assert (await browser.get(removal(side, ident))).headers["location"] == side[1]
    for nothing in ("0", "x", "9" * 30, "-1", "²"):
        assert (await browser.get(removal(side, nothing))).headers["location"] == side[1]


async def test_a_name_that_is_missing_is_said_before_the_device_is_asked(browser, side):
    asked = await browser.post(routes.PASSKEY_NEW, json={"passkey_name": " "})
    assert asked.status_code == 400
    assert asked.json()["errors"] == {"passkey_name": "Name of this passkey is required."}
    assert (await browser.post(routes.PASSKEY_NEW, json={"passkey_name": 7})).status_code == 400


async def test_what_the_device_did_not_make_is_said_in_the_form(browser, side):
    page = Shown(await browser.post(side[2], data={"passkey_name": "Phone", "passkey": "{}"}))
    assert page.status == 400
    assert "The passkey was not added." in page.words
    assert page.the("passkey_name")["value"] == "Phone"
    page = Shown(await browser.post(side[2], data={"passkey_name": "", "passkey": "{}"}))
    assert (page.status, page.the("passkey_name")["aria-invalid"]) == (400, "true")


async def test_long_after_signing_in_staff_confirm_and_patients_give_their_password(browser, side, clock):
    await add(browser, side, Authenticator())
    (ident,) = ids()
    clock.shift(dt.timedelta(minutes=6))
    asked = await browser.post(routes.PASSKEY_NEW, json={"passkey_name": "Phone"})
    assert asked.status_code == 400
    if side is SIDES["staff"]:
        assert asked.json()["location"] == routes.confirm(routes.PASSKEY_ADD)
        for page in (side[2], removal(side, ident)):
            assert (await browser.get(page)).headers["location"] == routes.confirm(page)
        answer = await browser.post(removal(side, ident), data={"password": factories.PASSWORD})
        assert answer.headers["location"] == routes.confirm(removal(side, ident))
        assert routes.confirm(removal(side, ident)).endswith(f"%2F{ident}%2Fremove"), "and back to the question"
    else:
        assert asked.json()["errors"] == {"password": "Password is required."}
        for page in (side[2], removal(side, ident)):
            assert Shown(await browser.get(page)).the("password")["autocomplete"] == "current-password"
        wrong = await browser.post(routes.PASSKEY_NEW, json={"passkey_name": "Phone", "password": "wrong"})
        assert wrong.json()["errors"] == {"password": "This is not your password."}
        right = {"passkey_name": "Phone", "password": factories.OWN_PASSWORD}
        assert (await browser.post(routes.PASSKEY_NEW, json=right)).status_code == 200
        for typed, words in (("", "Password is required."), ("wrong", "This is not your password.")):
            page = Shown(await browser.post(removal(side, ident), data={"password": typed}))
            assert (page.status, page.focused["id"]) == (400, "password")
            assert words in page.words
        assert ids() == [ident]
        done = await browser.post(removal(side, ident), data={"password": factories.OWN_PASSWORD})
        assert done.headers["location"] == side[1]
    assert len(ids()) == (1 if side is SIDES["staff"] else 0)


async def test_a_passkey_confirms_too_and_leads_back_to_the_page_that_asked(browser, side, clock):
    phone = Authenticator()
    assert (await browser.post(routes.PASSKEY_CONFIRM)).status_code == 404
    await add(browser, side, phone)
    clock.shift(dt.timedelta(minutes=6))
    if side is SIDES["patient"]:
        for page in (side[2], removal(side, ids()[0])):
            offered = Shown(await browser.get(page)).all("button")
            assert [one.get("data-next") for one in offered if "data-passkey-confirm" in one] == [page]
    wrong = phone.get((await browser.post(routes.PASSKEY_CONFIRM)).text, verified=False)
    answer = await browser.post(routes.REAUTHENTICATE, data={"passkey": wrong, "next": side[2]})
    back = side[2] if side is SIDES["patient"] else routes.confirm(side[2])
    assert answer.headers["location"] == back
    if side is SIDES["patient"]:
        assert "This passkey does not confirm that it is you." in Shown(await browser.get(back)).words
    right = {"passkey": phone.get((await browser.post(routes.PASSKEY_CONFIRM)).text), "next": side[2]}
    answer = await browser.post(routes.REAUTHENTICATE, data=right)
    assert (answer.status_code, answer.headers["location"]) == (303, side[2])
    form = Shown(await browser.get(side[2]))
    assert form.title.startswith("Add a passkey")
    assert "password" not in [one.get("id") for one in form.all("input")]
    again = await browser.post(routes.REAUTHENTICATE, data=right)
    assert again.headers["location"] == back, "the answer was used"


async def test_guessing_the_password_on_these_pages_is_limited(browser, side, clock):
    if side is SIDES["staff"]:
        return
    await add(browser, side, Authenticator())
    (ident,) = ids()
    clock.shift(dt.timedelta(minutes=6))
    for _ in range(sign_in_throttle.PER_SESSION):
        await browser.post(removal(side, ident), data={"password": "wrong"})
    answer = await browser.post(removal(side, ident), data={"password": factories.OWN_PASSWORD})
    assert answer.status_code == 429
    assert "retry-after" in answer.headers
    assert "Too many attempts. Please try again in" in Shown(answer).words
    asked = await browser.post(routes.PASSKEY_NEW, json={"passkey_name": "P", "password": factories.OWN_PASSWORD})
    assert asked.status_code == 429
    assert asked.json()["detail"].startswith("Too many attempts.")


async def test_the_eleventh_is_not_offered_and_not_added(browser, side):
    for number in range(10):
        await add(browser, side, Authenticator(), f"Phone {number}")
    page = Shown(await browser.get(side[1]))
    assert side[2] not in [one.get("href") for one in page.all("a")]
    assert "There is no room for another one: remove one first." in page.words
    asked = await browser.post(routes.PASSKEY_NEW, json={"passkey_name": "One more"})
    assert asked.json()["detail"] == "You have ten passkeys, which is as many as there can be. Remove one first."


async def test_each_side_is_led_to_its_own(browser, side):
    other = SIDES["patient" if side is SIDES["staff"] else "staff"]
    for path in (other[1], other[2], removal(other, 1)):
        assert (await browser.get(path)).headers["location"] == side[3]
    for path in (other[2], removal(other, 1)):
        assert (await browser.post(path)).headers["location"] == side[3]


@pytest.mark.parametrize("name", SIDES)
async def test_nobody_is_led_to_the_sign_in_of_that_side(browser, name):
    side = SIDES[name]
    for path in (side[1], side[2], removal(side, 1)):
        assert (await browser.get(path)).headers["location"] == side[0]
    for path in (side[2], removal(side, 1)):
        assert (await browser.post(path)).headers["location"] == side[0]
    assert (await browser.post(routes.PASSKEY_NEW, json={"passkey_name": "P"})).status_code == 401
    assert (await browser.post(routes.PASSKEY_CONFIRM)).status_code == 401


@pytest.mark.parametrize("page", [1, 2])
async def test_who_signs_in_again_comes_back_to_the_page(browser, side, page):
    browser.cookies.delete(cookies.session_name())
    path = side[page]
    assert (await browser.get(path)).headers["location"] == side[0]
    username, password = (
        ("grace", factories.PASSWORD) if side is SIDES["staff"] else ("amina@example.org", factories.OWN_PASSWORD)
    )
    assert (await sign_in(browser, username, password, side[0])).headers["location"] == path


async def test_with_a_temporary_password_one_chooses_a_password_first(browser):
    made = staff.create_staff_with_temporary_password(
        factories.make_staff("ADMIN"), "mercy", "Mercy Akinyi", "CLINICIAN"
    )
    await sign_in(browser, "mercy", made.credentials.temporary_password)
    assert (await browser.get(routes.PASSKEYS)).headers["location"] == routes.STAFF_PASSWORD
    assert (await browser.post(routes.PASSKEY_NEW, json={"passkey_name": "P"})).status_code == 400


@pytest.mark.parametrize("address", ["", ELSEWHERE])
async def test_after_the_first_own_password_a_patient_is_offered_one_where_there_can_be(browser, settings, address):
    made = factories.make_patient(factories.make_staff(), portal_email="new@example.org")
    await sign_in(browser, "new@example.org", made.credentials.temporary_password, routes.PORTAL_SIGN_IN)
    if address:
        settings.setenv("CLINIC_PUBLIC_URL", address)
        get_settings.cache_clear()
    new = {"new_password": factories.OWN_PASSWORD, "confirm_password": factories.OWN_PASSWORD}
    answer = await browser.post(
        routes.PORTAL_PASSWORD, data=new, headers={"origin": address or "http://localhost:3000"}
    )
    assert answer.headers["location"] == routes.PORTAL
    note = flash.pop_note(crypto.digest(browser.cookies.get(cookies.flash_name()) or ""))
    assert ("Passkeys below" in note.get("notice", "")) == (not address)


async def test_where_there_can_be_none_nothing_shows_them(browser, side, settings):
    for path in (side[0],):
        await browser.post(routes.SIGN_OUT)
        assert 'data-passkey="localhost"' in (await browser.get(path)).text
    await enter_with_password(browser, side)
    settings.setenv("CLINIC_PUBLIC_URL", ELSEWHERE)
    get_settings.cache_clear()
    for path in (side[1], side[2], removal(side, 1)):
        assert (await browser.get(path)).status_code == 404
    for path in (side[2], removal(side, 1)):
        answer = await browser.post(path)
        assert answer.status_code == 404
    for path in (routes.PASSKEY_NEW, routes.PASSKEY_CHALLENGE):
        answer = await browser.post(path, json={"passkey_name": "P"})
        assert (answer.status_code, answer.json()["detail"]) == (404, "Passkeys need https.")
    assert (await browser.post(side[0], data={"passkey": "{}"})).status_code == 404
    await browser.post(routes.SIGN_OUT)
    page = (await browser.get(side[0])).text
    assert "passkey" not in page


async def enter_with_password(browser, side) -> None:
    username, password = (
        ("grace", factories.PASSWORD) if side is SIDES["staff"] else ("amina@example.org", factories.OWN_PASSWORD)
    )
    await sign_in(browser, username, password, side[0])


async def test_a_browser_without_cookies_is_told_so(new_browser, database):
    async with new_browser() as browser:
        answer = await browser.post(routes.STAFF_SIGN_IN, data={"passkey": "{}"})
    assert "Cookies are off" in Shown(answer).words


async def test_the_session_before_ends_and_the_way_back_is_kept(browser, side):
    phone = Authenticator()
    await add(browser, side, phone)
    before = crypto.digest(browser.cookies[cookies.session_name()])
    asked = await browser.post(routes.PASSKEY_CHALLENGE)
    assert json.loads(asked.text)["rpId"] == "localhost"
    await browser.post(side[0], data={"passkey": phone.get(asked.text)})
    assert sessions.resolve(before).kind == "anonymous"
    now = sessions.resolve(crypto.digest(browser.cookies[cookies.session_name()]))
    assert now.proved_at == clinic_clock.now()


@pytest.mark.slow
async def test_too_many_tries_are_told_on_the_page(browser, clock):
    await browser.get(routes.STAFF_SIGN_IN)
    for _ in range(sign_in_throttle.PER_ADDRESS):
        await browser.post(routes.PASSKEY_CHALLENGE)
    clock.shift(61)
    asked = await browser.post(routes.PASSKEY_CHALLENGE)
    assert asked.status_code == 429
    assert asked.json()["detail"].startswith("Too many attempts. Please try again in")
    answer = await browser.post(routes.STAFF_SIGN_IN, data={"passkey": "{}"})
    assert answer.status_code == 429
    assert "Too many attempts." in Shown(answer).words
