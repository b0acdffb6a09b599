"""Another email on the contact page, the link sent again or taken back, and the page that confirms it."""

from __future__ import annotations

import pytest

from clinic_app.core import cookies, crypto, routes
from clinic_app.services.accounts import flash
from clinic_app.services.notifications import links
from tests import factories
from tests.db import tools
from tests.web.conftest import Shown, patient_signed_in
from tests.web.test_own_contact import filled

OLD, NEW = "amina@example.org", "amina.new@example.org"


@pytest.fixture
def desk(settings, database):
    settings.setenv("CLINIC_SMTP_HOST", "mail.clinic.example")
    return factories.make_staff(username="desk")


@pytest.fixture
async def owner(browser, desk):
    """A patient who has given another email."""
    made = await patient_signed_in(browser, desk, OLD)
    form = filled(await browser.get(routes.PORTAL_CONTACT))
    assert form["email"] == OLD
    answer = await browser.post(routes.PORTAL_CONTACT, data={**form, "email": NEW, "address": "Plot 9"})
    assert note(answer) == {
        "notice": "Saved. You changed your address. We sent a link to your new email: open it to confirm."
    }
    return made


def note(answer) -> dict:
    """What the next page says once."""
    return flash.pop_note(crypto.digest(answer.cookies.get(cookies.flash_name()) or ""))


def code() -> str:
    """That of the latest link."""
    link = tools.raw("SELECT id, seed FROM one_time_links WHERE purpose = 'EMAIL' ORDER BY id DESC")[0]
    links.make_findable(link.id, link.seed)
    return links.code_of(link.seed)


def email(made) -> str:
    return tools.raw("SELECT email FROM patients WHERE id = :id", id=made.patient.id)[0][0]


async def test_the_form_says_that_a_new_email_is_confirmed_first(browser, desk):
    await patient_signed_in(browser, desk, OLD)
    page = Shown(await browser.get(routes.PORTAL_CONTACT))
    assert f"You still sign in with {OLD}. A new email must be confirmed first." in page.words
    assert "call the reception or come to the desk" not in page.words
    form = filled(await browser.get(routes.PORTAL_CONTACT))
    for given, words in (
        ("amina", "Email must be an email address, for example name@example.com."),
        ("", "To have no email on record, call the reception."),
    ):
        answer = await browser.post(routes.PORTAL_CONTACT, data={**form, "email": given})
        page = Shown(answer)
        assert (page.status, page.words.count(words)) == (400, 2)
        assert filled(answer)["email"] == given


async def test_without_anything_to_send_with_the_reception_changes_it(browser, settings, database):
    await patient_signed_in(browser, factories.make_staff(), OLD)
    page = Shown(await browser.get(routes.PORTAL_CONTACT))
    assert "To change your email, call the reception or come to the desk." in page.words
    form = filled(await browser.get(routes.PORTAL_CONTACT))
    assert "email" not in form
    answer = await browser.post(routes.PORTAL_CONTACT, data={**form, "email": NEW})
    assert (answer.headers["location"], note(answer)) == (routes.PORTAL, {})


async def test_sent_twice_without_scripts_one_link_is_sent_and_it_is_said_to_be(browser, owner):
    form = filled(await browser.get(routes.PORTAL_CONTACT))
    sent = {**form, "address": "Plot 10", "email": "another@example.org"}
    for _ in range(2):
        answer = await browser.post(routes.PORTAL_CONTACT, data=sent)
        assert note(answer)["notice"].startswith("Saved. You changed your address. We sent a link")
    assert len(tools.trail("OWN_EMAIL_ASKED")) == 2  # the first email of all, and this one


async def test_opening_the_link_uses_nothing_up_and_pressing_the_button_confirms(browser, new_browser, owner):
    given = code()
    async with new_browser() as phone:
        page = Shown(await phone.get(routes.CONFIRM_EMAIL))
        assert (page.status, page.title) == (200, "Confirm your email · Lakeside Medical Centre")
        assert "/activate.js" in [one["src"] for one in page.all("script")]
        assert OLD not in page.html
        assert email(owner) == OLD
        answer = await phone.post(routes.CONFIRM_EMAIL, data={"code": f" {given.lower()} "})
        assert (answer.status_code, answer.headers["location"]) == (303, routes.CONFIRM_EMAIL)
        page = Shown(await phone.get(routes.CONFIRM_EMAIL))
        assert page.title == "Your email is confirmed · Lakeside Medical Centre"
        assert email(owner) == NEW
        again = Shown(await phone.post(routes.CONFIRM_EMAIL, data={"code": given}))
        assert (again.status, "It has been used: your email is confirmed." in again.words) == (410, True)


