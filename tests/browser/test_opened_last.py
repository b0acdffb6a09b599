"""The search box: what an empty one offers, and Enter that comes before the answer."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from clinic_app.services.patients.profile import view_patient
from tests.browser.slow_line import on_a_slow_line, set_line
from tests.browser.test_right_patient import SLOW


@pytest.fixture
def three(clinic) -> list[str]:
    """The patient IDs of three people, in the order in which the receptionist has opened them."""
    made = [clinic.patient(first_name=name, last_name="Lately").patient for name in ("First", "Second", "Third")]
    for one in made:
        view_patient(clinic.desk, one.id)
    return [one.patient_id for one in made]


def _box(page: Page):
    return page.get_by_role("combobox", name="Search patients")


def _shown(page: Page) -> list[str]:
    return [re.findall(r"LMC\d+", text)[0] for text in page.get_by_role("option").all_inner_texts()]


def _offered(clinic) -> int:
    """How often the records opened last were listed for somebody; Reception's own list may come at any time."""
    return sum('"kind": "opened_last"' in metadata for *_, metadata in clinic.audit("PATIENT_LISTED"))


def test_an_empty_box_offers_the_records_opened_last_and_the_arrows_reach_them(open_page, clinic, three):
    page = open_page("receptionist", "/")
    before = _offered(clinic)
    _box(page).focus()
    expect(page.get_by_role("listbox", name="Opened last")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\d+ patients you opened last$"))).to_be_visible()
    assert _shown(page)[:3] == three[::-1]
    assert page.locator('[role=option][aria-selected="true"]').count() == 0
    page.keyboard.press("Enter")  # nothing is reached yet
    page.wait_for_timeout(200)
    assert page.url.endswith("/")
    page.keyboard.press("Escape")
    expect(page.get_by_role("option").first).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option").nth(1)).to_have_attribute("aria-selected", "true")
    assert _offered(clinic) == before + 1
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Second Lately", level=1)).to_be_visible()


def test_they_go_with_the_first_letter_and_come_back_with_the_last_one(open_page, clinic, three):
    page = open_page("receptionist", "/")
    _box(page).focus()
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.type("q")
    expect(page.get_by_role("listbox", name="Opened last")).to_be_hidden()
    page.keyboard.press("Backspace")
    expect(page.get_by_role("listbox", name="Opened last")).to_be_visible()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("option").last).to_have_attribute("aria-selected", "true")


def test_what_is_reached_stays_reached_while_an_older_term_is_answered(open_page, clinic, three):
    page = on_a_slow_line(open_page("receptionist"))
    page.goto("/")
    _box(page).focus()
    expect(page.get_by_role("option").first).to_be_visible()
    set_line(page, delay=1_000)
    page.keyboard.type("q")
    page.wait_for_timeout(500)  # long enough that it is asked for, too short for its answer
    page.keyboard.press("Backspace")
    expect(page.get_by_role("listbox", name="Opened last")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("listbox", name="Opened last")).to_be_hidden()  # the answer to the older term is there
    expect(page.get_by_role("listbox", name="Opened last")).to_be_visible()
    expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Third Lately", level=1)).to_be_visible()


def test_a_scanner_that_is_faster_than_the_server_opens_the_one_record(open_page, clinic, three):
    page = open_page("receptionist", "/")
    _box(page).focus()
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.type(three[0])  # no pause between the keys, and Enter right behind
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="First Lately", level=1)).to_be_visible()
    assert page.url.endswith(three[0])


def test_enter_before_the_answer_opens_none_of_several(open_page, clinic, three):
    page = open_page("receptionist")
    page.add_init_script(SLOW)
    page.goto("/")
    _box(page).focus()
    page.evaluate("window.slowness = 500")
    page.keyboard.type("lately")
    page.keyboard.press("Enter")
    expect(page.get_by_role("listbox", name="Matching patients")).to_be_visible()
    page.wait_for_timeout(200)
    assert page.url.endswith("/")
    page.keyboard.press("Enter")  # now that one can see whom it is for
    expect(page.get_by_role("heading", name=re.compile("Lately"), level=1)).to_be_visible()
