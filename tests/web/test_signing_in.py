"""Signing in on the plain pages: what each answer says, what it keeps, and where it leads."""

from __future__ import annotations

import pytest
import time_machine
from sqlalchemy import select, update

from clinic_app.core import clock as clocks
from clinic_app.core import cookies, crypto, db, routes
from clinic_app.models.accounts import ACCOUNTS, LOGIN_SESSIONS, Role
from clinic_app.services import access
from clinic_app.services.accounts import sessions, staff
from tests import factories
from tests.web.conftest import Shown, sign_in

WRONG = "Incorrect username or password."
STAFF, PORTAL = routes.STAFF_SIGN_IN, routes.PORTAL_SIGN_IN


@pytest.fixture
def grace(database):
    return factories.make_staff(username="grace.wanjiru")


@pytest.fixture
def amina(grace):
    return factories.make_patient(grace, portal_email="amina@example.org")


def _open_sessions() -> int:
    with db.reading() as session:
        return len(session.execute(select(LOGIN_SESSIONS.c.id).where(LOGIN_SESSIONS.c.ended_at.is_(None))).all())


@pytest.mark.parametrize(("path", "title"), [(STAFF, "Staff sign in"), (PORTAL, "Patient portal sign in")])
async def test_the_page_is_a_form_that_posts_to_its_own_address(browser, path, title):
    answer = await browser.get(path)
    page = Shown(answer)
    assert (answer.status_code, page.title) == (200, f"{title} · Lakeside Medical Centre")
    assert answer.headers["cache-control"] == "no-store"
    assert [(one["method"], one["action"]) for one in page.all("form")] == [("post", path)]
    assert page.focused == {}
    assert page.the("password")["value"] == ""
    other = PORTAL if path == STAFF else STAFF
    assert other in [one.get("href") for one in page.all("a")]


async def test_staff_sign_in_leads_to_reception_with_a_cookie(browser, grace):
    answer = await sign_in(browser, "grace.wanjiru", factories.PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, routes.RECEPTION)
    assert cookies.session_name() in answer.cookies
    assert sessions.resolve(crypto.digest(browser.cookies[cookies.session_name()])).username == "grace.wanjiru"


async def test_a_wrong_password_says_so_in_the_answer_and_keeps_the_name_only(browser, grace):
    answer = await sign_in(browser, "grace.wanjiru", "a secret slip")
    page = Shown(answer)
    assert (answer.status_code, page.title) == (400, "Error: Staff sign in · Lakeside Medical Centre")
    assert answer.headers["cache-control"] == "no-store"
    assert WRONG in page.words
    assert page.the("username")["value"] == "grace.wanjiru"
    assert page.focused["id"] == "password"
    assert "a secret slip" not in page.html
    assert cookies.session_name() not in answer.cookies


async def test_what_is_missing_is_said_at_its_field_and_counts_as_no_try(browser, grace):
    page = Shown(await sign_in(browser, " ", ""))
    assert page.status == 400
    assert page.title.startswith("Error: ")
    assert page.focused["id"] == "error-summary"
    for name, words in (("username", "Username is required."), ("password", "Password is required.")):
        assert page.the(name)["aria-invalid"] == "true"
        assert f"{name}-error" in page.the(name)["aria-describedby"]
        assert page.words.count(words) == 2  # in the summary, and beside the field
    for _ in range(12):
        await browser.post(STAFF, data={"username": "grace.wanjiru"})
    assert (await sign_in(browser, "grace.wanjiru", factories.PASSWORD)).status_code == 303


@pytest.mark.parametrize(
    ("name", "password", "path"),
    [
        ("nobody.here", "whatever it is", STAFF),
        ("amina@example.org", factories.OWN_PASSWORD, STAFF),
        ("grace.wanjiru", factories.PASSWORD, PORTAL),
    ],
)
async def test_an_unknown_name_and_the_other_side_read_the_same(browser, amina, name, password, path):
    factories.own_password(amina)
    page = Shown(await sign_in(browser, name, password, path))
    assert (page.status, WRONG in page.words) == (400, True)
    assert (PORTAL if path == STAFF else STAFF) in [one.get("href") for one in page.all("a")]


@pytest.mark.parametrize(("path", "waits"), [(STAFF, False), (PORTAL, True)])
async def test_too_many_tries_say_how_long_to_wait(browser, grace, path, waits):
    for _ in range(6):
        answer = await sign_in(browser, "too.many@example.org", "wrong one", path)
    page = Shown(answer)
    assert answer.status_code == 429
    assert "Too many attempts. Please try again in 1 minute." in page.words
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert ("Cannot wait?" in page.words) == waits


