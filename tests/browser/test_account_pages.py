"""Own account, second factor, staff accounts: as people use them."""

from __future__ import annotations

import itertools
import re
import time

import pyotp
from playwright.sync_api import Page, expect

from clinic_app.core import crypto
from clinic_app.services import access
from clinic_app.services.accounts import one_time_codes, sessions, staff
from tests import factories
from tests.browser.conftest import SOON_MS, drawn, sign_in

_numbers = itertools.count(1)
OWN = "violet harbour mends lantern"


def _staff(clinic, role: str = "RECEPTIONIST") -> str:
    """The username of a new account with ``factories.PASSWORD``."""
    username = f"person{next(_numbers)}.{role.lower()}"
    factories.make_staff(role, username=username, name="Mercy Akinyi")
    return username


def _heading(page: Page, name: str):
    """The page's; while it is loaded, its shell's stands before it."""
    return page.get_by_role("heading", name=name, level=1).last


def _set_up(page: Page) -> tuple[str, list[str]]:
    """Turn the second factor on by the pages; the secret and the recovery codes."""
    page.goto("/account")
    page.get_by_role("link", name="Set up two-factor sign-in").click()
    page.get_by_role("button", name="Set up two-factor sign-in").click()
    secret = page.locator("#setup-key").inner_text().replace(" ", "")
    page.get_by_label("Authentication code").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    return secret, page.locator("#recovery-codes").inner_text().split()


# --- own account --------------------------------------------------------------------------------


def test_the_pages_are_accessible_at_any_width(open_page, looks):
    page = open_page("admin")
    for path, words, name in (
        ("/account", "This device", "account"),
        ("/admin/staff", "This is you", "staff-accounts"),
        ("/account/confirm", "Confirm it is you", "confirm"),
        ("/auth/two-factor", "Two-factor sign-in", "two-factor"),
    ):
        page.goto(path)
        expect(page.get_by_text(words).first).to_be_visible()
        expect(page.locator("h1")).to_have_count(1)
        expect(page).to_have_title(re.compile(" · Lakeside Medical Centre$"))
        looks.everywhere(page, name)


def test_the_name_in_the_frame_leads_to_the_account(open_page):
    page = open_page("receptionist", "/")
    page.get_by_role("link", name="your account").first.click()
    expect(_heading(page, "Your account")).to_be_visible()
    expect(page.get_by_role("link", name="Staff accounts")).to_have_count(0)  # for administrators


def test_mistakes_in_the_password_form_are_said_beside_the_field(open_page, clinic):
    page = open_page(_staff(clinic), "/account")
    for current, new, again, words, field in (
        ("wrong", OWN, OWN, "This is not your password.", "current_password"),
        (factories.PASSWORD, "short", "short", "more characters needed", "new_password"),
        (factories.PASSWORD, "passwordpassword", "passwordpassword", "Many people use this one", "new_password"),
        (factories.PASSWORD, OWN, "another", "The two passwords are not the same.", "confirm_password"),
    ):
        page.get_by_label("Current password").fill(current)
        page.get_by_label("New password", exact=True).fill(new)
        page.get_by_label("Confirm new password").fill(again)
        page.get_by_role("button", name="Save password").click()
        expect(page.locator(f"#{field}-error")).to_contain_text(words)
        expect(page.locator(f"#{field}")).to_be_focused()
        assert page.get_by_label("Current password").input_value() == ""
        assert all(value not in page.content() for value in (OWN, factories.PASSWORD))


def test_a_changed_password_signs_the_others_out(open_page, clinic):
    username = _staff(clinic)
    page, elsewhere = open_page(username, "/account"), open_page(username, "/patients")
    expect(elsewhere.get_by_role("row").nth(2)).to_be_visible()
    page.get_by_label("Current password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Suggest a passphrase").click()
    expect(page.get_by_text("Filled in:")).to_be_visible()
    offered = page.get_by_label("New password", exact=True).input_value()
    assert len(offered.split()) == 5
    assert page.get_by_label("Confirm new password").input_value() == offered
    expect(page.get_by_text("Very strong")).to_be_visible()
    page.get_by_role("button", name="Save password").click()
    expect(page.get_by_text("Your password has been changed.")).to_be_visible()
    expect(_heading(elsewhere, "Staff sign in")).to_be_visible(timeout=SOON_MS)
    sign_in(elsewhere, username, offered)
    expect(_heading(elsewhere, "Patients")).to_be_visible()  # where that tab was


