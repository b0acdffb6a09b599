"""What is around the pages: shortcuts, colours, headings and the way a page begins."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from clinic_app.ui.patients.state import PAGE_SIZE
from tests.browser.conftest import PATIENCE_MS, begin_edit


def _home(open_page, **options):
    page = open_page("receptionist", "/", **options)
    expect(page.get_by_role("link", name="Register patient")).to_be_visible()
    return page


def test_slash_goes_to_the_search_box_and_does_not_type_itself(open_page):
    page = _home(open_page)
    page.keyboard.press("/")
    expect(page.get_by_label("Search patients")).to_be_focused()
    expect(page.get_by_label("Search patients")).to_have_value("")
    page.keyboard.type("n/?")
    expect(page.get_by_label("Search patients")).to_have_value("n/?")
    expect(page.locator("#shortcuts")).to_be_hidden()
    assert page.url.endswith(":" + page.url.split(":")[-1].split("/")[0] + "/")


def test_n_opens_the_registration(open_page):
    page = _home(open_page)
    page.keyboard.press("n")
    expect(page.get_by_label("First name", exact=True)).to_be_focused()
    page.keyboard.type("Atonce")
    expect(page.get_by_label("First name", exact=True)).to_have_value("Atonce")


def test_the_help_opens_and_can_switch_the_keys_off_for_good(open_page):
    page = _home(open_page)
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help_).to_be_visible()
    page.keyboard.press("Escape")
    expect(help_).to_be_hidden()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    help_.get_by_label("Use these keys").uncheck()
    help_.get_by_role("button", name="Close").click()
    expect(help_).to_be_hidden()
    for key in ("?", "n", "/"):
        page.keyboard.press(key)
    expect(help_).to_be_hidden()
    expect(page.get_by_label("Search patients")).not_to_be_focused()
    page.reload()
    expect(page.get_by_role("link", name="Register patient")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Reception", level=1)).to_be_visible()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    help_.get_by_label("Use these keys").check()
    help_.get_by_role("button", name="Close").click()
    page.get_by_role("heading", name="Reception", level=1).click()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Patient registration")).to_be_visible()


def test_keys_are_silent_while_a_dialog_is_open(open_page, clinic):
    done = clinic.patient()
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    page.get_by_role("button", name="Create Portal Account").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("n")
    page.keyboard.press("?")
    expect(dialog).to_be_visible()
    expect(page.locator("#shortcuts")).to_be_hidden()


def test_dark_follows_the_system_and_the_switch(open_page):
    page = _home(open_page, dark=True)
    app = page.locator(".app").first
    dark = app.evaluate("(element) => getComputedStyle(element).backgroundColor")
    page.emulate_media(color_scheme="light")
    expect(app).not_to_have_css("background-color", dark)
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(app).to_have_css("background-color", dark)


PAGES = [
    ("receptionist", "/", "Reception", "Reception"),
    ("receptionist", "/patients", "Patients", "Patients"),
    ("receptionist", "/patients/new", "Patient registration", "Patient registration"),
    ("", "/login", "Staff sign in", "Staff sign in"),
    ("", "/patient-portal/login", "Patient portal sign in", "Patient portal sign in"),
    ("", "/no/such/page", "Page not found", "Page not found"),
]


@pytest.mark.parametrize(("who", "path", "heading", "title"), PAGES, ids=[p[1] for p in PAGES])
def test_every_page_has_title_language_one_heading_and_a_skip_link(open_page, watch, who, path, heading, title):
    watch.expect("404")
    page = open_page(who, path)
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    expect(page).to_have_title(f"{title} · Lakeside Medical Centre")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("heading", level=1).count() == 1
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_the_focus_goes_to_the_heading_of_the_next_page_and_back(open_page):
    page = _home(open_page)
    page.locator("a.me:visible").click()
    expect(page.get_by_role("heading", name="Your account", level=1)).to_be_focused()
    page.go_back()
    expect(page.get_by_role("heading", name="Reception", level=1)).to_be_focused()


def test_every_stop_of_the_keyboard_is_visible(open_page):
    page = open_page("receptionist", "/patients")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    bare = []
    for _ in range(40):
        page.keyboard.press("Tab")
        found = page.evaluate("""() => {
          const at = document.activeElement;
          if (at === document.body) return null;
          const drawn = (one) => {
            const look = one && getComputedStyle(one);
            return look && (look.outlineStyle !== "none" || look.boxShadow !== "none");
          };
          const box = at.getBoundingClientRect();
          const seen = drawn(at) || drawn(at.parentElement);
          return {name: at.outerHTML.slice(0, 90), seen, size: box.width * box.height};
        }""")
        if found and not (found["seen"] and found["size"] > 0):
            bare.append(found["name"])
    assert bare == []


def test_a_page_on_paper_has_all_rows_on_white_and_no_navigation(open_page):
    page = open_page("receptionist", "/patients")
    expect(page.get_by_role("rowheader")).to_have_count(PAGE_SIZE)
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Main menu")).to_be_hidden()
    expect(page.get_by_role("rowheader").last).to_be_visible()
    colours = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colours in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")


def test_the_small_screens_menu_opens_by_keyboard(open_page):
    page = open_page("receptionist", "/", width=320, height=640)
    menu = page.locator("summary", has_text="Menu")
    expect(menu).to_be_visible()
    menu.focus()
    page.keyboard.press("Enter")
    page.get_by_role("navigation", name="Main menu, small screen").get_by_role("link", name="Patients").click()
    expect(page.get_by_role("heading", name="Patients", level=1)).to_be_visible()
    assert page.evaluate("document.querySelector('details').open") is False  # or it covers the new page


def _lines(page):
    """The page's connections to the server, for cutting: ``_lines(page)[-1].close()``."""
    made = []

    def through(route):
        server = route.connect_to_server()
        made.append(route)
        route.on_message(server.send)
        server.on_message(route.send)

    page.route_web_socket(re.compile("/_event"), through)
    return made


