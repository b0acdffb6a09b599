"""*Choose your password* on both sides: for whom it is, what it says, and that no password comes back."""

from __future__ import annotations

import asyncio
import threading

import httpx
import pytest

from clinic_app.core import cookies, crypto, routes
from clinic_app.models.accounts import Role
from clinic_app.services import access
from clinic_app.services.accounts import passwords, places, sessions, staff
from tests import factories
from tests.web.conftest import Shown, sign_in

GOOD = "seven amber kettles hum"
SIDES = {"staff": routes.STAFF_PASSWORD, "patient": routes.PORTAL_PASSWORD}


async def first_time(side: str, browser: httpx.AsyncClient) -> tuple[str, str, str]:
    """Somebody signed in with a temporary password: the page's address, their username and that password."""
    if side == "staff":
        made = staff.create_staff_with_temporary_password(access.SYSTEM, "first.day", "First Day", Role.CLINICIAN)
        credentials, door = made.credentials, routes.STAFF_SIGN_IN
    else:
        made = factories.make_patient(factories.make_staff(), portal_email="first.time@example.org")
        credentials, door = made.credentials, routes.PORTAL_SIGN_IN
    answer = await sign_in(browser, credentials.username, credentials.temporary_password, door)
    assert (answer.status_code, answer.headers["location"]) == (303, SIDES[side])
    return SIDES[side], credentials.username, credentials.temporary_password


@pytest.fixture(params=list(SIDES))
async def temporary(request, browser):
    return await first_time(request.param, browser)


def _form(new: str, again: str | None = None) -> dict[str, str]:
    return {"new_password": new, "confirm_password": new if again is None else again}


async def test_the_page_names_the_account_for_password_managers(browser, temporary):
    path, username, _ = temporary
    page = Shown(await browser.get(path))
    assert (page.status, page.title) == (200, "Choose your password · Lakeside Medical Centre")
    (kept,) = [one for one in page.all("input") if one.get("autocomplete") == "username"]
    assert (kept["value"], "hidden" in kept) == (username, True)
    assert page.the("new_password")["minlength"] == "15"
    hidden = [one for _, one in page.tags if "data-script" in one]
    assert len(hidden) == 3  # two Show buttons and the meter
    assert all("hidden" in one for one in hidden)


async def test_a_good_one_opens_a_new_session(browser, temporary):
    path, username, _ = temporary
    before = browser.cookies[cookies.session_name()]
    answer = await browser.post(path, data=_form(GOOD))
    assert answer.headers["location"] == (routes.RECEPTION if path == routes.STAFF_PASSWORD else routes.PORTAL)
    assert sessions.resolve(crypto.digest(before)).kind == "anonymous"
    assert sessions.resolve(crypto.digest(browser.cookies[cookies.session_name()])).username == username
    assert (await browser.get(path)).headers["location"] == answer.headers["location"]  # there is nothing to choose


@pytest.mark.parametrize(
    ("new", "again", "field", "words"),
    [
        ("", "", "new_password", "New password is required."),
        ("too short", "too short", "new_password", "6 more characters needed."),
        (GOOD, "something else", "confirm_password", "The two passwords are not the same."),
    ],
)
async def test_a_mistake_is_said_at_its_field_and_nothing_typed_comes_back(
    browser, temporary, new, again, field, words
):
    path, _, _ = temporary
    page = Shown(await browser.post(path, data=_form(new, again)))
    assert (page.status, page.title) == (400, "Error: Choose your password · Lakeside Medical Centre")
    assert page.words.count(words) == 2
    assert page.focused["id"] == "error-summary"
    assert page.the(field)["aria-invalid"] == "true"
    for typed in (new, again):
        assert not typed or typed not in page.html
    assert (page.the("new_password")["value"], page.the("confirm_password")["value"]) == ("", "")


async def test_the_temporary_one_is_not_taken(browser, temporary):
    path, _, password = temporary
    page = Shown(await browser.post(path, data=_form(password + password)))
    assert page.status in (303, 400)
    page = Shown(await browser.post(path, data=_form(password)))
    assert page.status == 400
    assert password not in page.html


async def test_a_passphrase_is_suggested_without_scripts(browser, temporary):
    path, _, _ = temporary
    page = Shown(await browser.post(path, data={"do": "suggest"}))
    offered = page.the("new_password")["value"]
    assert (page.status, len(offered.split())) == (200, 5)
    assert page.the("confirm_password")["value"] == offered
    assert (page.the("new_password")["type"], page.title.startswith("Error")) == ("text", False)
    assert f"Filled in: {offered}." in page.words
    assert (await browser.post(path, data=_form(offered))).status_code == 303


async def test_the_other_sides_page_leads_to_ones_own(browser, temporary):
    path, _, _ = temporary
    other = next(one for one in SIDES.values() if one != path)
    for answer in (await browser.get(other), await browser.post(other, data=_form(GOOD))):
        assert (answer.status_code, answer.headers["location"]) == (303, path)


@pytest.mark.parametrize("path", SIDES.values())
async def test_nobody_is_sent_to_the_sign_in_of_that_side(browser, path):
    door = routes.STAFF_SIGN_IN if path == routes.STAFF_PASSWORD else routes.PORTAL_SIGN_IN
    for answer in (await browser.get(path), await browser.post(path, data=_form(GOOD))):
        assert (answer.status_code, answer.headers["location"]) == (303, door)


@pytest.mark.parametrize("side", SIDES)
async def test_sent_twice_at_once_the_answer_that_was_too_late_takes_no_session_away(
    own_database, new_browser, monkeypatch, side
):
    browser = new_browser()
    path, username, _ = await first_time(side, browser)
    old, both = browser.cookies[cookies.session_name()], threading.Barrier(2)
    choose = passwords.choose_password

    def together(*given, **named):
        both.wait(10)  # each has seen the session open
        return choose(*given, **named)

    monkeypatch.setattr(passwords, "choose_password", together)
    senders = [new_browser(), new_browser()]
    for sender in senders:
        sender.cookies.set(cookies.session_name(), old)
    answers = await asyncio.gather(*(sender.post(path, data=_form(GOOD)) for sender in senders))
    late, done = sorted(answers, key=lambda answer: cookies.session_name() in answer.cookies)
    assert sessions.resolve(crypto.digest(done.cookies[cookies.session_name()])).username == username
    assert (late.status_code, late.headers["location"]) == (303, places.sign_in_page(path))
    assert "set-cookie" not in late.headers
    kept = {"cookie": f"{cookies.session_name()}={done.cookies[cookies.session_name()]}"}
    assert (await new_browser().get(late.headers["location"], headers=kept)).headers["location"] == done.headers[
        "location"
    ]
