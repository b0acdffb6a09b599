"""Create Portal Account: four states, what closes it, where the focus goes, and where the password is afterwards."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.provisioning import create_portal_account
from tests import factories
from tests.browser.conftest import Clinic, focused, until
from tests.browser.serving import bound
from tests.browser.sockets import hydrated

BOTH = ["clipboard-read", "clipboard-write"]


def _open(open_page, done, who="receptionist", **options) -> Page:
    """The dialog over the profile of ``done``'s patient."""
    page = open_page(who, f"/patients/{done.patient.patient_id}", **options)
    page.get_by_role("button", name="Create Portal Account").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    return page


def _create(page: Page, email: str = "") -> None:
    if email:
        page.get_by_role("dialog").get_by_label("Email").fill(email)
    expect(page.locator("form[data-pressed]")).to_have_count(0)  # while it is busy, a press is no second one
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()


def _succeed(page: Page, email: str = "") -> str:
    _create(page, email)
    expect(page.get_by_role("heading", name="Portal Account Created!")).to_be_visible()
    return page.get_by_role("dialog").get_by_role("textbox", name="Temporary Password").input_value()


def test_the_input_state_has_these_words(open_page, clinic):
    done = clinic.patient(first_name="Wordy", last_name="Input", email="wordy@example.org", phone="0712 445 901")
    page = _open(open_page, done)
    dialog = page.get_by_role("dialog", name="Create Portal Account")
    expect(dialog).to_have_accessible_description("Create patient portal login for Wordy Input")
    email, phone = dialog.get_by_label("Email"), dialog.get_by_label("Phone Number (Optional)")
    expect(email).to_have_value("wordy@example.org")
    expect(email).to_have_attribute("aria-required", "true")
    expect(email).to_have_accessible_description(re.compile("^Will be used as portal login username"))
    expect(phone).to_have_value("0712 445901")
    expect(phone).to_have_accessible_description(re.compile(r"^For SMS notifications \(optional\)"))
    expect(dialog.get_by_text("Portal Access", exact=True)).to_be_visible()
    expect(dialog.get_by_text("A temporary password will be generated.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_visible()


@pytest.mark.parametrize("way", ["Escape", "outside", "Cancel"])
def test_it_closes_and_the_focus_returns_to_its_button(open_page, clinic, way):
    page = _open(open_page, clinic.patient())
    if way == "Escape":
        page.keyboard.press("Escape")
    elif way == "outside":
        page.mouse.click(8, 8)
    else:
        page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Create Portal Account")).to_be_focused()


def test_in_the_list_too_the_focus_returns_to_the_button_of_that_row(open_page, clinic):
    clinic.patient(first_name="Focusrow", last_name="Alpha")
    clinic.patient(first_name="Focusrow", last_name="Beta")
    page = open_page("receptionist", "/patients")
    page.get_by_label("Search patients").fill("focusrow")
    expect(page.get_by_role("rowheader")).to_have_count(2)
    button = page.get_by_role("row", name=re.compile("Beta")).get_by_role("button")
    button.click()
    expect(page.get_by_role("dialog").get_by_text("Create patient portal login for Focusrow Beta")).to_be_visible()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()


def test_a_mistake_is_told_at_the_email_and_what_was_typed_is_kept(open_page, clinic):
    clinic.patient(portal_email="in.use@example.org")
    page = _open(open_page, clinic.patient(phone="0712 445 901"))
    before = len(clinic.audit("PORTAL_ACCOUNT_CREATED"))
    _create(page)
    expect(page.locator("#portal-email-error")).to_contain_text("Email is required.")
    email = page.get_by_role("dialog").get_by_label("Email")
    for typed, sentence in (
        ("x@", "Invalid email format. Please provide a valid email address."),
        ("", "Email is required. Please provide a valid email address for the portal account."),
        (
            "in.use@example.org",
            "Email already in use. A portal account with this email already exists. Please use a different email.",
        ),
    ):
        email.fill(typed)
        _create(page)
        expect(page.locator("#portal-email-error")).to_have_text(sentence)
        expect(email).to_be_focused()
        expect(email).to_have_value(typed)
        expect(email).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_label("Phone Number (Optional)")).to_have_value("0712 445901")
        assert len(clinic.audit("PORTAL_ACCOUNT_CREATED")) == before


def test_a_field_that_is_switched_off_while_it_works_keeps_what_the_work_said(open_page, clinic):
    """Chromium takes the focus from it, which is no leaving: checking it then took the sentence back."""
    clinic.patient(portal_email="kept.sentence@example.org")
    page = _open(open_page, clinic.patient())
    email = page.get_by_role("dialog").get_by_label("Email")
    email.fill("kept.sentence@example.org")
    with clinic.server.busy():
        email.press("Enter")
        expect(email).to_be_disabled()
        page.wait_for_timeout(300)  # in which its check would be sent
    error = page.locator("#portal-email-error")
    expect(error).to_contain_text("Email already in use.")
    page.wait_for_timeout(500)  # in which its check would be answered
    expect(error).to_contain_text("Email already in use.")
    expect(email).to_be_focused()


def test_leaving_the_email_checks_it(open_page, clinic):
    page = _open(open_page, clinic.patient())
    email = page.get_by_role("dialog").get_by_label("Email")
    email.fill("nonsense")
    page.get_by_label("Phone Number (Optional)").focus()
    expect(page.locator("#portal-email-error")).to_have_text(
        "Invalid email format. Please provide a valid email address."
    )
    email.fill("sense@example.org")
    page.get_by_label("Phone Number (Optional)").focus()
    expect(page.locator("#portal-email-error")).to_have_text("")
    page.get_by_label("Phone Number (Optional)").fill("12")
    email.focus()
    expect(page.locator("#portal-phone-error")).to_contain_text("Phone must be a valid phone number")


def test_a_patient_who_got_access_meanwhile_is_named_with_the_username(open_page, clinic):
    done = clinic.patient()
    page = _open(open_page, done)
    create_portal_account(clinic.desk, done.patient.patient_id, PortalAccountRequest("first.was@example.org"))
    _create(page, "second@example.org")
    expect(page.locator("#portal-email-error")).to_have_text(
        "Portal account already exists. This patient already has a portal account with username: first.was@example.org"
    )


def test_a_role_that_was_taken_away_meanwhile_is_refused_in_words(open_page, clinic):
    done = clinic.patient()
    page = _open(open_page, done, "admin")
    clinic.sql("UPDATE accounts SET role = 'CLINICIAN' WHERE username = 'admin'")
    try:
        _create(page, "not.any.more@example.org")
        sentence = page.get_by_text("Only receptionists and administrators can create portal accounts.")
        expect(sentence.first).to_be_visible()
    finally:
        clinic.sql("UPDATE accounts SET role = 'ADMIN' WHERE username = 'admin'")
    assert clinic.sql("SELECT 1 FROM accounts WHERE username = 'not.any.more@example.org'") == []
    assert clinic.audit("ACCESS_DENIED")[-1][0] == "CLINICIAN"


def test_a_fault_of_ours_is_told_above_the_form_with_an_icon(open_page, clinic):
    page = _open(open_page, clinic.patient())
    clinic.sql("ALTER TABLE audit_head RENAME TO audit_head_away")
    try:
        _create(page, "faulty@example.org")
        note = (
            page.get_by_role("dialog").get_by_role("alert").filter(has_text="Failed to create patient portal account")
        )
        expect(note).to_be_visible()
    finally:
        clinic.sql("ALTER TABLE audit_head_away RENAME TO audit_head")
    expect(note).to_contain_text(re.compile(r"Please try again\. Reference: \w+"))
    expect(note.locator("svg")).to_be_visible()
    expect(note).to_be_focused()
    expect(page.get_by_role("dialog").get_by_label("Email")).to_have_value("faulty@example.org")
    assert clinic.sql("SELECT 1 FROM accounts WHERE username = 'faulty@example.org'") == []
    _succeed(page)


def test_the_success_state_has_these_words_and_only_close_closes_it(open_page, clinic):
    page = _open(open_page, clinic.patient(first_name="Sue", last_name="Cess"))
    password = _succeed(page, "sue@example.org")
    dialog = page.get_by_role("dialog", name="Portal Account Created!")
    expect(dialog).to_have_accessible_description("Portal login credentials for Sue Cess")
    expect(page.get_by_role("button", name="Copy Both")).to_be_focused()
    expect(dialog.get_by_role("textbox", name="Username")).to_have_value("sue@example.org")
    for name in ("Username", "Temporary Password"):
        expect(dialog.get_by_role("textbox", name=name)).to_have_attribute("readonly", "")
    expect(dialog.get_by_text("Important")).to_be_visible()
    expect(
        dialog.get_by_text("Send these credentials securely. Patient must change password on first login.")
    ).to_be_visible()
    expect(dialog.get_by_text("Nothing was sent: hand these credentials over in person.")).to_be_visible()
    for name in ("Copy username", "Copy temporary password", "Copy Both", "Print", "Close"):
        expect(dialog.get_by_role("button", name=name, exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    page.mouse.click(8, 8)
    expect(dialog.get_by_role("textbox", name="Temporary Password")).to_have_value(password)
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.asvs("14.3.3", "6.4.1")
def test_after_close_the_password_is_nowhere(open_page, clinic):
    done = clinic.patient()
    page = _open(open_page, done)
    password = _succeed(page, "nowhere@example.org")
    tab = page.evaluate("sessionStorage.getItem('token')")
    cookie = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "clinic_session")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("✓ Portal Active")).to_be_visible()
    assert password not in page.content()
    assert password not in page.evaluate(
        "JSON.stringify([localStorage, sessionStorage, history.state, document.cookie])"
    )
    assert page.evaluate("[...document.querySelectorAll('input')].map((input) => input.value)").count(password) == 0
    page.close()
    server_side = hydrated(clinic.server.url, tab, cookie)  # what the server still knows of this very tab
    assert done.patient.patient_id in server_side
    assert password not in server_side
    assert password not in clinic.server.log_text()
    assert password not in json.dumps(clinic.server.dump(), default=str)


def test_the_password_is_in_the_servers_state_only_while_it_is_shown(open_page, clinic):
    """The other half of the test above: it can see a password that is there."""
    page = _open(open_page, clinic.patient())
    password = _succeed(page, "while.shown@example.org")
    tab = page.evaluate("sessionStorage.getItem('token')")
    cookie = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "clinic_session")
    page.close()
    assert password in hydrated(clinic.server.url, tab, cookie)


