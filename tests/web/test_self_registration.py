"""*Register as a patient*: off unless switched on, the same answer for everybody, what was typed stays."""

from __future__ import annotations

import datetime as dt
import html
import json

import pytest
from httpx import Response

from clinic_app.core import clock, cookies, routes
from clinic_app.core.settings import get_settings
from clinic_app.models.registrations import SELF_REGISTRATIONS
from clinic_app.services import challenges
from clinic_app.services.accounts import sign_in_throttle
from clinic_app.services.notifications import links
from clinic_app.services.patients.verification import Rejection, count_waiting, list_waiting, reject_registration
from tests import factories
from tests.db import tools
from tests.web.conftest import Shown

EMAIL = "beatrice.achieng@example.org"
EVERY = (routes.SELF_REGISTRATION, routes.SELF_REGISTRATION_DONE, routes.CONFIRM_REGISTRATION)


@pytest.fixture(autouse=True)
def easy(monkeypatch):
    monkeypatch.setattr(challenges, "HARDNESS", 50)


@pytest.fixture
def on(settings):
    settings.setenv("CLINIC_SELF_REGISTRATION", "true")
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")
    get_settings.cache_clear()


def _typed(**changes: str) -> dict[str, str]:
    typed = {"first_name": "Beatrice", "last_name": "Achieng", "date_of_birth": "14/3/88", "gender": "FEMALE"}
    return {**typed, "phone": "0712445901", "email": EMAIL, "altcha": factories.solution(), **changes}


def _token(form: Response) -> str:
    (found,) = [attrs["value"] for _, attrs in Shown(form).tags if attrs.get("name") == "token"]
    return found


def _code() -> str:
    """The code of the latest registration, as the email that was sent has it."""
    row = tools.raw("SELECT id, seed FROM self_registrations ORDER BY id DESC")[0]
    links.make_findable(row.id, row.seed, SELF_REGISTRATIONS)
    return links.code_of(row.seed)


async def test_switched_off_there_is_no_such_page_and_no_link_to_it(browser):
    for path in EVERY:
        answer = await browser.get(path)
        assert (answer.status_code, Shown(answer).title) == (404, "Page not found · Lakeside Medical Centre")
    for path in (routes.SELF_REGISTRATION, routes.SELF_REGISTRATION_AGAIN, routes.CONFIRM_REGISTRATION):
        assert (await browser.post(path, data=_typed())).status_code == 404
    assert routes.SELF_REGISTRATION not in (await browser.get(routes.PORTAL_SIGN_IN)).text
    assert tools.number("SELECT count(*) FROM self_registrations") == 0


async def test_switched_on_the_sign_in_leads_to_it_and_the_page_asks_a_challenge_of_its_own(browser, on):
    assert f'href="{routes.SELF_REGISTRATION}"' in (await browser.get(routes.PORTAL_SIGN_IN)).text
    first, second = [Shown(await browser.get(routes.SELF_REGISTRATION)) for _ in range(2)]
    assert first.title == "Register as a patient · Lakeside Medical Centre"
    one, other = (json.loads(html.unescape(page.the("register")["data-challenge"])) for page in (first, second))
    assert one["challenge"] != other["challenge"]
    assert "hidden" in first.the("register")  # without scripts the page says what to do instead
    assert "Come to the desk" in first.words


async def test_an_email_is_confirmed_before_the_desk_hears_of_it(browser, on):
    desk = factories.make_staff()
    sent = await browser.post(routes.SELF_REGISTRATION, data=_typed())
    assert (sent.status_code, sent.headers["location"]) == (303, routes.SELF_REGISTRATION_DONE)
    page = Shown(await browser.get(routes.SELF_REGISTRATION_DONE))
    assert f"Nearly done, Beatrice. We sent a link to {EMAIL}." in page.words
    assert count_waiting(desk) == 0
    (message,) = tools.raw("SELECT * FROM outbox_messages")
    assert (message.kind, message.address, message.account_id) == ("CONFIRM_REGISTRATION", EMAIL, None)
    code = _code()
    assert (await browser.get(routes.CONFIRM_REGISTRATION)).status_code == 200  # which uses nothing up
    assert count_waiting(desk) == 0
    confirmed = await browser.post(routes.CONFIRM_REGISTRATION, data={"code": code.lower()})
    assert confirmed.status_code == 303
    assert "The reception has your registration." in Shown(await browser.get(routes.CONFIRM_REGISTRATION)).words
    (waits,) = list_waiting(desk).items
    assert (waits.name, waits.email_confirmed) == ("Beatrice Achieng", True)
    again = await browser.post(routes.CONFIRM_REGISTRATION, data={"code": code})
    assert again.status_code == 303
    assert count_waiting(desk) == 1


