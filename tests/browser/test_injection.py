"""The hostile corpus on the screen, on paper and in the file of the trail: read as it was typed, and nothing else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from clinic_app.core import context, csv_safe
from clinic_app.models.accounts import Role
from clinic_app.services.patients.profile import view_patient
from clinic_app.services.patients.views import Registered
from clinic_app.ui.patients.state import PAGE_SIZE
from tests import factories
from tests.browser.conftest import begin_edit, patient_sign_in
from tests.browser.serving import Server, bound
from tests.security.corpus import EMAILS, PLAIN

pytestmark = [pytest.mark.slow, pytest.mark.asvs("1.2.1")]

TEXTS = list(PLAIN.values())
NAMES = [text for text in TEXTS if text.isprintable()]  # what a member of staff may be called
_ODD = """() => {
  const found = window.__pwned === undefined ? [] : ["__pwned"];
  for (const one of document.querySelectorAll("*")) {
    for (const {name, value} of one.attributes) {
      const leads = ["href", "src", "srcdoc", "action", "formaction", "style", "xlink:href"].includes(name);
      if (name.startsWith("on") || name === "id" && value === "pwn"
          || leads && /^x$|^javascript:|pwn[.]invalid|__pwned/i.test(value))
        found.push(`${one.tagName} ${name}=${value}`);
    }
    if (["SCRIPT", "STYLE"].includes(one.tagName) && one.textContent.includes("__pwned")) found.push(one.textContent);
    if (["IFRAME", "OBJECT", "EMBED", "BASE"].includes(one.tagName)) found.push(one.tagName);
  }
  return found;
}"""
_WRITTEN = """() => [document.body.textContent,
  ...[...document.querySelectorAll("input, textarea")].map((one) => one.value)].join("\\n")"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A clinic of its own, in which nobody is called anything else."""
    made = Server(tmp_path_factory.mktemp("corpus"))
    made.prepare(people=False)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def people(server: Server) -> list[Registered]:
    """Patients with a text in every field, all texts in some name; the last one was seen by staff with such names."""
    with bound(server):
        factories.make_staff(Role.ADMIN, "admin", TEXTS[0])
        desk = factories.make_staff(Role.RECEPTIONIST, "receptionist", TEXTS[1])
        half, size = len(TEXTS) // 2, 6
        made = [
            factories.make_patient(
                desk,
                first_name=TEXTS[number],
                last_name=TEXTS[number + half],
                national_id=f"{TEXTS[number - 3][:48]} {number}",
                next_of_kin_name=TEXTS[number - 7],
                address="\n".join([*TEXTS, *TEXTS][number * 2 : number * 2 + size]),
            )
            for number in range(half)
        ]
        seen = factories.make_patient(
            desk, first_name=TEXTS[1], last_name=TEXTS[3], portal_email=EMAILS[4], national_id=TEXTS[5]
        )
        factories.own_password(seen)
        for number, name in enumerate(NAMES):
            actor = factories.make_staff(Role.CLINICIAN, f"person{number}", name)
            with context.use(context.RequestContext("page", "203.0.113.7", name)):
                view_patient(actor, seen.patient.patient_id)
    return [*made, seen]


@pytest.fixture
def look(open_page, people):
    """``look("admin", "/patients")``: a page on which no dialog of the browser may open."""

    def opened(who: str = "", path: str = "") -> Page:
        page = open_page(who)
        page.on("dialog", lambda dialog: pytest.fail(f"A dialog says {dialog.message}"))
        page.goto(path)
        return page

    return opened


def _holds(page: Page, *texts: str) -> None:
    """``texts`` stand on the page, in letters or in inputs, and have made nothing."""
    assert page.evaluate(_ODD) == []
    written = page.evaluate(_WRITTEN)
    assert [text for text in texts if text not in written] == []


def _rows(page: Page, count: int) -> None:
    expect(page.get_by_role("table").get_by_role("rowheader")).to_have_count(count)


