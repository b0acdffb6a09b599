"""The patient's own pages: a journey on a phone held in one hand, without scripts, and what is left when it is over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient, view_patient
from tests import factories
from tests.browser.conftest import SOON_MS, drawn, patient_sign_in

NEW = "herons over quiet wetlands"
SIGN_IN = "Patient portal sign in"


def _heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def _at_home(open_page, clinic, email: str, **options) -> Page:
    """*My record*, on a phone."""
    clinic.with_own_password(email, first_name="Owna", address="Plot 5")
    page = open_page(width=320, height=640, **options)
    patient_sign_in(page, email, factories.OWN_PASSWORD)
    _heading(page, "My record")
    return page


def _followed(page: Page, name: str | re.Pattern[str], heading: str) -> None:
    """A link of *My record*, to one of the other pages."""
    with page.expect_navigation():
        page.get_by_role("link", name=name).click()
    _heading(page, heading)
    expect(page).to_have_title(f"{heading} · Lakeside Medical Centre")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 320, f"{heading} is {wide} pixels wide"
    small = page.evaluate(
        """() => [...document.querySelectorAll("main a, main button, main summary, header button")]
          .filter((one) => one.checkVisibility() && !one.closest("p"))
          .filter((one) => one.getBoundingClientRect().height < 44).map((one) => one.textContent)"""
    )
    assert small == [], "a thumb needs 44 pixels"


def _home_again(page: Page) -> None:
    with page.expect_navigation():
        page.get_by_role("link", name="My record", exact=True).click()
    drawn(page)
    _heading(page, "My record")


def test_a_patient_goes_through_all_of_it_on_a_phone(open_page, clinic, tmp_path):
    page = _at_home(open_page, clinic, "own.journey@example.org")

    _followed(page, "Correct my contact details", "Correct my contact details")
    page.get_by_label("Phone", exact=True).fill("0712 445 901 or 0733 118 2")
    page.get_by_label("Address").fill("P.O. Box 412\nKisumu")
    page.get_by_role("button", name="Save contact details").click()
    expect(page.locator("#error-summary")).to_be_focused()
    page.get_by_role("alert").get_by_role("link", name="Phone must be one number, not two.").click()
    expect(page.get_by_label("Phone", exact=True)).to_be_focused()
    expect(page.get_by_label("Phone", exact=True)).to_have_value("0712 445 901 or 0733 118 2")
    expect(page.get_by_label("Address")).to_have_value("P.O. Box 412\nKisumu")
    page.get_by_label("Phone", exact=True).fill("0733 100 200")
    page.get_by_label("Phone may be used for messages").uncheck()
    with page.expect_navigation(url="**/patient-portal"):
        page.get_by_role("button", name="Save contact details").click()
    drawn(page)
    expect(page.get_by_text("Saved. You changed your phone number, choice of messages and address.")).to_be_visible()
    expect(page.get_by_role("region", name="Contact details")).to_contain_text("0733 100200")
    expect(page.get_by_role("region", name="Contact details")).to_contain_text("By email only")

    _followed(page, re.compile("^See all( |$)(?!devices)"), "Who has viewed your record")
    expect(page.get_by_text("You changed your phone number, choice of messages and address")).to_be_visible()
    expect(page.get_by_role("heading", name="Today", level=2)).to_be_visible()
    _home_again(page)

    _followed(page, "Change password", "Change password")
    page.get_by_label("Current password").fill(factories.OWN_PASSWORD)
    page.get_by_label("New password", exact=True).fill(NEW)
    expect(page.locator("#strength")).to_contain_text(re.compile("Strong|Very strong"))
    page.get_by_label("Confirm new password").fill(NEW)
    with page.expect_navigation(url="**/patient-portal"):
        page.get_by_role("button", name="Save password").click()
    drawn(page)
    expect(page.get_by_text("Your password has been changed.")).to_be_visible()
    rows = page.get_by_role("region", name="Where you are signed in").get_by_role("listitem")
    expect(rows).to_have_count(1)

    _followed(page, "Download my record", "Download my record")
    page.get_by_label("Password").fill(NEW)
    with page.expect_download() as taken:
        page.get_by_role("button", name="Download my record").click()
    assert taken.value.suggested_filename == "my-record.html"
    expect(page.get_by_label("Password")).to_have_value("")  # the page stays, the password does not
    page.get_by_label("For another clinic's computer").check()
    page.get_by_label("Password").fill(NEW)
    with page.expect_download() as other:
        page.get_by_role("button", name="Download my record").click()
    assert other.value.suggested_filename == "my-record.json"
    found = json.loads(Path(other.value.path()).read_text("utf-8"))
    assert (found["patient"]["first_name"], found["viewed_by"][0]["did"]) == ("Owna", "downloaded your record")

    kept = tmp_path / "my-record.html"
    taken.value.save_as(kept)
    page.goto(kept.as_uri())
    _heading(page, "My record")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("body").evaluate("(one) => getComputedStyle(one).backgroundColor") == "rgb(255, 255, 255)"
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1


def test_all_of_it_is_usable_without_scripts(open_page, clinic):
    clinic.with_own_password("own.plain@example.org", first_name="Owna")
    page = open_page(java_script_enabled=False, width=320, height=640)
    patient_sign_in(page, "own.plain@example.org", factories.OWN_PASSWORD)
    page.goto("/patient-portal/contact")
    page.get_by_label("Address").fill("Plot 9")
    page.get_by_role("button", name="Save contact details").click()
    page.wait_for_url("**/patient-portal", wait_until="commit")
    assert clinic.sql("SELECT address FROM patients WHERE email = 'own.plain@example.org'") == [("Plot 9",)]
    page.goto("/patient-portal/views")
    expect(page.get_by_text("You changed your address")).to_be_visible()
    page.goto("/patient-portal/sessions")
    page.get_by_role("button", name="Sign out A browser").click()
    expect(page.get_by_text("A browser is signed out.")).to_be_visible()
    page.goto("/patient-portal/download")
    page.get_by_label("Password").fill(factories.OWN_PASSWORD)
    with page.expect_download():
        page.get_by_role("button", name="Download my record").click()
    page.goto("/patient-portal/password")
    page.get_by_role("button", name="Suggest a passphrase").click()
    offered = page.get_by_label("New password", exact=True).input_value()
    page.get_by_label("Current password").fill(factories.OWN_PASSWORD)
    page.get_by_role("button", name="Save password").click()
    page.wait_for_url("**/patient-portal", wait_until="commit")
    assert len(offered.split()) == 5


def test_an_edit_at_the_desk_meanwhile_is_shown_and_nothing_typed_is_lost(open_page, clinic):
    done = clinic.with_own_password("own.stale@example.org", address="Plot 5")
    page = open_page(width=320, height=640)
    patient_sign_in(page, "own.stale@example.org", factories.OWN_PASSWORD)
    page.goto("/patient-portal/contact")
    page.get_by_label("Address").fill("Mine")
    update_patient(clinic.desk, done.patient.id, PatientUpdate.parse({"next_of_kin_name": "Jane Wambui"}))
    page.get_by_role("button", name="Save contact details").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Somebody else changed this record while you were editing.")
    expect(alert).to_contain_text("Jane Wambui")
    expect(page.get_by_label("Address")).to_have_value("Mine")
    expect(page.get_by_label("Next of kin", exact=True)).to_have_value("Jane Wambui")
    with page.expect_navigation(url="**/patient-portal"):
        page.get_by_role("button", name="Save contact details").click()
    assert clinic.sql("SELECT address, next_of_kin_name FROM patients WHERE id = ?", done.patient.id) == [
        ("Mine", "Jane Wambui")
    ]


@pytest.mark.asvs("7.4.1", "14.3.1")
@pytest.mark.parametrize("how", ["signed out in another tab", "ended elsewhere", "idle"])
def test_nothing_stays_on_the_screen_when_the_session_is_over(open_page, clinic, how):
    home = _at_home(open_page, clinic, f"own.leaves{how[:5]}@example.org")
    page = open_page(path="/patient-portal/contact", context=home.context, width=320, height=640)
    expect(page.get_by_label("Address")).to_have_value("Plot 5")
    if how == "signed out in another tab":
        home.get_by_role("button", name="Sign out", exact=True).click()
    else:
        token = next(one["value"] for one in home.context.cookies() if one["name"] == "clinic_session")
        if how == "idle":
            clinic.sql("UPDATE login_sessions SET last_seen_at = '2020-01-01 00:00:00' WHERE ended_at IS NULL")
        else:
            clinic.server.end_session(token)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as when the phone is taken up again
    _heading(page, SIGN_IN)
    assert "Plot 5" not in page.content()


def test_what_was_typed_when_the_session_ended_is_there_after_signing_in(open_page, clinic):
    home = _at_home(open_page, clinic, "own.typing@example.org")
    page = open_page(path="/patient-portal/contact", context=home.context, width=320, height=640)
    page.get_by_label("Address").fill("Plot 12, typed")
    clinic.sql("UPDATE login_sessions SET last_seen_at = '2020-01-01 00:00:00' WHERE ended_at IS NULL")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as when the phone is taken up again
    _heading(page, SIGN_IN)
    expect(page.get_by_role("status")).to_contain_text("What you typed is kept: sign in to go on.")
    assert "Plot" not in page.content()
    page.get_by_label("Email").fill("own.typing@example.org")
    page.get_by_label("Password", exact=True).fill(factories.OWN_PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("You were signed out before this was saved.")
    expect(page.get_by_label("Address")).to_have_value("Plot 12, typed")
    with page.expect_navigation(url="**/patient-portal"):
        page.get_by_role("button", name="Save contact details").click()
    (saved,) = clinic.sql("SELECT address FROM patients WHERE email = 'own.typing@example.org'")
    assert saved == ("Plot 12, typed",)


def test_back_after_signing_out_shows_nothing(open_page, clinic):
    page = _at_home(open_page, clinic, "own.back@example.org")
    page.goto("/patient-portal/contact")
    page.get_by_role("button", name="Sign out", exact=True).click()
    _heading(page, SIGN_IN)
    page.go_back()
    expect(page.get_by_role("heading", name=SIGN_IN, level=1)).to_be_visible(timeout=SOON_MS)
    assert "Plot 5" not in page.content()


def test_another_password_leaves_the_other_tabs_signed_in(open_page, clinic):
    home = _at_home(open_page, clinic, "own.tabs@example.org")
    page = open_page(path="/patient-portal/password", context=home.context)
    page.get_by_label("Current password").fill(factories.OWN_PASSWORD)
    page.get_by_label("New password", exact=True).fill(NEW)
    page.get_by_label("Confirm new password").fill(NEW)
    with page.expect_navigation(url="**/patient-portal"):
        page.get_by_role("button", name="Save password").click()
    expect(home.get_by_text(re.compile("^Changed "))).to_be_visible()
    home.reload()
    _heading(home, "My record")


def test_a_second_press_saves_once(open_page, clinic):
    page = _at_home(open_page, clinic, "own.twice@example.org")
    page.goto("/patient-portal/contact")
    page.get_by_label("Address").fill("Plot 11")
    page.get_by_label("Address").evaluate(
        "(one) => { const press = () => one.form.querySelector('[type=submit]').click(); press(); press(); }"
    )
    page.wait_for_url("**/patient-portal", wait_until="commit")
    (ident,) = clinic.sql("SELECT patient_id FROM accounts WHERE username = 'own.twice@example.org'")[0]
    assert len([row for row in clinic.audit("PATIENT_UPDATED") if row[2] == ident]) == 1


def test_older_looks_are_behind_a_button_and_the_desk_is_named(open_page, clinic):
    done = clinic.with_own_password("own.older@example.org")
    for number in range(42):
        view_patient(clinic.actor("clinician" if number % 2 else "receptionist"), done.patient.id)
    page = open_page(width=320, height=640)
    patient_sign_in(page, "own.older@example.org", factories.OWN_PASSWORD)
    with page.expect_navigation():
        page.get_by_role("link", name="See all 43").click()
    expect(page.get_by_role("listitem")).to_have_count(40)
    page.get_by_role("link", name="Show older").click()
    expect(page.get_by_role("listitem")).to_have_count(3)
    expect(page.get_by_text("registered you and gave you this sign-in")).to_be_visible()
    page.get_by_role("link", name="Show the latest").click()
    expect(page.get_by_role("listitem")).to_have_count(40)


def test_a_new_email_waits_and_is_confirmed_on_another_phone(open_page, clinic):
    page = _at_home(open_page, clinic, "own.email@example.org")
    first = clinic.link_to_confirm("own.email@example.org", "own.first@example.org")
    page.reload()
    waits = page.get_by_role("status").filter(has_text="Confirm your new email")
    expect(waits).to_contain_text("We sent a link to own.first@example.org.")
    with page.expect_navigation(url="**/patient-portal"):
        waits.get_by_role("button", name="Keep the old email").click()
    drawn(page)
    expect(page.get_by_text("Your old email stays.")).to_be_visible()
    expect(waits).to_have_count(0)

    phone = open_page(path=f"/patient-portal/contact/confirm#{first}", width=320, height=640)
    expect(phone.get_by_label("Code from the message")).to_have_value(first)
    assert "#" not in phone.url  # nobody reads it over a shoulder, or in the history
    phone.get_by_role("button", name="Confirm this email").click()
    expect(phone.get_by_role("alert")).to_contain_text("There is a newer message with another link")

    second = clinic.link_to_confirm("own.email@example.org", "own.second@example.org")
    plain = open_page(java_script_enabled=False, width=320, height=640, path="/patient-portal/contact/confirm")
    plain.get_by_label("Code from the message").fill(second.lower().replace("-", " "))
    plain.get_by_role("button", name="Confirm this email").click()
    _heading(plain, "Your email is confirmed")
    page.reload()
    expect(page.get_by_role("region", name="Contact details")).to_contain_text("own.second@example.org")
    expect(page.get_by_text("You sign in with own.email@example.org.")).to_be_visible()
