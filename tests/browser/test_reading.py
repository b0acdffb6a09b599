"""Reading and moving: where the keyboard is, what it reaches, text twice as large, other directions and colours."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from clinic_app.ui.patients.state import PAGE_SIZE
from tests.browser.conftest import begin_edit, focused
from tests.browser.looking import SETTLED
from tests.browser.test_right_patient import SLOW

BOX = "Search patients"


# --- where the keyboard is ----------------------------------------------------------------------------

#: Whether what has the focus is the topmost thing at its corners and in its middle.
NOT_UNDER = """() => {
  const at = document.activeElement, box = at.getBoundingClientRect();
  const points = [[box.left + 4, box.top + 2], [box.left + box.width / 2, box.top + box.height / 2],
    [box.right - 4, box.bottom - 2]];
  return points.map(([x, y]) => document.elementFromPoint(x, y)).every((top) => top === at || at.contains(top));
}"""


@pytest.mark.parametrize("width", [1280, 320])
def test_after_a_refused_form_the_wrong_field_is_in_sight_with_its_sentence(open_page, width):
    page = open_page("receptionist", "/patients/new", width=width, height=500)
    page.get_by_label("First name", exact=True).fill("Seen")
    page.get_by_label("Last name", exact=True).fill("Whole")
    page.get_by_label("Email", exact=True).fill("nowhere")
    page.get_by_label("National ID", exact=True).focus()
    expect(page.locator("#email-error")).not_to_be_empty()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.get_by_role("button", name="Register patient").last.click()
    expect(page.get_by_label("Email", exact=True)).to_be_focused()
    expect(page.locator("#error-summary")).to_have_count(1)
    assert page.evaluate(NOT_UNDER)
    top = page.evaluate("document.querySelector('#email-error').getBoundingClientRect().top")
    bar = page.evaluate("""() => {
      const bar = document.querySelector(".bar"), box = bar.getBoundingClientRect();
      return getComputedStyle(bar).position === "sticky" ? box.bottom : 0;
    }""")
    assert top >= bar


def test_going_backwards_nothing_is_reached_under_the_bar(open_page):
    page = open_page("receptionist", "/patients/new", height=420)
    page.get_by_label("National ID", exact=True).focus()
    hidden = []
    for _ in range(10):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.closest('main') !== null") and not page.evaluate(NOT_UNDER):
            hidden.append(focused(page))
    assert hidden == []


def test_an_opened_record_has_the_keyboard_at_its_name(open_page, clinic):
    clinic.patient(first_name="Keyed", last_name="Heading")
    page = open_page("receptionist", "/")
    page.get_by_role("combobox", name=BOX).fill("keyed heading")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Keyed Heading", level=1)).to_be_focused()


def test_p_creates_a_portal_account_and_the_help_says_so(open_page, clinic):
    done = clinic.patient(first_name="Pressed", last_name="Pee", email=None)
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    expect(page.get_by_role("heading", name="Pressed Pee", level=1)).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_role("dialog", name="Create Portal Account").get_by_label("Email")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Create Portal Account")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Create Portal Account")


# --- the search boxes ---------------------------------------------------------------------------------


def _to_the_list(open_page) -> Page:
    page = open_page("receptionist", "/")
    page.get_by_role("link", name="Patients", exact=True).first.click()
    expect(page.get_by_label(BOX)).to_be_focused()
    return page


def test_the_list_is_searched_and_opened_without_leaving_the_box(open_page, clinic):
    clinic.patient(first_name="Onlyone", last_name="Ofthese")
    page = _to_the_list(open_page)
    page.keyboard.type("onlyone")
    page.keyboard.press("Enter")  # before the answer: it waits for it
    expect(page.get_by_role("heading", name="Onlyone Ofthese", level=1)).to_be_visible()


#: Presses Enter in the moment the rows of a term are there, before the next frame is drawn.
ENTER_WITH_THE_ROWS = """term => new MutationObserver((_, watching) => {
  if (document.querySelector("[data-pop]").dataset.answers !== term) return;
  watching.disconnect();
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true}));
}).observe(document.documentElement, {childList: true, subtree: true, attributes: true})"""


@pytest.mark.parametrize("looked_at_before", [False, True])
def test_enter_in_the_moment_the_rows_come_opens_the_record(open_page, clinic, looked_at_before):
    clinic.patient(first_name="Justintime", last_name="Found")
    page = open_page("receptionist", "/")
    box = page.get_by_role("combobox", name=BOX)
    box.focus()
    if looked_at_before:  # rows of another term are there, and one of them is reached
        clinic.patient(first_name="Before", last_name="Others")
        box.fill("before")
        expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    page.evaluate(ENTER_WITH_THE_ROWS, "justintime found")
    box.fill("justintime found")
    expect(page.get_by_role("heading", name="Justintime Found", level=1)).to_be_visible()


def test_arrows_go_from_the_box_into_the_list_and_back(open_page, clinic):
    for last in ("Alpha", "Beta", "Gamma"):
        clinic.patient(first_name="Walked", last_name=last)
    page = _to_the_list(open_page)
    page.keyboard.type("walked")
    names = page.get_by_role("rowheader").get_by_role("link")
    expect(names).to_have_count(3)
    expect(page.locator("section[data-answers]")).not_to_have_attribute("aria-busy", "true")
    page.keyboard.press("Enter")  # several: none is opened unseen
    expect(names.nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(names.nth(1)).to_be_focused()
    for _ in range(2):
        page.keyboard.press("ArrowUp")
    expect(page.get_by_label(BOX)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    wanted = names.nth(1).inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=wanted, level=1)).to_be_visible()


def test_what_is_typed_before_the_list_is_there_stays_and_is_looked_for(open_page, clinic):
    clinic.patient(first_name="Earlybird", last_name="Typed")
    page = open_page("receptionist")
    page.goto("/patients", until=False)
    box = page.get_by_label(BOX)
    box.wait_for()
    box.press_sequentially("earlybird")
    expect(page.get_by_role("rowheader", name="Earlybird Typed")).to_be_visible()
    expect(box).to_have_value("earlybird")


def test_nobody_found_in_the_bar_offers_to_register_by_an_arrow_and_never_by_enter_alone(open_page):
    page = open_page("receptionist", "/")
    box = page.get_by_role("combobox", name=BOX)
    box.fill("Zuleika Notthere")
    option = page.get_by_role("option", name="Register “Zuleika Notthere”")
    expect(option).to_be_visible()
    page.keyboard.press("Enter")
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_label("First name", exact=True)).to_have_value("Zuleika")
    expect(page.get_by_label("Last name", exact=True)).to_have_value("Notthere")


def test_show_all_brings_the_list_with_the_term(open_page, clinic):
    for number in range(9):
        clinic.patient(first_name="Manyfold", last_name=f"Person {'abcdefghi'[number]}")
    page = open_page("receptionist", "/")
    page.get_by_role("combobox", name=BOX).fill("manyfold")
    page.get_by_role("option", name="Show all 9 patients").click()
    expect(page.get_by_role("heading", name="Patients", level=1)).to_be_visible()
    expect(page.get_by_label(BOX)).to_have_value("manyfold")
    expect(page.get_by_role("rowheader")).to_have_count(9)
    assert "manyfold" not in page.url + page.title()


def test_on_a_phone_a_suggestion_keeps_surname_and_birth_date(open_page, clinic):
    clinic.patient(first_name="Wolfeschlegel" * 3, last_name="Endingsurname", date_of_birth="1988-03-14")
    page = open_page("receptionist", "/", width=320, height=640)
    page.get_by_role("combobox", name=BOX).fill("endingsurname")
    option = page.get_by_role("option")
    expect(option).to_contain_text("14 Mar 1988")
    cut = option.locator(".cut").evaluate_all(
        "all => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length"
    )
    assert cut == 0


# --- the next person ----------------------------------------------------------------------------------


def test_the_form_is_empty_at_once_after_a_registration(open_page):
    page = open_page("receptionist")
    page.add_init_script(SLOW)
    page.goto("/patients/new")
    page.get_by_label("First name", exact=True).fill("Lastone")
    page.get_by_label("Last name", exact=True).fill("Registered")
    page.get_by_role("button", name="Register patient").last.click()
    expect(page.get_by_role("heading", name="Patient registered successfully")).to_be_visible()
    page.evaluate("window.slowness = 800")
    page.get_by_role("link", name="Patients", exact=True).first.click()
    expect(page.get_by_role("heading", name="Patients", level=1)).to_be_visible()
    page.evaluate("""() => {
      window.seenOld = [];
      const look = () => location.pathname === "/patients/new" && document.body.innerText.includes("Lastone");
      new MutationObserver(() => look() && window.seenOld.push(document.querySelector("main").innerText))
        .observe(document.documentElement, { childList: true, subtree: true });
    }""")
    page.get_by_role("link", name="Register patient").first.click()
    first = page.get_by_label("First name", exact=True)
    expect(first).to_be_focused()
    page.keyboard.type("Nextone")
    page.wait_for_timeout(2000)  # everything has come
    expect(first).to_have_value("Nextone")
    assert page.evaluate("window.seenOld") == []


# --- how it is drawn ----------------------------------------------------------------------------------

#: What is lower than the words in it: buttons and inputs, and whatever hides what does not fit.
CUT = """() => [...document.querySelectorAll("main :is(button, a, .badge, label, h1, h2, dd, dt, input)")]
  .filter((one) => one.offsetParent && one.clientHeight && !one.closest(".sr, .cut"))
  .filter((one) => one.matches(".rt-Button, .input") || getComputedStyle(one).overflowY !== "visible")
  .filter((one) => one.scrollHeight > one.clientHeight + 2)
  .map((one) => one.outerHTML.slice(0, 120))"""
WIDER = """() => document.documentElement.scrollWidth <= innerWidth + 1 ? [] : [...document.querySelectorAll("main *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 120))"""
PATHS = ["/", "/patients", "/patients/new", "/account", "profile"]


def _opened(open_page, clinic, path: str, **options) -> Page:
    done = clinic.patient(first_name="Wide", last_name="Open", phone="0708 926503")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}" if path == "profile" else path, **options)
    expect(page.locator("main h1").first).to_be_visible()
    return page


@pytest.mark.parametrize("path", PATHS)
def test_text_twice_as_large_fits(open_page, clinic, path):
    page = _opened(open_page, clinic, path)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    for width in (1280, 640):
        page.set_viewport_size({"width": width, "height": 860})
        page.evaluate(SETTLED)
        assert page.evaluate(WIDER) == [], width
        assert page.evaluate(CUT) == [], width


MOVED = """
  window.moved = [];
  const told = (one) => [one.value, ...one.sources.map((from) => from.node?.outerHTML?.slice(0, 90))];
  new PerformanceObserver((list) => window.moved.push(...list.getEntries().map(told)))
    .observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.parametrize("path", PATHS)
def test_nothing_moves_while_a_page_comes(open_page, clinic, path):
    page = open_page("receptionist")
    page.add_init_script(MOVED)
    done = clinic.patient(first_name="Still", last_name="Standing")
    page.goto(f"/patients/{done.patient.patient_id}" if path == "profile" else path)
    page.wait_for_timeout(400)
    assert [one for one in page.evaluate("window.moved") if one[0] > 0.001] == []


@pytest.mark.parametrize("width", [1280, 320])
def test_nothing_moves_when_ones_own_record_comes(open_page, clinic, width):
    """The foot stands below the screen from the beginning, not where a record that is not there yet would end."""
    email = f"still{width}@example.org"
    clinic.with_own_password(email)
    page = open_page(email)
    page.set_viewport_size({"width": width, "height": 860})
    page.add_init_script(MOVED + SLOW + "; window.slowness = 300;")
    page.goto("/patient-portal")
    expect(page.get_by_text("This is what the clinic has about you.")).to_be_visible()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert [one for one in page.evaluate("window.moved") if one[0] > 0.001] == []


def test_numbers_and_names_read_right_in_a_page_from_right_to_left(open_page, clinic):
    page = _opened(open_page, clinic, "profile")
    page.evaluate("document.documentElement.dir = 'rtl'")
    order = """(element) => {
      const range = document.createRange(), text = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
      const places = [];
      for (let node; (node = text.nextNode());) for (let at = 0; at < node.length; at += 1) {
        if (!/[0-9A-Za-z]/.test(node.data[at])) continue;
        range.setStart(node, at); range.setEnd(node, at + 1);
        places.push(range.getBoundingClientRect());
      }
      const next = (here, before) => here.top > before.bottom - 2 || here.left >= before.left;
      return places.every((here, at) => at === 0 || next(here, places[at - 1]));
    }"""
    shown = page.locator(".banner bdi, .facts bdi")
    expect(shown.nth(5)).to_be_visible()
    assert [shown.nth(at).inner_text() for at in range(shown.count()) if not shown.nth(at).evaluate(order)] == []
    page.goto("/patients")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    page.evaluate("document.documentElement.dir = 'rtl'")
    cells = page.locator("tbody :is(.c-id, .c-name, .c-dob, .c-phone) bdi")
    assert cells.count() >= 20
    assert [cells.nth(at).inner_text() for at in range(cells.count()) if not cells.nth(at).evaluate(order)] == []


def test_where_the_system_chooses_the_colours_figures_and_buttons_keep_their_shape(open_page):
    page = open_page("receptionist", "/")
    expect(page.locator(".bars .today")).to_be_visible()
    page.emulate_media(forced_colors="active")
    button = page.get_by_role("link", name="Register patient")
    assert button.evaluate("one => getComputedStyle(one).borderTopWidth") == "1px"
    for figure in (".meter > span", ".bars .slot > span"):
        ground, fill = page.locator(figure).first.evaluate(
            "one => [getComputedStyle(document.body).backgroundColor, getComputedStyle(one).backgroundColor]"
        )
        assert ground != fill, figure


@pytest.mark.parametrize("width", [1280, 320])
def test_the_longest_names_stay_on_the_screen(open_page, clinic, width):
    done = clinic.patient(
        first_name="W" * 100, last_name="Q" * 100, portal_email=f"{'l' * 56}{width}@{'d' * 50}.example.org"
    )
    page = open_page("receptionist", width=width)
    for path in (f"/patients/{done.patient.patient_id}", "/patients", "/"):
        page.goto(path)
        if path == "/patients":
            page.get_by_label(BOX).fill("w" * 100)
        expect(page.get_by_text(re.compile("W{100}")).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path


def test_a_long_username_is_read_whole_in_the_dialog_on_a_phone(open_page, clinic):
    done = clinic.patient(email=None)
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}", width=320, height=640)
    page.get_by_role("button", name="Create Portal Account").click()
    email = "quite.a.long.name.for.an.address@department.hospital.example.org"
    page.get_by_role("dialog").get_by_label("Email").fill(email)
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
    field = page.get_by_role("dialog").get_by_role("textbox", name="Username")
    expect(field).to_have_value(email)
    assert field.evaluate("one => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight + 1")


#: What reaches over an edge of the window, and text that is cut off where nothing says that it is.
BROKEN = """() => [...document.querySelectorAll("main *, [role=dialog], [role=dialog] *")]
  .filter((one) => one.getClientRects().length && !one.closest(".sr, .for-print, svg"))
  .filter((one) => {
    const box = one.getBoundingClientRect(), cuts = getComputedStyle(one).overflowX !== "visible";
    return box.right > innerWidth + 1 || box.left < -1
      || (cuts && one.scrollWidth > one.clientWidth + 1 && !one.matches(".cut, input"));
  })
  .map((one) => one.outerHTML.slice(0, 160))"""
LONGEST = f"{'l' * 64}@{'d' * 63}.{'e' * 63}.{'f' * 57}.com"


def _whole(page: Page, *shown: str) -> None:
    """Everything that is ``shown`` stands on the screen, and nothing reaches over its edge."""
    for words in shown:
        expect(page.get_by_text(re.compile(words)).last).to_be_visible()
    assert page.evaluate(BROKEN) == []


@pytest.mark.parametrize("width", [1280, 320])
def test_the_longest_names_and_usernames_break_no_dialog_and_no_paper(open_page, clinic, width):
    assert len(LONGEST) == 254
    done = clinic.patient(first_name="W" * 100, last_name="Q" * 100, email=None)
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}", width=width, height=700)
    page.get_by_role("button", name="Create Portal Account").click()
    dialog = page.get_by_role("dialog")
    _whole(page, "Create patient portal login for")
    username = LONGEST.replace("l", "k" if width == 320 else "m", 1)
    dialog.get_by_label("Email").fill(username)
    dialog.get_by_role("button", name="Create Portal Account").click()
    expect(dialog.get_by_role("textbox", name="Temporary Password")).to_be_visible()
    _whole(page, "Portal login credentials for")
    field = dialog.get_by_role("textbox", name="Username")
    assert field.evaluate("one => one.scrollHeight <= one.clientHeight + 1")
    if width == 1280:
        page.evaluate("""() => { window.print = () => dispatchEvent(new Event("beforeprint")); }""")
        dialog.get_by_role("button", name="Print").click()
        expect(page.locator("#print-sheet")).to_be_attached()
        page.emulate_media(media="print")
        for paper, across in (("210mm", 794), ("148mm", 559), ("80mm", 302)):
            page.set_viewport_size({"width": across, "height": 700})
            wide = page.evaluate("""() => [...document.querySelectorAll("#print-sheet *")]
              .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
              .map((one) => one.outerHTML.slice(0, 160))""")
            assert wide == [], paper
            pdf = page.pdf(width=paper, height="297mm" if paper != "148mm" else "210mm")
            assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1, paper
        page.set_viewport_size({"width": width, "height": 700})
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    for button, words in (
        ("Reset temporary password", r"Reset temporary password\?"),
        ("Change username", "Username now"),
        ("Turn off portal access", "will be signed out"),
    ):
        page.get_by_role("button", name=button).first.click()
        expect(dialog).to_be_visible()
        _whole(page, words)
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    begin_edit(page, "contact information")
    _whole(page, "The portal username stays")
    page.goto(f"/patients/{done.patient.patient_id}/card")
    _whole(page, "W{100}")


def test_the_line_that_turns_the_pages_is_in_sight_and_covers_nothing_the_keyboard_reaches(open_page):
    page = open_page("receptionist", "/patients", height=640)
    line = page.locator(".table-foot").filter(has=page.get_by_role("button", name="Next"))
    expect(page.get_by_role("rowheader").first).to_be_visible()
    box = line.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 641
    page.get_by_label(BOX).focus()
    hidden = []
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('tbody') !== null") and not page.evaluate(NOT_UNDER):
            hidden.append(focused(page))
    assert hidden == []
    expect(page.get_by_role("rowheader")).to_have_count(PAGE_SIZE)
