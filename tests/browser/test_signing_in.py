"""Both doors: wrong passwords, signing out, and what the browser shows afterwards."""

from __future__ import annotations

import contextlib
import re

import pytest
from playwright.sync_api import Error, expect

from tests import factories
from tests.browser.conftest import drawn, focused, patient_sign_in, sign_in

WRONG = "Incorrect username or password."
EXPIRED = "This temporary password has expired. Please ask the reception for a new one."


def test_staff_sign_in_leads_to_reception(open_page):
    page = open_page()
    sign_in(page)
    expect(page.get_by_role("heading", name="Reception", level=1)).to_be_visible()
    expect(page).to_have_title("Reception · Lakeside Medical Centre")
    assert page.evaluate("document.cookie") == ""
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage])")
    assert "passphrase" not in kept
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Strict" for cookie in page.context.cookies())


def test_a_wrong_password_says_so_once_and_keeps_the_name(open_page):
    page = open_page()
    sign_in(page, password="not the one")
    expect(page.get_by_role("alert")).to_have_text(WRONG)
    expect(page).to_have_url(re.compile("/login$"))
    expect(page.get_by_label("Username")).to_have_value("receptionist")
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_label("Password")).to_be_focused()
    expect(page).to_have_title("Error: Staff sign in · Lakeside Medical Centre")
    page.goto("/login")
    expect(page.get_by_label("Username")).to_have_value("")
    expect(page.get_by_text(WRONG)).to_have_count(0)


def test_an_unknown_name_reads_the_same(open_page):
    page = open_page()
    sign_in(page, "nobody.here", "whatever it is")
    expect(page.get_by_role("alert")).to_have_text(WRONG)


@pytest.mark.asvs("6.3.8")
@pytest.mark.parametrize("door", ["staff", "patient"])
def test_each_door_refuses_the_other_side_in_the_same_words(open_page, clinic, door):
    done = clinic.with_own_password(f"door.{door}@example.org")
    page = open_page()
    if door == "staff":
        sign_in(page, done.credentials.username, factories.OWN_PASSWORD)
    else:
        patient_sign_in(page, "receptionist", "demo-clinic-passphrase")
    expect(page.get_by_role("alert")).to_have_text(WRONG)
    assert "clinic_session" not in {cookie["name"] for cookie in page.context.cookies()}


def test_too_many_tries_say_how_long_to_wait(open_page):
    page = open_page()
    for _ in range(6):
        sign_in(page, "too.many.tries", "wrong")
        expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_text("Too many attempts. Please try again in 1 minute.")


@pytest.mark.asvs("14.3.1", "14.3.2")
def test_back_after_signing_out_shows_no_patient(open_page):
    page = open_page("receptionist", "/patients")
    expect(page.get_by_role("row").nth(3)).to_be_visible()
    name = page.get_by_role("rowheader").first.inner_text().splitlines()[-1]
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Staff sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Staff sign in")).to_be_visible()
    assert name not in page.content()
    page.goto("/patients")
    expect(page.get_by_role("heading", name="Staff sign in")).to_be_visible()


@pytest.mark.asvs("7.4.4")
def test_signing_out_in_one_tab_empties_the_others(open_page):
    first = open_page("receptionist", "/patients")
    second = open_page(path="/", context=first.context)
    expect(second.get_by_role("heading", name="Reception")).to_be_visible()
    expect(first.get_by_role("row").nth(3)).to_be_visible()
    second.get_by_role("button", name="Sign out").click()
    expect(first.get_by_role("heading", name="Staff sign in")).to_be_visible()


def test_when_the_session_ends_the_page_blanks_and_goes_to_sign_in(open_page, clinic, watch):
    watch.expect("401")  # the browser itself reports the answer
    page = open_page("receptionist", "/patients")
    expect(page.get_by_role("row").nth(3)).to_be_visible()
    page.evaluate("""() => {
      new MutationObserver(() => sessionStorage.setItem("classes", document.documentElement.className))
        .observe(document.documentElement, {attributes: true, attributeFilter: ["class"]});
    }""")
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "clinic_session")
    clinic.server.end_session(token)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # or within 30 seconds
    expect(page.get_by_role("heading", name="Staff sign in")).to_be_visible()
    assert "locked" in page.evaluate("sessionStorage.getItem('classes')")
    expect(page.get_by_role("row")).to_have_count(0)
    assert page.evaluate("history.length") == 2  # about:blank and this one: Back does not return to the record


def test_the_next_click_after_the_end_of_a_session_leads_to_sign_in(open_page, clinic, watch):
    watch.expect("WebSocket is already in CLOSING or CLOSED state")  # where the click meets the end of the line
    page = open_page("receptionist", "/patients")
    expect(page.get_by_role("row").nth(3)).to_be_visible()
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "clinic_session")
    clinic.server.end_session(token)
    with contextlib.suppress(Error):  # the page may have left by itself before
        page.get_by_role("button", name="Next").click(timeout=500)
    expect(page.get_by_role("heading", name="Staff sign in")).to_be_visible()


def test_a_patient_whose_temporary_password_expired_is_told_what_to_do(open_page, clinic):
    done = clinic.patient(portal_email="too.late@example.org")
    clinic.sql("UPDATE accounts SET password_expires_at = created_at WHERE username = 'too.late@example.org'")
    page = open_page()
    patient_sign_in(page, "too.late@example.org", "wrong password")
    expect(page.get_by_role("alert")).to_have_text(WRONG)
    patient_sign_in(page, "too.late@example.org", done.credentials.temporary_password)
    expect(page.get_by_role("heading", name="Your temporary password has expired")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_text(EXPIRED)
    page.get_by_role("link", name="Back to sign in").click()
    expect(page.get_by_role("heading", name="Patient portal sign in")).to_be_visible()


@pytest.mark.asvs("6.2.6")
def test_the_password_can_be_shown_and_is_hidden_again_when_sent(open_page):
    page = open_page(path="/login")
    page.get_by_label("Password").fill("abc")
    page.get_by_role("button", name="Show typed characters").click()
    expect(page.locator("#password")).to_have_attribute("type", "text")
    page.get_by_role("button", name="Hide typed characters").click()
    expect(page.locator("#password")).to_have_attribute("type", "password")


def test_enter_signs_in_and_the_first_page_starts_at_the_top(open_page):
    page = open_page(path="/login")
    page.get_by_label("Username").fill("clinician")
    page.get_by_label("Password").fill("demo-clinic-passphrase")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    drawn(page)
    expect(page.get_by_role("heading", name="Reception")).to_be_visible()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    assert focused(page) == "main"
