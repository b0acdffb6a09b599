"""Every page and dialog state, wide and narrow, light and dark: accessible, and nothing beside the screen.

``make pictures`` (``--pictures``) draws them too: each at both widths, light and dark, into ``.artefacts/screens``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from clinic_app.services.accounts import sign_in_throttle
from tests import factories
from tests.browser.conftest import ARTEFACTS, patient_sign_in, sign_in

WHOLE = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations"],
}
#: What a change of colours can break; everything else is the same page.
COLOURS = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
WIDTHS = {1280: 860, 320: 640}
#: In the narrow dark one the colours are those of the wide one, and the layout is the light one's.
CHECKS = {(1280, "light"): WHOLE, (1280, "dark"): COLOURS, (320, "light"): WHOLE}
AXE = Axe().axe_script
#: Colours may fade from one scheme to the other, an element after the one around it: what counts is where they arrive.
SETTLED = """async () => {
  const ends = (one) => one.playState === "running" && one.effect.getComputedTiming().endTime < Infinity;
  for (let now; (now = document.getAnimations().filter(ends)).length;) {
    now.forEach((one) => one.finish());
    await new Promise(requestAnimationFrame);
  }
}"""

Scene = Callable[..., Page]
SCENES: dict[str, Scene] = {}


def scene(make: Scene) -> Scene:
    """A state to be drawn, under its function's name."""
    SCENES[make.__name__] = make
    return make


def _heading(page: Page, name: str) -> Page:
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    return page


def _violations(page: Page, rules: dict[str, Any]) -> list[str]:
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE)
    found = page.evaluate("(rules) => axe.run(document, rules).then((results) => results.violations)", rules)
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for one in found
        for node in one["nodes"][:3]
    ]


def _sideways(page: Page) -> list[str]:
    """What is wider than the screen: the page itself, or a dialog that scrolls sideways."""
    return page.evaluate("""() => {
      const boxes = document.querySelectorAll("html, body, [role=dialog], dialog[open]");
      return [...boxes].filter((one) => one.scrollWidth > one.clientWidth + 1)
        .map((one) => `${one.tagName}: ${one.scrollWidth}`);
    }""")


# --- staff ----------------------------------------------------------------------------------------


@scene
def login(open_page, clinic):
    return _heading(open_page(path="/login"), "Staff sign in")