async def test_with_a_phone_alone_the_desk_has_it_at_once(browser, on):
    desk = factories.make_staff()
    await browser.post(routes.SELF_REGISTRATION, data=_typed(email=""))
    page = Shown(await browser.get(routes.SELF_REGISTRATION_DONE))
    assert "They call you on 0712 445901" in page.words
    assert count_waiting(desk) == 1
    assert tools.number("SELECT count(*) FROM outbox_messages") == 0


async def test_what_the_desk_decides_is_not_told_and_asks_for_no_second_registration(browser, on, new_browser):
    desk = factories.make_staff()
    await browser.post(routes.SELF_REGISTRATION, data=_typed(email=""))
    (waits,) = list_waiting(desk).items
    reject_registration(desk, waits.id, Rejection.parse({"reason": "TWICE"}))
    page = Shown(await browser.get(routes.SELF_REGISTRATION_DONE))
    assert "The reception has your registration." in page.words
    assert "Send registration" not in page.words
    async with new_browser() as other:
        assert (await other.get(routes.SELF_REGISTRATION_DONE)).headers["location"] == routes.SELF_REGISTRATION


async def test_without_a_mail_server_nobody_waits_for_an_email(browser, on, settings):
    settings.setenv("CLINIC_SMTP_HOST", "")
    get_settings.cache_clear()
    await browser.post(routes.SELF_REGISTRATION, data=_typed(phone=""))
    assert "The reception has your registration." in Shown(await browser.get(routes.SELF_REGISTRATION_DONE)).words
    (waits,) = list_waiting(factories.make_staff()).items
    assert not waits.email_confirmed


async def test_what_is_wrong_is_said_beside_it_and_what_was_typed_stays(browser, on):
    wrong = _typed(last_name="", date_of_birth="soon", phone="0712 or 0713", email="", next_of_kin_phone="12")
    answer = await browser.post(routes.SELF_REGISTRATION, data=wrong)
    page = Shown(answer)
    assert (page.status, page.title) == (400, "Error: Register as a patient · Lakeside Medical Centre")
    for name in ("first_name", "date_of_birth", "phone", "next_of_kin_phone"):
        assert page.the(name)["value"] == wrong[name]
    for name in ("last_name", "date_of_birth", "phone", "next_of_kin_phone"):
        assert (page.the(name)["aria-invalid"], f"{name}-error" in page.the(name)["aria-describedby"]) == ("true", True)
    assert page.focused.get("id") == "error-summary"
    assert tools.number("SELECT count(*) FROM self_registrations") == 0
    nowhere = Shown(await browser.post(routes.SELF_REGISTRATION, data=_typed(phone=" ", email="")))
    assert "A phone or an email is needed, so that we can reach you." in nowhere.words
    one_name = await browser.post(routes.SELF_REGISTRATION, data=_typed(last_name="", single_name="on"))
    assert one_name.status_code == 303


@pytest.mark.parametrize(
    "typed",
    ["", "x", "e30=", "x" * 10_000, "\u0000", "bnVsbA==", "eyJhbGdvcml0aG0iOiAiU0hBLTI1NiJ9"],
    ids=["none", "letters", "empty", "long", "nul", "null", "half"],
)
async def test_what_is_no_solution_registers_nobody(browser, on, typed):
    page = Shown(await browser.post(routes.SELF_REGISTRATION, data=_typed(altcha=typed)))
    assert page.status == 400
    assert challenges.ChallengeNotSolved.detail in page.words
    assert page.the("email")["value"] == EMAIL
    assert tools.number("SELECT count(*) FROM self_registrations") == 0


