"""*Audit trail* as an administrator uses it, and as nobody else can."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from clinic_app.core import csv_safe
from clinic_app.services.patients.profile import view_patient
from clinic_app.ui.audit_trail.state import PAGE_SIZE
from tests.browser.conftest import until

DETAILS = re.compile("^Details of event")
EVENTS = re.compile(r'mode_rx_state_"\s*:\s*"rows')  # in what the server says
EACH = re.compile(r"^Show the (\d+) events")  # a group of looks in a row


@pytest.fixture
def trail(open_page, clinic):
    """The page, open, and a patient who was registered and looked at."""
    done = clinic.patient()
    view_patient(clinic.actor("clinician"), done.patient.patient_id)

    def opened(**look):
        page = open_page("admin", "/admin/audit", **look)
        expect(page.get_by_role("button", name=DETAILS).first).to_be_visible()
        return page

    opened.patient_id = done.patient.patient_id
    return opened


def show(page, **filters):
    """Fill the filters and ask."""
    for label, value in filters.items():
        field = page.get_by_label(label.replace("_", " "), exact=True)
        (field.select_option if label in ("Action", "Outcome") else field.fill)(value)
    page.get_by_role("button", name="Show events").click()
    expect(page.get_by_role("button", name="Searching...")).to_have_count(0)


def shown(page):
    """How many events stand on the page, those in groups too."""
    names = page.locator("td.act button").evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")
    groups = [EACH.match(name) for name in names]
    return sum(int(group[1]) if group else 1 for group in groups)


def test_an_administrator_finds_the_page_in_the_navigation(open_page):
    page = open_page("admin", "/")
    page.get_by_role("link", name="Audit trail").first.click()
    expect(page).to_have_title("Audit trail · Lakeside Medical Centre")
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit trail")
    expect(page.get_by_role("link", name="Audit trail").first).to_have_attribute("aria-current", "page")
    until(lambda: shown(page) == PAGE_SIZE)


@pytest.mark.asvs("8.2.1", "8.3.1")
@pytest.mark.parametrize("who", ["receptionist", "clinician"])
def test_others_cannot_open_it(open_page, clinic, who):
    before = len(clinic.audit("AUDIT_READ"))
    page = open_page(who, "/admin/audit")
    expect(page.get_by_role("heading", name="You cannot open this page")).to_be_visible()
    expect(page.get_by_text("Only administrators can read the audit trail.")).to_be_visible()
    expect(page.get_by_role("link", name="Audit trail")).to_have_count(0)
    expect(page.get_by_role("button", name=DETAILS)).to_have_count(0)
    assert len(clinic.audit("AUDIT_READ")) == before


def test_filters_show_what_is_asked_for_and_never_stand_in_the_address(trail):
    page = trail()
    show(page, Patient_ID=trail.patient_id)
    expect(page.get_by_role("button", name=DETAILS)).to_have_count(2)
    expect(page.get_by_role("rowheader")).to_have_text([re.compile("Patient record opened"), re.compile("registered")])
    show(page, Username="clinician")
    expect(page.get_by_role("button", name=DETAILS)).to_have_count(1)
    show(page, Username="", Action="PATIENT_CREATED", Outcome="success")
    expect(page.get_by_role("button", name=DETAILS)).to_have_count(1)
    show(page, Outcome="denied")
    expect(page.get_by_role("heading", name="No event matches")).to_be_visible()
    page.get_by_role("button", name="Show all events").click()
    until(lambda: shown(page) == PAGE_SIZE)
    expect(page.get_by_label("Patient ID", exact=True)).to_have_value("")
    show(page, From="2999-01-01")
    expect(page.get_by_role("heading", name="No event matches")).to_be_visible()
    assert page.url.endswith("/admin/audit")


def test_a_filter_that_makes_no_sense_is_told_at_its_field(trail, looks):
    page = trail()
    show(page, Patient_ID="LMC 12")
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    field = page.get_by_label("Patient ID", exact=True)
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("LMC 12")
    expect(page.locator("#patient-error")).to_have_text("Patient ID must be letters and digits, such as LMC000123.")
    looks.as_it_stands(page, "audit-error")


def test_pages_are_turned(trail):
    page = trail()
    first = page.get_by_role("button", name=DETAILS).first.get_attribute("aria-label")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Page 2 of")).to_be_visible()
    assert page.get_by_role("button", name=DETAILS).first.get_attribute("aria-label") != first
    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_text("Page 1 of")).to_be_visible()


def test_one_event_is_shown_whole_and_the_focus_comes_back(trail, clinic, looks):
    page = trail()
    show(page, Patient_ID=trail.patient_id, Action="PATIENT_VIEWED")
    expect(page.get_by_role("button", name=DETAILS)).to_have_count(1)
    button = page.get_by_role("button", name=DETAILS)
    seq = int(re.sub(r"\D", "", button.get_attribute("aria-label")))
    button.click()
    dialog = page.get_by_role("dialog", name="Patient record opened")
    expect(dialog).to_be_visible()
    columns = "action, address, user_agent, request_id"
    (row,) = clinic.sql(f"SELECT {columns} FROM audit_events WHERE seq = ?", seq)
    for value in [*row, f"{seq:,}", trail.patient_id, "clinician", "Clinician", "Done"]:
        expect(dialog.get_by_text(value, exact=True)).to_be_visible()
    looks.as_it_stands(page, "audit-event")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()


@pytest.mark.asvs("1.2.10", "14.3.2")
def test_the_export_is_what_the_page_shows_as_often_as_wanted(trail, clinic):
    page = trail()
    show(page, Patient_ID=trail.patient_id)
    expect(page.get_by_role("button", name=DETAILS)).to_have_count(2)
    for _ in range(2):
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Export as CSV").click()
        download = waiting.value
        assert re.fullmatch(r"audit-trail-\d{4}-\d\d-\d\d-\d{4}\.csv", download.suggested_filename)
        assert download.url.endswith("/auth/audit-export")  # no filter in it
        text = Path(download.path()).read_text("utf-8")
        assert text.startswith(csv_safe.BYTE_ORDER_MARK)
        rows = list(csv.DictReader(io.StringIO(text[1:], newline="")))
        assert [row["action"] for row in rows] == ["PATIENT_CREATED", "PATIENT_VIEWED"]
        assert {row["patient_id"] for row in rows} == {trail.patient_id}
    role, outcome, _, metadata = clinic.audit("AUDIT_EXPORTED")[-1]
    assert (role, outcome, json.loads(metadata)["count"]) == ("ADMIN", "success", 2)
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit trail")


def test_what_is_asked_for_is_still_there_after_a_look_elsewhere(trail):
    page = trail()
    show(page, Patient_ID=trail.patient_id)
    expect(page.get_by_role("button", name=DETAILS)).to_have_count(2)
    page.get_by_role("link", name=trail.patient_id).first.click()
    expect(page.get_by_role("heading", name="Patient Details")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Patient ID", exact=True)).to_have_value(trail.patient_id)
    expect(page.get_by_role("button", name=DETAILS)).to_have_count(3)  # that look is in it


def test_it_can_be_used_by_everybody_everywhere(trail, looks):
    looks.everywhere(trail(), "audit")


def test_while_it_waits_and_when_nothing_matches_it_says_so(open_page, looks):
    page = open_page("admin")
    held = []

    def until_the_events(route):
        server = route.connect_to_server()
        route.on_message(server.send)
        server.on_message(lambda said: held.append((route, said)) if held or EVENTS.search(said) else route.send(said))

    page.route_web_socket(re.compile("/_event"), until_the_events)
    page.goto("/admin/audit")
    until(lambda: page.evaluate("1") and held)
    expect(page.get_by_role("status").filter(has_text="Loading events")).to_have_count(1)
    looks.as_it_stands(page, "audit-loading")
    while held:  # what arrives meanwhile keeps its place
        route, said = held[0]
        route.send(said)
        held.pop(0)
    expect(page.get_by_role("button", name=DETAILS).first).to_be_visible()
    show(page, Username="nobody.at.all")
    expect(page.get_by_role("heading", name="No event matches")).to_be_visible()
    looks.as_it_stands(page, "audit-no-match")


def test_a_look_that_cannot_be_recorded_shows_nothing(open_page, clinic, looks):
    with clinic.server.refusing("audit_events"):
        page = open_page("admin", "/admin/audit")
        alert = page.get_by_role("alert").filter(has_text="Please try again in a minute.")
        expect(alert).to_be_visible()
        expect(page.get_by_role("button", name=DETAILS)).to_have_count(0)
        looks.as_it_stands(page, "audit-failed")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name=DETAILS).first).to_be_visible()
    expect(alert).to_have_count(0)


def test_on_paper_there_are_events_and_no_controls(trail):
    page = trail()
    page.emulate_media(media="print")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    expect(page.locator("#audit-filters")).to_be_hidden()
    expect(page.get_by_role("button", name="Export as CSV")).to_be_hidden()


def test_a_session_that_has_ended_gets_no_file(trail, clinic):
    page = trail()
    before = len(clinic.audit("AUDIT_EXPORTED"))
    page.route("**/auth/session", lambda route: None)  # the page has not heard of it yet, else it would leave by itself
    clinic.sql("UPDATE login_sessions SET ended_at = created_at WHERE ended_at IS NULL")
    page.get_by_role("button", name="Export as CSV").click()
    expect(page.get_by_role("heading", name="Staff sign in")).to_be_visible()
    assert len(clinic.audit("AUDIT_EXPORTED")) == before