@scene
def login_refused(open_page, clinic):
    page = open_page()
    sign_in(page, "nobody.for.looks", "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    return page


@scene
def not_found(open_page, clinic, watch):
    watch.expect("404")
    return _heading(open_page(path="/no/such/page"), "Page not found")


@scene
def reception(open_page, clinic):
    page = open_page("receptionist", "/")
    expect(page.get_by_text("Portal uptake")).to_be_visible()
    return page


@scene
def reception_search(open_page, clinic):
    page = reception(open_page, clinic)
    page.get_by_role("combobox").fill("wa")
    expect(page.get_by_role("option").first).to_be_visible()
    return page


@scene
def reception_menu(open_page, clinic):
    page = open_page("receptionist", "/", width=320, height=640)
    page.locator("summary", has_text="Menu").click()
    return page


@scene
def shortcuts(open_page, clinic):
    page = reception(open_page, clinic)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    return page


@scene
def new_clinic_reception(open_page, clinic, new_clinic):
    page = open_page("receptionist", "/", at=new_clinic)
    expect(page.get_by_text("Nobody yet.")).to_be_visible()
    return page


@scene
def patients(open_page, clinic):
    page = open_page("receptionist", "/patients")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    return page


@scene
def patients_as_clinician(open_page, clinic):
    page = open_page("clinician", "/patients")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    return page


@scene
def patients_no_match(open_page, clinic):
    page = patients(open_page, clinic)
    page.get_by_label("Search patients").fill("Wolfeschlegelsteinhausenbergerdorff Nobody")
    expect(page.get_by_role("button", name="Clear search")).to_be_visible()
    return page


@scene
def patients_empty(open_page, clinic, new_clinic):
    page = open_page("receptionist", "/patients", at=new_clinic)
    expect(page.get_by_role("heading", name="No patients yet")).to_be_visible()
    return page


@scene
def patients_loading(open_page, clinic):
    page = open_page("receptionist")
    _hold(page, lambda message: "patient_list" in message)
    page.goto("/patients")
    expect(page.get_by_text("Loading patients")).to_be_attached()
    return page


@scene
def registration(open_page, clinic):
    return _heading(open_page("receptionist", "/patients/new"), "Patient registration")


@scene
def registration_mistakes(open_page, clinic):
    page = registration(open_page, clinic)
    page.get_by_label("Phone", exact=True).fill("1")
    page.get_by_label("Date of birth").fill("14/3/1988")
    page.get_by_label("Create Patient Portal Login").check()
    page.get_by_role("button", name="Register patient").click()
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    return page


@scene
def registration_failed(open_page, clinic):
    page = registration(open_page, clinic)
    page.get_by_label("First name").fill("Failing")
    page.get_by_label("Last name").fill("Person")
    clinic.sql("ALTER TABLE counters RENAME TO counters_away")
    try:
        page.get_by_role("button", name="Register patient").click()
        expect(page.get_by_text("Failed to create patient")).to_be_visible()
    finally:
        clinic.sql("ALTER TABLE counters_away RENAME TO counters")
    return page


@scene
def registered(open_page, clinic):
    page = registration(open_page, clinic)
    page.get_by_label("First name").fill("Drawn")
    page.get_by_label("Last name").fill("Person")
    page.get_by_role("button", name="Register patient").click()
    return _heading(page, "Patient registered successfully")


@scene
def registered_with_portal(open_page, clinic):
    page = registration(open_page, clinic)
    page.get_by_label("First name").fill("Drawn")
    page.get_by_label("Last name").fill("Withaccess")
    page.get_by_label("Create Patient Portal Login").check()
    page.get_by_label("Portal email").fill("drawn@example.org")
    page.get_by_role("button", name="Register patient").click()
    expect(page.get_by_text("Portal Account Created!")).to_be_visible()
    return page


def _of_state(clinic, state: str) -> str:
    """A patient ID of the demo clinic whose account is in this state."""
    wanted = {
        "none": "a.id IS NULL",
        "active": "a.is_active AND NOT password_temporary",
        "temporary": "a.is_active AND password_temporary AND password_expires_at > datetime('now')",
        "expired": "a.is_active AND password_temporary AND password_expires_at < datetime('now')",
        "off": "NOT a.is_active",
    }[state]
    rows = clinic.sql(
        f"SELECT p.patient_id FROM patients p LEFT JOIN accounts a ON a.patient_id = p.id"
        f" WHERE p.id <= 68 AND p.is_active AND {wanted} ORDER BY p.id LIMIT 1"
    )
    return rows[0][0]


def _profile(open_page, clinic, state: str, words: str) -> Page:
    page = open_page("receptionist", f"/patients/{_of_state(clinic, state)}")
    expect(page.get_by_text(words).first).to_be_visible()
    return page


@scene
def profile_none(open_page, clinic):
    return _profile(open_page, clinic, "none", "No portal account yet")


@scene
def profile_active(open_page, clinic):
    return _profile(open_page, clinic, "active", "Portal access is enabled for this patient")


@scene
def profile_temporary(open_page, clinic):
    return _profile(open_page, clinic, "temporary", "Waiting for first sign-in")


@scene
def profile_expired(open_page, clinic):
    return _profile(open_page, clinic, "expired", "Password expired")


@scene
def profile_locked(open_page, clinic):
    people = clinic.sql("SELECT p.patient_id, a.username FROM patients p JOIN accounts a ON a.patient_id = p.id")
    keys = {key for (key,) in clinic.sql("SELECT key FROM sign_in_limits WHERE blocked_until IS NOT NULL")}
    number = next(number for number, username in people if sign_in_throttle.account_key(username) in keys)
    page = open_page("receptionist", f"/patients/{number}")
    expect(page.get_by_text("Locked after too many wrong passwords")).to_be_visible()
    return page


@scene
def profile_off(open_page, clinic):
    return _profile(open_page, clinic, "off", "Portal access is turned off")


@scene
def profile_missing(open_page, clinic):
    return _heading(open_page("receptionist", "/patients/LMC999999"), "No patient has this number")


@scene
def profile_editing_details(open_page, clinic):
    page = profile_none(open_page, clinic)
    page.get_by_role("button", name="Edit patient details").click()
    page.get_by_label("Last name").fill(" ")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    return page


@scene
def profile_stale(open_page, clinic):
    done = clinic.patient(first_name="Stale", last_name="Drawn")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    page.get_by_role("button", name="Edit contact information").click()
    page.get_by_label("Address").fill("Mine")
    clinic.sql("UPDATE patients SET version = version + 1, email = 'theirs@example.org' WHERE id = ?", done.patient.id)
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Somebody else changed this record")).to_be_visible()
    return page


@scene
def turn_off_question(open_page, clinic):
    page = profile_active(open_page, clinic)
    page.get_by_role("button", name="Turn off portal access").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    return page


@scene
def no_rights(open_page, clinic):
    return _heading(open_page("clinician", "/patients/new"), "You cannot open this page")


# --- the dialog -----------------------------------------------------------------------------------


def _hold(page: Page, held: Callable[[str], bool]) -> None:
    """Keep some of the server's messages back, so that what the page shows meanwhile stays."""

    def between(route):
        server = route.connect_to_server()
        server.on_message(lambda message: None if held(str(message)) else route.send(message))
        route.on_message(server.send)

    page.route_web_socket(re.compile("/_event"), between)


@scene
def dialog_input(open_page, clinic):
    page = profile_none(open_page, clinic)
    page.get_by_role("button", name="Create Portal Account").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    return page


@scene
def dialog_loading(open_page, clinic):
    done = clinic.patient(first_name="Loading", last_name="Drawn")
    page = open_page("receptionist")
    _hold(page, lambda message: "Portal Account Created!" in message)
    page.goto(f"/patients/{done.patient.patient_id}")
    page.get_by_role("button", name="Create Portal Account").click()
    page.get_by_role("dialog").get_by_label("Email").fill("loading@example.org")
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
    expect(page.get_by_role("dialog").get_by_text("Creating...")).to_be_visible()
    return page


@scene
def dialog_mistake(open_page, clinic):
    page = dialog_input(open_page, clinic)
    page.get_by_role("dialog").get_by_label("Email").fill("x@")
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
    expect(page.locator("#portal-email-error")).to_contain_text("Invalid email format")
    return page


@scene
def dialog_failed(open_page, clinic):
    page = dialog_input(open_page, clinic)
    page.get_by_role("dialog").get_by_label("Email").fill("failed@example.org")
    clinic.sql("ALTER TABLE audit_head RENAME TO audit_head_away")
    try:
        page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
        expect(page.get_by_text("Failed to create patient portal account")).to_be_visible()
    finally:
        clinic.sql("ALTER TABLE audit_head_away RENAME TO audit_head")
    return page


@scene
def dialog_success(open_page, clinic):
    done = clinic.patient(first_name="Konstantinos", last_name="Papadopoulos-Wanyama of Kisumu")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    page.get_by_role("button", name="Create Portal Account").click()
    email = "a.very.long.address.that.has.to.break.somewhere@subdomain.of.a.hospital.example.org"
    page.get_by_role("dialog").get_by_label("Email").fill(email)
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
    expect(page.get_by_text("Portal Account Created!")).to_be_visible()
    return page


# --- the patient's side ---------------------------------------------------------------------------


@scene
def portal_login(open_page, clinic):
    return _heading(open_page(path="/patient-portal/login"), "Patient portal sign in")


@scene
def portal_login_refused(open_page, clinic):
    page = open_page()
    patient_sign_in(page, "nobody.for.looks@example.org", "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    return page


@scene
def portal_expired(open_page, clinic):
    done = clinic.patient(portal_email="drawn.late@example.org")
    clinic.sql("UPDATE accounts SET password_expires_at = created_at WHERE username = 'drawn.late@example.org'")
    page = open_page()
    patient_sign_in(page, "drawn.late@example.org", done.credentials.temporary_password)
    return _heading(page, "Your temporary password has expired")


@scene
def portal_password(open_page, clinic):
    done = clinic.patient(portal_email="drawn.first@example.org")
    page = open_page()
    patient_sign_in(page, "drawn.first@example.org", done.credentials.temporary_password)
    page.get_by_label("New password", exact=True).fill("lakeside tea time")
    page.get_by_role("button", name="Save password").click()
    expect(page.locator("#new_password-error")).to_contain_text("It contains a name")
    page.get_by_label("New password", exact=True).fill("lakeside tea time")
    expect(page.locator("#strength")).to_contain_text("It contains a name")
    return page


@scene
def portal_record(open_page, clinic):
    clinic.with_own_password("drawn.own@example.org", first_name="Drawn", last_name="Owner")
    page = open_page()
    patient_sign_in(page, "drawn.own@example.org", factories.OWN_PASSWORD)
    return _heading(page, "My record")


@scene
def portal_record_sessions(open_page, clinic):
    email, phone = (
        "drawn.places@example.org",
        "Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0 Mobile Safari/537.36",
    )
    clinic.with_own_password(email, first_name="Drawn", last_name="Places")
    for browser in ({"user_agent": phone}, {}):
        page = open_page(**browser)
        patient_sign_in(page, email, factories.OWN_PASSWORD)
        expect(page.get_by_text("This device", exact=True)).to_be_visible()
    return page


# --- drawing them -----------------------------------------------------------------------------------


def _draw(page: Page, name: str) -> None:
    folder = ARTEFACTS / "screens"
    folder.mkdir(parents=True, exist_ok=True)
    whole = page.get_by_role("dialog").count() == 0
    page.screenshot(path=folder / f"{name}.png", full_page=whole, animations="disabled")


@pytest.mark.parametrize("name", list(SCENES))
def test_it_is_accessible_and_fits(name, request, pytestconfig, open_page, clinic):
    make = SCENES[name]
    names = make.__code__.co_varnames[: make.__code__.co_argcount]
    page = make(**{one: request.getfixturevalue(one) for one in names})
    pictures = pytestconfig.getoption("pictures")
    wrong: list[str] = []
    for width, height in WIDTHS.items():
        if name == "reception_menu" and width > 400:
            continue
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            rules = CHECKS.get((width, scheme))
            if not (rules or pictures):
                continue
            page.emulate_media(color_scheme=scheme)
            expect(page.locator(f"html.{scheme} .radix-themes.{scheme}")).to_have_count(1)
            page.evaluate(SETTLED)
            if pictures:
                _draw(page, f"{name}-{width}-{scheme}")
            if rules:
                wrong += [f"{width} {scheme}: {one}" for one in _violations(page, rules)]
        wrong += [f"{width}: wider than the screen: {one}" for one in _sideways(page)]
    assert wrong == []
