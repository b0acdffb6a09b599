"""*Set your password* and *Forgot your password?*: the pages, what they say, and what they never say."""

from __future__ import annotations

import asyncio
import json
import statistics
import time

import pytest

from clinic_app.core import cookies, crypto, routes
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts import guessability, sessions, sign_in_throttle
from clinic_app.services.accounts.code_tries import NOT_RIGHT
from clinic_app.services.portal import provisioning
from clinic_app.web import forgotten
from tests import factories
from tests.db import tools
from tests.web.conftest import Shown, sign_in

EMAIL = "amina.pages@example.org"
NEW = "seven kettles under rain"
NOBODYS = "7KQM-4RXT-92WD"
INVALID = "Please provide a valid email address."


@pytest.fixture(autouse=True)
def mail(settings):
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")


@pytest.fixture
def no_pace(monkeypatch):
    monkeypatch.setattr(forgotten, "PACE", 0.0)


@pytest.fixture
def invited(browser):
    desk = factories.make_staff()
    return desk, factories.make_patient(desk, portal_email=EMAIL)


@pytest.fixture
def code(invited) -> str:
    return factories.link_code(EMAIL)


def _form(code: str, new: str = NEW, again: str | None = None, **more: str) -> dict[str, str]:
    return {"code": code, "new_password": new, "confirm_password": new if again is None else again, **more}


async def _ended(browser, code: str) -> Shown:
    page = Shown(await browser.post(routes.ACTIVATE, data=_form(code)))
    assert page.status == 410
    assert code not in page.html
    return page


# --- setting a password -------------------------------------------------------------------------------------------


async def test_the_page_says_nothing_of_anybody_and_uses_nothing_up(browser, code):
    for site in ("none", "cross-site", "same-origin"):  # typed, from a mail program's page, from ours
        answer = await browser.get(routes.ACTIVATE, headers={"sec-fetch-site": site})
        page = Shown(answer)
        assert (page.status, page.title) == (200, "Set your password · Lakeside Medical Centre")
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
    assert EMAIL not in page.html
    assert "Amina" not in page.html
    field = page.the("code")
    assert (field["value"], field["autocomplete"], field["maxlength"]) == ("", "one-time-code", "300")
    assert page.the("new_password")["minlength"] == "15"
    assert (await browser.head(routes.ACTIVATE)).status_code == 200
    assert (await browser.post(routes.ACTIVATE, data=_form(code))).status_code == 303


async def test_the_short_address_leads_there_and_nothing_of_it_is_looked_at(browser):
    answer = await browser.get(routes.SHORT_ACTIVATE)
    assert (answer.status_code, answer.headers["location"]) == (303, routes.ACTIVATE)  # no fragment: ours is kept


async def test_a_good_password_opens_the_record(browser, code):
    answer = await browser.post(routes.ACTIVATE, data=_form(code))
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL)
    assert sessions.resolve(crypto.digest(browser.cookies[cookies.session_name()])).username == EMAIL
    assert cookies.device_name() in browser.cookies
    assert (await browser.get(routes.ACTIVATE)).status_code == 200  # for whoever opens another link here


async def test_another_persons_session_in_this_browser_ends(browser, code):
    grace = factories.make_staff()
    await sign_in(browser, grace.username, factories.PASSWORD)
    before = browser.cookies[cookies.session_name()]
    assert (await browser.post(routes.ACTIVATE, data=_form(code))).headers["location"] == routes.PORTAL
    assert sessions.resolve(crypto.digest(before)).kind == "anonymous"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"code": NOBODYS}, "code", NOT_RIGHT),
        ({"code": ""}, "code", "Code from the message is required."),
        ({"new_password": ""}, "new_password", "New password is required."),
        ({"new_password": "too short"}, "new_password", "6 more characters needed."),
        ({"confirm_password": "something else"}, "confirm_password", "The two passwords are not the same."),
    ],
)
async def test_a_mistake_is_said_at_its_field_and_no_password_comes_back(browser, code, changes, field, words):
    sent = {**_form(code), **changes}
    page = Shown(await browser.post(routes.ACTIVATE, data=sent))
    assert (page.status, page.title) == (400, "Error: Set your password · Lakeside Medical Centre")
    assert page.words.count(words) == 2
    assert page.focused["id"] == "error-summary"
    assert page.the(field)["aria-invalid"] == "true"
    assert page.the("code")["value"] == sent["code"]
    for name in ("new_password", "confirm_password"):
        assert page.the(name)["value"] == ""
        assert not sent[name] or sent[name] not in page.html
    assert (await browser.post(routes.ACTIVATE, data=_form(code))).status_code == 303


