"""Passkeys with Chromium's virtual authenticator, under the policy the pages have: added, used, removed, refused."""

from __future__ import annotations

import itertools
import re

import pytest
from playwright.sync_api import Page, expect

from tests import factories
from tests.browser.conftest import drawn, patient_sign_in

_numbers = itertools.count(1)
NONE = "No passkey was used. Try again, or sign in with your password."
GONE = "This passkey does not open an account here. Sign in with your password."
CANCELS = """(method) => {
  navigator.credentials[method] = () => Promise.reject(new DOMException("", "NotAllowedError"));
}"""

CANCELS_ONCE = """(method) => {
  navigator.credentials[method] = () => {
    delete navigator.credentials[method];
    return Promise.reject(new DOMException("", "NotAllowedError"));
  };
}"""


class Phone:
    """An authenticator that belongs to one page: its owner unlocks it whenever it is asked."""

    def __init__(self, page: Page) -> None:
        self._cdp = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self._id = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    @property
    def keys(self) -> list[dict]:
        return self._cdp.send("WebAuthn.getCredentials", {"authenticatorId": self._id})["credentials"]


def _heading(page: Page, name: str):
    return page.get_by_role("heading", name=name, level=1)


def _staff(clinic) -> str:
    return factories.make_staff(username=f"passkey{next(_numbers)}").username


def _patient(clinic) -> str:
    email = f"passkey{next(_numbers)}@example.org"
    clinic.with_own_password(email)
    return email


def _add(page: Page, name: str) -> None:
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name of this passkey").fill(name)
    page.get_by_role("button", name="Add this passkey").click()
    expect(page.get_by_role("status")).to_contain_text("The passkey was added.")


def _use(page: Page) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in with a passkey").click()
    drawn(page)


@pytest.mark.parametrize("side", ["staff", "patient"])
def test_from_adding_one_to_signing_in_with_it_to_removing_it(open_page, clinic, side):
    if side == "staff":
        page = open_page(_staff(clinic), "/account")
        begin, home, listed = "/login", "Reception", "/auth/passkeys"
        page.get_by_role("link", name="Passkeys").click()
    else:
        page = open_page(_patient(clinic), "/patient-portal/passkeys")
        begin, home, listed = "/patient-portal/login", "My record", "/patient-portal/passkeys"
    expect(_heading(page, "Passkeys")).to_be_visible()
    expect(page.get_by_text("No passkey yet")).to_be_visible()
    phone = Phone(page)
    _add(page, "Amina's phone")
    (kept,) = phone.keys
    assert (kept["isResidentCredential"], kept["rpId"]) == (True, "localhost")

    page.context.clear_cookies()
    page.goto(begin)
    _use(page)
    expect(_heading(page, home)).to_be_visible()
    if side == "staff":  # proved who they are just now: nothing is asked again
        page.goto("/account")
        expect(page.get_by_text("You have 1 passkey.")).to_be_visible()
    page.goto(listed)
    expect(page.get_by_text(re.compile("last used today at"))).to_be_visible()

    page.get_by_role("link", name="Remove Amina's phone").click()
    expect(page.get_by_role("heading", name="Remove “Amina's phone”?")).to_be_focused()
    page.get_by_role("link", name="Keep it").click()
    page.get_by_role("link", name="Remove Amina's phone").click()
    page.get_by_role("button", name="Remove passkey").click()
    expect(page.get_by_role("status")).to_contain_text("“Amina's phone” has been removed.")
    expect(page.get_by_text("No passkey yet")).to_be_visible()

    page.context.clear_cookies()
    page.goto(begin)
    _use(page)
    expect(page.get_by_role("alert").filter(has_text=GONE)).to_be_visible()
    assert "clinic_session" not in {cookie["name"] for cookie in page.context.cookies()}


def test_a_patient_is_offered_one_once_after_the_first_own_password(open_page, clinic):
    email = f"passkey{next(_numbers)}@example.org"
    done = clinic.patient(portal_email=email)
    page = open_page()
    patient_sign_in(page, email, done.credentials.temporary_password)
    page.get_by_label("New password", exact=True).fill(factories.OWN_PASSWORD)
    page.get_by_label("Confirm new password").fill(factories.OWN_PASSWORD)
    page.get_by_role("button", name="Save password").click()
    offer = page.get_by_role("status").filter(has_text="see Passkeys below, under Your sign-in.")
    expect(offer).to_be_visible()
    page.get_by_role("region", name="Your sign-in").get_by_role("link", name="Passkeys").click()
    expect(_heading(page, "Passkeys")).to_be_visible()
    page.get_by_role("link", name="My record").click()
    expect(_heading(page, "My record")).to_be_visible()
    expect(page.get_by_text("None yet")).to_be_visible()
    expect(offer).to_have_count(0)


def test_cancelling_is_said_and_the_password_still_opens(open_page, clinic):
    username = _staff(clinic)
    page = open_page(path="/login")
    page.evaluate(CANCELS, "get")
    button = page.get_by_role("button", name="Sign in with a passkey")
    button.click()
    expect(page.get_by_text(NONE)).to_be_visible()
    expect(button).not_to_have_attribute("aria-disabled", "true")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(_heading(page, "Reception")).to_be_visible()