def test_going_elsewhere_wipes_it_too(open_page, clinic):
    page = _open(open_page, clinic.patient())
    password = _succeed(page, "going.elsewhere@example.org")
    page.goto("/patients")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    assert page.get_by_role("dialog").count() == 0
    page.go_back()
    expect(page.get_by_text("✓ Portal Active")).to_be_visible()
    assert page.get_by_role("dialog").count() == 0
    assert password not in page.content()


def test_when_the_button_became_a_badge_the_focus_goes_to_its_place(open_page, clinic):
    done = clinic.patient(first_name="Badge", last_name="Focus")
    page = open_page("receptionist", "/patients")
    page.get_by_label("Search patients").fill("badge focus")
    expect(page.get_by_role("rowheader")).to_have_count(1)
    page.get_by_role("row").nth(1).get_by_role("button", name="Create Portal Account").click()
    _succeed(page, "badge.focus@example.org")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("✓ Portal Active")).to_be_visible()
    expect(page.get_by_role("link", name="Badge Focus")).to_be_focused()
    page.get_by_role("link", name="Badge Focus").click()
    expect(page.get_by_text("Portal access is enabled for this patient")).to_be_visible()
    assert done.patient.patient_id in page.url


def test_copy_and_copy_both(open_page, clinic):
    page = _open(open_page, clinic.patient(), permissions=BOTH)
    password = _succeed(page, "copied@example.org")
    status = page.get_by_role("dialog").locator("[data-copy-status]")
    address = page.locator("#cred-address").get_attribute("data-copies")
    assert str(address).endswith("/patient-portal/login")
    clipboard = "navigator.clipboard.readText()"
    for name, expected in (
        ("Copy username", "copied@example.org"),
        ("Copy temporary password", password),
        ("Copy Both", f"Username: copied@example.org\nTemporary Password: {password}\nSign in at: {address}"),
    ):
        page.get_by_role("button", name=name).click()
        expect(status).to_have_text("Copied")
        assert page.evaluate(clipboard) == expected
        status.evaluate("(element) => { element.textContent = ''; }")