async def test_a_passphrase_is_suggested_beside_the_code_that_was_typed(browser, code):
    page = Shown(await browser.post(routes.ACTIVATE, data={"code": code, "new_password": "", "do": "suggest"}))
    offered = page.the("new_password")["value"]
    assert (page.status, page.title.startswith("Error"), len(offered.split())) == (200, False, 5)
    assert (page.the("code")["value"], page.the("confirm_password")["value"]) == (code, offered)
    assert tools.number("SELECT count(*) FROM sign_in_limits") == 0
    assert (await browser.post(routes.ACTIVATE, data=_form(code, offered))).status_code == 303


async def test_enter_in_a_field_saves(browser):
    """The first button of a form is what Enter presses."""
    page = Shown(await browser.get(routes.ACTIVATE))
    first = next(one for one in page.all("button") if one.get("type") == "submit")
    assert "name" not in first


async def test_a_used_link_leads_to_signing_in(browser, code):
    await browser.post(routes.ACTIVATE, data=_form(code))
    page = await _ended(browser, code)
    assert page.title == "This code was used already · Lakeside Medical Centre"
    assert "A password was set with it on" in page.words
    buttons = [one["href"] for one in page.all("a") if "btn" in one.get("class", "")]
    assert buttons == [routes.PORTAL_SIGN_IN, routes.FORGOT]


async def test_a_superseded_link_says_when_the_newer_one_was_sent(browser, invited, code):
    desk, done = invited
    provisioning.reset_portal_password(desk, done.patient.id)
    page = await _ended(browser, code)
    assert page.title.startswith("There is a newer code")
    assert "We sent you another message on" in page.words
    buttons = [one["href"] for one in page.all("a") if "btn" in one.get("class", "")]
    assert buttons == [routes.ACTIVATE, routes.FORGOT]


async def test_an_expired_link_says_until_when_it_worked(browser, code, settings):
    tools.write("UPDATE one_time_links SET expires_at = '2026-06-16 13:40:00.000000'")
    page = await _ended(browser, code)
    assert "It worked until 16 Jun 2026, 16:40." in page.words
    assert "Open its link within 2 hours." in page.words
    assert next(one["href"] for one in page.all("a") if "btn" in one.get("class", "")) == routes.FORGOT
    assert "Call 020 712 3456" in page.words


async def test_a_link_that_a_password_ended_and_one_of_an_account_that_is_off(browser, invited, code):
    desk, done = invited
    factories.own_password(done)
    page = await _ended(browser, code)
    assert page.title.startswith("This code does not work any more")
    provisioning.turn_off_portal(desk, done.patient.id)
    page = await _ended(browser, code)
    assert page.title.startswith("Your sign-in is turned off")
    assert not [one for one in page.all("a") if one.get("href") == routes.FORGOT]
    assert "Call 020 712 3456" in page.words


@pytest.mark.parametrize("why", ["used", "expired", "replaced"])
async def test_without_emails_an_ended_link_leads_to_the_reception(browser, invited, code, settings, why):
    if why == "used":
        await browser.post(routes.ACTIVATE, data=_form(code))
    elif why == "expired":
        tools.write("UPDATE one_time_links SET expires_at = '2026-06-16 13:40:00.000000'")
    else:
        factories.own_password(invited[1])
    settings.setenv("CLINIC_SMTP_HOST", "")
    get_settings.cache_clear()
    page = await _ended(browser, code)
    assert "message" not in page.words.partition("What to do")[2].partition("Opening a link")[0]
    assert not [one for one in page.all("a") if one.get("href") == routes.FORGOT]