def test_what_keeps_a_passkey_from_being_added_is_said(open_page, clinic, watch):
    page = open_page(_patient(clinic), "/patient-portal/passkeys")
    _ = Phone(page)
    _add(page, "First")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_role("button", name="Add this passkey").click()
    failed = page.get_by_role("alert").filter(has_text="The passkey was not added.")
    expect(failed).to_contain_text("This device has a passkey for you already.")

    watch.expect("status of 400")
    page.get_by_label("Name of this passkey").fill("")
    page.get_by_role("button", name="Add this passkey").click()
    expect(page.locator("#passkey_name-error")).to_have_text("Name of this passkey is required.")
    expect(page.get_by_label("Name of this passkey")).to_be_focused()
    expect(failed).to_be_hidden()

    page.evaluate(CANCELS, "create")
    page.get_by_label("Name of this passkey").fill("Second")
    page.get_by_role("button", name="Add this passkey").click()
    expect(failed).to_contain_text("Your device stopped it, or it took too long.")
    expect(page.get_by_label("Name of this passkey")).to_have_value("Second")


def test_long_after_signing_in_a_patient_gives_the_password_first(open_page, clinic, watch):
    email = _patient(clinic)
    page = open_page(email, "/patient-portal/passkeys/add")
    _ = Phone(page)
    clinic.sql(
        "UPDATE login_sessions SET proved_at = '2020-01-01 00:00:00.000000' WHERE account_id IN "
        "(SELECT id FROM accounts WHERE username = ?)",
        email,
    )
    watch.expect("status of 400")
    page.get_by_role("button", name="Add this passkey").click()  # the page was drawn before: it is drawn again
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Add this passkey").click()
    expect(page.locator("#password-error")).to_have_text("This is not your password.")
    page.get_by_label("Password").fill(factories.OWN_PASSWORD)
    page.get_by_role("button", name="Add this passkey").click()
    expect(page.get_by_role("status")).to_contain_text("The passkey was added.")


def test_staff_confirm_first_and_come_back(open_page, clinic):
    username = _staff(clinic)
    page = open_page(username)
    clinic.sql(
        "UPDATE login_sessions SET proved_at = '2020-01-01 00:00:00.000000' WHERE account_id IN "
        "(SELECT id FROM accounts WHERE username = ?)",
        username,
    )
    page.goto("/auth/passkeys")
    page.get_by_role("link", name="Add a passkey").click()
    expect(_heading(page, "Confirm it is you")).to_be_visible()
    expect(page.get_by_role("button", name="Confirm with a passkey")).to_have_count(0)
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(_heading(page, "Add a passkey")).to_be_visible()
    _ = Phone(page)
    page.goto("/auth/passkeys")
    _add(page, "Mine")
    clinic.sql(
        "UPDATE login_sessions SET proved_at = '2020-01-01 00:00:00.000000' WHERE account_id IN "
        "(SELECT id FROM accounts WHERE username = ?)",
        username,
    )
    page.get_by_role("link", name="Remove Mine").click()
    expect(_heading(page, "Confirm it is you")).to_be_visible()
    page.evaluate(CANCELS_ONCE, "get")
    confirm = page.get_by_role("button", name="Confirm with a passkey")
    confirm.click()
    expect(page.get_by_text("No passkey was used. Try again, or enter your password.")).to_be_visible()
    confirm.click()
    expect(page.get_by_role("heading", name="Remove “Mine”?")).to_be_visible()


def test_no_button_where_the_browser_knows_no_passkeys_or_has_no_scripts(open_page, clinic):
    button = {"name": "Sign in with a passkey"}
    page = open_page()
    page.add_init_script("delete window.PublicKeyCredential")
    for path in ("/login", "/patient-portal/login"):
        page.goto(path)
        expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
        expect(page.get_by_role("button", **button)).to_have_count(0)
    page = open_page(_patient(clinic), java_script_enabled=False)
    page.goto("/login")
    expect(page.get_by_role("button", **button)).to_have_count(0)
    page.goto("/patient-portal/passkeys/add")
    expect(page.get_by_text("A passkey needs scripts")).to_be_visible()
    expect(page.get_by_role("button", name="Add this passkey")).to_have_count(0)
    page = open_page(_patient(clinic), "/patient-portal/passkeys/add")
    expect(page.get_by_role("button", name="Add this passkey")).to_be_visible()
    expect(page.get_by_text("A passkey needs scripts")).to_be_hidden()


def test_without_a_line_it_says_so_and_nothing_is_lost(open_page, watch):
    watch.expect("net::ERR_INTERNET_DISCONNECTED")
    page = open_page(path="/login")
    page.get_by_label("Username").fill("grace")
    page.context.set_offline(True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("There is no connection. Try again in a moment.")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_label("Username")).to_have_value("grace")
