"""Messages at the desk, in a browser, with a mail server: delivery truth, an address put right, handed over by post."""

from __future__ import annotations

import itertools
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Posting, until
from tests.browser.slow_line import on_a_slow_line, set_line

_numbers = itertools.count(1)


def _email(domain: str = "example.org") -> str:
    return f"message{next(_numbers)}@{domain}"


def _profile(open_page, posting: Posting, done, **options) -> Page:
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}", at=posting.server, **options)
    expect(page.get_by_role("region", name="Portal Access")).to_be_visible()
    return page


def _part(page: Page, name: str):
    return page.locator(".card-part").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_an_invitation_goes_out_and_every_open_profile_shows_it_without_a_reload(open_page, posting):
    email = _email()
    done = posting.patient(portal_email=email)
    page, other = _profile(open_page, posting, done), _profile(open_page, posting, done)
    for one in (page, other):
        expect(_part(one, "Messages")).to_contain_text("None so far.")
    page.get_by_role("button", name="Resend invitation").click()
    expect(page.get_by_role("status").filter(has_text=f"An invitation goes to {email}.")).to_be_visible()
    for one in (page, other):
        line = _part(one, "Messages").get_by_role("listitem")
        expect(line).to_contain_text(f"Invitation to {email}")
        expect(line.get_by_text("Sent", exact=True)).to_be_visible()
    (text,) = map(str, posting.post.to(email))
    assert done.credentials.temporary_password not in text


def test_an_address_that_was_refused_is_put_right_and_the_new_username_gets_the_invitation(open_page, posting):
    wrong, right = _email("refused.example"), _email()
    done = posting.patient(email=wrong, portal_email=wrong)
    page = _profile(open_page, posting, done)
    messages = _part(page, "Messages")
    page.get_by_role("button", name="Resend invitation").click()
    expect(messages.get_by_text("Failed", exact=True)).to_be_visible()
    expect(messages).to_contain_text("The mail server says that there is no such address.")
    messages.get_by_role("button", name="Correct address").click()
    dialog = page.get_by_role("dialog", name="Correct address")
    field = dialog.get_by_label("Correct address")
    expect(field).to_be_focused()
    expect(field).to_have_value(wrong)
    field.fill("nonsense")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert").first).to_contain_text("Invalid email format")
    field.fill(right)
    expect(dialog.get_by_label("Change the portal username too")).to_be_checked()
    page.keyboard.press("Enter")
    shown = page.get_by_role("dialog", name="Username changed")
    expect(shown.get_by_role("textbox", name="Username")).to_have_value(right)
    expect(shown).to_contain_text(f"An invitation goes to {right}.")
    expect(shown).to_contain_text(f"A notice of the new username goes to {right} and {wrong}.")
    shown.get_by_role("button", name="Close").click()
    until(lambda: (len(posting.post.to(wrong)), len(posting.post.to(right))) == (0, 2))
    expect(page.get_by_role("region", name="Contact Information")).to_contain_text(right)
    line = messages.get_by_role("listitem").filter(has_text=right)
    expect(line.get_by_text("Sent", exact=True)).to_be_visible()
    expect(messages.get_by_role("button", name="Correct address")).to_have_count(0)  # of the former one nothing is due


def test_the_username_may_stay(open_page, posting):
    wrong, right = _email("refused.example"), _email()
    done = posting.patient(email=wrong, portal_email=wrong)
    page = _profile(open_page, posting, done)
    page.get_by_role("button", name="Resend invitation").click()
    _part(page, "Messages").get_by_role("button", name="Correct address").click()
    dialog = page.get_by_role("dialog", name="Correct address")
    dialog.get_by_label("Correct address").fill(right)
    dialog.get_by_label("Change the portal username too").uncheck()
    dialog.get_by_role("button", name="Save and send again").click()
    told = page.get_by_role("status").filter(has_text=f"The address is corrected. An invitation goes to {right}.")
    expect(told).to_be_visible()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("region", name="Portal Access")).to_contain_text(f"Username {wrong}")
    expect(page.get_by_role("region", name="Contact Information")).to_contain_text(right)
    until(lambda: len(posting.post.to(right)) == 1)


