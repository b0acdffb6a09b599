"""From *Register as a patient* in one browser to the desk in another: the page's own worker solves the challenge."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from clinic_app.core import db, routes
from clinic_app.services.patients.forms import PatientDetails
from clinic_app.services.patients.self_registration import add_waiting
from tests.browser.conftest import Clinic
from tests.browser.serving import Server, bound


@pytest.fixture(scope="module")
def open_clinic(tmp_path_factory):
    """A clinic where people register themselves."""
    made = Server(tmp_path_factory.mktemp("open"), CLINIC_SELF_REGISTRATION="true")
    made.prepare()
    made.start()
    yield made
    made.stop()


def test_somebody_registers_and_the_desk_sees_them_and_makes_them_a_patient(open_page, open_clinic, watch):
    watch.expect("400")
    desk = open_page("receptionist", "/patients/pending", at=open_clinic)
    expect(desk.get_by_role("heading", name="Pending verification", level=1)).to_be_visible()
    page = open_page(path="/patient-portal/login", at=open_clinic)
    page.get_by_role("link", name="Register as a patient").click()
    page.get_by_label("First name", exact=True).fill("Beatrice")
    page.get_by_label("Last name", exact=True).fill("Achieng")
    page.get_by_label("Date of birth").fill("14/3/88")
    page.get_by_role("button", name="Send registration").click()
    expect(page.locator("#error-summary")).to_be_focused()  # neither phone nor email
    expect(page.get_by_label("First name", exact=True)).to_have_value("Beatrice")
    page.get_by_label("Phone", exact=True).fill("0712 445 901")
    page.get_by_role("button", name="Send registration").click()  # early: it goes by itself
    expect(page.get_by_role("heading", name="Thank you, Beatrice")).to_be_visible()
    expect(desk.get_by_role("heading", name="Beatrice Achieng")).to_be_visible()  # without a reload
    card = desk.get_by_role("listitem").filter(has=desk.get_by_role("heading", name="Beatrice Achieng"))
    card.get_by_role("button", name="Verify as new patient").click()
    expect(desk.get_by_text("Beatrice Achieng was verified.")).to_be_visible()
    desk.get_by_role("link", name="Open LMC").click()
    expect(desk.get_by_role("heading", name="Beatrice Achieng", level=1)).to_be_visible()


def test_a_line_that_fails_for_a_moment_keeps_nobody_out(open_page, open_clinic, watch):
    watch.expect("register-worker.js")
    page, asked = open_page(at=open_clinic), []

    def answer(route):
        asked.append(route.request.url)
        route.abort() if len(asked) < 3 else route.continue_()

    page.route("**/register-worker.js", answer)
    page.goto(routes.SELF_REGISTRATION)
    page.get_by_label("First name", exact=True).fill("Wambui")
    expect(page.get_by_text("Checked: no robot")).to_be_visible()
    assert len(asked) == 3
    expect(page.get_by_label("First name", exact=True)).to_have_value("Wambui")


def test_pressed_without_a_line_what_was_typed_stays_and_goes_once(open_page, open_clinic, watch):
    watch.expect("ERR_INTERNET_DISCONNECTED")
    watch.expect("502")
    page = open_page(path=routes.SELF_REGISTRATION, at=open_clinic)
    page.get_by_label("First name", exact=True).fill("Offlina")
    page.get_by_label("Last name", exact=True).fill("Wafula")
    page.get_by_label("Phone", exact=True).fill("0712 445 902")
    expect(page.get_by_text("Checked: no robot")).to_be_visible()
    away = page.get_by_text("No connection. What you typed is kept.")
    page.route("**/healthz", lambda route: route.fulfill(status=502))  # by the proxy, while the program starts
    page.get_by_role("button", name="Send registration").click()
    expect(away).to_be_visible()
    page.unroute("**/healthz")
    page.context.set_offline(True)
    page.get_by_role("button", name="Send registration").click()
    expect(page.get_by_role("button", name="Send registration")).to_be_enabled()
    expect(away).to_be_visible()
    expect(page.get_by_label("First name", exact=True)).to_have_value("Offlina")
    page.context.set_offline(False)
    page.get_by_role("button", name="Send registration").click()
    expect(page.get_by_role("heading", name="Thank you, Offlina")).to_be_visible()


def test_a_link_can_be_undone_after_the_record_was_opened(open_page, open_clinic):
    typed = {"first_name": "Philemon", "last_name": "Rotichson", "phone": "0712 000 444", "date_of_birth": "3/4/1975"}
    with bound(open_clinic):
        known = Clinic(open_clinic).patient(**typed).patient.patient_id
        with db.transaction() as session:
            add_waiting(session, PatientDetails.parse(typed))
    desk = open_page("receptionist", "/patients/pending", at=open_clinic)
    card = desk.get_by_role("listitem").filter(has=desk.get_by_role("heading", name="Philemon Rotichson"))
    card.get_by_role("button", name="Link to this patient").first.click()
    said = desk.get_by_text(f"Philemon Rotichson was linked to {known}.")
    told = desk.get_by_role("status").filter(has=said)
    expect(told).to_be_focused()
    desk.get_by_role("link", name=f"Open {known}").click()
    expect(desk.get_by_role("heading", name="Philemon Rotichson", level=1)).to_be_visible()
    desk.go_back()
    expect(desk.get_by_role("button", name="Undo")).to_be_visible()
    desk.reload()
    expect(said).to_be_visible()
    expect(told).not_to_be_focused()  # whoever comes to the page begins where it begins
    desk.get_by_role("button", name="Undo").click()
    expect(desk.get_by_text("The link was undone.")).to_be_visible()
    expect(card).to_be_visible()


def test_the_second_click_of_a_double_click_decides_about_nobody_else(open_page, open_clinic):
    with bound(open_clinic), db.transaction() as session:
        for name in ("Firstinline", "Nextinline"):
            add_waiting(session, PatientDetails.parse({"first_name": name, "last_name": name, "phone": "0712 000 111"}))
    desk = open_page("receptionist", "/patients/pending", at=open_clinic)

    def verify(name: str) -> Locator:
        card = desk.get_by_role("listitem").filter(has=desk.get_by_role("heading", name=name))
        return card.get_by_role("button", name="Verify as new patient")

    verify("Firstinline").click()  # and its place is taken by the next one
    expect(verify("Firstinline")).to_have_count(0)
    verify("Nextinline").scroll_into_view_if_needed()
    there = verify("Nextinline").bounding_box()
    assert there
    desk.mouse.move(there["x"] + 9, there["y"] + 9)
    desk.mouse.down(click_count=2)
    desk.mouse.up(click_count=2)
    expect(desk.get_by_text("Firstinline Firstinline was verified.")).to_be_visible()
    desk.wait_for_timeout(500)
    expect(verify("Nextinline")).to_have_count(1)
    verify("Nextinline").dblclick()
    expect(desk.get_by_text("Nextinline Nextinline was verified.")).to_be_visible()