@pytest.mark.parametrize(
    ("pressed", "asked_for"),
    [({"email_domain": "gmail.com"}, "amina@gmail.com"), ({}, "amina@gmial.com")],
)
async def test_a_likely_slip_is_asked_about_once_and_refuses_nothing(browser, desk, pressed, asked_for):
    await patient_signed_in(browser, desk, OLD)
    form = filled(await browser.get(routes.PORTAL_CONTACT))
    answer = await browser.post(routes.PORTAL_CONTACT, data={**form, "email": "amina@gmial.com", "address": "Plot 9"})
    page = Shown(answer)
    assert (page.status, page.title) == (200, "Correct my contact details · Lakeside Medical Centre")
    assert "Did you mean gmail.com?" in page.words
    assert (filled(answer)["email"], filled(answer)["address"]) == ("amina@gmial.com", "Plot 9")
    assert tools.number("SELECT count(*) FROM outbox_messages WHERE kind = 'CONFIRM_EMAIL'") == 0
    answer = await browser.post(routes.PORTAL_CONTACT, data={**filled(answer), **pressed})
    assert note(answer)["notice"].startswith("Saved. You changed your address. We sent a link to your new email")
    sent = tools.raw("SELECT address FROM outbox_messages WHERE kind = 'CONFIRM_EMAIL'")
    assert [row[0] for row in sent] == [asked_for]


async def test_the_owner_who_is_signed_in_is_led_to_my_record(browser, owner):
    answer = await browser.post(routes.CONFIRM_EMAIL, data={"code": code()})
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL)
    assert note(answer)["notice"].startswith("Your email is confirmed.")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Code from the message is required."),
        ("AAAA-AAAA-AAAA", "This code is not right. Check it against the message: three groups of four."),
        ("a" + "\u0301" * 150_000, "This code is not right."),
    ],
)
async def test_a_wrong_code_is_said_at_its_field(browser, owner, typed, words):
    page = Shown(await browser.post(routes.CONFIRM_EMAIL, data={"code": typed}))
    assert (page.status, page.title) == (400, "Error: Confirm your email · Lakeside Medical Centre")
    assert words in page.words
    assert page.the("code")["aria-invalid"] == "true"
    assert len(page.html) < 20_000
    assert email(owner) == OLD


async def test_a_right_code_on_the_wrong_page_is_led_to_where_it_belongs(browser, new_browser, owner, desk):
    given, new = code(), "four words nobody guesses 7"
    async with new_browser() as phone:
        typed = {"code": f" {given.lower()}", "new_password": new, "confirm_password": new}
        page = Shown(await phone.post(routes.ACTIVATE, data=typed))
        assert (page.status, "This code confirms an email." in page.words) == (400, True)
        assert f'href="{routes.CONFIRM_EMAIL}#{given.lower()}"' in page.html
        factories.make_patient(desk, portal_email="third@example.org")
        page = Shown(await phone.post(routes.CONFIRM_EMAIL, data={"code": factories.link_code("third@example.org")}))
        assert (page.status, "This code sets a password." in page.words) == (400, True)
        assert f'href="{routes.ACTIVATE}#' in page.html
        assert (await phone.post(routes.CONFIRM_EMAIL, data={"code": given})).status_code == 303, "it is still good"
    assert email(owner) == NEW


async def test_too_many_codes_are_told_to_wait(browser, owner):
    await browser.post(routes.CONFIRM_EMAIL, data={"code": "AAAA-AAAA-AAAA"})
    tools.write("UPDATE sign_in_limits SET failures = 50 WHERE key LIKE 'address:%'")
    answer = await browser.post(routes.CONFIRM_EMAIL, data={"code": "AAAA-AAAA-AAAA"})
    assert (answer.status_code, "Too many attempts." in answer.text) == (429, True)
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("intent", ["", "0123456789abcdef0123456789abcdef"])
async def test_the_link_is_sent_again_once_for_a_press(browser, owner, intent):
    first = code()
    for _ in range(2 if intent else 1):
        answer = await browser.post(routes.PORTAL_EMAIL, data={"do": "again", "intent": intent})
        assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL)
        assert note(answer)["notice"].startswith("We sent the link again.")
    assert tools.number("SELECT count(*) FROM outbox_messages WHERE kind = 'CONFIRM_EMAIL'") == 2
    assert (await browser.post(routes.CONFIRM_EMAIL, data={"code": first})).status_code == 410


async def test_the_old_email_is_kept(browser, owner):
    given = code()
    for _ in range(2):
        answer = await browser.post(routes.PORTAL_EMAIL, data={"do": "drop"})
        assert note(answer) == {"notice": "Your old email stays."}
    page = Shown(await browser.post(routes.CONFIRM_EMAIL, data={"code": given}))
    assert (page.status, email(owner)) == (410, OLD)
    answer = await browser.post(routes.PORTAL_EMAIL, data={"do": "again"})
    assert (answer.headers["location"], note(answer)) == (routes.PORTAL, {})


@pytest.mark.parametrize("do", ["", "x", "again", "drop"])
async def test_nobody_else_decides(browser, new_browser, owner, do):
    async with new_browser() as stranger:
        answer = await stranger.post(routes.PORTAL_EMAIL, data={"do": do})
        assert answer.headers["location"] == routes.PORTAL_SIGN_IN
        await stranger.get(routes.STAFF_SIGN_IN)
        await stranger.post(routes.STAFF_SIGN_IN, data={"username": "desk", "password": factories.PASSWORD})
        answer = await stranger.post(routes.PORTAL_EMAIL, data={"do": do})
        assert answer.status_code == (403 if do in ("again", "drop") else 303)
    assert tools.number("SELECT count(*) FROM one_time_links WHERE ended_at IS NULL AND purpose = 'EMAIL'") == 1