async def test_an_expired_temporary_password_gets_a_page_that_says_what_to_do(browser, amina):
    with db.transaction() as session:
        session.execute(update(ACCOUNTS).values(password_expires_at=clocks.now()))
    made = amina.credentials
    page = Shown(await sign_in(browser, made.username, made.temporary_password, PORTAL))
    assert page.status == 410
    assert page.title == "Error: Your temporary password has expired · Lakeside Medical Centre"
    assert "This temporary password has expired. Please ask the reception for a new one." in page.words
    assert "Use it within 48 hours." in page.words
    assert "tel:+254207123456" in [one.get("href") for one in page.all("a")]
    assert made.temporary_password not in page.html


async def test_an_expired_staff_password_is_said_in_the_form(browser, database):
    made = staff.create_staff_with_temporary_password(access.SYSTEM, "late.comer", "Late Comer", Role.CLINICIAN)
    with db.transaction() as session:
        session.execute(update(ACCOUNTS).values(password_expires_at=clocks.now()))
    page = Shown(await sign_in(browser, "late.comer", made.credentials.temporary_password))
    assert (page.status, page.the("username")["value"]) == (410, "late.comer")
    assert "This temporary password has expired. Please ask an administrator for a new one." in page.words


async def test_somebody_signed_in_is_sent_on(browser, amina):
    await sign_in(browser, "grace.wanjiru", factories.PASSWORD)
    for path in (STAFF, PORTAL, routes.SIGN_IN_CODE, routes.SIGN_IN_RECOVERY, routes.STAFF_PASSWORD):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, routes.RECEPTION), path
    assert (await browser.get(routes.PORTAL_PASSWORD)).headers["location"] == routes.RECEPTION


async def test_a_sign_in_posted_twice_leaves_one_session(browser, grace):
    form = {"username": "grace.wanjiru", "password": factories.PASSWORD}
    await browser.get(STAFF)
    first, second = await browser.post(STAFF, data=form), await browser.post(STAFF, data=form)
    assert (first.status_code, second.status_code) == (303, 303)
    assert _open_sessions() == 1