def test_a_session_is_ended_from_another_one_within_a_second(open_page, clinic):
    username = _staff(clinic)
    other = open_page(username, "/patients")
    expect(other.get_by_role("row").nth(2)).to_be_visible()
    page = open_page(username, "/account")
    page.get_by_role("button", name=re.compile("Sign out .*(Chrome|browser)")).click()
    expect(page.get_by_text("That device has been signed out.")).to_be_visible()
    expect(_heading(other, "Staff sign in")).to_be_visible(timeout=SOON_MS)
    expect(_heading(page, "Your account")).to_be_visible()


def test_sign_out_everywhere_ends_this_one_and_the_others(open_page, clinic):
    username = _staff(clinic)
    page, other = open_page(username, "/account"), open_page(username, "/patients")
    expect(other.get_by_role("row").nth(2)).to_be_visible()
    page.get_by_role("button", name="Sign out everywhere").click()
    for one in (page, other):
        expect(_heading(one, "Staff sign in")).to_be_visible(timeout=SOON_MS)
    left = clinic.sql(
        "SELECT count(*) FROM login_sessions s JOIN accounts a ON a.id = s.account_id "
        "WHERE a.username = ? AND s.ended_at IS NULL",
        username,
    )
    assert left == [(0,)]


def test_signing_out_empties_the_cache_and_is_quick(open_page, clinic):
    page = open_page(_staff(clinic), "/patients")
    expect(page.get_by_role("row").nth(2)).to_be_visible()
    started = time.perf_counter()
    with page.expect_response("**/auth/logout") as caught:
        page.get_by_role("button", name="Sign out").click()
    expect(_heading(page, "Staff sign in")).to_be_visible()
    assert time.perf_counter() - started < 5
    assert caught.value.header_value("clear-site-data") == '"cache"'
    assert caught.value.header_value("cache-control") == "no-store"
    kept = page.evaluate("Object.keys(localStorage)")
    assert kept in ([], ["theme"])


def test_the_owner_is_told_once_of_failed_tries(open_page, clinic):
    username = _staff(clinic)
    page = open_page()
    for _ in range(3):
        sign_in(page, username, "wrong")
        expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page, username, factories.PASSWORD)
    told = page.get_by_text("Somebody entered a wrong password for your account 3 times, last today at")
    expect(told).to_be_visible()
    page.get_by_role("link", name="Patients").first.click()
    expect(_heading(page, "Patients")).to_be_visible()
    page.get_by_role("link", name="Reception").first.click()
    expect(_heading(page, "Reception")).to_be_visible()
    expect(told).to_have_count(0)


# --- second factor ------------------------------------------------------------------------------


def test_a_second_factor_from_setting_up_to_signing_in(open_page, clinic, looks):
    username = _staff(clinic)
    page = open_page(username)
    page.goto("/account")
    page.get_by_role("link", name="Set up two-factor sign-in").click()
    page.get_by_role("button", name="Set up two-factor sign-in").click()
    expect(page.get_by_role("img", name=re.compile("QR"))).to_be_visible()
    looks.as_it_stands(page, "two-factor-setup")
    page.get_by_label("Authentication code").fill("12345")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("This code is wrong.")).to_be_visible()
    expect(page.get_by_label("Authentication code")).to_be_focused()
    secret = page.locator("#setup-key").inner_text().replace(" ", "")
    page.get_by_label("Authentication code").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    looks.as_it_stands(page, "two-factor-codes")
    kept = page.locator("#recovery-codes").inner_text().split()
    assert len(kept) == 10
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_text("Recovery codes left: 10")).to_be_visible()
    # nothing of it is left: not in the page, not in the browser, not on the plain page
    everything = page.content() + page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert secret not in everything
    assert not any(code in everything for code in kept)
    page.goto("/auth/two-factor")
    expect(_heading(page, "Your account")).to_be_visible()

    page.goto("about:blank")  # the page would leave by itself
    page.context.clear_cookies()
    sign_in(page, username, factories.PASSWORD)
    expect(_heading(page, "Authentication code")).to_be_visible()
    step = next(cookie for cookie in page.context.cookies() if cookie["name"] == "clinic_step")
    assert (step["httpOnly"], step["sameSite"]) == (True, "Strict")
    assert 200 < step["expires"] - time.time() <= 300
    page.goto("/patients")  # the right password alone opens nothing
    expect(_heading(page, "Staff sign in")).to_be_visible()
    page.goto("/login/code")
    expect(page.get_by_label("Authentication code")).to_be_focused()
    page.get_by_label("Authentication code").fill("999")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("This code is wrong or has already been used.")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("Authentication code")).to_have_value("999")
    page.get_by_role("link", name="Use a recovery code instead").click()
    expect(_heading(page, "Recovery code")).to_be_visible()
    page.get_by_label("Recovery code").fill("ABCD-EFGH-JKLM")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("This code is wrong or has already been used.")
    expect(page.get_by_label("Recovery code")).to_have_value("")  # like a password
    page.get_by_label("Recovery code").fill(kept[0].lower())
    page.get_by_role("button", name="Continue").click()
    expect(_heading(page, "Patients")).to_be_visible()
    assert "clinic_step" not in {cookie["name"] for cookie in page.context.cookies()}


