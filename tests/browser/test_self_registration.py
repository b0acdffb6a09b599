"""From *Register as a patient* in one browser to the desk in another: the page's own worker solves the challenge."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.serving import Server


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
