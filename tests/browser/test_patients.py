"""The list: type-ahead, sorting, paging, nothing found, nobody there, Back, and other desks' changes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from clinic_app.ui.patients.state import PAGE_SIZE
from tests.browser.conftest import SOON_MS, exactly


def _names(page):
    return [text.splitlines()[-1] for text in page.get_by_role("rowheader").all_inner_texts()]


def _numbers(page):
    """The patient IDs on the page: two people may have one name."""
    return re.findall(r"LMC\d{6}", page.get_by_role("table").inner_text())


def _list(open_page, who="receptionist", **options):
    page = open_page(who, "/patients", **options)
    expect(page.get_by_role("rowheader").first).to_be_visible()
    return page


def test_reception_shows_what_the_database_holds(open_page, clinic):
    page = open_page("receptionist", "/")
    (waiting,) = clinic.sql("SELECT count(*) FROM patients WHERE verification_status = 'PENDING' AND is_active")[0]
    (patients,) = clinic.sql("SELECT count(*) FROM patients WHERE is_active")[0]
    (portal,) = clinic.sql("SELECT count(*) FROM patients WHERE is_active AND portal_enabled")[0]
    expect(page.get_by_text(f"of {patients} patients")).to_be_visible()
    stats = page.locator("main")
    expect(stats).to_contain_text(f"{round(portal / patients * 100)}%")
    expect(stats.get_by_text("Waiting for verification").locator("xpath=..")).to_contain_text(str(waiting))
    expect(page.get_by_role("heading", name="Latest patients")).to_be_visible()
    expect(page.get_by_role("list", name=re.compile("Registrations per day")).get_by_role("listitem")).to_have_count(14)
    before = int(stats.get_by_text("Registered today").locator("xpath=..").inner_text().split()[2])
    clinic.patient(first_name="Newest", last_name="Ofall")
    expect(stats.get_by_text("Registered today").locator("xpath=..")).to_contain_text(str(before + 1))
    expect(page.get_by_role("link", name="Newest Ofall")).to_be_visible()


@pytest.mark.asvs("14.2.1")
def test_typing_finds_without_a_trace_in_address_or_title(open_page, clinic):
    done = clinic.patient(first_name="Quetzal", last_name="Findme")
    page = _list(open_page)
    page.get_by_label("Search patients").press_sequentially("quetz", delay=15)
    expect(page.get_by_role("rowheader")).to_have_count(1)
    expect(page.get_by_role("row", name=re.compile("Quetzal Findme"))).to_contain_text(done.patient.patient_id)
    expect(page.get_by_text("1 patient", exact=True)).to_be_visible()
    assert page.url == f"{page.url.split('/patients')[0]}/patients"
    expect(page).to_have_title("Patients · Lakeside Medical Centre")
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, history.state])")
    assert "quetz" not in kept.lower()


def test_the_bar_offers_matches_and_the_keyboard_opens_one(open_page, clinic):
    done = clinic.patient(first_name="Barbra", last_name="Suggested")
    page = open_page("receptionist", "/")
    box = page.get_by_role("combobox", name="Search patients")
    box.press_sequentially("barbra", delay=15)
    option = page.get_by_role("option", name=re.compile("Barbra Suggested"))
    expect(option).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(option).to_be_hidden()
    expect(box).to_have_value("barbra")
    page.keyboard.press("Escape")
    expect(box).to_have_value("")
    expect(page.get_by_role("listbox", name="Matching patients")).to_have_count(0)
    box.press_sequentially("barbra", delay=15)
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Barbra Suggested", level=1)).to_be_visible()
    assert page.url.endswith(f"/patients/{done.patient.patient_id}")
    assert "barbra" not in page.url.lower()


def test_columns_sort_both_ways_and_say_so(open_page):
    page = _list(open_page)
    name, number = page.get_by_role("columnheader", name="Name"), page.get_by_role("columnheader", name="Patient ID")
    expect(name).to_have_attribute("aria-sort", "ascending")
    first = _names(page)
    assert first == sorted(first, key=str.casefold)
    name.get_by_role("button").click()
    expect(name).to_have_attribute("aria-sort", "descending")
    last = _names(page)
    assert last == sorted(last, key=str.casefold, reverse=True)
    assert last != first
    number.get_by_role("button").click()
    expect(number).to_have_attribute("aria-sort", "ascending")
    expect(name).to_have_attribute("aria-sort", "none")
    expect(page.get_by_role("row").nth(1)).to_contain_text("LMC000001")
    for title in ("Phone", "Portal Status", "Actions"):
        assert page.get_by_role("columnheader", name=title).get_by_role("button").count() == 0


def test_pages_turn_and_stop_at_both_ends(open_page):
    page = _list(open_page)
    back, on = page.get_by_role("button", name="Previous"), page.get_by_role("button", name="Next")
    expect(back).to_be_disabled()
    first = _numbers(page)
    assert len(first) == PAGE_SIZE
    on.click()
    expect(page.get_by_text(re.compile(rf"^{PAGE_SIZE + 1}–{2 * PAGE_SIZE} of \d+ patients$"))).to_be_visible()
    assert not set(first) & set(_numbers(page))
    back.click()
    expect(page.get_by_text(re.compile(rf"^1–{PAGE_SIZE} of \d+ patients$"))).to_be_visible()
    assert _numbers(page) == first
    pages = int(page.get_by_text(re.compile(r"^Page 1 of \d+$")).inner_text().split()[-1])
    for number in range(2, pages + 1):
        on.click()
        expect(page.get_by_text(f"Page {number} of {pages}")).to_be_visible()
    expect(on).to_be_disabled()


def test_nothing_found_offers_to_clear_and_to_register_with_the_name(open_page):
    page = _list(open_page)
    page.get_by_label("Search patients").fill("Zebedee Nobody Atall")
    expect(page.get_by_role("heading", name="No patient matches “Zebedee Nobody Atall”")).to_be_visible()
    page.get_by_role("button", name="Clear search").click()
    expect(page.get_by_role("rowheader")).to_have_count(PAGE_SIZE)
    expect(page.get_by_label("Search patients")).to_have_value("")
    expect(page.get_by_label("Search patients")).to_be_focused()
    page.get_by_label("Search patients").fill("Zebedee Nobody Atall")
    page.get_by_role("link", name="Register “Zebedee Nobody Atall”").click()
    expect(page.get_by_label("First name")).to_have_value("Zebedee")
    expect(page.get_by_label("Last name")).to_have_value("Nobody Atall")
    assert "Zebedee" not in page.url + page.title()


def test_a_phone_that_finds_nobody_is_carried_over_as_one(open_page):
    page = _list(open_page)
    page.get_by_label("Search patients").fill("0799 123 999")
    page.get_by_role("link", name="Register “0799 123 999”").click()
    expect(page.get_by_label("Phone", exact=True)).to_have_value("0799 123 999")
    expect(page.get_by_label("First name")).to_have_value("")


def test_back_brings_the_same_list(open_page, clinic):
    for number in range(PAGE_SIZE + 2):
        clinic.patient(first_name="Sameagain", last_name=f"Person {chr(ord('a') + number)}")
    page = _list(open_page)
    page.get_by_label("Search patients").fill("sameagain")
    expect(page.get_by_text(f"1–{PAGE_SIZE} of {PAGE_SIZE + 2} patients")).to_be_visible()
    page.get_by_role("columnheader", name="Name").get_by_role("button").click()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text(f"{PAGE_SIZE + 1}–{PAGE_SIZE + 2} of {PAGE_SIZE + 2} patients")).to_be_visible()
    before = _names(page)
    page.get_by_role("link", name=before[0]).click()
    expect(page.get_by_role("heading", name=before[0], level=1)).to_be_visible()
    page.go_back()
    expect(page.get_by_text(f"{PAGE_SIZE + 1}–{PAGE_SIZE + 2} of {PAGE_SIZE + 2} patients")).to_be_visible()
    assert _names(page) == before
    expect(page.get_by_label("Search patients")).to_have_value("sameagain")
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")


def test_a_hit_that_a_list_does_not_show_is_said_in_it_and_in_the_suggestions(open_page, clinic):
    clinic.patient(
        first_name="Peter", last_name="Ng’ang’a", next_of_kin_name="Zenobia Quill", next_of_kin_phone="0722 777111"
    )
    page = _list(open_page)
    box = page.get_by_label("Search patients")
    box.fill("zenobia")
    expect(page.get_by_role("rowheader", name="Next of kin: Zenobia Quill")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "none")
    box.fill("0722 777111")
    expect(page.get_by_role("rowheader", name="Next of kin: Zenobia Quill, 0722 777111")).to_be_visible()
    page = open_page("receptionist", "/")
    box = page.get_by_label("Search patients")
    box.fill("zenob")
    option = page.get_by_role("option")
    expect(option.locator(".via")).to_have_text("Next of kin: Zenobia Quill")
    expect(option.locator(".via mark")).to_have_text("Zenob")
    box.fill("nganga")
    expect(option.filter(has_text="Peter").locator(".strong mark")).to_have_text("Ng’ang’a")
    box.fill("ngagna")
    expect(option.filter(has_text="Peter").locator(".via")).to_have_text("Similar: Ng’ang’a")


def test_marks_piled_on_a_letter_stay_in_their_row(open_page, clinic):
    done = clinic.patient(first_name="Zalgona", last_name="Piled")
    piled = "Zalgo" + "\u0301\u0302" * 40 + "na"
    clinic.sql("UPDATE patients SET first_name = ? WHERE id = ?", piled, done.patient.id)
    page = _list(open_page)
    page.get_by_label("Search patients").fill("zalgona")
    name = page.get_by_role("rowheader").get_by_role("link")
    expect(name).to_have_count(1)
    assert name.evaluate("node => getComputedStyle(node).overflowY") == "clip"
    assert name.evaluate("node => getComputedStyle(node).display") not in ("inline", "contents")


def test_a_new_clinic_says_that_the_first_patient_will_appear_here(open_page, new_clinic):
    page = open_page("receptionist", "/patients", at=new_clinic)
    expect(page.get_by_role("heading", name="No patients yet")).to_be_visible()
    expect(page.get_by_role("link", name="Register patient")).to_have_count(1)
    page.get_by_role("link", name="Reception").first.click()
    expect(page.get_by_text("Nobody yet. The first patient you register appears here.")).to_be_visible()


def test_the_list_waits_with_a_skeleton_of_the_same_columns(open_page):
    page = open_page("receptionist")
    held = []

    def hold(route):
        server = route.connect_to_server()
        server.on_message(lambda message: held.append(message) if "patient_list" in message else route.send(message))
        route.on_message(server.send)

    page.route_web_socket(re.compile("/_event"), hold)
    page.goto("/patients")
    expect(page.get_by_text("Loading patients")).to_be_attached()
    expect(page.locator("[aria-busy=true]")).to_have_count(1)
    assert page.get_by_role("rowheader").count() == 0


def test_status_and_action_fit_each_patient(open_page, clinic):
    plain = clinic.patient(first_name="Statusrow", last_name="Plain")
    clinic.patient(first_name="Statusrow", last_name="Withaccess", portal_email="statusrow@example.org")
    page = _list(open_page)
    page.get_by_label("Search patients").fill("statusrow")
    expect(page.get_by_role("rowheader")).to_have_count(2)
    without = page.get_by_role("row", name=re.compile("Plain"))
    expect(without.get_by_text("Disabled")).to_be_visible()
    button = without.get_by_role("button", name=exactly("Create Portal Account"))
    expect(button).to_have_accessible_description(f"{plain.patient.first_name} {plain.patient.last_name}")
    having = page.get_by_role("row", name=re.compile("Withaccess"))
    expect(having.get_by_text("Active", exact=True)).to_be_visible()
    expect(having.get_by_text("✓ Portal Active")).to_be_visible()
    assert having.get_by_role("button").count() == 0


def test_another_desks_open_list_shows_the_badge_without_a_reload(open_page, clinic, record_property):
    clinic.patient(first_name="Seenlive", last_name="Elsewhere", email="seenlive@example.org")
    here, there = _list(open_page), _list(open_page, "admin")
    for page in (here, there):
        page.get_by_label("Search patients").fill("seenlive")
        expect(page.get_by_role("rowheader")).to_have_count(1)
    there.evaluate("""() => {
      window.loadedOnce = true;
      new MutationObserver(() => {
        if (!window.badgeAt && document.body.innerText.includes("✓ Portal Active")) window.badgeAt = Date.now();
      }).observe(document.body, {childList: true, subtree: true, characterData: true});
    }""")
    here.get_by_role("button", name="Create Portal Account").click()
    here.evaluate("""() => document.addEventListener("click", () => { window.clickedAt ??= Date.now(); }, true)""")
    dialog = here.get_by_role("dialog")
    dialog.get_by_role("button", name="Create Portal Account").click()
    expect(there.get_by_text("✓ Portal Active")).to_be_visible()
    assert there.evaluate("window.loadedOnce") is True
    late = there.evaluate("window.badgeAt") - here.evaluate("window.clickedAt")
    record_property("badge_ms", late)
    print(f"badge at another desk {late} ms after the click here")
    assert late < SOON_MS  # typically 100; without the hint of its own process the watcher needs up to 1000 more


def test_a_change_made_by_a_command_reaches_an_open_list(open_page, clinic):
    page = _list(open_page)
    page.get_by_label("Search patients").fill("fromoutside")
    expect(page.get_by_role("heading", name="No patient matches “fromoutside”")).to_be_visible()
    clinic.patient(first_name="Fromoutside", last_name="Process")
    expect(page.get_by_role("link", name="Fromoutside Process")).to_be_visible()


def test_a_clinician_sees_patients_but_no_way_to_register_or_give_access(open_page, clinic):
    clinic.patient(first_name="Onlylooking", last_name="Patient")
    page = _list(open_page, "clinician")
    page.get_by_label("Search patients").fill("onlylooking")
    expect(page.get_by_role("rowheader")).to_have_count(1)
    assert page.get_by_role("button", name="Create Portal Account").count() == 0
    assert page.get_by_role("link", name=re.compile("Register")).count() == 0
    page.get_by_role("link", name="Onlylooking Patient").click()
    expect(page.get_by_role("heading", name="Onlylooking Patient", level=1)).to_be_visible()
    for name in ("Edit", "Create Portal Account", "Reset", "Turn off"):
        assert page.get_by_role("button", name=name).count() == 0
    page.goto("/patients/new")
    expect(page.get_by_role("heading", name="You cannot open this page", level=1)).to_be_visible()
    expect(page.get_by_text("Only receptionists and administrators can register patients.")).to_be_visible()
    assert page.get_by_label("First name").count() == 0
    page.get_by_role("link", name="Go to Reception").click()
    expect(page.get_by_role("heading", name="Reception", level=1)).to_be_visible()
    assert clinic.audit("ACCESS_DENIED")[-1][0] == "CLINICIAN"
