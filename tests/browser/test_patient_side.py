"""The patient's side: a password of their own before anything else, then their own record and nobody else's."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests import factories
from tests.browser.conftest import patient_sign_in, tab_to

GOOD = "seven amber kettles hum"


def _first_sign_in(open_page, clinic, email: str, **changes) -> Page:
    done = clinic.patient(portal_email=email, **changes)
    page = open_page()
    patient_sign_in(page, email, done.credentials.temporary_password)
    expect(page.get_by_role("heading", name="Choose your password", level=1)).to_be_visible()
    return page


def _choose(page: Page, new: str, again: str) -> None:
    page.get_by_label("New password", exact=True).fill(new)
    page.get_by_label("Confirm new password").fill(again)
    page.get_by_role("button", name="Save password").click()


@pytest.mark.asvs("2.3.1")
def test_nothing_else_opens_before_a_password_is_chosen(open_page, clinic):
    page = _first_sign_in(open_page, clinic, "forced@example.org")
    for path in ("/patient-portal", "/", "/patients", "/patients/new", "/patients/LMC000001"):
        page.goto(path)
        expect(page.get_by_role("heading", name="Choose your password", level=1)).to_be_visible()
        assert page.url.endswith("/patient-portal/change-password")
    _choose(page, GOOD, GOOD)
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()
    page.goto("/patient-portal/change-password")
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()
    assert page.url.endswith("/patient-portal")


@pytest.mark.parametrize(
    ("new", "again", "label", "sentence"),
    [
        ("", "", "New password", "New password is required."),
        ("too short", "too short", "New password", "6 more characters needed. Three or four words are easiest."),
        (GOOD, "something else", "Confirm new password", "The two passwords are not the same."),
        (
            "lakeside medical centre",
            "lakeside medical centre",
            "New password",
            "It contains a name, date or word linked to you or the clinic. Add unrelated words.",
        ),
    ],
    ids=["empty", "short", "different", "personal"],
)
def test_a_password_that_is_not_good_enough_is_told_why(open_page, clinic, new, again, label, sentence):
    page = _first_sign_in(open_page, clinic, f"notgood{abs(hash(sentence)) % 10_000}@example.org")
    _choose(page, new, again)
    field = page.get_by_label(label, exact=True)
    expect(field).to_have_accessible_description(re.compile(re.escape(sentence)))
    expect(page.locator("#error-summary")).to_be_focused()
    expect(page).to_have_title("Error: Choose your password · Lakeside Medical Centre")
    page.get_by_role("alert").get_by_role("link", name=sentence).click()
    expect(field).to_be_focused()
    expect(page.get_by_label("New password", exact=True)).to_have_value("")  # a password is never sent back
    page.goto("/patient-portal/change-password")
    expect(page.get_by_role("heading", name="Choose your password")).to_be_visible()


def test_the_meter_says_why_and_what_would_be_better(open_page, clinic):
    page = _first_sign_in(open_page, clinic, "meter@example.org")
    field, meter = page.get_by_label("New password", exact=True), page.locator("#strength")
    field.press_sequentially("abc")
    expect(meter).to_contain_text("Very weak")
    expect(meter).to_contain_text("12 more characters needed.")
    field.fill("lakeside tea time")
    expect(meter).to_contain_text("It contains a name, date or word linked to you or the clinic.")
    field.fill(GOOD)
    expect(meter).to_contain_text("Very strong")
    expect(page.locator("[data-tip=length]")).to_have_class("done")
    field.fill("")
    expect(meter).not_to_contain_text("Very strong")


def test_my_record_shows_the_patients_own_details_and_who_looked(open_page, clinic):
    done = clinic.with_own_password(
        "own.record@example.org", first_name="Owna", last_name="Record", address="5 My Own Road"
    )
    other = clinic.with_own_password("somebody.else@example.org", first_name="Somebody", last_name="Elsely")
    desk = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    expect(desk.get_by_role("heading", name="Owna Record")).to_be_visible()
    page = open_page()
    patient_sign_in(page, "OWN.record@example.org", factories.OWN_PASSWORD)
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()
    expect(page).to_have_title("My record · Lakeside Medical Centre")
    expect(page.get_by_role("main")).to_contain_text("Owna Record")
    own = page.locator("main").inner_text()
    for part in ("Owna Record", done.patient.patient_id, "14 Mar 1988", "5 My Own Road", "own.record@example.org"):
        assert part in own
    assert "Grace Wanjiru, reception, opened your record" in own
    for path in ("/", "/patients", "/patients/new", f"/patients/{other.patient.patient_id}"):
        page.goto(path)
        expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()
        assert page.url.endswith("/patient-portal")
        assert "Somebody" not in page.content()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Patient portal sign in", level=1)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Patient portal sign in", level=1)).to_be_visible()
    assert "Owna" not in page.content()


@pytest.mark.asvs("8.2.2", "14.3.1")
def test_a_second_patient_in_the_same_browser_sees_nothing_of_the_first(open_page, clinic):
    clinic.with_own_password("first.here@example.org", first_name="Firsthere", last_name="Person")
    clinic.with_own_password("second.here@example.org", first_name="Secondhere", last_name="Person")
    first = open_page(path="/patient-portal/login")
    page = open_page(path="/patient-portal/login", context=first.context)  # from before anybody signed in
    patient_sign_in(first, "first.here@example.org", factories.OWN_PASSWORD)
    expect(first.get_by_text("Hello, Firsthere.")).to_be_visible()
    tab = first.evaluate("sessionStorage.getItem('token')")
    page.evaluate("(token) => sessionStorage.setItem('token', token)", tab)
    page.get_by_label("Email").fill("second.here@example.org")
    page.get_by_label("Password").fill(factories.OWN_PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("Hello, Secondhere.")).to_be_visible()
    assert "Firsthere" not in page.content()


def test_the_whole_first_visit_goes_by_keyboard_alone(open_page, clinic):
    done = clinic.patient(portal_email="patient.keys@example.org")
    page = open_page(path="/patient-portal/login")
    tab_to(page, "Email")
    page.keyboard.type("patient.keys@example.org")
    tab_to(page, "Password")
    page.keyboard.type(done.credentials.temporary_password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Choose your password")).to_be_visible()
    tab_to(page, "New password")
    page.keyboard.type(GOOD)
    tab_to(page, "Confirm new password")
    page.keyboard.type(GOOD)
    tab_to(page, "Save password")
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()


# --- where one is signed in ---------------------------------------------------------------------

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def _two_browsers(open_page, clinic, email: str) -> tuple[Page, Page]:
    """My record of one patient, in Firefox on Windows and in the one that is looked at."""
    clinic.with_own_password(email)
    other = open_page(user_agent=FIREFOX)
    patient_sign_in(other, email, factories.OWN_PASSWORD)
    expect(other.get_by_text("This device", exact=True)).to_be_visible()
    page = open_page()
    patient_sign_in(page, email, factories.OWN_PASSWORD)
    expect(page.get_by_text("This device", exact=True)).to_be_visible()
    return page, other


def test_a_patient_ends_another_session_from_the_list_and_stays(open_page, clinic):
    page, other = _two_browsers(open_page, clinic, "own.sessions@example.org")
    rows = page.get_by_role("region", name="Where you are signed in").get_by_role("listitem")
    expect(rows).to_have_count(3)  # the sign-in with the temporary password too
    expect(rows.filter(has_text="This device")).to_have_count(1)
    expect(rows.filter(has_text="This device").get_by_role("button")).to_have_count(0)
    firefox = rows.filter(has_text="Firefox on Windows")
    expect(firefox).to_contain_text(re.compile(r"Signed in today at \d\d:\d\d, last active today at \d\d:\d\d"))
    firefox.get_by_role("button", name="Sign out Firefox on Windows").click()
    expect(page.get_by_text("That device has been signed out.")).to_be_visible()
    expect(page.locator("#sessions-said")).to_be_focused()
    expect(firefox).to_have_count(0)
    expect(other.get_by_role("heading", name="Patient portal sign in", level=1)).to_be_visible()
    other.goto("/patient-portal")
    expect(other.get_by_role("heading", name="Patient portal sign in", level=1)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()


def test_a_session_that_ends_elsewhere_leaves_the_open_list(open_page, clinic):
    page, other = _two_browsers(open_page, clinic, "elsewhere@example.org")
    other.reload()  # a sign-in that came later is on the list from now on
    rows = other.get_by_role("region", name="Where you are signed in").get_by_role("listitem")
    expect(rows).to_have_count(3)
    first = page.get_by_role("button", name="Sign out A browser")  # where the password was chosen
    first.click()
    expect(first).to_have_count(0)
    expect(rows).to_have_count(2)


def test_sign_out_everywhere_says_so_and_leads_all_to_the_patients_sign_in(open_page, clinic):
    page, other = _two_browsers(open_page, clinic, "everywhere@example.org")
    button = page.get_by_role("button", name="Sign out everywhere")
    expect(button).to_have_accessible_description(re.compile("every device, this one as well"))
    button.click()
    for one in (page, other):
        expect(one.get_by_role("heading", name="Patient portal sign in", level=1)).to_be_visible()
    left = clinic.sql(
        "SELECT count(*) FROM login_sessions s JOIN accounts a ON a.id = s.account_id "
        "WHERE a.username = 'everywhere@example.org' AND s.ended_at IS NULL"
    )
    assert left == [(0,)]
