"""Lists that other desks change while somebody is about to press: nobody else is pressed, and the focus is not lost."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from clinic_app.core import db
from clinic_app.core.errors import ClinicError
from clinic_app.services.patients import pair_finding
from clinic_app.services.patients.forms import PatientDetails
from clinic_app.services.patients.pairs import say_not_duplicate
from clinic_app.services.patients.self_registration import add_waiting
from clinic_app.services.patients.verification import Rejection, list_waiting, reject_registration


@pytest.fixture
def waiting(clinic) -> Iterator[Callable[..., list[int]]]:
    """Registers people of these names, who wait for the desk until the test ends; returns their numbers.

    Nobody else waits: whom another test left would stand before them, and push them out of the window.
    """
    while others := list_waiting(clinic.desk).items:
        for one in others:
            _goes(clinic, one.id)
    made: list[int] = []

    def register(*names: str) -> list[int]:
        with db.transaction() as session:
            typed = ({"first_name": name, "last_name": name, "phone": "0712 000 111"} for name in names)
            added = [add_waiting(session, PatientDetails.parse(one)) for one in typed]
        made.extend(added)
        return added

    yield register
    for person in made:
        with contextlib.suppress(ClinicError):
            _goes(clinic, person)


def _goes(clinic, person: int) -> None:
    reject_registration(clinic.desk, person, Rejection.parse({"reason": "OTHER", "words": "Left"}))


def _card(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))


#: Presses what stands at a place, a tenth of a second after ``name`` has gone from the page.
PRESS_WHEN_GONE = """([name, x, y]) => { new MutationObserver((_, watch) => {
  if (document.body.textContent.includes(name)) return;
  watch.disconnect();
  setTimeout(() => {
    const aimed = document.elementFromPoint(x, y);
    const how = { bubbles: true, cancelable: true, composed: true, clientX: x, clientY: y, detail: 1 };
    aimed.dispatchEvent(new PointerEvent("pointerdown", how));
    aimed.dispatchEvent(new MouseEvent("click", how));
    document.body.dataset.pressed = aimed.textContent;
  }, 100);
}).observe(document.body, { childList: true, subtree: true }); }"""


def test_a_press_on_a_row_that_has_just_moved_is_nobody_elses(open_page, clinic, waiting):
    first, *_ = waiting("Movesaway", "Aimedat", "Comesunder", "Comesafter")
    page = open_page("receptionist", "/patients/pending", height=2000)
    aimed, under = (
        _card(page, name).get_by_role("button", name="Verify as new patient") for name in ("Aimedat", "Comesunder")
    )
    page.wait_for_timeout(1_200)  # it is a while since anything was typed or pressed here
    where = aimed.bounding_box()
    assert where
    x, y = where["x"] + where["width"] / 2, where["y"] + where["height"] / 2
    page.evaluate(PRESS_WHEN_GONE, ["Movesaway", x, y])
    _goes(clinic, first)
    expect(page.locator("body")).to_have_attribute("data-pressed", "Verify as new patient")
    expect(page.get_by_text("The list has just moved. Look whose row it is, and press again.")).to_be_visible()
    page.wait_for_timeout(1000)
    expect(page.get_by_text("Comesunder Comesunder was verified.")).to_have_count(0)
    assert under.bounding_box() == where
    page.mouse.click(x, y)  # it has stood there for a while now
    expect(page.get_by_text("Comesunder Comesunder was verified.")).to_be_visible()


def test_the_focus_of_a_row_that_goes_is_on_the_row_in_its_place_and_presses_nothing(open_page, clinic, waiting):
    first, _, third, last = waiting("Focusgoes", "Focusnext", "Focusbefore", "Focuslast")
    page = open_page("receptionist", "/patients/pending")
    button = {
        name: _card(page, name).get_by_role("button", name="Verify as new patient")
        for name in ("Focusgoes", "Focusnext", "Focuslast")
    }
    button["Focusnext"].focus()
    _goes(clinic, third)
    expect(_card(page, "Focusbefore")).to_have_count(0)
    expect(button["Focusnext"]).to_be_focused()
    button["Focusgoes"].focus()
    _goes(clinic, first)
    expect(_card(page, "Focusgoes")).to_have_count(0)
    expect(_card(page, "Focusnext")).to_be_focused()
    page.keyboard.press("Enter")
    button["Focuslast"].focus()
    _goes(clinic, last)
    expect(_card(page, "Focuslast")).to_have_count(0)
    expect(page.locator("li:focus")).to_have_count(1)
    expect(page.get_by_text("was verified")).to_have_count(0)


def test_a_pair_that_goes_leaves_the_focus_and_the_next_pair_where_they_are(open_page, clinic):
    pairs, mark = {}, secrets.token_hex(2).translate(str.maketrans("0123456789", "ghijklmnop"))
    for name in (f"Zebedayo{mark}", f"Zephania{mark}", f"Zipporah{mark}"):
        same = {"first_name": name, "date_of_birth": "3/4/1975", "phone": f"0712 {secrets.randbelow(10**6):06}"}
        one = clinic.patient(**same, last_name="Cheruiyot").patient
        pairs[name] = one, clinic.patient(**same, last_name="Cheruiyott").patient
    pair_finding.compare_all()
    page = open_page("receptionist", "/patients/duplicates")
    headings = page.get_by_role("heading", level=2).filter(has_text=mark)
    expect(headings).to_have_count(3)
    shown = [next(name for name in pairs if name in text) for text in headings.all_inner_texts()]
    goes, stays = shown[0], page.get_by_role("listitem").filter(has=headings.filter(has_text=shown[1]))
    button = stays.get_by_role("button", name="Not a duplicate")
    button.focus()
    say_not_duplicate(clinic.desk, *(one.patient_id for one in pairs[goes]))
    expect(headings.filter(has_text=goes)).to_have_count(0)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")  # one's own decision: the focus is where its note is, and *Undo* is next
    expect(page.locator("li:focus")).to_contain_text("are two people.")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()


def test_the_keyboard_goes_into_the_question_why_and_back_to_the_card(open_page, waiting):
    waiting("Keyboarded")
    page = open_page("receptionist", "/patients/pending")
    card = _card(page, "Keyboarded")
    card.get_by_role("button", name="Reject…").focus()
    page.keyboard.press("Enter")
    expect(card.get_by_role("radio").first).to_be_focused()
    card.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect(card.get_by_role("button", name="Reject…")).to_be_visible()
    expect(card).to_be_focused()