async def test_a_solution_counts_once_and_for_an_hour(browser, on, monkeypatch, new_browser):
    typed = _typed()
    assert (await browser.post(routes.SELF_REGISTRATION, data=typed)).status_code == 303
    async with new_browser() as other:
        assert (await other.post(routes.SELF_REGISTRATION, data=typed)).status_code == 400
    changed = {**typed, "first_name": "Maria"}
    assert (await browser.post(routes.SELF_REGISTRATION, data=changed)).status_code == 400
    assert tools.number("SELECT count(*) FROM self_registrations") == 1
    old = _typed()
    now = challenges.clock.now()
    monkeypatch.setattr(challenges.clock, "now", lambda: now + challenges.LIFE)
    assert (await browser.post(routes.SELF_REGISTRATION, data=old)).status_code == 400


async def test_nothing_says_whether_somebody_is_a_patient_already(browser, on, new_browser):
    """Answers, messages and what is kept are the same for a stranger and for a patient with a portal account."""
    desk = factories.make_staff()
    known = {"first_name": "Amina", "last_name": "Odhiambo", "phone": "0712445901", "date_of_birth": "14/3/88"}
    factories.make_patient(desk, portal_email="amina@example.org", **known)
    told = []
    for email, first in (("amina@example.org", "Amina"), ("stranger@example.org", "Nobody")):
        async with new_browser() as one:
            sent = await one.post(
                routes.SELF_REGISTRATION, data=_typed(**{**known, "first_name": first, "email": email})
            )
            shown = await one.get(routes.SELF_REGISTRATION_DONE)
        cookie = sent.headers["set-cookie"].split("=")[0]
        words = shown.text.replace(email, "EMAIL").replace(first, "NAME")
        told.append((sent.status_code, sent.headers["location"], cookie, words))
    assert told[0] == told[1]
    kinds = [row.kind for row in tools.raw("SELECT kind FROM outbox_messages WHERE registration_id IS NOT NULL")]
    assert kinds == ["CONFIRM_REGISTRATION"] * 2


async def test_one_address_registers_so_often_and_is_told(browser, on):
    for number in range(sign_in_throttle.ASKS_PER_ADDRESS):
        typed = _typed(email=f"n{number}@example.org")
        assert (await browser.post(routes.SELF_REGISTRATION, data=typed)).status_code == 303
    answer = await browser.post(routes.SELF_REGISTRATION, data=_typed())
    page = Shown(answer)
    assert (page.status, page.the("first_name")["value"]) == (429, "Beatrice")
    assert int(answer.headers["retry-after"]) > 0
    assert "Too many attempts" in page.words


async def test_the_email_is_sent_again_to_the_browser_that_registered_three_times_an_hour(browser, on, new_browser):
    await browser.post(routes.SELF_REGISTRATION, data=_typed())
    async with new_browser() as other:
        assert (await other.get(routes.SELF_REGISTRATION_DONE)).headers["location"] == routes.SELF_REGISTRATION
        await other.post(routes.SELF_REGISTRATION_AGAIN)
    assert tools.number("SELECT count(*) FROM outbox_messages") == 1
    for _ in range(4):
        answer = await browser.post(routes.SELF_REGISTRATION_AGAIN)
        assert answer.headers["location"] == routes.SELF_REGISTRATION_DONE
        assert "We sent the email again" in Shown(await browser.get(routes.SELF_REGISTRATION_DONE)).words
    assert tools.number("SELECT count(*) FROM outbox_messages") == 3
    cookie = browser.cookies[cookies.registration_name()]
    assert cookie not in str(tools.dump())


async def test_a_wrong_code_and_one_that_is_over_are_told(browser, on):
    page = Shown(await browser.post(routes.CONFIRM_REGISTRATION, data={"code": "7KQM-4RXT-92WD"}))
    assert (page.status, page.the("code")["value"]) == (400, "7KQM-4RXT-92WD")
    assert "This code is not right." in page.words
    assert (await browser.post(routes.CONFIRM_REGISTRATION, data={})).status_code == 400
    await browser.post(routes.SELF_REGISTRATION, data=_typed())
    code = _code()
    tools.write("UPDATE self_registrations SET expires_at = created_at")
    over = Shown(await browser.post(routes.CONFIRM_REGISTRATION, data={"code": code}))
    assert (over.status, over.title) == (410, "This link has expired · Lakeside Medical Centre")


