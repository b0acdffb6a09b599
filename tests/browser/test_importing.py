"""Import and export as an administrator has them: a file sent, checked, decided, taken in while the page is left."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests import factories

FILE = (
    "external_id;first_name;last_name;date_of_birth;phone;insurer\r\n"
    "NY-1;Halima;Yusuf;14/2/1979;;NHIF\r\n"
    "NY-2;Zawadi;Odiambo;14/3/1988;;\r\n"
    "NY-3;Peter;Kamau;31/2/1987;;\r\n"
)


def test_a_file_is_checked_decided_and_taken_in(open_page, clinic, tmp_path):
    there = factories.make_patient(clinic.desk, first_name="Zawadi", last_name="Odhiambo", date_of_birth="14/3/1988")
    path = tmp_path / "nyanza-clinic.csv"
    path.write_bytes(b"\xef\xbb\xbf" + FILE.encode())
    page = open_page("admin", "/admin/import")
    expect(page.get_by_role("heading", name="Import patients")).to_be_visible()
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("Choose a file first.")).to_be_visible()
    page.get_by_label("CSV file with patients").set_input_files(str(path))
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("heading", name="nyanza-clinic.csv")).to_be_visible(timeout=30_000)
    take_in = page.get_by_role("button", name=re.compile("^Import 1 patient"))
    expect(take_in).to_be_visible(timeout=30_000)
    expect(page.get_by_text("1 column has no place here and is left out:")).to_be_visible()
    row = page.get_by_role("row", name=re.compile("Zawadi Odiambo"))
    row.get_by_role("button", name=re.compile("^Same person")).first.click()
    expect(page.get_by_role("button", name="Import 1 patient, link 1")).to_be_visible()
    other = open_page("admin", "/admin/import")
    expect(other.get_by_role("button", name="Import 1 patient, link 1")).to_be_visible()
    page.get_by_role("button", name="Import 1 patient, link 1").click()
    page.goto("/patients")
    expect(other.get_by_text("1 patient imported.")).to_be_visible(timeout=30_000)
    expect(other.get_by_role("heading", name="Left out")).to_be_visible()
    (kept,) = clinic.sql("SELECT external_id FROM patients WHERE patient_id = ?", there.patient.patient_id)
    assert kept[0] == "NY-2"
    with other.expect_download() as begun:
        other.get_by_role("button", name="Download report (CSV)").click()
    assert "31/2/1987" in begun.value.path().read_text(encoding="utf-8")
    other.get_by_role("button", name="Import another file").click()
    expect(other.get_by_text("nyanza-clinic.csv").first).to_be_visible()
