"""Two records in a browser: compared, one, and two again."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from clinic_app.services.patients import merging, pair_finding
from clinic_app.services.patients.merge_forms import MergeRequest


def _twice(clinic, **changes):
    same = {"first_name": "Barnabas", "date_of_birth": "3/4/1975", "phone": "0712 111 333"}
    first = clinic.patient(**same, last_name="Cheruiyot", **changes).patient
    second = clinic.patient(**same, last_name="Cheruiyott", address="Box 77, Eldoret", **changes).patient
    pair_finding.compare_all()
    return first, second


def test_two_records_become_one_with_the_values_chosen_and_two_again(open_page, clinic):
    first, second = _twice(clinic)
    page = open_page("receptionist", f"/patients/duplicates/{first.patient_id}-{second.patient_id}")
    expect(page.get_by_role("heading", name="Compare and merge")).to_be_visible()
    names = page.get_by_role("radiogroup", name="Last name")
    expect(names.get_by_role("radio", name=re.compile("^Cheruiyot "))).to_be_checked()
    names.get_by_role("radio", name=re.compile("^Cheruiyott ")).check()
    stays = page.get_by_role("radiogroup", name="Record that stays")
    stays.get_by_role("radio", name=second.patient_id).check()
    expect(page.get_by_role("button", name=f"Merge into {second.patient_id}")).to_be_visible()
    stays.get_by_role("radio", name=first.patient_id).check()
    page.get_by_role("button", name=f"Merge into {first.patient_id}").click()
    expect(page.get_by_role("heading", name=f"{first.first_name} Cheruiyott", level=1)).to_be_visible()
    expect(page.get_by_text(f"{second.patient_id} was merged into this record.")).to_be_visible()
    page.goto(f"/patients/{second.patient_id}")
    page.wait_for_url(f"**/patients/{first.patient_id}")
    page.goto(f"/patients/duplicates/{first.patient_id}-{second.patient_id}")
    expect(page.get_by_role("heading", name="There is nothing to compare", level=1)).to_be_visible()
    page.get_by_role("link", name=f"Open {first.patient_id}").click()
    page.get_by_role("button", name="Undo merge").click()
    expect(page.get_by_text(f"Merge undone. {second.patient_id} is a record of its own again.")).to_be_visible()
    expect(page.get_by_role("heading", name=f"{first.first_name} Cheruiyot", level=1, exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Undo merge")).to_have_count(0)


def test_what_is_refused_about_a_merged_record_leads_to_the_one_that_stays(open_page, clinic):
    first, second = _twice(clinic)
    page = open_page("receptionist", "/patients")
    page.get_by_label("Search patients").fill(second.patient_id)
    expect(page.get_by_role("row")).to_have_count(2)  # its head, and whoever was searched for
    row = page.get_by_role("row").filter(has_text=second.patient_id)
    row.get_by_role("button", name="Create Portal Account").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Email").fill("barnabas.merged@example.org")
    merging.merge_patients(clinic.desk, second.id, MergeRequest(first.id))
    expect(row).to_have_count(0)
    dialog.get_by_role("button", name="Create Portal Account").click()
    refused = dialog.get_by_role("alert").filter(has_text=f"{second.patient_id} was merged into {first.patient_id}.")
    refused.get_by_role("link", name=f"Open {first.patient_id}").click()
    expect(page.get_by_role("heading", name=f"{first.first_name} Cheruiyot", level=1, exact=True)).to_be_visible()
    expect(dialog).to_have_count(0)
