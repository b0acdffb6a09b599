"""The end of a session, a line that breaks, a database that is away: what the page does, and that it comes back."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests import factories
from tests.browser.conftest import DEMO_PASSWORD, SOON_MS, drawn, sign_in
from tests.browser.serving import bound

NO_CONNECTION = "No connection. What you typed is kept."
SIGN_IN = "Staff sign in"


def _token(page: Page) -> str:
    return next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "clinic_session")


def _again(page: Page, username: str = "receptionist") -> None:
    """Sign in on the page where one is."""
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(DEMO_PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).click()
    drawn(page)


def _half_registered(open_page) -> Page:
    page = open_page("receptionist", "/patients/new")
    page.get_by_label("First name").fill("Half")
    with page.expect_response("**/auth/draft/registration"):
        page.get_by_label("Last name").fill("Written")
    return page


@pytest.mark.asvs("7.4.1")
@pytest.mark.parametrize("how", ["idle", "ended elsewhere"])
def test_the_end_of_a_session_empties_the_page_at_once_and_signing_in_brings_it_back(open_page, clinic, how):
    page = _half_registered(open_page)
    if how == "idle":
        clinic.sql("UPDATE login_sessions SET last_seen_at = '2020-01-01 00:00:00' WHERE ended_at IS NULL")
    else:
        clinic.server.end_session(_token(page))
    expect(page.get_by_role("heading", name=SIGN_IN)).to_be_visible(timeout=SOON_MS)
    assert page.url.endswith("/login")
    _again(page)
    assert page.url.endswith("/patients/new")
    expect(page.get_by_text("Unfinished registration of Half Written")).to_be_visible()
    expect(page.get_by_label("First name")).to_have_value("")


def test_signing_out_everywhere_empties_other_browsers_and_leads_back(open_page, clinic):
    done = clinic.patient()
    other = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    expect(other.get_by_role("heading", level=1)).to_have_text(re.compile("Amina"))
    page = open_page("receptionist", "/account")
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("heading", name=SIGN_IN)).to_be_visible()
    expect(other.get_by_role("heading", name=SIGN_IN)).to_be_visible(timeout=SOON_MS)
    assert "Amina" not in other.content()
    _again(other)
    assert other.url.endswith(f"/patients/{done.patient.patient_id}")


def test_somebody_else_who_signs_in_is_not_led_to_where_the_last_one_was(open_page, clinic):
    done = clinic.patient()
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    clinic.server.end_session(_token(page))
    expect(page.get_by_role("heading", name=SIGN_IN)).to_be_visible(timeout=SOON_MS)
    _again(page, "clinician")
    expect(page.get_by_role("heading", name="Reception", level=1)).to_be_visible()


def test_a_page_asked_for_without_a_session_comes_after_signing_in(open_page):
    page = open_page(path="/patients")
    expect(page.get_by_role("heading", name=SIGN_IN)).to_be_visible()
    _again(page)
    expect(page.get_by_role("heading", name="Patients", level=1)).to_be_visible()
    assert page.url.endswith("/patients")


@pytest.mark.parametrize("everywhere", [False, True])
def test_back_after_signing_out_shows_nothing(open_page, everywhere):
    page = open_page("receptionist", "/patients")
    expect(page.get_by_role("row").nth(3)).to_be_visible()
    name = page.get_by_role("rowheader").first.inner_text().splitlines()[-1]
    if everywhere:
        page.goto("/account")
        page.get_by_role("button", name="Sign out everywhere").click()
    else:
        page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name=SIGN_IN)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name=SIGN_IN)).to_be_visible(timeout=SOON_MS)
    assert name not in page.content()


def test_a_link_in_webmail_opens_the_page_of_whoever_is_signed_in(open_page, clinic, server):
    done = clinic.patient()
    page = open_page("receptionist")
    address = f"{server.url}/patients/{done.patient.patient_id}"
    page.route(
        "http://webmail.test/**",
        lambda route: route.fulfill(body=f'<a href="{address}">Open</a>', content_type="text/html"),
    )
    page.goto("http://webmail.test/inbox")
    page.get_by_role("link", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Amina"))
    assert page.url == address
    assert "clinic_again" not in {cookie["name"] for cookie in page.context.cookies()}


@pytest.mark.parametrize("scripts", [True, False])
def test_a_link_in_webmail_leads_a_stranger_to_sign_in(open_page, server, scripts):
    page = open_page(java_script_enabled=scripts)
    page.route(
        "http://webmail.test/**",
        lambda route: route.fulfill(body=f'<a href="{server.url}/patients">Open</a>', content_type="text/html"),
    )
    page.goto("http://webmail.test/inbox", until=False)
    page.get_by_role("link", name="Open").click()
    expect(page.get_by_role("heading", name=SIGN_IN)).to_be_visible()


def test_without_a_line_the_page_says_so_and_goes_on_by_itself(open_page, watch):
    watch.expect("ERR_INTERNET_DISCONNECTED")
    watch.expect("WebSocket connection to")
    page = open_page("receptionist", "/patients/new")
    page.get_by_label("First name").fill("Kept")
    lines = page.context.new_cdp_session(page)
    page.context.set_offline(True)
    page.evaluate("window.clinicTab.ask()")
    expect(page.get_by_role("alert").filter(has_text=NO_CONNECTION)).to_be_visible()
    assert "ws:" not in page.locator("body").inner_text()
    lines.detach()
    page.context.set_offline(False)
    expect(page.get_by_text(NO_CONNECTION)).to_be_hidden()
    expect(page.get_by_label("First name")).to_have_value("Kept")


@pytest.mark.slow
def test_a_press_that_is_not_answered_is_said_after_ten_seconds(open_page):
    page = open_page("receptionist")
    silent, lines, late = [], [], []

    def through(route):
        server = route.connect_to_server()
        lines.append(route)
        route.on_message(lambda message: None if route in silent else server.send(message))
        server.on_message(lambda message: heard(route, message))

    def heard(route, message):
        if silent and route not in silent:
            late.append((route, message))  # the next line only takes long: what it lost would be waited for
        elif route not in silent:
            route.send(message)

    page.route_web_socket(re.compile("/_event"), through)
    page.goto("/patients")
    expect(page.get_by_role("row").nth(3)).to_be_visible()
    page.wait_for_timeout(6_000)  # what the page sent while it was drawn has been answered by now
    silent.extend(lines)
    page.get_by_role("button", name="Next").click()
    page.wait_for_timeout(5_000)
    expect(page.get_by_text(NO_CONNECTION)).to_be_hidden()
    expect(page.get_by_text(NO_CONNECTION)).to_be_visible()
    silent.clear()
    for route, message in late:
        route.send(message)
    expect(page.get_by_text(NO_CONNECTION)).to_be_hidden()
    assert len(lines) > 1, "another line"


def test_while_sessions_cannot_be_looked_up_pages_say_so_and_come_back(open_page, clinic, watch):
    watch.expect("503")
    watch.expect("500")
    page = open_page("receptionist", "/patients/new")
    page.get_by_label("First name").fill("Kept")
    fresh = open_page(path="/login", context=page.context, until=False)
    clinic.sql("ALTER TABLE login_sessions RENAME TO login_sessions_away")
    try:
        fresh.goto("/patients")
        expect(fresh.get_by_role("heading", name="The register cannot be reached")).to_be_visible()
        page.bring_to_front()
        page.get_by_label("Phone", exact=True).fill("12")
        page.get_by_label("Email", exact=True).focus()
        expect(page.get_by_text(NO_CONNECTION)).to_be_visible()
        assert page.url.endswith("/patients/new"), "nobody is sent away for it"
        time.sleep(1.5)
        expect(page.get_by_text(NO_CONNECTION)).to_be_visible()
    finally:
        clinic.sql("ALTER TABLE login_sessions_away RENAME TO login_sessions")
    expect(page.get_by_text(NO_CONNECTION)).to_be_hidden()
    expect(page.get_by_label("First name")).to_have_value("Kept")
    page.get_by_label("Phone", exact=True).fill("123")
    page.get_by_label("Phone", exact=True).blur()
    expect(page.locator("#phone-error")).to_contain_text("Phone must be")
    fresh.get_by_role("link", name="Try again").click()
    expect(fresh.get_by_role("heading", name="Patients", level=1)).to_be_visible()


def test_the_shell_stands_until_the_page_is_drawn(open_page):
    page = open_page("receptionist")
    held = []
    page.route(re.compile(r"/assets/entry\.client"), lambda route: held.append(route))
    page.goto("/patients", wait_until="commit", until=False)
    shell = page.locator("clinic-shell")
    expect(shell.get_by_role("heading", name="Patients", level=1)).to_be_visible()
    expect(shell.get_by_text("Lakeside Medical Centre").first).to_be_visible()
    expect(shell.get_by_role("link").first).to_have_attribute("href", re.compile("^tel:"))
    expect(page).to_have_title("Patients · Lakeside Medical Centre")
    held[0].continue_()
    expect(shell).to_have_count(0)
    expect(page.get_by_role("row").nth(3)).to_be_visible()
    expect(page).to_have_title("Patients · Lakeside Medical Centre")
    assert page.evaluate("document.querySelectorAll('head > title').length") == 1
    page.get_by_role("link", name="Reception", exact=True).first.click()
    expect(page).to_have_title("Reception · Lakeside Medical Centre")


def test_a_patient_whose_session_ends_comes_back_to_the_record(open_page, clinic):
    done = clinic.with_own_password("comes.back@example.org")
    page = open_page("comes.back@example.org", "/patient-portal")
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()
    clinic.server.end_session(_token(page))
    expect(page.get_by_role("heading", name="Patient portal sign in")).to_be_visible(timeout=SOON_MS)
    page.get_by_label("Email").fill(done.credentials.username)
    page.get_by_label("Password").fill(factories.OWN_PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()


def test_the_first_page_of_a_new_sign_in_is_no_end_of_another_tabs_page(open_page, server, clinic):
    """A tab whose cookie was renewed in another one goes on under the new session."""
    page = open_page("receptionist", "/patients")
    old = _token(page)
    with bound(server):
        token = server.open_session("receptionist")
    page.context.add_cookies([{"name": "clinic_session", "value": token, "url": server.url, "httpOnly": True}])
    server.end_session(old)
    page.wait_for_timeout(1_500)
    assert page.url.endswith("/patients")
    expect(page.get_by_role("row").nth(3)).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("button", name="Previous")).to_be_enabled()
    server.end_session(token)


def test_signing_in_by_the_form_and_out_again_leaves_no_banner(open_page):
    page = open_page()
    sign_in(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name=SIGN_IN)).to_be_visible()
    expect(page.get_by_text(NO_CONNECTION)).to_have_count(0)