async def test_a_form_that_was_open_for_a_day_still_works(browser, grace):
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as now:
        await browser.get(STAFF)
        now.shift(26 * 3600)
        answer = await browser.post(STAFF, data={"username": "grace.wanjiru", "password": factories.PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, routes.RECEPTION)


async def test_a_second_account_in_the_same_browser_takes_the_place_of_the_first(browser, amina):
    factories.own_password(amina)
    await browser.get(STAFF)
    await browser.post(STAFF, data={"username": "grace.wanjiru", "password": factories.PASSWORD})
    first = browser.cookies[cookies.session_name()]
    form = {"email": "amina@example.org", "password": factories.OWN_PASSWORD}
    assert (await browser.post(PORTAL, data=form)).headers["location"] == routes.PORTAL  # a page opened before
    assert sessions.resolve(crypto.digest(first)).kind == "anonymous"


# --- cookies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [STAFF, PORTAL])
async def test_a_browser_without_cookies_is_told_so_before_anything_is_tried(browser, grace, path, monkeypatch):
    monkeypatch.setattr("clinic_app.web.signing_in.sign_in", lambda *_, **__: pytest.fail("tried"))
    await browser.get(path)
    browser.cookies.clear()
    page = Shown(await browser.post(path, data={"username": "grace.wanjiru", "password": factories.PASSWORD}))
    assert (page.status, page.title) == (400, "Cookies are off · Lakeside Medical Centre")
    assert path in [one.get("href") for one in page.all("a")]


async def test_the_page_sets_a_cookie_that_says_nothing_and_sets_it_once(browser, grace):
    answer = await browser.get(STAFF)
    (line,) = answer.headers.get_list("set-cookie")
    assert line.startswith(f"{cookies.probe_name()}=1; ")
    assert "httponly" in line.lower()
    assert "samesite=strict" in line.lower()
    assert (await browser.get(STAFF)).headers.get_list("set-cookie") == []


# --- a session that is over -----------------------------------------------------------------------


async def test_after_an_idle_end_the_page_says_why(browser, amina):
    factories.own_password(amina)
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as now:
        await sign_in(browser, "grace.wanjiru", factories.PASSWORD)
        now.shift(15 * 60)
        page = Shown(await browser.get(STAFF))
        assert "You were signed out" in page.words
        assert "Nothing was done for 15 minutes. Sign in to go on where you were" in page.words
        assert not page.title.startswith("Error")
        assert "grace.wanjiru" not in page.html
        assert "You were signed out" not in Shown(await browser.get(PORTAL)).words  # that was the other side
        back = await browser.post(STAFF, data={"username": "grace.wanjiru", "password": factories.PASSWORD})
        assert back.status_code == 303
        await browser.post(routes.SIGN_OUT)
        await sign_in(browser, "amina@example.org", factories.OWN_PASSWORD, PORTAL)
        now.shift(15 * 60)
        words = Shown(await browser.get(PORTAL)).words
        assert "So nobody else who takes your phone can read your record." in words


async def test_after_the_longest_time_the_page_says_so(browser, grace):
    with time_machine.travel("2026-06-15 00:00:00+00:00", tick=False) as now:
        await sign_in(browser, "grace.wanjiru", factories.PASSWORD)
        token = crypto.digest(browser.cookies[cookies.session_name()])
        for _ in range(12 * 6):
            now.shift(10 * 60)
            sessions.resolve(token)
        assert "Signing in lasts 12 hours. Sign in again to go on." in Shown(await browser.get(STAFF)).words


@pytest.mark.parametrize("how", ["signed out", "turned off", "never there"])
async def test_of_a_session_that_somebody_ended_the_page_says_nothing(browser, grace, how):
    await sign_in(browser, "grace.wanjiru", factories.PASSWORD)
    token = browser.cookies[cookies.session_name()]
    if how == "signed out":
        sessions.sign_out(crypto.digest(token))
    elif how == "turned off":
        with db.transaction() as session:
            session.execute(update(ACCOUNTS).values(is_active=False))
    else:
        browser.cookies.set(cookies.session_name(), "x" * 43)
    assert "You were signed out" not in Shown(await browser.get(STAFF)).words


async def test_signing_in_again_leads_back_to_where_one_was(browser, grace):
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as now:
        await sign_in(browser, "grace.wanjiru", factories.PASSWORD)
        sessions.remember_path(crypto.digest(browser.cookies[cookies.session_name()]), "/patients/new")
        now.shift(15 * 60)
        answer = await sign_in(browser, "grace.wanjiru", factories.PASSWORD)
        assert answer.headers["location"] == "/patients/new"


@pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example", "/patient-portal", "/auth/logout"])
async def test_a_way_back_that_is_no_page_of_the_desk_leads_to_reception(browser, grace, path):
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as now:
        await sign_in(browser, "grace.wanjiru", factories.PASSWORD)
        sessions.remember_path(crypto.digest(browser.cookies[cookies.session_name()]), path)
        now.shift(15 * 60)
        answer = await sign_in(browser, "grace.wanjiru", factories.PASSWORD)
        assert answer.headers["location"] == routes.RECEPTION


@pytest.mark.parametrize("path", [STAFF, PORTAL, routes.SIGN_IN_CODE])
async def test_head_is_answered_as_get(browser, grace, path):
    got, asked = await browser.get(path), await browser.head(path)
    assert (asked.status_code, asked.headers.get("location")) == (got.status_code, got.headers.get("location"))


@pytest.mark.parametrize("address", [routes.SIGN_OUT, routes.SIGN_OUT_EVERYWHERE])
@pytest.mark.parametrize(
    ("left", "door"),
    [("/patient-portal", PORTAL), (routes.PORTAL_PASSWORD, PORTAL), ("/patients", STAFF), ("", STAFF), ("//[", STAFF)],
)
async def test_signing_out_once_more_leads_to_the_door_of_the_page_that_was_left(browser, address, left, door):
    browser.cookies.set(cookies.session_name(), "x" * 43)
    referer = f"http://localhost:3000{left}" if left.startswith("/p") else left
    answer = await browser.post(address, headers={"referer": referer} if referer else {})
    assert (answer.status_code, answer.headers["location"]) == (303, door)


async def test_a_browser_keeps_what_it_is_known_by_whoever_signs_in_with_it(browser, new_browser, grace, amina):
    await sign_in(browser, "grace.wanjiru", factories.PASSWORD)
    known = browser.cookies[cookies.device_name()]
    await browser.post(routes.SIGN_OUT)
    assert browser.cookies[cookies.device_name()] == known
    temporary = amina.credentials.temporary_password
    await sign_in(browser, "amina@example.org", temporary, PORTAL)
    assert browser.cookies[cookies.device_name()] == known
    factories.lock("grace.wanjiru")
    await browser.post(routes.SIGN_OUT)
    assert (await sign_in(browser, "grace.wanjiru", factories.PASSWORD)).status_code == 303
    async with new_browser() as another:
        answer = await sign_in(another, "grace.wanjiru", factories.PASSWORD)
        assert answer.status_code == 429
        assert cookies.device_name() not in answer.cookies
