"""Half-filled forms: offered by name, never poured in; and what a search carries into a new form."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import factories
from tests.browser.conftest import begin_edit, sign_in, until

_numbers = itertools.count(1)
SUCCESS = "Patient registered successfully"


def _staff(clinic: Any) -> str:
    """The username of a new receptionist with ``factories.PASSWORD``."""
    username = f"half{next(_numbers)}.receptionist"
    factories.make_staff("RECEPTIONIST", username=username, name="Mercy Akinyi")
    return username


def _field(page: Page, label: str) -> Locator:
    return page.get_by_label(label, exact=True)


def _new(page: Page) -> None:
    """On to the form, as by its link."""
    page.goto("/patients/new")
    expect(page.get_by_role("heading", name="Patient registration", level=1)).to_be_visible()


def _type(page: Page, first: str = "Zawadi", last: str = "Kamau") -> None:
    with page.expect_response("**/auth/draft/registration"):
        _field(page, "First name").fill(first)
        _field(page, "Last name").fill(last)
        _field(page, "Date of birth").fill("9/10/1991")
        _field(page, "Phone").fill("0799 113 226")
        page.get_by_label("Create Patient Portal Login").check()


def _offers(page: Page) -> Locator:
    return page.get_by_text("Unfinished registration of")


def _empty(page: Page) -> None:
    for label in ("First name", "Last name", "Date of birth", "Phone", "Email", "Portal email"):
        expect(_field(page, label)).to_have_value("")
    expect(page.get_by_label("Create Patient Portal Login")).not_to_be_checked()


def _kept(clinic: Any, username: str) -> int:
    found = clinic.sql(
        "SELECT count(*) FROM drafts d JOIN accounts a ON a.id = d.account_id WHERE d.body <> '' AND a.username = ?",
        username,
    )
    return found[0][0]


# --- the five stories ---------------------------------------------------------------------------------


def test_a_refused_form_that_was_left_is_never_poured_into_the_next_persons(open_page, clinic):
    page = open_page(_staff(clinic))
    _new(page)
    _type(page, "Refused", "")
    page.get_by_role("button", name="Register patient").click()
    expect(page.locator("#last_name-error")).to_have_text("Last name is required.")
    for name in ("Second", "Third"):
        page.get_by_role("link", name="Patients", exact=True).click()
        expect(page.get_by_role("heading", name="Patients", level=1)).to_be_visible()
        page.get_by_role("link", name="Register patient").first.click()
        expect(_offers(page)).to_be_visible()
        _empty(page)
        _field(page, "First name").fill(name)
        _field(page, "Last name").fill("Nobodyelse")
        page.get_by_role("button", name="Register patient").click()
        expect(page.get_by_text(SUCCESS, exact=True)).to_be_visible()
    assert clinic.sql(
        "SELECT first_name, date_of_birth, phone, portal_enabled FROM patients WHERE last_name = 'Nobodyelse'"
        " ORDER BY id"
    ) == [("Second", None, None, 0), ("Third", None, None, 0)]


@pytest.mark.parametrize(
    ("term", "label", "value"),
    [
        ("0799 123 999", "Phone", "0799 123 999"),
        ("mary.k@nowhere.example", "Email", "mary.k@nowhere.example"),
        ("987654321012", "National ID", "987654321012"),
    ],
)
def test_after_a_search_nothing_of_an_older_draft_fills_the_form(open_page, clinic, term, label, value):
    page = open_page(_staff(clinic))
    _new(page)
    _type(page)
    page.goto("/patients")
    page.get_by_label("Search patients").fill(term)
    page.get_by_role("link", name=f"Register “{term}”").click()
    expect(_field(page, label)).to_have_value(value)
    for other in {"First name", "Last name", "Date of birth", "Phone", "Email", "National ID"} - {label}:
        expect(_field(page, other)).to_have_value("")
    expect(_offers(page)).to_have_text(re.compile("Unfinished registration of Zawadi Kamau, \\d\\d:\\d\\d"))


def test_overtyping_the_names_of_what_is_offered_registers_nobody_with_anothers_birth_date(open_page, clinic):
    username = _staff(clinic)
    page = open_page(username)
    _new(page)
    _type(page, "Original", "Overtyped")
    page.reload()
    expect(_offers(page)).to_be_visible()
    _empty(page)
    _field(page, "First name").fill("Different")
    _field(page, "Last name").fill("Overtyped")
    page.get_by_role("button", name="Register patient").click()
    expect(page.get_by_text(SUCCESS, exact=True)).to_be_visible()
    assert clinic.sql("SELECT first_name, date_of_birth, phone FROM patients WHERE last_name = 'Overtyped'") == [
        ("Different", None, None)
    ]
    assert _kept(clinic, username) == 1  # only its own is gone
    page.get_by_role("button", name="Register another patient").click()
    expect(_offers(page)).to_contain_text("Original Overtyped")


def test_a_second_tab_gets_no_text_of_the_first_and_says_that_it_is_typed_in(open_page, clinic):
    page = open_page(_staff(clinic))
    _new(page)
    _type(page)
    other = open_page(context=page.context, path="/patients/new")
    expect(_offers(other)).to_be_visible()
    _empty(other)
    expect(other.get_by_text("Being typed in another window")).to_be_visible()
    with other.expect_response("**/auth/draft/registration"):
        _field(other, "First name").fill("Second tab")
    expect(_field(page, "First name")).to_have_value("Zawadi")
    with page.expect_response("**/auth/draft/registration"):
        _field(page, "First name").fill("Zawadi Rose")
    other.reload()
    expect(_offers(other)).to_have_count(2)
    own = other.get_by_role("listitem").filter(has_text="Second tab")
    expect(own.get_by_text("Being typed in another window")).to_be_hidden()
    other.get_by_role("button", name=re.compile("^Continue: Second tab, ")).click()
    expect(_field(other, "First name")).to_have_value("Second tab")
    expect(_field(other, "Phone")).to_have_value("")


def test_surname_first_goes_to_the_right_names(open_page, clinic):
    page = open_page(_staff(clinic), "/patients")
    page.get_by_label("Search patients").fill("Zzyzx, Wanjiku")
    page.get_by_role("link", name="Register “Zzyzx, Wanjiku”").click()
    expect(_field(page, "First name")).to_have_value("Wanjiku")
    expect(_field(page, "Last name")).to_have_value("Zzyzx")


# --- offered ------------------------------------------------------------------------------------------


def test_a_reload_offers_it_and_continue_brings_it_back_as_it_was(open_page, clinic, looks):
    username = _staff(clinic)
    page = open_page(username)
    _new(page)
    _type(page)
    assert "Zawadi" not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    page.reload()
    expect(_offers(page)).to_be_visible()
    expect(page.get_by_text("Being typed in another window")).to_be_hidden()
    _empty(page)
    looks.everywhere(page, "registration-offer")
    page.get_by_role("button", name=re.compile("^Continue: Zawadi Kamau, ")).click()
    expect(_field(page, "First name")).to_have_value("Zawadi")
    expect(_field(page, "First name")).to_be_focused()
    expect(page.get_by_label("Create Patient Portal Login")).to_be_checked()
    expect(page.get_by_text("9 Oct 1991")).to_be_visible()
    expect(_offers(page)).to_have_count(0)
    page.get_by_label("Create Patient Portal Login").uncheck()
    page.get_by_role("button", name="Register patient").click()
    expect(page.get_by_text(SUCCESS, exact=True)).to_be_visible()
    until(lambda: _kept(clinic, username) == 0)


def test_start_empty_puts_it_aside_and_the_offer_stays(open_page, clinic):
    page = open_page(_staff(clinic))
    _new(page)
    _type(page)
    page.reload()
    page.get_by_role("button", name="Start empty").click()
    expect(_offers(page)).to_have_count(0)
    _empty(page)
    expect(_field(page, "First name")).to_be_focused()
    page.reload()
    expect(_offers(page)).to_have_count(1)


def test_cancel_keeps_nothing(open_page, clinic):
    username = _staff(clinic)
    page = open_page(username)
    _new(page)
    _type(page)
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", name="Patients", level=1)).to_be_visible()
    until(lambda: _kept(clinic, username) == 0)
    _new(page)
    expect(_offers(page)).to_have_count(0)


def test_after_an_idle_end_it_is_offered(open_page, clinic, watch):
    watch.expect("401")
    username = _staff(clinic)
    page = open_page(username)
    _new(page)
    _type(page)
    clinic.sql("UPDATE login_sessions SET last_seen_at = '2020-01-01 00:00:00.000000' WHERE ended_at IS NULL")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("heading", name="Staff sign in")).to_be_visible()
    assert "Zawadi" not in page.content()
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(_offers(page)).to_contain_text("Zawadi Kamau")
    _empty(page)


def test_somebody_else_in_the_same_tab_sees_nothing_of_it(open_page, clinic):
    page, other = open_page(_staff(clinic)), _staff(clinic)
    _new(page)
    _type(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Staff sign in")).to_be_visible()
    sign_in(page, other, factories.PASSWORD)
    expect(page.get_by_role("heading", name="Reception")).to_be_visible()  # and not on the other one's page
    _new(page)
    _empty(page)
    expect(_offers(page)).to_have_count(0)


# --- portal email -------------------------------------------------------------------------------------


def test_the_portal_email_follows_the_email_until_it_is_typed_itself(open_page, clinic):
    page = open_page(_staff(clinic))
    _new(page)
    _field(page, "Email").press_sequentially("amina@example.org")
    page.get_by_label("Create Patient Portal Login").check()
    expect(_field(page, "Portal email")).to_have_value("amina@example.org")
    _field(page, "Email").fill("amina.o@example.org")
    expect(_field(page, "Portal email")).to_have_value("amina.o@example.org")
    _field(page, "Portal email").fill("own@example.org")
    _field(page, "Email").fill("third@example.org")
    expect(_field(page, "Portal email")).to_have_value("own@example.org")


# --- the sections of a profile ------------------------------------------------------------------------


def test_a_half_edited_section_is_offered_and_saved(open_page, clinic):
    username, made = _staff(clinic), clinic.patient(first_name="Draft")
    page = open_page(username, f"/patients/{made.patient.patient_id}")
    edit = page.get_by_role("button", name="Edit contact information")
    edit.click()
    with page.expect_response("**/auth/draft/**"):
        _field(page, "Address").fill("99 Unsaved Street")
    page.reload()
    edit.click()
    offer = page.get_by_text("Unfinished changes to Draft")
    expect(offer).to_be_visible()
    expect(_field(page, "Address")).to_have_value("12 Lake Road, Kisumu")
    page.get_by_role("button", name="Not now").click()
    expect(offer).to_have_count(0)
    page.get_by_role("button", name="Cancel").click()
    edit.click()
    page.get_by_role("button", name=re.compile("^Continue: ")).click()
    expect(_field(page, "Address")).to_have_value("99 Unsaved Street")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_text("99 Unsaved Street")).to_be_visible()
    until(lambda: _kept(clinic, username) == 0)


def test_what_was_typed_within_a_second_before_the_other_section_is_opened_is_kept(open_page, clinic):
    username, made = _staff(clinic), clinic.patient(first_name="Quick")
    page = open_page(username, f"/patients/{made.patient.patient_id}")
    begin_edit(page, "contact information")
    _field(page, "Address").fill("1 Hasty Road")
    with page.expect_response("**/auth/draft/**"):
        begin_edit(page, "patient details")
    expect(_field(page, "First name")).to_have_value("Quick")
    begin_edit(page, "contact information")
    page.get_by_role("button", name=re.compile("^Continue: ")).click()
    expect(_field(page, "Address")).to_have_value("1 Hasty Road")
