"""Portal access at the desk, in a browser: the slip on every paper, copying, another username, slips of the keys."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from clinic_app.services.portal import provisioning
from tests import factories
from tests.browser.conftest import begin_edit, until

#: The papers a desk prints slips on, and how wide a slip is there in CSS pixels, between margins of 4 mm.
PAPERS = {
    "A4": ({"format": "A4"}, 763),
    "A5": ({"format": "A5"}, 529),
    "80 mm": ({"width": "80mm", "height": "250mm"}, 272),
}


def _credentials(open_page, clinic, **names: Any) -> tuple[Page, str]:
    """A profile with fresh credentials on the screen, and the email."""
    done = clinic.patient(**names)
    email = f"slip{done.patient.id}@example.org"
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    page.get_by_role("button", name="Create Portal Account").click()
    page.get_by_role("dialog").get_by_label("Email").fill(email)
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
    expect(page.get_by_role("heading", name="Portal Account Created!")).to_be_visible()
    return page, email


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("name", ["Amina", "Maximilian" * 10])
def test_the_slip_fits_the_paper_that_is_chosen(open_page, clinic, paper, name):
    page, _ = _credentials(open_page, clinic, first_name=name, last_name="Odhiambo")
    size, width = PAPERS[paper]
    pdf = page.pdf(**size)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": width, "height": 700})
    sheet = page.locator("#print-sheet")
    expect(sheet).to_be_visible()
    outside = sheet.evaluate("""(sheet) => [...sheet.querySelectorAll("*")].filter((one) => {
        const box = one.getBoundingClientRect();
        const cut = one.clientWidth && one.scrollWidth > one.clientWidth + 1;
        return box.width && (box.left < -1 || box.right > innerWidth + 1 || cut);
      }).map((one) => one.outerHTML.slice(0, 80))""")
    assert outside == []
    assert sheet.locator(".pw").evaluate("one => parseFloat(getComputedStyle(one).fontSize)") >= 18


def test_the_browsers_own_print_is_recorded_once_each_time(open_page, clinic):
    page, _ = _credentials(open_page, clinic, first_name="Menu")
    before = len(clinic.audit("CREDENTIALS_PRINTED"))
    for times in (1, 2):
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")  # a preview that is drawn anew
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        until(lambda times=times: len(clinic.audit("CREDENTIALS_PRINTED")) >= before + times)
        page.wait_for_timeout(300)  # in which a second one would come
        assert len(clinic.audit("CREDENTIALS_PRINTED")) == before + times
    page.get_by_role("button", name="Close").click()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_timeout(500)
    assert len(clinic.audit("CREDENTIALS_PRINTED")) == before + 2


def test_copy_both_has_the_focus_and_copies_where_to_sign_in(open_page, clinic):
    page, email = _credentials(open_page, clinic, first_name="Copied")
    page.evaluate("navigator.clipboard.writeText = async (text) => { document.documentElement.dataset.copied = text; }")
    expect(page.get_by_role("button", name="Copy Both")).to_be_focused()
    password = page.get_by_role("textbox", name="Temporary Password").input_value()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").locator("[data-copy-status]")).to_have_text("Copied")
    copied = page.evaluate("document.documentElement.dataset.copied")
    assert copied.splitlines()[:2] == [f"Username: {email}", f"Temporary Password: {password}"]
    assert re.fullmatch(r"Sign in at: https?://\S+/patient-portal/login", copied.splitlines()[2])


def test_a_username_is_changed_from_where_the_email_is_edited(open_page, clinic):
    done = clinic.patient(first_name="Mistyped", email="mistyped@gmial.com", portal_email="mistyped@gmial.com")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    begin_edit(page, "contact information")
    contact = page.get_by_role("region", name="Contact Information")
    expect(contact).to_contain_text("The portal username stays mistyped@gmial.com.")
    contact.get_by_label("Email", exact=True).fill("mistyped@gmail.com")
    contact.get_by_role("button", name="Change username").click()
    dialog = page.get_by_role("dialog", name="Change username")
    expect(dialog).to_contain_text("Username now")
    expect(dialog).to_contain_text("mistyped@gmial.com")
    expect(dialog.get_by_label("New username")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("Email is required.")
    dialog.get_by_label("New username").fill("mistyped@gmail.com")
    expect(dialog.get_by_label("New username")).to_have_value("mistyped@gmail.com")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Username changed")).to_be_visible()
    expect(page.get_by_role("textbox", name="Username")).to_have_value("mistyped@gmail.com")
    page.get_by_role("button", name="Close").click()
    expect(contact.get_by_label("Email", exact=True)).to_have_value("mistyped@gmail.com")  # the form is as it was
    expect(page.get_by_role("region", name="Portal Access")).to_contain_text("mistyped@gmail.com")


def test_the_portal_email_follows_the_email_and_a_slip_is_asked_about(open_page, clinic):
    page = open_page("receptionist", "/patients/new")
    email, portal = page.get_by_label("Email", exact=True), page.get_by_label("Portal email", exact=True)
    email.press_sequentially("wanjiku@gmial.com")
    page.keyboard.press("Tab")
    asked = page.get_by_role("status").filter(has_text="Did you mean gmail.com?")
    expect(asked).to_be_visible()
    page.get_by_label("Create Patient Portal Login").check()
    expect(portal).to_have_value("wanjiku@gmial.com")
    page.get_by_role("button", name="Change it to gmail.com").click()
    expect(email).to_have_value("wanjiku@gmail.com")
    expect(email).to_be_focused()
    expect(portal).to_have_value("wanjiku@gmail.com")
    expect(page.get_by_text("Did you mean")).to_have_count(0)
    portal.fill("her.own@yaho.com")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Did you mean yahoo.com?")).to_be_visible()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_text("Did you mean")).to_have_count(0)
    email.fill("another@example.org")
    expect(portal).to_have_value("her.own@yaho.com")  # it was typed itself


@pytest.mark.parametrize("place", ["tick", "label"])
def test_a_slow_press_on_a_tick_is_not_lost_to_the_question_above_it(open_page, clinic, place):
    """The question would move the tick away between pressing and letting go."""
    page = open_page("receptionist", "/patients/new")
    page.get_by_label("Email", exact=True).fill("wanjiku@gmial.com")
    tick = page.get_by_label("Email may be used for messages")
    expect(tick).to_be_checked()
    (tick if place == "tick" else page.get_by_text("Email may be used for messages")).hover()
    page.mouse.down()
    page.wait_for_timeout(700)  # in which the question would come
    page.mouse.up()
    expect(tick).not_to_be_checked()
    expect(tick).to_be_focused()
    expect(page.get_by_text("Did you mean gmail.com?")).to_be_visible()


def test_another_desks_list_shows_a_lock_and_opens_it(open_page, clinic):
    done = clinic.with_own_password(f"locked{clinic.patient().patient.id}@example.org")
    username = clinic.sql("SELECT username FROM accounts WHERE patient_id = ?", done.patient.id)[0][0]
    factories.lock(username)
    page, other = (open_page("receptionist", "/patients") for _ in range(2))
    for one in (page, other):
        one.get_by_label("Search patients").fill(done.patient.patient_id)
        row = one.get_by_role("row").filter(has_text=done.patient.patient_id)
        expect(row.get_by_text("locked", exact=True)).to_be_visible()
    row = page.get_by_role("row").filter(has_text=done.patient.patient_id)
    row.get_by_role("button", name="Unlock").click()
    for one in (page, other):
        row = one.get_by_role("row").filter(has_text=done.patient.patient_id)
        expect(row.get_by_text("✓ Portal Active")).to_be_visible()
        expect(row.get_by_text("locked", exact=True)).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 320])
def test_reissue_from_the_list_asks_first_and_escape_takes_it_back(open_page, clinic, width):
    done = clinic.patient(first_name="Reissued", portal_email=f"again{width}@example.org")
    clinic.sql(
        "UPDATE accounts SET password_expires_at = '2020-01-01 00:00:00.000000' WHERE patient_id = ?", done.patient.id
    )
    page = open_page("receptionist", "/patients")
    page.set_viewport_size({"width": width, "height": 800})
    page.get_by_label("Search patients").fill(done.patient.patient_id)
    row = page.get_by_role("row").filter(has_text=done.patient.patient_id)
    expect(row.get_by_text("password expired")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    reissue = row.get_by_role("button", name="Reissue")
    reissue.click()
    dialog = page.get_by_role("dialog", name="Reset temporary password?")
    expect(dialog).to_contain_text(f"For {done.patient.name}, {done.patient.patient_id}")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(reissue).to_be_focused()
    reissue.click()
    dialog.get_by_role("button", name="Reset temporary password").click()
    expect(page.get_by_role("textbox", name="Temporary Password")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(row.get_by_text("✓ Portal Active")).to_be_visible()


def test_that_another_desk_replaced_a_shown_password_is_in_sight_on_a_phone(open_page, clinic):
    page, email = _credentials(open_page, clinic)
    page.set_viewport_size({"width": 320, "height": 640})
    (patient,) = clinic.sql("SELECT patient_id FROM accounts WHERE username = ?", email)[0]
    seen = "SELECT 1 FROM intents WHERE seen_at IS NOT NULL AND resource_type = 'patient' AND resource_id = ?"
    until(lambda: clinic.sql(seen, patient))  # the page has said that it shows it
    provisioning.reset_portal_password(clinic.actor("admin"), patient)
    told = page.get_by_role("alert").filter(has_text="The password that was shown here no longer works.")
    expect(told).to_be_focused()
    expect(told).to_be_in_viewport(ratio=1)
