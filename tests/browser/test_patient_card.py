"""From the profile to the printed card, and what else a profile offers: copies, a call, a relative."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from clinic_app.services.patients.profile import view_patient


def _profile(open_page, done, who="receptionist", **options) -> Page:
    page = open_page(who, f"/patients/{done.patient.patient_id}", **options)
    expect(page.get_by_role("heading", name=done.patient.name, level=1)).to_be_visible()
    return page


def _size(pdf: bytes) -> tuple[int, list[tuple[float, float]]]:
    """Of a printed document: how many pages, and their sizes in millimetres."""
    boxes = re.findall(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)\s*\]", pdf)
    sizes = [(round(float(wide) * 25.4 / 72, 1), round(float(high) * 25.4 / 72, 1)) for wide, high in boxes]
    return len(re.findall(rb"/Type\s*/Page\b", pdf)), sizes


def test_the_card_is_one_sheet_of_what_was_chosen_and_leads_back(open_page, clinic):
    done = clinic.patient(first_name="Maximilian" * 10, last_name="Printed")
    page = _profile(open_page, done)
    page.get_by_role("link", name="Print patient card").click()
    expect(page.get_by_role("heading", name="Patient card", level=1)).to_be_visible()
    expect(page).to_have_title("Patient card · Lakeside Medical Centre")
    pages, sizes = _size(page.pdf(prefer_css_page_size=True))
    assert pages == 1
    assert abs(sizes[0][0] - 85.6) < 0.5
    assert abs(sizes[0][1] - 54) < 0.5
    page.get_by_label("Receipt roll, 80 mm").check()
    pages, sizes = _size(page.pdf(prefer_css_page_size=True))
    assert pages == 1
    assert abs(sizes[0][0] - 80) < 0.5
    page.get_by_label("A4, cut out by hand").check()
    pages, sizes = _size(page.pdf(prefer_css_page_size=True, format="A4"))
    assert pages == 1
    page.evaluate("window.print = () => { document.documentElement.dataset.printed = 'yes'; }")
    page.get_by_role("button", name="Print").click()
    expect(page.locator("html")).to_have_attribute("data-printed", "yes")
    page.get_by_role("link", name="Back to the profile").click()
    expect(page.get_by_role("heading", name=done.patient.name, level=1)).to_be_visible()
    looks = [row for row in clinic.audit("PATIENT_VIEWED") if row[2] == done.patient.id]
    assert [row[3] for row in looks].count('{"page": "card"}') == 1


def test_patient_id_and_phone_are_copied_and_the_phone_calls(open_page, clinic):
    done = clinic.patient(first_name="Copied", phone="0712 445 901")
    page = _profile(open_page, done)
    page.evaluate("navigator.clipboard.writeText = async (text) => { document.documentElement.dataset.copied = text; }")
    banner = page.get_by_role("region", name="Patient", exact=True)
    banner.get_by_role("button", name="Copy patient ID").click()
    expect(banner.get_by_role("status")).to_have_text("Copied")
    expect(page.locator("html")).to_have_attribute("data-copied", done.patient.patient_id)
    banner.get_by_role("button", name="Copy phone").click()
    expect(page.locator("html")).to_have_attribute("data-copied", "0712 445901")
    expect(banner.get_by_role("link", name="0712 445901")).to_have_attribute("href", "tel:+254712445901")


def test_a_relative_is_registered_with_what_the_household_shares(open_page, clinic):
    done = clinic.patient(first_name="Parent", last_name="Householder", address="Plot 5\nKisumu", phone="0712 445 901")
    page = _profile(open_page, done)
    lines = page.get_by_role("region", name="Contact Information").get_by_text("Plot 5")
    assert lines.inner_text() == "Plot 5\nKisumu"
    assert lines.evaluate("one => one.getClientRects().length && getComputedStyle(one).whiteSpace") == "pre-line"
    page.get_by_role("button", name="Register a relative").click()
    expect(page.get_by_role("heading", name="Patient registration", level=1)).to_be_visible()
    assert page.url.endswith("/patients/new")
    household = page.get_by_role("region", name="Same household")
    expect(household).to_contain_text(f"Same household as {done.patient.name}.")
    expect(page.get_by_label("Phone", exact=True)).to_have_value("0712 445901")
    expect(page.get_by_label("Address")).to_have_value("Plot 5\nKisumu")
    expect(page.get_by_label("First name")).to_have_value("")
    page.get_by_label("First name").fill("Child")
    page.get_by_label("Last name").fill("Householder")
    page.get_by_role("button", name="Register patient").click()
    expect(page.get_by_role("heading", name="Patient registered successfully")).to_be_visible()
    kept = clinic.sql("SELECT phone, address FROM patients WHERE first_name = 'Child'")
    assert kept[-1] == ("+254712445901", "Plot 5\nKisumu")
    page.get_by_role("button", name="Register another patient").click()
    expect(page.get_by_label("Phone", exact=True)).to_have_value("")
    expect(household).to_have_count(0)


def test_a_clinician_prints_a_card_and_registers_nobody(open_page, clinic):
    page = _profile(open_page, clinic.patient(first_name="Seen"), who="clinician")
    expect(page.get_by_role("link", name="Print patient card")).to_be_visible()
    expect(page.get_by_role("button", name="Register a relative")).to_have_count(0)


def test_repeated_looks_are_one_line_and_all_of_it_is_behind_show_all(open_page, clinic):
    done = clinic.patient(first_name="Looked", last_name="Often")
    for who in ("admin", "clinician", "receptionist") * 5:
        view_patient(clinic.actor(who), done.patient.id)
    page = _profile(open_page, done)
    activity = page.get_by_role("region", name="Activity")
    expect(activity.get_by_role("listitem").filter(has_text=re.compile("opened|Registered"))).to_have_count(8)
    expect(activity).to_contain_text("Profile opened 2 times by Grace Wanjiru")
    expect(activity).to_contain_text("Registered by Grace Wanjiru")
    activity.get_by_role("button", name="Show all activity").click()
    expect(activity.get_by_role("button", name="Show all activity")).to_have_count(0)
    expect(activity.get_by_role("listitem").filter(has_text=re.compile("opened|Registered"))).to_have_count(16)
    activity.locator("summary").click()
    expect(activity.locator("details li")).to_have_count(2)
