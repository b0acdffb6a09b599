"""The profile: its sections, editing in place, two editors at once, and the account's afterlife."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient
from tests import factories
from tests.browser.conftest import begin_edit, patient_sign_in

STALE = "Somebody else changed this record while you were editing. Nothing you typed is lost."


def _profile(open_page, done, who="receptionist", **options) -> Page:
    page = open_page(who, f"/patients/{done.patient.patient_id}", **options)
    name = f"{done.patient.first_name} {done.patient.last_name}"
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    return page


def _section(page: Page, title: str):
    return page.get_by_role("region", name=title)


def _edit(page: Page, title: str):
    begin_edit(page, title.lower())


def test_four_sections_and_a_title_without_the_name(open_page, clinic):
    done = clinic.patient(first_name="Sections", last_name="Person")
    page = _profile(open_page, done)
    for title in ("Patient Details", "Contact Information", "Portal Access", "Activity"):
        expect(_section(page, title).get_by_role("heading", name=title)).to_be_visible()
    expect(page).to_have_title("Patient profile · Lakeside Medical Centre")
    expect(_section(page, "Patient Details")).to_contain_text("14 Mar 1988")
    expect(_section(page, "Contact Information")).to_contain_text("0712 445901")
    expect(_section(page, "Portal Access")).to_contain_text("No portal account yet")
    expect(_section(page, "Activity")).to_contain_text("Profile opened by Grace Wanjiru")
    expect(_section(page, "Activity")).to_contain_text("Registered by Grace Wanjiru")
    assert [row[0] for row in clinic.audit("PATIENT_VIEWED") if row[2] == done.patient.id] == ["RECEPTIONIST"]


def test_a_language_that_is_not_offered_any_more_is_shown_kept_and_may_be_changed(open_page, clinic):
    done = clinic.patient()
    clinic.sql("UPDATE patients SET preferred_language = 'so' WHERE id = ?", done.patient.id)
    page = _profile(open_page, done)
    expect(_section(page, "Contact Information")).to_contain_text("Soomaali")
    for change, kept in ((None, "so"), ("Kiswahili", "sw")):
        _edit(page, "Contact Information")
        language = page.get_by_label("Preferred language", exact=True)
        expect(language).to_have_value("so")
        assert language.locator("option").all_inner_texts() == [
            *("Not recorded", "English", "Kiswahili", "français", "Soomaali"),
        ]
        page.get_by_label("Address").fill(f"Kept {kept}")
        if change:
            language.select_option(label=change)
        page.get_by_role("button", name="Save changes").click()
        expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
        assert clinic.sql("SELECT preferred_language FROM patients WHERE id = ?", done.patient.id) == [(kept,)]
    expect(_section(page, "Contact Information")).to_contain_text("Kiswahili")


def test_editing_in_place_saves_only_what_was_changed_and_says_so(open_page, clinic):
    done = clinic.patient()
    page = _profile(open_page, done)
    _edit(page, "Contact Information")
    expect(page.get_by_label("Phone", exact=True)).to_be_focused()
    expect(page.get_by_label("Phone", exact=True)).to_have_value("0712 445901")
    page.get_by_label("Address").fill("7 New Street, Ahero")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    expect(_section(page, "Contact Information")).to_contain_text("7 New Street, Ahero")
    expect(_section(page, "Activity")).to_contain_text("Address changed by Grace Wanjiru")
    assert '["address"]' in clinic.audit("PATIENT_UPDATED")[-1][3]


def test_cancel_keeps_the_record_as_it_was(open_page, clinic):
    page = _profile(open_page, clinic.patient())
    _edit(page, "Patient Details")
    page.get_by_label("First name").fill("Thrown Away")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Save changes")).to_have_count(0)
    assert "Thrown Away" not in page.locator("main").inner_text()


def test_a_mistake_is_told_at_its_field_and_the_form_stays(open_page, clinic):
    clinic.patient(national_id="CLASH-9")
    page = _profile(open_page, clinic.patient())
    for title, label, value, sentence in (
        ("Patient Details", "Last name", " ", "Last name is required."),
        ("Patient Details", "Date of birth", "31/2/1990", "Date of birth must be a real date, for example 31 3 1980."),
        ("Patient Details", "National ID", "CLASH 9", "A patient with this national ID already exists."),
        ("Contact Information", "Email", "x@", "Email must be an email address, for example name@example.com."),
    ):
        _edit(page, title)
        field = page.get_by_label(label, exact=True)
        field.fill(value)
        page.get_by_role("button", name="Save changes").click()
        expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
        expect(field).to_have_accessible_description(re.compile(re.escape(sentence)))
        expect(field).to_be_focused()
        expect(field).to_have_value(value)
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("button", name="Save changes")).to_have_count(0)


def test_a_slow_press_on_save_is_not_lost_to_the_sentence_under_the_field_one_leaves(open_page, clinic):
    """The sentence would move the button away between pressing and letting go."""
    page = _profile(open_page, clinic.patient())
    _edit(page, "Patient Details")
    page.get_by_label("Last name", exact=True).fill(" ")
    page.get_by_role("button", name="Save changes").hover()
    page.mouse.down()
    page.wait_for_timeout(700)  # in which the sentence would come
    page.mouse.up()
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()


def test_an_edit_of_what_somebody_else_changed_says_so_and_loses_nothing(open_page, clinic):
    done = clinic.patient(address="1 Old Road")
    here, there = _profile(open_page, done), _profile(open_page, done, "admin")
    _edit(here, "Contact Information")
    _edit(there, "Contact Information")
    here.get_by_label("Address").fill("2 Mine")
    there.get_by_label("Next of kin", exact=True).fill("Their Choice")
    there.get_by_role("button", name="Save changes").click()
    expect(there.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    here.get_by_role("button", name="Save changes").click()
    note = here.get_by_role("alert").filter(has_text=STALE)
    expect(note).to_be_visible()
    expect(note).to_be_focused()
    expect(note).to_contain_text("Their Choice")
    expect(here.get_by_label("Address")).to_have_value("2 Mine")
    here.get_by_role("button", name="Save changes").click()
    expect(here.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    row = clinic.sql("SELECT address, next_of_kin_name FROM patients WHERE id = ?", done.patient.id)
    assert row == [("2 Mine", "Their Choice")]  # both kept


def test_what_another_desk_changes_is_shown_but_never_under_the_hands_of_who_edits(open_page, clinic):
    done = clinic.patient(address="1 First Street")
    page = _profile(open_page, done)
    update_patient(clinic.desk, done.patient.patient_id, PatientUpdate.parse({"address": "2 Second Street"}, 1))
    expect(_section(page, "Contact Information")).to_contain_text("2 Second Street")
    _edit(page, "Contact Information")
    page.get_by_label("Address").fill("half typ")
    update_patient(clinic.desk, done.patient.patient_id, PatientUpdate.parse({"email": "elsewhere@example.org"}, 2))
    expect(_section(page, "Activity")).to_contain_text("Email changed")  # the news has arrived
    expect(page.get_by_label("Address")).to_have_value("half typ")


def test_no_such_patient_is_said_plainly(open_page, clinic):
    page = open_page("receptionist")
    for number in ("LMC999999", "nonsense", "999999999", "ABC1"):
        page.goto(f"/patients/{number}")
        expect(page.get_by_role("heading", name="No patient has this number", level=1)).to_be_visible()


def test_the_three_turns_of_an_account_from_the_profile(open_page, clinic):
    done = clinic.with_own_password("afterlife@example.org")
    page = _profile(open_page, done)
    access = _section(page, "Portal Access")
    expect(access).to_contain_text("Portal access is enabled for this patient")
    access.get_by_role("button", name="Reset temporary password").click()
    asked = page.get_by_role("dialog", name="Reset temporary password?")
    expect(asked).to_contain_text(f"For {done.patient.name}, {done.patient.patient_id}")
    expect(asked).to_contain_text("replaces the password that the patient has chosen")
    expect(asked.get_by_role("button", name="Cancel")).to_be_focused()
    asked.get_by_role("button", name="Reset temporary password").click()
    dialog = page.get_by_role("dialog", name="Temporary password reset")
    password = dialog.get_by_role("textbox", name="Temporary Password").input_value()
    dialog.get_by_role("button", name="Close").click()
    expect(access.get_by_text("Waiting for first sign-in")).to_be_visible()
    assert password not in page.content()
    still_open = (
        "SELECT count(*) FROM login_sessions s JOIN accounts a ON a.id = s.account_id"
        " WHERE a.username = ? AND ended_at IS NULL"
    )
    assert clinic.sql(still_open, "afterlife@example.org") == [(0,)]

    access.get_by_role("button", name="Turn off portal access").click()
    question = page.get_by_role("dialog", name="Turn off portal access")
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_have_count(0)
    expect(access.get_by_role("button", name="Turn off portal access")).to_be_focused()
    access.get_by_role("button", name="Turn off portal access").click()
    question.get_by_role("button", name="Turn off portal access").click()
    expect(question.get_by_role("alert")).to_have_text("Reason is required.")
    question.get_by_label("Another reason").check()
    question.get_by_label("In words").fill("Moved to <b>Nairobi</b>")
    question.get_by_role("button", name="Turn off portal access").click()
    expect(page.get_by_role("status").filter(has_text="Portal access is turned off.")).to_be_visible()
    expect(access.get_by_text("Portal access is turned off")).to_be_visible()
    expect(access).to_contain_text("by Grace Wanjiru")
    expect(access).to_contain_text("Reason: Moved to <b>Nairobi</b>")
    patient = open_page()
    patient_sign_in(patient, "afterlife@example.org", password)
    expect(patient.get_by_role("alert")).to_have_text("Incorrect username or password.")

    access.get_by_role("button", name="Turn on portal access").click()
    expect(page.get_by_role("status").filter(has_text="Portal access is turned on.")).to_be_visible()
    patient_sign_in(patient, "afterlife@example.org", password)
    expect(patient.get_by_role("heading", name="Choose your password")).to_be_visible()
    actions = [row[0] for row in clinic.sql("SELECT action FROM audit_events WHERE resource_id = ?", done.patient.id)]
    assert {"PORTAL_PASSWORD_RESET", "PORTAL_TURNED_OFF", "PORTAL_TURNED_ON"} <= set(actions)


def test_a_patient_signed_in_elsewhere_is_out_once_access_is_turned_off(open_page, clinic):
    done = clinic.with_own_password("thrown.out@example.org")
    patient = open_page()
    patient_sign_in(patient, "thrown.out@example.org", factories.OWN_PASSWORD)
    expect(patient.get_by_role("heading", name="My record", level=1)).to_be_visible()
    page = _profile(open_page, done)
    page.get_by_role("button", name="Turn off portal access").click()
    page.get_by_role("dialog").get_by_label("The patient asked for it").check()
    page.get_by_role("dialog").get_by_role("button", name="Turn off portal access").click()
    expect(page.get_by_text("Portal access is turned off.", exact=True)).to_be_visible()
    patient.reload()
    expect(patient.get_by_role("heading", name="Patient portal sign in")).to_be_visible()