def test_a_lost_connection_loses_nothing_typed_into_the_registration(open_page):
    page = open_page("receptionist")
    lines = _lines(page)
    page.goto("/patients/new")
    page.get_by_label("First name").fill("Still here")
    lines[-1].close()
    page.get_by_label("Phone", exact=True).fill("12")
    page.get_by_label("Phone", exact=True).blur()
    expect(page.locator("#phone-error")).to_contain_text("Phone must be")
    assert len(lines) == 2
    expect(page.get_by_label("First name")).to_have_value("Still here")


def test_a_lost_connection_loses_no_carried_name_either(open_page):
    page = open_page("receptionist")
    lines = _lines(page)
    page.goto("/patients")
    page.get_by_label("Search patients").fill("Carried Nameless")
    page.get_by_role("link", name="Register “Carried Nameless”").click()
    expect(page.get_by_label("First name")).to_have_value("Carried")
    page.get_by_label("First name").fill("Mended")
    lines[-1].close()
    page.get_by_label("Phone", exact=True).fill("12")
    page.get_by_label("Phone", exact=True).blur()
    expect(page.locator("#phone-error")).to_contain_text("Phone must be")
    expect(page.get_by_label("First name")).to_have_value("Mended")
    expect(page.get_by_label("Last name")).to_have_value("Nameless")


def test_a_lost_connection_loses_no_edit_of_a_record(open_page, clinic):
    done = clinic.patient()
    page = open_page("receptionist")
    lines = _lines(page)
    page.goto(f"/patients/{done.patient.patient_id}")
    begin_edit(page, "contact information")
    page.get_by_label("Address").fill("Half typed road")
    lines[-1].close()
    page.get_by_label("Email", exact=True).fill("x@")
    page.get_by_label("Email", exact=True).blur()
    expect(page.locator("#email-error")).to_contain_text("Email must be")
    assert len(lines) == 2
    expect(page.get_by_label("Address")).to_have_value("Half typed road")
    page.get_by_label("Email", exact=True).fill("")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert clinic.sql("SELECT address FROM patients WHERE id = ?", done.patient.id) == [("Half typed road",)]


def test_an_edit_is_over_after_going_elsewhere_and_back(open_page, clinic):
    done = clinic.patient()
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    begin_edit(page, "contact information")
    expect(page.get_by_role("button", name="Save changes")).to_be_visible()
    page.get_by_role("link", name="Patients", exact=True).first.click()
    expect(page.get_by_role("rowheader").first).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Edit contact information")).to_be_visible()
    expect(page.get_by_role("button", name="Save changes")).to_have_count(0)


def test_a_page_comes_back_by_itself_after_the_server_was_away(open_page, new_clinic, watch):
    watch.expect("")  # the browser reports every refused connection
    page = open_page("receptionist", "/patients/new", at=new_clinic)
    page.get_by_label("First name").fill("Still here")
    new_clinic.stop()
    new_clinic.start()
    page.get_by_label("Phone", exact=True).fill("12")
    page.get_by_label("Phone", exact=True).blur()
    expect(page.locator("#phone-error")).to_contain_text("Phone must be", timeout=2 * PATIENCE_MS)
    expect(page.get_by_label("First name")).to_have_value("Still here")