def test_a_second_step_without_a_first_leads_back_to_sign_in(open_page):
    page = open_page()
    for path in ("/login/code", "/login/recovery-code"):
        page.goto(path)
        expect(_heading(page, "Staff sign in")).to_be_visible()
        assert page.url.endswith("/login")


def test_turning_off_asks_for_the_password_and_a_code_when_that_was_long_ago(open_page, clinic):
    username = _staff(clinic)
    page = open_page(username)
    _, kept = _set_up(page)
    clinic.sql(
        "UPDATE login_sessions SET proved_at = '2020-01-01 00:00:00.000000' WHERE account_id IN "
        "(SELECT id FROM accounts WHERE username = ?)",
        username,
    )
    before = page.context.cookies()
    page.goto("/account")
    page.get_by_role("button", name="Turn off two-factor sign-in").click()
    expect(_heading(page, "Confirm it is you")).to_be_visible()
    page.get_by_label("Password", exact=True).fill("wrong")
    page.get_by_label("Authentication code").fill(kept[1])
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("This is not your password.")).to_be_visible()
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.get_by_label("Password", exact=True).fill(factories.PASSWORD)
    page.get_by_label("Authentication code").fill("000000")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("This code is wrong or has already been used.")).to_be_visible()
    page.get_by_label("Password", exact=True).fill(factories.PASSWORD)
    page.get_by_label("Authentication code").fill(kept[1])
    page.get_by_role("button", name="Continue").click()
    expect(_heading(page, "Your account")).to_be_visible()
    token = {one["name"]: one["value"] for one in before}["clinic_session"]
    assert token != {one["name"]: one["value"] for one in page.context.cookies()}["clinic_session"]
    assert sessions.resolve(crypto.digest(token)).kind == "anonymous"
    page.get_by_role("button", name="Turn off two-factor sign-in").click()
    expect(page.get_by_role("link", name="Set up two-factor sign-in")).to_be_visible()


def test_confirming_in_one_tab_leaves_the_other_one_working(open_page, clinic):
    username = _staff(clinic)
    page = open_page(username, "/account/confirm")
    other = open_page(path="/patients", context=page.context)
    expect(other.get_by_role("row").nth(2)).to_be_visible()
    page.get_by_label("Password", exact=True).fill(factories.PASSWORD)
    with other.expect_navigation():  # it begins anew, with the session's new token
        page.get_by_role("button", name="Continue").click()
    expect(_heading(page, "Your account")).to_be_visible()
    drawn(other)
    expect(other.get_by_role("row").nth(2)).to_be_visible()
    other.get_by_role("button", name="Next").click()
    expect(other.get_by_text("Page 2 of")).to_be_visible()


def test_confirming_leads_to_pages_of_ours_only(open_page, clinic):
    page = open_page(_staff(clinic))
    for next_page in ("https://evil.example/", "//evil.example", "/auth/logout", "/patients/../x"):
        page.goto(f"/account/confirm?next={next_page}")
        page.get_by_label("Password", exact=True).fill(factories.PASSWORD)
        with page.expect_navigation():
            page.get_by_role("button", name="Continue").click()
        drawn(page)
        expect(_heading(page, "Your account")).to_be_visible()
        expect(page).to_have_url(re.compile("/account$"))


# --- staff accounts -----------------------------------------------------------------------------


def test_a_new_colleague_from_account_to_first_day(open_page, clinic, looks):
    admin = open_page("admin", "/admin/staff")
    admin.get_by_role("button", name="New staff account").click()
    expect(admin.get_by_label("Name", exact=True)).to_be_focused()
    admin.get_by_role("button", name="Create account").click()
    expect(admin.get_by_text("There is a problem")).to_be_visible()
    expect(admin.get_by_label("Name", exact=True)).to_be_focused()
    looks.as_it_stands(admin, "staff-accounts-errors")
    username = f"first.day{next(_numbers)}"
    admin.get_by_label("Name", exact=True).fill("Wanjiku Mutua")
    admin.get_by_label("Username").fill(username)
    admin.get_by_label("Role").select_option("CLINICIAN")
    admin.get_by_role("button", name="Create account").click()
    dialog = admin.get_by_role("dialog")
    expect(dialog.get_by_text("Staff account created")).to_be_visible()
    expect(dialog.get_by_text("Sign-in credentials for Wanjiku Mutua")).to_be_visible()
    expect(dialog.get_by_text("Patient", exact=False)).to_have_count(0)
    password = dialog.get_by_role("textbox", name="Temporary Password").input_value()
    looks.as_it_stands(admin, "staff-account-created")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    assert password not in admin.content()
    expect(admin.get_by_text("Temporary password").first).to_be_visible()

    page = open_page()
    sign_in(page, username, password)
    expect(_heading(page, "Choose your password")).to_be_visible()
    for path in ("/patients", "/", "/admin/staff"):
        page.goto(path)
        expect(_heading(page, "Choose your password")).to_be_visible()
    looks.as_it_stands(page, "staff-choose-password")
    page.get_by_label("New password", exact=True).fill(OWN)
    page.get_by_label("Confirm new password").fill(OWN)
    page.get_by_role("button", name="Save password").click()
    expect(_heading(page, "Reception")).to_be_visible()
    page.goto("/admin/staff")
    expect(_heading(page, "You cannot open this page")).to_be_visible()


