"""The second step on its two pages: one for the app's six digits, one for a recovery code."""

from __future__ import annotations

import pyotp
import pytest
import time_machine

from clinic_app.core import cookies, routes
from clinic_app.services.accounts import two_factor
from clinic_app.services.accounts.signing_in import SECOND_STEP_TRIES
from tests import factories
from tests.web.conftest import Shown, sign_in

WRONG = "This code is wrong or has already been used. Please enter the next one."


@pytest.fixture
def clock():
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as traveller:
        yield traveller


@pytest.fixture
async def step(clock, browser):
    """Grace, after the right password: her secret and her recovery codes."""
    actor = factories.make_staff(username="grace")
    two_factor.begin_two_factor(actor)
    setup = two_factor.show_two_factor(actor)
    assert setup is not None
    secret = pyotp.TOTP(setup.secret.replace(" ", ""))
    kept = two_factor.confirm_two_factor(actor, secret.at(clock_now()))
    clock.shift(60)
    answer = await sign_in(browser, "grace", factories.PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, routes.SIGN_IN_CODE)
    assert cookies.session_name() not in answer.cookies
    return secret, kept


def clock_now() -> int:
    from clinic_app.core import clock as clinic_clock

    return int(clinic_clock.now().timestamp())


async def test_the_code_of_the_app_opens_a_session(browser, step):
    page = Shown(await browser.get(routes.SIGN_IN_CODE))
    assert (page.status, page.title) == (200, "Authentication code · Lakeside Medical Centre")
    assert (page.focused["id"], page.focused["inputmode"]) == ("code", "numeric")
    assert routes.SIGN_IN_RECOVERY in [one.get("href") for one in page.all("a")]
    answer = await browser.post(routes.SIGN_IN_CODE, data={"code": step[0].at(clock_now())})
    assert (answer.status_code, answer.headers["location"]) == (303, routes.RECEPTION)
    assert cookies.session_name() in browser.cookies
    assert cookies.step_name() not in browser.cookies


async def test_a_recovery_code_has_a_page_with_letters_for_a_keyboard(browser, step):
    page = Shown(await browser.get(routes.SIGN_IN_RECOVERY))
    assert page.title == "Recovery code · Lakeside Medical Centre"
    assert "inputmode" not in page.the("code")
    assert [one["action"] for one in page.all("form")] == [routes.SIGN_IN_RECOVERY]
    answer = await browser.post(routes.SIGN_IN_RECOVERY, data={"code": step[1][0]})
    assert answer.headers["location"] == routes.RECEPTION


@pytest.mark.parametrize(
    ("path", "typed", "kept"),
    [
        (routes.SIGN_IN_CODE, "12 34", "12 34"),
        (routes.SIGN_IN_CODE, "ABCD-EFGH", ""),  # nearly a recovery code
        (routes.SIGN_IN_RECOVERY, "ABCD-EFGH", ""),
    ],
)
async def test_a_wrong_code_is_said_at_the_field(browser, step, path, typed, kept):
    page = Shown(await browser.post(path, data={"code": typed}))
    assert page.status == 400
    assert page.title.startswith("Error: ")
    assert page.words.count(WRONG) == 2
    assert page.focused["id"] == "error-summary"
    assert (page.the("code")["value"], page.the("code")["aria-invalid"]) == (kept, "true")


async def test_an_empty_code_uses_up_no_try(browser, step):
    for _ in range(SECOND_STEP_TRIES + 1):
        page = Shown(await browser.post(routes.SIGN_IN_CODE, data={"code": " "}))
        assert (page.status, page.words.count("Authentication code is required.")) == (400, 2)
    answer = await browser.post(routes.SIGN_IN_CODE, data={"code": step[0].at(clock_now())})
    assert answer.status_code == 303


async def test_after_too_many_wrong_codes_one_begins_anew(browser, step):
    for _ in range(SECOND_STEP_TRIES):
        answer = await browser.post(routes.SIGN_IN_CODE, data={"code": "00000"})
    page = Shown(answer)
    assert page.title == "Error: Staff sign in · Lakeside Medical Centre"
    assert "This took too long, or too many wrong codes were entered. Please sign in again." in page.words
    assert [one["action"] for one in page.all("form")] == [routes.STAFF_SIGN_IN]
    assert cookies.step_name() not in browser.cookies
    for path in (routes.SIGN_IN_CODE, routes.SIGN_IN_RECOVERY):
        assert (await browser.get(path)).headers["location"] == routes.STAFF_SIGN_IN


async def test_without_a_first_step_there_is_no_second(browser):
    for path in (routes.SIGN_IN_CODE, routes.SIGN_IN_RECOVERY):
        assert (await browser.get(path)).headers["location"] == routes.STAFF_SIGN_IN
        assert (await browser.post(path, data={"code": "123456"})).status_code == 400


async def test_after_the_second_step_the_browser_is_known_and_not_before(browser, step):
    assert cookies.device_name() not in browser.cookies
    await browser.post(routes.SIGN_IN_CODE, data={"code": step[0].at(clock_now())})
    assert cookies.device_name() in browser.cookies
