"""Portal accounts in bulk as an administrator has them: previewed, begun, left, and found again when they are done."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests import factories


def test_a_run_goes_on_while_the_page_is_closed_and_others_see_it(open_page, clinic):
    for number in range(3):
        factories.make_patient(clinic.desk, email=f"bulk.run{number}@example.org", preferred_language="fr")
    page = open_page("admin", "/admin/portal")
    new = page.get_by_role("button", name="New run")
    expect(new.or_(page.get_by_label("Preferred language"))).to_be_visible()
    if new.is_visible():
        new.click()
    page.get_by_label("Preferred language").select_option("fr")
    page.get_by_role("button", name="Preview").click()
    create = page.get_by_role("button", name=re.compile("Create [0-9]+ portal account"))
    expect(create).to_be_visible()
    chosen = page.get_by_role("table", name="Chosen patients").get_by_role("row")
    expect(chosen.filter(has_text="bulk.run0@example.org").get_by_text("Eligible", exact=True)).to_be_visible()
    other = open_page("admin", "/admin/portal")
    create.click()
    expect(page.get_by_text("This page can be left")).to_be_visible()
    page.goto("/patients")
    expect(other.get_by_role("heading", name=re.compile("Report of the run of"))).to_be_visible(timeout=30_000)
    expect(other.get_by_text("by Daniel Otieno, in")).to_be_visible(timeout=30_000)
    page.goto("/admin/portal")
    expect(page.get_by_role("heading", name=re.compile("Report of the run of"))).to_be_visible()
    page.clock.install()
    page.get_by_role("button", name="Print slips").click()
    slips = page.get_by_role("article", name="Credential slip")
    expect(slips.filter(has_text="bulk.run0@example.org")).to_be_visible()
    page.clock.fast_forward("09:50")
    expect(slips.filter(has_text="bulk.run0@example.org")).to_be_visible()
    page.clock.fast_forward("00:15")
    page.clock.run_for(2_000)  # its timer, too
    expect(page.get_by_text("The passwords are no longer shown.")).to_be_visible()
    expect(slips).to_have_count(0)
    expect(page.get_by_role("button", name="Print")).to_have_count(0)
    made = clinic.sql("SELECT username FROM accounts WHERE username LIKE 'bulk.run%' ORDER BY username")
    assert [row[0] for row in made] == [f"bulk.run{number}@example.org" for number in range(3)]
    assert len(clinic.audit("PORTAL_BULK_RUN")) >= 2


def test_a_receptionist_reads_whose_the_page_is(open_page, clinic):
    page = open_page("receptionist", "/admin/portal")
    expect(page.get_by_text("Only administrators can create portal accounts in bulk.")).to_be_visible()
    expect(page.get_by_role("link", name="Portal accounts in bulk")).to_have_count(0)