def test_reception_the_list_and_the_search_show_names_as_they_are(look, people):
    page = look("receptionist", "/")
    expect(page.get_by_role("heading", name="Latest patients")).to_be_visible()
    expect(page.get_by_text(people[-1].patient.patient_id).first).to_be_visible()
    _holds(page, people[-1].patient.name, people[-2].patient.name, TEXTS[1])
    page.goto("/patients")
    shown = []
    pages = -(-len(people) // PAGE_SIZE)
    for number in range(1, pages + 1):
        expect(page.get_by_text(f"Page {number} of {pages}")).to_be_visible()
        _holds(page)
        shown += page.get_by_role("table").get_by_role("link").evaluate_all("all => all.map(one => one.textContent)")
        if number < pages:
            page.get_by_role("button", name="Next").click()
    assert sorted(shown) == sorted(one.patient.name for one in people)
    for done in people[: len(TEXTS) // 2]:
        page.get_by_label("Search patients").fill(done.patient.first_name)
        expect(page.locator(f"#name-{done.patient.patient_id}")).to_be_visible()
        _holds(page, done.patient.name)
    term = f"{PLAIN['out of a script']} nobody"
    page.get_by_label("Search patients").fill(term)
    expect(page.get_by_role("link", name="Register “")).to_be_visible()
    _holds(page, f"“{term}”")
    page.get_by_role("link", name="Register “").click()
    expect(page.get_by_label("First name")).to_have_value(term.split()[0])
    _holds(page, " ".join(term.split()[1:]))


def test_the_bar_suggests_names_as_they_are(look, people):
    page = look("receptionist", "/")
    for done in people[:6]:
        page.get_by_role("combobox").fill(done.patient.last_name)
        option = page.get_by_role("option").filter(has_text=done.patient.patient_id)
        expect(option).to_be_visible()
        _holds(page, done.patient.name)


def test_the_profile_shows_and_edits_every_field_as_it_is(look, people):
    page = look("receptionist", f"/patients/{people[0].patient.patient_id}")
    for done in people[:-1]:
        one = done.patient
        page.goto(f"/patients/{one.patient_id}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text(one.patient_id).first).to_be_visible()
        _holds(page, one.name, one.national_id, one.next_of_kin_name, one.address)
    for section in ("patient details", "contact information"):
        page.get_by_role("button", name=f"Edit {section}").click()
        expect(page.get_by_role("button", name="Save changes")).to_be_visible()
        typed = [one.first_name, one.last_name, one.national_id] if "details" in section else [one.next_of_kin_name]
        _holds(page, *typed)
        page.get_by_role("button", name="Cancel").click()


def test_an_edit_of_something_else_leaves_an_address_of_several_lines_as_it_is(look, clinic, people):
    one = people[2].patient
    page = look("receptionist", f"/patients/{one.patient_id}")
    begin_edit(page, "contact information")
    expect(page.get_by_label("Address")).to_have_value(one.address)
    page.get_by_label("Next of kin", exact=True).fill(TEXTS[2])
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    kept = clinic.sql("SELECT address, next_of_kin_name FROM patients WHERE id = ?", one.id)
    assert kept == [(one.address, TEXTS[2])]
    _holds(page, one.address, TEXTS[2])


def test_credentials_on_the_screen_and_on_paper_are_text(look, clinic, people):
    page = look("admin", f"/patients/{people[0].patient.patient_id}")
    page.evaluate("window.print = () => dispatchEvent(new Event('beforeprint'))")
    for done, email in zip(people, EMAILS[5:], strict=False):
        page.goto(f"/patients/{done.patient.patient_id}")
        page.evaluate("window.print = () => dispatchEvent(new Event('beforeprint'))")
        page.get_by_role("button", name="Create Portal Account").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        _holds(page, f"Create patient portal login for {done.patient.name}")
        dialog.get_by_label("Email").fill(TEXTS[0])
        dialog.get_by_label("Phone").fill(TEXTS[1])
        expect(dialog.locator("#portal-email-error")).to_contain_text("Invalid email format")
        dialog.get_by_label("Phone").fill("")
        dialog.get_by_label("Email").fill(email)
        dialog.get_by_role("button", name="Create Portal Account").click()
        expect(page.get_by_role("heading", name="Portal Account Created!")).to_be_visible()
        _holds(page, f"Portal login credentials for {done.patient.name}", email)
        page.get_by_role("button", name="Print").click()
        page.emulate_media(media="print")
        slip = page.locator("#print-sheet").get_by_role("article", name="Credential slip")
        expect(slip).to_be_visible()
        assert slip.get_by_role("heading").text_content() == done.patient.name
        _holds(page, email)
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.get_by_role("button", name="Close").click()
        expect(dialog).to_be_hidden()
        expect(page.get_by_text(email).first).to_be_visible()
        _holds(page, email)


def test_my_record_names_who_has_looked_as_they_are_called(look, people):
    page = look(path="/patient-portal/login")
    patient_sign_in(page, TEXTS[0], TEXTS[1])
    expect(page.get_by_text("Incorrect username or password.").first).to_be_visible()
    _holds(page, TEXTS[0])
    patient_sign_in(page, EMAILS[4], factories.OWN_PASSWORD)
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()
    expect(page.get_by_text("opened your record").first).to_be_visible()
    seen = people[-1].patient
    _holds(page, seen.name, *[f"{name}, clinician, opened your record" for name in NAMES[-3:]])
    page.goto("/patient-portal/views")
    expect(page.get_by_text("opened your record").first).to_be_visible()
    _holds(page, *[f"{name}, clinician, opened your record" for name in NAMES[-20:]])


def test_the_trail_and_its_file_show_people_and_devices_as_they_are(look, people):
    page = look("admin", "/admin/audit")
    page.get_by_label("Action", exact=True).select_option("PATIENT_VIEWED")
    page.get_by_label("Patient ID", exact=True).fill(people[-1].patient.patient_id)
    page.get_by_role("button", name="Show events").click()
    expect(page.get_by_role("button", name="Searching...")).to_have_count(0)
    expect(page.get_by_text(f"1–20 of {len(NAMES)} events")).to_be_visible()
    _holds(page, *NAMES[-20:])
    for number in range(4):
        page.get_by_role("button", name="Details of event").nth(number).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        _holds(page, NAMES[-1 - number])
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export as CSV").click()
    text = waiting.value.path().read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [csv_safe.original(row["actor_name"]) for row in rows] == NAMES
    assert [row for row in rows if row["actor_name"][0] in "=+-@＝" or row["user_agent"][0] in "=+-@＝"] == []


def test_staff_accounts_are_listed_and_asked_about_as_they_are_called(look, people):
    page = look("admin", "/admin/staff")
    expect(page.get_by_role("button", name="Manage")).to_have_count(len(NAMES) + 1)
    _holds(page, *NAMES)
    for name in NAMES[:3]:
        row = page.get_by_role("listitem").filter(has_text=name).last
        row.get_by_role("button", name="Manage").click()
        row.get_by_role("button", name="Turn off account").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        _holds(page, f"{name} will be signed out everywhere and can no longer sign in.")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
