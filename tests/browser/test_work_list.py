"""The portal work list in a browser: one click in the row, other desks' work, and the number in the menu."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests import factories, stuck


def _row(page: Page, done) -> Locator:
    return page.get_by_role("listitem").filter(has_text=done.patient.patient_id)


def _group(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=re.compile(f"^{name} [0-9]"))


def _waiting(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Main menu", exact=True).get_by_role("link", name="Portal work list")


def test_reissue_from_the_row_hands_over_a_new_password_and_moves_the_person_on(open_page, clinic):
    done = stuck.in_group(clinic.desk, "expired", first_name="Workrow")
    page = open_page("receptionist", "/patients/portal")
    expect(_group(page, "Password expired").locator(_row(page, done))).to_contain_text("never used.")
    _row(page, done).get_by_role("button", name="Reissue").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset temporary password").click()
    expect(page.get_by_role("textbox", name="Temporary Password")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(_group(page, "Never signed in").locator(_row(page, done))).to_contain_text("Hand-over not recorded.")
    expect(page.locator("body")).not_to_be_focused()
    page.get_by_role("link", name=done.patient.name).click()
    expect(page.get_by_role("heading", name=done.patient.name, level=1)).to_be_visible()


def test_a_lock_comes_and_goes_on_every_open_desk_and_in_the_menu(open_page, clinic):
    done = clinic.with_own_password(f"worklock{clinic.patient().patient.id}@example.org", first_name="Comesgoes")
    page, other = (open_page("receptionist", path) for path in ("/patients/portal", "/"))
    expect(_waiting(page)).to_be_visible()
    expect(_waiting(other)).to_be_visible()

    def counted(one: Page) -> int:
        return int((re.search(r"[0-9,]+", _waiting(one).inner_text()) or ["0"])[0])

    before = counted(page)
    factories.lock(clinic.sql("SELECT username FROM accounts WHERE patient_id = ?", done.patient.id)[0][0])
    clinic.sql("UPDATE audit_head SET changes = changes + 1")
    row = _group(page, "Locked").locator(_row(page, done))
    expect(row).to_contain_text(re.compile("Too many wrong passwords. Locked until [0-9]{2}:[0-9]{2}"))
    for one in (page, other):
        expect(_waiting(one)).to_contain_text(f"{before + 1} waiting")
    unlock = row.get_by_role("button", name="Unlock")
    expect(unlock).to_have_accessible_description(done.patient.name)
    unlock.focus()
    page.keyboard.press("Enter")
    expect(row).to_have_count(0)
    expect(page.locator("body")).not_to_be_focused()  # the focus is not lost with the row
    for one in (page, other):
        expect(_waiting(one)).not_to_contain_text(f"{before + 1} waiting")


def test_a_filter_leaves_one_group_and_says_so(open_page, clinic):
    soon = stuck.in_group(clinic.desk, "soon", first_name="Filtered")
    failed = stuck.in_group(clinic.desk, "failed", first_name="Filtered")
    page = open_page("receptionist", "/patients/portal")
    expect(_row(page, soon)).to_be_visible()
    expect(_row(page, failed)).to_contain_text("the mail server says that there is no such address.")
    reasons = page.get_by_role("group", name="Reason")
    reasons.get_by_role("button", name="Password expires soon").click()
    expect(_row(page, failed)).to_have_count(0)
    expect(_row(page, soon)).to_be_visible()
    expect(reasons.get_by_role("button", pressed=True)).to_contain_text("Password expires soon")
    assert page.url.endswith("/patients/portal")
    reasons.get_by_role("button", name="All").click()
    expect(_row(page, failed)).to_be_visible()
    # the list of patients says the same
    page.goto("/patients")
    page.get_by_label("Search patients").fill(failed.patient.patient_id)
    expect(page.get_by_role("row").filter(has_text=failed.patient.patient_id)).to_contain_text("message failed")


def test_an_address_is_put_right_from_the_row(open_page, clinic):
    done = stuck.in_group(clinic.desk, "failed", first_name="Mistyped")
    page = open_page("receptionist", "/patients/portal")
    row = _group(page, "Message failed").locator(_row(page, done))
    row.get_by_role("button", name="Correct address").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(done.patient.patient_id)
    expect(dialog.get_by_role("textbox", name="Correct address")).to_have_value(done.patient.email or "")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(row.get_by_role("button", name="Correct address")).to_be_focused()


def test_a_clinician_has_no_such_place_and_reads_whose_it_is(open_page, clinic):
    page = open_page("clinician", "/patients/portal")
    expect(page.get_by_role("heading", name="You cannot open this page", level=1)).to_be_visible()
    expect(page.get_by_text("Only receptionists and administrators can see work lists.")).to_be_visible()
    expect(_waiting(page)).to_have_count(0)
    page.goto("/")
    expect(page.get_by_text("Portal uptake")).to_be_visible()
    expect(_waiting(page)).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