@pytest.mark.slow
def test_on_a_slow_line_each_press_about_access_is_answered_at_once_and_counts_once(open_page, posting):
    """The question before it, too: its button is busy until the form has come."""
    done = posting.patient(portal_email=_email())
    page = on_a_slow_line(_profile(open_page, posting, done))
    page.reload()
    page.locator("#press[data-line]:not([data-line=''])").wait_for(state="attached")
    set_line(page, delay=2_000)
    resend = page.get_by_role("button", name="Resend invitation")
    resend.click()
    expect(resend).to_have_attribute("data-pressed", "", timeout=1_000)
    resend.click(force=True)
    expect(page.get_by_role("status").filter(has_text="An invitation goes to")).to_be_visible()
    for opens, title in (
        ("Reset temporary password", "Reset temporary password?"),
        ("Change username", "Change username"),
        ("Turn off portal access", "Turn off portal access"),
    ):
        button, dialog = page.get_by_role("button", name=opens, exact=True), page.get_by_role("dialog", name=title)
        button.click()
        expect(button).to_have_attribute("data-pressed", "", timeout=1_000)
        expect(dialog).to_be_visible()
        if opens != "Turn off portal access":
            dialog.get_by_role("button", name="Cancel").click()
            expect(dialog).to_have_count(0)
            expect(button).not_to_have_attribute("data-pressed", "")
    dialog.get_by_label("The patient asked for it").check()
    dialog.get_by_role("button", name="Turn off portal access").click()
    expect(dialog.locator("[type=submit]")).to_have_attribute("aria-disabled", "true", timeout=1_000)
    expect(page.get_by_role("status").filter(has_text="Portal access is turned off.")).to_be_visible()
    assert len(posting.post.to(done.credentials.username)) == 1


def test_each_try_that_failed_is_seen_on_an_open_profile(open_page, posting):
    done = posting.patient(portal_email=_email(), portal_phone="0712 445 901")
    page = _profile(open_page, posting, done)
    page.get_by_role("button", name="Resend invitation").click()
    line = _part(page, "Messages").get_by_role("listitem").filter(has_text="0712 445901")
    expect(line).to_contain_text("Tried once, next at ")
    expect(line).to_contain_text("The SMS gateway did not take it.")
    expect(line.get_by_text("Queued", exact=True)).to_be_visible()


def test_where_the_patient_allows_none_that_is_said_and_nothing_can_be_sent(open_page, posting):
    email = _email()
    done = posting.patient(portal_email=email, email_allowed=False)
    page = _profile(open_page, posting, done)
    expect(_part(page, "Messages")).to_contain_text("Email may not be used for messages.")
    expect(page.get_by_role("button", name="Resend invitation")).to_have_count(0)
    page.get_by_role("button", name="Reset temporary password").click()
    question = page.get_by_role("dialog", name="Reset temporary password?")
    expect(question).to_contain_text(f"A notice without a link goes to {email}.")


def test_with_nothing_set_up_the_screens_say_so(open_page, clinic):
    done = clinic.patient(portal_email="nothing.set.up@example.org")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    expect(_part(page, "Messages")).to_contain_text("No messages are sent from here.")
    expect(page.get_by_role("button", name="Resend invitation")).to_have_count(0)
    page.get_by_role("button", name="Reset temporary password").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset temporary password").click()
    shown = page.get_by_role("dialog", name="Temporary password reset")
    expect(shown).to_contain_text("Nothing was sent: hand these credentials over in person.")


def test_a_clinician_sees_no_messages_and_no_buttons(open_page, posting):
    done = posting.patient(portal_email=_email())
    page = open_page("clinician", f"/patients/{done.patient.patient_id}", at=posting.server)
    expect(page.get_by_role("region", name="Portal Access")).to_contain_text("Waiting for first sign-in")
    expect(page.locator(".card-part")).to_have_count(0)


@pytest.mark.parametrize("size", [{"format": "A4"}, {"format": "A5"}, {"width": "80mm", "height": "250mm"}])
def test_by_post_the_slip_says_a_week_and_the_profile_how(open_page, clinic, size):
    done = clinic.patient(first_name="Posted")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    page.get_by_role("button", name="Create Portal Account").click()
    page.get_by_role("dialog").get_by_label("Email").fill(f"posted{done.patient.id}@example.org")
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
    dialog = page.get_by_role("dialog", name="Portal Account Created!")
    slip = page.locator("#credential-slip .until")
    expect(slip).to_contain_text(re.compile(r"\(in 4[78] hours\)"))
    dialog.get_by_role("button", name="By post").click()
    expect(dialog.get_by_role("status").filter(has_text="By post.")).to_contain_text("167 hours")
    expect(slip).to_contain_text("(in 167 hours)")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(**size))) == 1
    dialog.get_by_role("button", name="Close").click()
    handed = _part(page, "Handed over")
    expect(handed).to_contain_text("By post, by Grace Wanjiru. Today, ")
    expect(page.get_by_role("region", name="Portal Access")).to_contain_text("expires in 167 hours")
    handed.get_by_text("Change", exact=True).click()
    handed.get_by_role("button", name="In person").click()
    expect(handed).to_contain_text("In person, by Grace Wanjiru.")
    expect(handed.get_by_role("button", name="In person")).to_be_hidden()
    expect(page.get_by_role("region", name="Portal Access")).to_contain_text("expires in 47 hours")