async def test_hostile_text_is_shown_as_it_is(browser, on):
    bad = "<script>alert(1)</script>'\"{{7*7}}"
    page = await browser.post(
        routes.SELF_REGISTRATION, data=_typed(first_name=bad, last_name="\u202e" * 500, phone="x")
    )
    assert "<script>alert" not in page.text
    assert "{{7*7}}" in html.unescape(page.text)
    sent = await browser.post(routes.SELF_REGISTRATION, data=_typed(first_name=bad))
    assert sent.status_code == 303
    assert "<script>alert" not in (await browser.get(routes.SELF_REGISTRATION_DONE)).text


async def test_gone_back_and_sent_again_it_is_the_same_registration(browser, on):
    for _ in range(2):
        assert (await browser.post(routes.SELF_REGISTRATION, data=_typed(email=""))).status_code == 303
    assert tools.number("SELECT count(*) FROM self_registrations") == 1
    assert (await browser.get(routes.SELF_REGISTRATION_DONE)).status_code == 200
    assert (await browser.post(routes.SELF_REGISTRATION, data=_typed(email="", first_name="Maria"))).status_code == 303
    assert tools.number("SELECT count(*) FROM self_registrations") == 2, "a relative, or a slip put right"


async def test_sent_again_because_the_answer_was_lost_it_is_the_same_registration(browser, on, new_browser):
    typed = _typed(token=_token(await browser.get(routes.SELF_REGISTRATION)))
    wrong = await browser.post(routes.SELF_REGISTRATION, data={**typed, "phone": "x"})
    assert _token(wrong) == typed["token"]
    await browser.post(routes.SELF_REGISTRATION, data=typed)
    browser.cookies.clear()  # as where the answer never came
    assert (await browser.post(routes.SELF_REGISTRATION, data=typed)).status_code == 303
    assert (await browser.get(routes.SELF_REGISTRATION_DONE)).status_code == 200
    assert tools.number("SELECT count(*) FROM self_registrations") == 1
    assert tools.number("SELECT count(*) FROM outbox_messages") == 1
    async with new_browser() as other:  # another person, should the same form be filled in once more
        sent = _typed(token=typed["token"], first_name="Maria")
        assert (await other.post(routes.SELF_REGISTRATION, data=sent)).status_code == 303
    assert tools.number("SELECT count(DISTINCT browser_digest) FROM self_registrations") == 2


async def test_whoever_has_only_seen_the_form_can_ask_nothing_by_its_token(browser, on, new_browser):
    token = _token(await browser.get(routes.SELF_REGISTRATION))
    await browser.post(routes.SELF_REGISTRATION, data=_typed(token=token))
    async with new_browser() as other:
        other.cookies.set(cookies.registration_name(), token)
        assert EMAIL not in (await other.get(routes.SELF_REGISTRATION_DONE)).text


@pytest.mark.parametrize("token", ["\u2603" * 43, "\r\n;" * 20, "x"])
async def test_whatever_is_sent_as_the_token_of_the_form_it_is_answered(browser, on, token):
    answer = await browser.post(routes.SELF_REGISTRATION, data=_typed(token=token))
    assert answer.status_code == 303
    assert EMAIL in (await browser.get(routes.SELF_REGISTRATION_DONE)).text


async def test_sent_again_the_browser_may_ask_no_longer_than_it_could(browser, on, monkeypatch):
    await browser.post(routes.SELF_REGISTRATION, data=_typed())
    later = clock.now() + dt.timedelta(minutes=20)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: later)
        again = await browser.post(routes.SELF_REGISTRATION, data=_typed())
    seconds = int(again.headers["set-cookie"].partition("Max-Age=")[2].partition(";")[0])
    assert 500 < seconds <= 600, "else the page would say for a while that the reception has what nobody confirmed"
    assert tools.number("SELECT count(*) FROM self_registrations") == 1