def test_where_copying_is_refused_the_text_is_selected_and_the_words_say_how(open_page, clinic):
    page = _open(open_page, clinic.patient())
    password = _succeed(page, "refused.copy@example.org")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.get_by_role("button", name="Copy temporary password").click()
    expect(page.get_by_role("dialog").locator("[data-copy-status]")).to_have_text(
        "Your browser did not allow copying. The text is selected: press Ctrl+C."
    )
    assert focused(page) == "cred-password"
    assert (
        page.evaluate(
            "document.activeElement.value.slice(document.activeElement.selectionStart,"
            " document.activeElement.selectionEnd)"
        )
        == password
    )
    page.get_by_role("button", name="Copy Both").click()
    expect(page.get_by_role("dialog").locator("[data-copy-status]")).to_contain_text(
        "Username is selected: press Ctrl+C, then do the same"
    )
    assert focused(page) == "cred-username"


def test_print_prints_one_slip_and_is_recorded(open_page, clinic):
    page = _open(open_page, clinic.patient(first_name="Paper", last_name="Slip", address="99 Private Road"))
    page.evaluate("""() => { window.prints = 0; window.print = () => {
      window.prints += 1; dispatchEvent(new Event("beforeprint"));
    }; }""")
    password = _succeed(page, "paper.slip@example.org")
    before = len(clinic.audit("CREDENTIALS_PRINTED"))
    page.get_by_role("button", name="Print").click()
    expect(page.locator("#print-sheet")).to_be_attached()
    page.emulate_media(media="print")
    sheet = page.locator("#print-sheet")
    expect(sheet.get_by_role("article", name="Credential slip")).to_be_visible()
    text = sheet.inner_text()
    assert "Paper Slip" in text
    assert "paper.slip@example.org" in text
    assert password in text.replace("\n", "").replace(" ", "")
    assert "99 Private Road" not in text  # nothing of the record
    visible = page.evaluate("""() => [...document.body.children].filter(
        (one) => one.id !== "print-sheet" && one.getClientRects().length
          && getComputedStyle(one).visibility !== "hidden" && one.innerText?.trim()
      ).map((one) => one.outerHTML.slice(0, 80))""")
    assert visible == []
    pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", pdf)) == 1
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("#print-sheet")).to_have_count(0)
    assert page.evaluate("window.prints") == 1
    expect(page.get_by_role("textbox", name="Temporary Password")).to_have_value(password)
    until(lambda: len(clinic.audit("CREDENTIALS_PRINTED")) == before + 1)


