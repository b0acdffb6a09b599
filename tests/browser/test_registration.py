"""Registering: every field, every sentence at its field, nothing typed lost, one patient for two clicks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from clinic_app.services import access
from tests import factories
from tests.browser.conftest import begin_edit, tab_to

FIELDS = {
    "First name": "Wanjiku",
    "Last name": "Ng'ang'a-Ødegård",
    "Date of birth": "14/3/1988",
    "Phone": "0712 445 901",
    "Email": "wanjiku@example.org",
    "National ID": "AB-12 345",
    "Address": "12 Lake Road, Kisumu",
    "Next of kin": "Peter Odhiambo",
    "Next of kin phone": "0722 910 448",
}


def _form(open_page, who="receptionist", **options) -> Page:
    page = open_page(who, "/patients/new", **options)
    expect(page.get_by_role("heading", name="Patient registration", level=1)).to_be_visible()
    return page


def _field(page: Page, label: str):
    return page.get_by_label(label, exact=True)


def _fill(page: Page, values: dict[str, str]) -> None:
    for label, value in values.items():
        _field(page, label).fill(value)


def _submit(page: Page) -> None:
    expect(page.locator("form[data-pressed]")).to_have_count(0)  # while it is busy, a press is no second one
    page.get_by_role("button", name="Register patient").click()


def _count(clinic) -> int:
    return clinic.sql("SELECT count(*) FROM patients")[0][0]


def test_every_field_arrives_in_the_record(open_page, clinic):
    page = _form(open_page)
    _fill(page, {**FIELDS, "National ID": "ALL-FIELDS-1"})
    _field(page, "Gender").select_option(label="Female")
    _submit(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Patient registered successfully")
    row = clinic.sql(
        "SELECT first_name, last_name, date_of_birth, phone, email, address, next_of_kin_name, next_of_kin_phone,"
        " gender, portal_enabled, verification_status FROM patients WHERE national_id = 'ALL-FIELDS-1'"
    )[0]
    expected = ("Wanjiku", "Ng'ang'a-Ødegård", "1988-03-14", "+254712445901", "wanjiku@example.org")
    assert row == (*expected, FIELDS["Address"], "Peter Odhiambo", "+254722910448", "FEMALE", 0, "VERIFIED")
    page.get_by_role("link", name="Open patient profile").click()
    expect(page.get_by_role("heading", name="Wanjiku Ng'ang'a-Ødegård", level=1)).to_be_visible()


def test_names_alone_are_enough_and_another_can_follow(open_page):
    page = _form(open_page)
    _fill(page, {"First name": "Only", "Last name": "Names"})
    _submit(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Patient registered successfully")
    expect(page.get_by_role("button", name="Register another patient")).to_be_visible()
    page.keyboard.press("n")
    expect(_field(page, "First name")).to_have_value("")
    expect(_field(page, "First name")).to_be_focused()


def test_the_page_opened_anew_after_a_registration_begins_with_a_form(open_page):
    page = _form(open_page)
    for again in (lambda: page.goto("/patients/new"), page.reload):
        _fill(page, {"First name": "Only", "Last name": "Names"})
        _submit(page)
        expect(page.get_by_role("heading", level=1)).to_have_text("Patient registered successfully")
        again()
        expect(page.get_by_role("heading", level=1)).to_have_text("Patient registration")
        expect(_field(page, "First name")).to_have_value("")


MISTAKES = [
    ("First name", "first_name", "   ", "First name is required."),
    ("Last name", "last_name", "x" * 101, "Last name must be at most 100 characters."),
    ("Date of birth", "date_of_birth", "31/2/1990", "Date of birth must be a real date, for example 31 3 1980."),
    ("Date of birth", "date_of_birth", "35", "Date of birth must be a year or an age: type 1935 or 35 years."),
    ("Date of birth", "date_of_birth", "1/1/2199", "Date of birth must not be in the future."),
    ("Date of birth", "date_of_birth", "31/12/1899", "Date of birth must not be before 1 Jan 1900."),
    ("Phone", "phone", "12345", "Phone must be a valid phone number, for example"),
    ("Email", "email", "not an email", "Email must be an email address, for example name@example.com."),
    ("National ID", "national_id", "---", "Leave National ID empty if there is none."),
    (
        "Next of kin phone",
        "next_of_kin_phone",
        "abc",
        "Next of kin phone must not contain letters, for example 0712 123456.",
    ),
]


def test_a_mistake_is_told_at_its_field_and_everything_typed_is_kept(open_page, clinic):
    before = _count(clinic)
    page = _form(open_page)
    right = {**FIELDS, "National ID": "KEPT-1"}
    _fill(page, right)
    _field(page, "Gender").select_option("OTHER")
    for label, ident, value, sentence in MISTAKES:
        _field(page, label).fill(value)
        page.evaluate("document.activeElement.blur()")
        _submit(page)
        expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
        expect(page.locator(f"#{ident}-error")).to_contain_text(sentence)
        expect(page.locator("#error-summary").get_by_role("link")).to_have_count(1)
        expect(_field(page, label)).to_have_attribute("aria-invalid", "true")
        expect(_field(page, label)).to_have_accessible_description(re.compile(re.escape(sentence)))
        expect(_field(page, label)).to_be_focused()
        for other, text in {**right, label: value}.items():
            expect(_field(page, other)).to_have_value(text)
        expect(_field(page, "Gender")).to_have_value("OTHER")
        expect(page).to_have_title("Error: Patient registration · Lakeside Medical Centre")
        assert _count(clinic) == before
        _field(page, label).fill(right[label])


def test_a_phone_is_read_back_beside_its_field_and_refused_in_words(open_page):
    page = _form(open_page)
    phone, hint = _field(page, "Phone"), page.locator("#phone-hint")
    expect(hint).to_have_text("For example 0712 123456")
    height = page.locator("form[data-draft]").bounding_box()["height"]  # type: ignore[index]
    for typed in ("0712 345601", "+254 (0)712 345601", "00254712345601", "\u202a0712345601\u202c"):
        phone.fill(typed)
        phone.blur()
        expect(hint).to_have_text("+254 712 345601")
        expect(phone).to_have_accessible_description("+254 712 345601")
        assert page.locator("form[data-draft]").bounding_box()["height"] == height  # type: ignore[index]
        phone.fill("0712 OOO 616")
        phone.blur()
        expect(page.locator("#phone-error")).to_have_text("Phone must not contain letters, for example 0712 123456.")
        expect(hint).to_have_text("For example 0712 123456")
        expect(phone).to_have_value("0712 OOO 616")
        phone.fill("")
        phone.blur()
        expect(page.locator("#phone-error")).to_have_text("")
    _field(page, "Next of kin phone").fill("+44 (0)20 7946 0958")
    _field(page, "Next of kin phone").blur()
    expect(page.locator("#next_of_kin_phone-hint")).to_have_text("+44 20 7946 0958")
    page.get_by_label("Create Patient Portal Login").check()
    _field(page, "Portal phone (optional)").fill("0722 345601")
    _field(page, "Portal phone (optional)").blur()
    expect(page.locator("#portal_phone-hint")).to_have_text("For SMS notifications (optional) · +254 722 345601")


def test_the_first_of_several_mistakes_gets_the_focus_and_each_is_a_link(open_page):
    page = _form(open_page)
    _fill(page, {"First name": "Fern", "Phone": "1", "Email": "x"})
    _submit(page)
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    expect(_field(page, "Last name")).to_be_focused()
    links = page.locator("#error-summary").get_by_role("link")
    expect(links).to_have_count(3)
    links.nth(2).click()
    expect(_field(page, "Email")).to_be_focused()


def test_leaving_a_field_checks_it_and_mending_it_takes_the_sentence_back(open_page):
    page = _form(open_page)
    email = _field(page, "Email")
    email.fill("amina@")
    email.blur()
    expect(page.locator("#email-error")).to_have_text("Email must be an email address, for example name@example.com.")
    email.fill("amina@example.org")
    email.blur()
    expect(page.locator("#email-error")).to_have_text("")
    expect(email).to_have_attribute("aria-invalid", "false")
    _field(page, "First name").focus()
    _field(page, "Last name").focus()
    expect(page.locator("#first_name-error")).to_have_text("")  # tabbing through an empty form is no mistake yet


@pytest.mark.parametrize(("typed", "echo"), [("14/3/1988", "14 Mar 1988, "), ("15 jan 1990", "15 Jan 1990, ")])
def test_a_date_of_birth_is_read_back(open_page, typed, echo):
    page = _form(open_page)
    expect(page.locator("#date_of_birth-hint")).to_have_text("For example 31 3 1980, 1960 or 35 years")
    _field(page, "Date of birth").fill(typed)
    _field(page, "Date of birth").blur()
    expect(page.locator("#date_of_birth-hint")).to_have_text(re.compile(rf"^{echo}\d+ years old$"))
    _field(page, "Date of birth").fill("nonsense")
    _field(page, "Date of birth").blur()
    expect(page.locator("#date_of_birth-hint")).to_have_text("For example 31 3 1980, 1960 or 35 years")


@pytest.mark.parametrize(
    ("first", "typed", "echo", "shown"),
    [
        ("Marcella", "Mar 1960", r"Mar 1960, \d+( or \d+)? years old", "Mar 1960"),
        ("Ibrahim", "1960", r"1960, \d+( or \d+)? years old", "1960"),
        ("Wilfred", "35 years", r"about \d{4} \(35 y\)", None),
    ],
)
def test_as_much_of_a_birth_date_as_is_known_is_read_back_and_shown(open_page, first, typed, echo, shown):
    page = _form(open_page)
    _fill(page, {"First name": first, "Last name": f"Known {typed}", "Date of birth": typed})
    _field(page, "Date of birth").blur()
    hint = page.locator("#date_of_birth-hint")
    expect(hint).to_have_text(re.compile(f"^{echo}$"))
    shown = shown or hint.inner_text()
    _submit(page)
    page.get_by_role("link", name="Open patient profile").click()
    expect(page.locator(".banner dd").nth(1)).to_have_text(shown)
    fact = page.locator("dl.facts div", has=page.get_by_text("Date of birth", exact=True))
    expect(fact.locator("dd")).to_have_text(shown)
    begin_edit(page, "patient details")
    expect(_field(page, "Date of birth")).to_have_value(shown.split(" (")[0])
    expect(hint).to_have_text(re.compile(f"^{echo}$"))
    page.goto("/patients")
    page.get_by_role("searchbox").or_(page.get_by_role("combobox")).first.fill(f"known {typed}")
    expect(page.get_by_role("row", name=re.compile(f"{first} Known {typed}"))).to_contain_text(shown)


def test_somebody_with_one_name_is_registered_without_a_last_one(open_page, clinic):
    page = _form(open_page)
    tick = page.get_by_role("checkbox", name="Has one name only", exact=True)
    _fill(page, {"First name": "Suharto", "Last name": "Typed First"})
    tick.check()
    expect(_field(page, "Last name")).to_be_disabled()
    expect(_field(page, "Last name")).to_have_value("")
    tick.uncheck()
    expect(_field(page, "Last name")).to_have_value("Typed First")
    _field(page, "Last name").fill("")
    _submit(page)
    expect(page.locator("#last_name-error")).to_have_text("Last name is required.")
    tick.focus()
    page.keyboard.press("Space")
    expect(page.locator("#last_name-error")).to_have_text("")
    _submit(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Patient registered successfully")
    assert clinic.sql("SELECT last_name, single_name FROM patients WHERE first_name = 'Suharto'") == [("", 1)]
    page.get_by_role("link", name="Open patient profile").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Suharto")
    expect(page.get_by_text("Last name", exact=True)).to_have_count(0)
    begin_edit(page, "patient details")
    expect(tick).to_be_checked()
    expect(_field(page, "Last name")).to_be_disabled()
    tick.uncheck()
    _field(page, "Last name").fill("Sastro")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Suharto Sastro")


def test_a_half_filled_form_of_somebody_with_one_name_comes_back_so(open_page):
    page = _form(open_page)
    _fill(page, {"First name": "Sukarno"})
    page.get_by_label("Has one name only").check()
    with page.expect_response("**/auth/draft/**"):
        page.evaluate("dispatchEvent(new Event('pagehide'))")
    page.reload()
    page.get_by_role("button", name=re.compile("^Continue: Sukarno, ")).click()
    expect(_field(page, "First name")).to_have_value("Sukarno")
    expect(page.get_by_label("Has one name only")).to_be_checked()
    expect(_field(page, "Last name")).to_be_disabled()


def test_the_checkbox_reveals_two_fields_and_keeps_what_was_typed(open_page):
    page = _form(open_page)
    box = page.get_by_label("Create Patient Portal Login")
    expect(_field(page, "Portal email")).to_be_hidden()
    box.check()
    _fill(page, {"Portal email": "kept@example.org", "Portal phone (optional)": "0712 445 901"})
    box.uncheck()
    expect(_field(page, "Portal email")).to_be_hidden()
    box.check()
    expect(_field(page, "Portal email")).to_have_value("kept@example.org")
    expect(_field(page, "Portal phone (optional)")).to_have_value("0712 445 901")


def test_an_unticked_box_means_no_account_whatever_stands_in_its_fields(open_page, clinic):
    page = _form(open_page)
    _fill(page, {"First name": "Unticked", "Last name": "Box"})
    page.get_by_label("Create Patient Portal Login").check()
    _field(page, "Portal email").fill("not an email")
    page.get_by_label("Create Patient Portal Login").uncheck()
    _submit(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Patient registered successfully")
    assert clinic.sql("SELECT portal_enabled, email FROM patients WHERE first_name = 'Unticked'") == [(0, None)]


def test_portal_mistakes_are_told_word_for_word(open_page, clinic):
    clinic.patient(portal_email="taken.already@example.org")
    before = _count(clinic)
    page = _form(open_page)
    _fill(page, {"First name": "Portal", "Last name": "Mistake"})
    page.get_by_label("Create Patient Portal Login").check()
    for email, sentence in (
        ("", "Email is required when creating a patient portal account."),
        ("nonsense", "Invalid email format for patient portal account."),
        (
            "Taken.Already@Example.org",
            "A portal account with this email already exists. "
            "Please use a different email address for the patient portal.",
        ),
    ):
        _field(page, "Portal email").fill(email)
        _submit(page)
        expect(page.locator("#portal_email-error")).to_have_text(sentence)
        expect(_field(page, "Portal email")).to_be_focused()
        expect(_field(page, "Portal email")).to_have_value(email)
        expect(page.get_by_label("Create Patient Portal Login")).to_be_checked()
        expect(_field(page, "First name")).to_have_value("Portal")
        assert _count(clinic) == before


def test_a_national_id_that_is_taken_is_told_word_for_word(open_page, clinic):
    clinic.patient(national_id="TAKEN 77")
    page = _form(open_page)
    _fill(page, {"First name": "Same", "Last name": "Number", "National ID": "taken-77"})
    _submit(page)
    expect(page.locator("#national_id-error")).to_have_text(
        "A patient with this national ID already exists. Please verify the national ID or search for existing patient."
    )
    expect(_field(page, "National ID")).to_be_focused()
    expect(_field(page, "National ID")).to_have_value("taken-77")


def test_a_fault_of_ours_gives_a_reference_and_keeps_the_form(open_page, clinic):
    page = _form(open_page)
    _fill(page, {"First name": "Faulty", "Last name": "Day"})
    clinic.sql("ALTER TABLE counters RENAME TO counters_away")
    try:
        _submit(page)
        note = page.get_by_role("alert").filter(has_text="Failed to create patient")
        expect(note).to_be_visible()
    finally:
        clinic.sql("ALTER TABLE counters_away RENAME TO counters")
    found = re.search(r"Please try again\. Reference: (\w+)", note.inner_text())
    assert found is not None
    line = next(line for line in clinic.server.log_text().splitlines() if found[1] in line and '"failed"' in line)
    assert "Faulty" not in line
    assert "patient_create_failed" in line
    expect(_field(page, "First name")).to_have_value("Faulty")
    expect(note).to_be_focused()
    _submit(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Patient registered successfully")


def test_another_unique_value_and_any_other_constraint_have_their_words(open_page, clinic):
    page = _form(open_page)
    _fill(page, {"First name": "Number", "Last name": "Clash"})
    (highest,) = clinic.sql("SELECT value FROM counters WHERE name = 'patient_id'")[0]
    clinic.sql("UPDATE counters SET value = 0 WHERE name = 'patient_id'")  # LMC000001 is given out already
    try:
        _submit(page)
        expect(
            page.get_by_role("alert").filter(has_text="A patient with these details already exists.")
        ).to_contain_text("This patient ID has already been assigned.")
    finally:
        clinic.sql("UPDATE counters SET value = ? WHERE name = 'patient_id'", highest)
    with clinic.server.refusing("patients"):
        _submit(page)
        expect(page.get_by_role("alert").filter(has_text="Database constraint violation.")).to_be_visible()
        assert "secret" not in page.content()
    expect(_field(page, "First name")).to_have_value("Number")


def test_with_portal_the_credentials_come_first_and_then_the_patient(open_page, clinic):
    page = _form(open_page)
    _fill(page, {"First name": "Portia", "Last name": "Access"})
    page.get_by_label("Create Patient Portal Login").check()
    _fill(page, {"Portal email": "Portia.Access@example.org", "Portal phone (optional)": "0712 445 901"})
    _submit(page)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Portal Account Created!")).to_be_visible()
    expect(dialog.get_by_text("Portal login credentials for Portia Access")).to_be_visible()
    expect(dialog.get_by_role("textbox", name="Username")).to_have_value("portia.access@example.org")
    password = dialog.get_by_role("textbox", name="Temporary Password").input_value()
    assert re.fullmatch(r"[A-HJ-NP-Za-hjkmnp-z2-9]{12}", password)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Patient registered successfully with portal account")
    assert password not in page.content()
    row = clinic.sql("SELECT email, phone, portal_enabled FROM patients WHERE first_name = 'Portia'")
    assert row == [("Portia.Access@example.org", "+254712445901", 1)]


@pytest.mark.parametrize("portal", [True, False], ids=["with portal", "without"])
def test_two_clicks_and_two_enters_make_one_patient(open_page, new_clinic, portal):
    """With hashes as dear as in production: the form is off while it works."""
    page = _form(open_page, at=new_clinic)
    _fill(page, {"First name": "Twice", "Last name": "Clicked"})
    if portal:
        page.get_by_label("Create Patient Portal Login").check()
        _field(page, "Portal email").fill("twice@example.org")
    page.evaluate("""() => new MutationObserver(() => {
      const button = document.querySelector("main form button[type=submit]");
      if (button?.disabled && button.innerText.includes("Registering...")) window.sawBusy = true;
    }).observe(document.body, {childList: true, subtree: true, attributes: true, characterData: true})""")
    failed = len(new_clinic.audit("PATIENT_CREATE_FAILED"))
    page.get_by_role("button", name="Register patient").dblclick()
    page.evaluate("document.querySelector('main form')?.requestSubmit()")
    expect(page.get_by_text("Portal Account Created!" if portal else "Patient registered successfully")).to_be_visible()
    _settle(page)
    if portal:
        assert page.evaluate("window.sawBusy") is True
        assert new_clinic.sql("SELECT count(*) FROM accounts WHERE username = 'twice@example.org'") == [(1,)]
    made = new_clinic.sql("SELECT count(*) FROM patients WHERE first_name = 'Twice' AND is_active")
    assert made == [(1,)]
    assert len(new_clinic.audit("PATIENT_CREATE_FAILED")) == failed
    new_clinic.sql("UPDATE patients SET is_active = false, portal_enabled = false")  # a clinic without patients again


def _settle(page: Page) -> None:
    """Wait until the server has answered all that this page has sent: its events are taken in their order."""
    if page.get_by_role("dialog").count():
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Register another patient").click()
    expect(_field(page, "First name")).to_be_focused()


def test_the_whole_registration_goes_by_keyboard_alone(open_page, clinic):
    page = open_page("receptionist", "/")
    expect(page.get_by_role("link", name="Register patient")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_label("First name")).to_be_focused()

    page.keyboard.type("Keyboard")
    tab_to(page, "Last name")
    page.keyboard.type("Only")
    tab_to(page, "Create Patient Portal Login")
    page.keyboard.press("Space")
    tab_to(page, "Portal email")
    page.keyboard.type("keyboard.only@example.org")
    tab_to(page, "Register patient")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Portal Account Created!")).to_be_visible()
    expect(page.get_by_role("button", name="Copy Both")).to_be_focused()
    tab_to(page, "Close")
    page.keyboard.press("Space")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Patient registered successfully with portal account")
    tab_to(page, "Open patient profile")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Keyboard Only", level=1)).to_be_visible()
    assert clinic.sql("SELECT count(*) FROM patients WHERE first_name = 'Keyboard'") == [(1,)]


def test_what_was_typed_is_gone_after_cancel(open_page):
    page = _form(open_page)
    _fill(page, {"First name": "Leftover"})
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", name="Patients", level=1)).to_be_visible()
    page.get_by_role("link", name="Register patient").click()
    expect(_field(page, "First name")).to_have_value("")


def test_register_anyway_sends_what_stands_in_the_form_once(open_page, clinic):
    """The button beside the form: the same form, and whom it was asked about."""
    there = factories.make_patient(
        access.SYSTEM, first_name="Zipporah", last_name="Kemunto", date_of_birth="2/6/1979", phone="0711 555 123"
    ).patient
    page = open_page("receptionist", "/patients/new")
    for label, value in (("First name", "Zipporah"), ("Last name", "Kemunto"), ("Date of birth", "2/6/1979")):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Register patient").click()
    held = page.get_by_role("alert", name="Possible duplicates")
    expect(held).to_be_focused()
    expect(held.get_by_role("link", name="Open existing record")).to_have_attribute(
        "href", f"/patients/{there.patient_id}"
    )
    page.get_by_label("Address").fill("Typed after the question")
    held.get_by_role("button", name="Register anyway").click()
    expect(page.get_by_role("heading", name="Patient registered successfully")).to_be_visible()
    rows = clinic.sql("SELECT address FROM patients WHERE last_name = 'Kemunto' ORDER BY id")
    assert [row[0] for row in rows][1:] == ["Typed after the question"]