def test_an_account_is_managed_in_its_row(open_page, clinic):
    username = _staff(clinic)
    admin, person = open_page("admin", "/admin/staff"), open_page(username, "/patients")
    expect(person.get_by_role("row").nth(2)).to_be_visible()
    row = admin.get_by_role("listitem").filter(has_text=username)
    row.get_by_role("button", name="Manage").click()
    row.get_by_label("Role").select_option("CLINICIAN")
    row.get_by_role("button", name="Save role").click()
    expect(admin.get_by_text("Mercy Akinyi now has another role and was signed out.")).to_be_visible()
    expect(_heading(person, "Staff sign in")).to_be_visible(timeout=SOON_MS)
    expect(row.get_by_text("Clinician").first).to_be_visible()

    row.get_by_role("button", name="Turn off account").click()
    dialog = admin.get_by_role("dialog")
    expect(dialog.get_by_text("Mercy Akinyi will be signed out everywhere and can no longer sign in.")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(row.get_by_text("Turned off")).to_have_count(0)
    row.get_by_role("button", name="Turn off account").click()
    dialog.get_by_role("button", name="Turn off account").click()
    expect(row.get_by_text("Turned off")).to_be_visible()
    sign_in(person, username, factories.PASSWORD)
    expect(person.get_by_role("alert")).to_have_text("Incorrect username or password.")
    row.get_by_role("button", name="Turn on account").click()
    expect(admin.get_by_text("Mercy Akinyi can sign in again.")).to_be_visible()
    row.get_by_role("button", name="Reset password").click()
    dialog.get_by_role("button", name="Reset password").click()
    expect(dialog.get_by_role("textbox", name="Temporary Password")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(row.get_by_text("Temporary password")).to_be_visible()
    expect(admin.get_by_role("listitem").filter(has_text="This is you").get_by_role("button")).to_have_count(0)


def test_a_locked_account_and_a_lost_device_are_mended(open_page, clinic):
    username = _staff(clinic)
    ident = staff.staff_id(access.SYSTEM, username)
    encrypted = one_time_codes.encrypt_secret(ident, one_time_codes.new_secret())
    clinic.sql(
        "UPDATE accounts SET totp_enabled_at = '2026-01-01 00:00:00.000000', totp_secret = ? WHERE id = ?",
        encrypted,
        ident,
    )
    admin = open_page("admin", "/admin/staff")
    row = admin.get_by_role("listitem").filter(has_text=username)
    expect(row.get_by_text("Two-factor")).to_be_visible()
    row.get_by_role("button", name="Manage").click()
    row.get_by_role("button", name="Reset two-factor sign-in").click()
    admin.get_by_role("dialog").get_by_role("button", name="Reset two-factor sign-in").click()
    expect(admin.get_by_text("now signs in with the password alone.")).to_be_visible()
    page = open_page()
    sign_in(page, username, factories.PASSWORD)
    expect(_heading(page, "Reception")).to_be_visible()


def test_changes_ask_for_the_password_when_that_was_long_ago(open_page, clinic):
    username = _staff(clinic, "ADMIN")
    page = open_page(username)
    clinic.sql(
        "UPDATE login_sessions SET proved_at = '2020-01-01 00:00:00.000000' WHERE account_id IN "
        "(SELECT id FROM accounts WHERE username = ?)",
        username,
    )
    page.goto("/admin/staff")
    page.get_by_role("button", name="New staff account").click()
    expect(_heading(page, "Confirm it is you")).to_be_visible()
    page.get_by_label("Password", exact=True).fill(factories.PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(_heading(page, "Staff accounts")).to_be_visible()
    page.get_by_role("button", name="New staff account").click()
    expect(page.get_by_label("Username")).to_be_visible()