def test_while_it_works_the_form_is_off_and_a_second_click_does_nothing(open_page, new_clinic):
    """With hashes as dear as in production."""
    with bound(new_clinic):
        done = factories.make_patient(Clinic(new_clinic).desk, first_name="Slow", last_name="Hash")
    page = _open(open_page, done, at=new_clinic)
    page.evaluate("""() => { window.seen = {}; new MutationObserver(() => {
      const form = document.querySelector("[role=dialog] form");
      const button = form?.querySelector("button[type=submit]");
      if (button?.disabled) window.seen = {
        words: button.innerText, spinner: !!button.querySelector(".rt-Spinner, [class*=spinner i]"),
        busy: form.getAttribute("aria-busy"),
        off: [...form.elements].every((one) => one.disabled || one.type === "hidden"),
      };
    }).observe(document.body, {childList: true, subtree: true, attributes: true, characterData: true}); }""")
    page.get_by_role("dialog").get_by_label("Email").fill("slow.hash@example.org")
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").dblclick()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")  # not while it works
    expect(page.get_by_role("heading", name="Portal Account Created!")).to_be_visible()
    seen = page.evaluate("window.seen")
    assert seen["words"].strip().endswith("Creating...")
    assert seen["busy"] == "true"
    assert seen["off"] is True
    assert seen["spinner"] is True
    assert new_clinic.sql("SELECT count(*) FROM accounts WHERE username = 'slow.hash@example.org'") == [(1,)]
    assert len(new_clinic.audit("PORTAL_ACCOUNT_CREATED")) == 1
    assert new_clinic.audit("PORTAL_ACCOUNT_CREATE_FAILED") == []
    new_clinic.sql("UPDATE patients SET is_active = false, portal_enabled = false")


def test_the_dialog_holds_the_keyboard_and_is_done_with_it_alone(open_page, clinic):
    done = clinic.patient(email="keys@example.org")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    button = page.get_by_role("button", name="Create Portal Account")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Email")).to_be_visible()
    inside = "document.querySelector('[role=dialog]').contains(document.activeElement)"
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate(inside) is True
    dialog.get_by_label("Email").focus()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("heading", name="Portal Account Created!")).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if focused(page) == "Close":
            break
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)


def test_an_edit_of_the_email_elsewhere_is_what_the_next_opening_shows(open_page, clinic):
    done = clinic.patient(email="old.mail@example.org")
    page = _open(open_page, done)
    page.keyboard.press("Escape")
    update_patient(clinic.desk, done.patient.patient_id, PatientUpdate.parse({"email": "new.mail@example.org"}, 1))
    expect(page.get_by_text("new.mail@example.org").first).to_be_visible()
    page.get_by_role("button", name="Create Portal Account").click()
    expect(page.get_by_role("dialog").get_by_label("Email")).to_have_value("new.mail@example.org")