@pytest.mark.slow
async def test_too_many_wrong_codes_are_told_with_when_to_come_back(browser, code):
    for _ in range(50):
        assert (await browser.post(routes.ACTIVATE, data=_form(NOBODYS))).status_code == 400
    answer = await browser.post(routes.ACTIVATE, data=_form(code))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    page = Shown(answer)
    assert "Too many attempts. Please try again in 1 minute." in page.words
    assert page.the("code")["value"] == code


async def test_sent_twice_at_once_one_opens_the_record_and_the_other_says_used(own_database, new_browser):
    factories.make_patient(factories.make_staff(), portal_email=EMAIL)
    code = factories.link_code(EMAIL)
    answers = await asyncio.gather(*(new_browser().post(routes.ACTIVATE, data=_form(code)) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [303, 410]


# --- the meter ----------------------------------------------------------------------------------------------------


async def test_the_meter_judges_without_a_session_and_says_nothing_of_the_code(browser, code):
    async def ask(given: str, password: str):
        return (await browser.post(routes.LINK_STRENGTH, json={"code": given, "password": password})).json()

    assert (await ask(code, NEW))["score"] >= 3
    assert (await ask(code, "short"))["score"] == 0
    for password in (NEW, "short", f"{EMAIL} {EMAIL}", "Amina Odhiambo Amina", "lakeside lakeside"):
        assert await ask(code, password) == await ask(NOBODYS, password) == await ask("", password)
    assert tools.number("SELECT count(*) FROM sign_in_limits") == 0


@pytest.mark.parametrize(
    "code", ["\ud800", "\x00", "\u0301" * 9_000, "x" * 60_000], ids=["half", "nothing", "marks", "long"]
)
async def test_the_meter_takes_any_text_for_a_code(browser, code):
    answer = await browser.post(routes.LINK_STRENGTH, content=json.dumps({"code": code, "password": NEW}))
    assert (answer.status_code, answer.json()["score"]) == (200, 4)


@pytest.mark.parametrize("sent", [{}, {"code": "x"}, {"password": NEW}, {"code": 1, "password": NEW}, []])
async def test_the_meter_wants_both(browser, sent):
    assert (await browser.post(routes.LINK_STRENGTH, json=sent)).status_code == 400


@pytest.mark.parametrize(
    ("codes", "allowed"),
    [
        ([NOBODYS] * 30, guessability.STRANGERS_AT_ONCE),
        ([f"{n:012d}" for n in range(60)], guessability.STRANGERS_AT_ONCE),
    ],
)
async def test_the_meter_is_limited(browser, settings, monkeypatch, codes, allowed):
    settings.setenv("CLINIC_API_RATE_FACTOR", "1")
    get_settings.cache_clear()
    for budgets in (guessability._budgets, guessability._addresses, guessability._strangers):
        monkeypatch.setattr(budgets, "_buckets", {})
        monkeypatch.setattr(budgets, "_now", lambda: 0.0)
    answers = [await browser.post(routes.LINK_STRENGTH, json={"code": one, "password": NEW}) for one in codes]
    assert [answer.status_code for answer in answers] == [200] * allowed + [429] * (len(codes) - allowed)
    assert answers[-1].headers["retry-after"] == "1"


# --- asking for a link --------------------------------------------------------------------------------------------


async def test_everybody_is_answered_in_the_same_words(browser, invited, no_pace):
    desk, _ = invited
    off = factories.make_patient_with_access(desk, "off")
    factories.make_staff(username="grace@example.org")
    pages = []
    for email in (EMAIL, EMAIL, off.credentials.username, "grace@example.org", "nobody@example.org"):
        answer = await browser.post(routes.FORGOT, data={"email": f" {email.title()} "})
        page = Shown(answer)
        assert (page.status, page.title) == (200, "Look at your messages · Lakeside Medical Centre")
        said = "we send a message with a link to the email we have for it: at most 3 in an hour."
        assert f"If there is a sign-in for {email}, {said}" in page.words
        assert "set-cookie" not in answer.headers
        pages.append(answer.text.replace(email, "…"))
    assert len(set(pages)) == 1
    assert tools.number("SELECT count(*) FROM outbox_messages WHERE kind = 'FORGOT_PASSWORD'") == 2


@pytest.mark.slow
@pytest.mark.asvs("6.3.8")
async def test_everybody_is_answered_after_the_same_time(browser, invited, monkeypatch, settings):
    """Thirty known and thirty unknown ones by turns: which is slower is a matter of chance, and too little to tell."""
    monkeypatch.setattr(forgotten, "PACE", 0.25)
    monkeypatch.setattr(sign_in_throttle, "ASKS_PER_ADDRESS", 1000)
    monkeypatch.setattr(forgotten.forgotten, "AT_MOST", {})
    took: dict[str, list[float]] = {EMAIL: [], "nobody@example.org": []}
    for _ in range(30):
        for email, times in took.items():
            began = time.perf_counter()
            assert (await browser.post(routes.FORGOT, data={"email": email})).status_code == 200
            times.append(time.perf_counter() - began)
    known, unknown = took.values()
    assert min(known + unknown) >= 0.25
    slower = sum(one > other for one, other in zip(known, unknown, strict=True))
    apart = abs(statistics.median(known) - statistics.median(unknown))
    print(f"medians {apart * 1000:.2f} ms apart; the known one was slower {slower} of 30 times")
    assert 3 <= slower <= 27 or apart < 0.002
    assert apart < max(0.005, *(statistics.pstdev(times) for times in took.values()))


@pytest.mark.parametrize(("typed", "words"), [("amina", INVALID), ("", "Email is required."), ("@" * 300, INVALID)])
async def test_what_is_no_email_is_said_beside_the_field(browser, typed, words):
    page = Shown(await browser.post(routes.FORGOT, data={"email": typed}))
    assert (page.status, page.title) == (400, "Error: Forgot your password? · Lakeside Medical Centre")
    assert page.words.count(words) == 2
    assert page.the("email")["value"] == typed[:254]
    assert tools.trail("PASSWORD_FORGOTTEN") == []


async def test_too_many_questions_are_told(browser, no_pace):
    for number in range(10):
        assert (await browser.post(routes.FORGOT, data={"email": f"n{number}@example.org"})).status_code == 200
    answer = await browser.post(routes.FORGOT, data={"email": "amina@example.org"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    assert "Too many attempts." in Shown(answer).words


async def test_where_no_emails_are_sent_the_page_leads_to_the_reception(browser, invited, settings):
    settings.setenv("CLINIC_SMTP_HOST", "")
    get_settings.cache_clear()
    for answer in (await browser.get(routes.FORGOT), await browser.post(routes.FORGOT, data={"email": EMAIL})):
        page = Shown(answer)
        assert (page.status, page.all("form")) == (200, [])
        assert "Call the reception or come to the desk." in page.words
    assert tools.trail("PASSWORD_FORGOTTEN") == []


async def test_the_sign_in_page_and_an_expired_password_lead_there(browser, settings):
    desk = factories.make_staff()
    done = factories.make_patient_with_access(desk, "expired")
    for by_email in (True, False):
        settings.setenv("CLINIC_SMTP_HOST", "mail.example.org" if by_email else "")
        get_settings.cache_clear()
        page = Shown(await browser.get(routes.PORTAL_SIGN_IN))
        assert [one["href"] for one in page.all("a") if one.get("href") == routes.FORGOT]
        credentials = done.credentials
        answer = await sign_in(browser, credentials.username, credentials.temporary_password, routes.PORTAL_SIGN_IN)
        page = Shown(answer)
        assert page.status == 410
        assert bool([one for one in page.all("a") if one.get("href") == routes.FORGOT]) == by_email
