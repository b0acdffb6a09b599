"""The right patient on a slow line: nothing of A under B's address, and every press acts on whom it was drawn for.

Throttling by the browser's tools does not slow sockets, so a wrapper around the page's WebSocket holds back what the
server sends.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from clinic_app.services.patients.views import Registered
from tests import factories
from tests.browser.conftest import until

SLOW = """
(() => {
  const Plain = window.WebSocket;
  const waiting = []; // in the order in which they came
  let last = 0;
  window.slowness = 0; // milliseconds
  window.WebSocket = class extends Plain {
    get onmessage() { return super.onmessage; }
    set onmessage(handler) {
      super.onmessage = (event) => {
        last = Math.max(last, performance.now() + window.slowness);
        waiting.push(() => handler.call(this, event));
        setTimeout(() => waiting.shift()(), last - performance.now());
      };
    }
  };

  // What stands under an address: [path, words that must not, the heading it has to get].
  window.strays = [];
  let watched = null;
  window.looks = 0;
  window.watchOver = (path, words, heading) => {
    window.strays = [];
    window.looks = 0;
    watched = [path, words, heading];
  };
  function seen(places, within = document) {
    return [...within.querySelectorAll(places)].filter((one) => one.checkVisibility());
  }
  function look() {
    if (!watched || location.pathname !== watched[0]) return;
    const main = document.querySelector("main");
    if (!main || main.querySelector("table")) return; // the list is still there for a moment
    window.looks += 1;
    const dialogs = seen("[role=dialog]");
    const typed = seen("input, textarea").map((one) => one.value);
    const text = [main.innerText, ...dialogs.map((one) => one.innerText), ...typed].join("\\n");
    for (const word of watched[1]) if (text.includes(word)) window.strays.push(`${word} under ${watched[0]}`);
    const there = seen("h1", main).some((one) => one.innerText === watched[2]);
    if (!there && seen("section button, form button", main).length) window.strays.push("a button before the record");
    if (dialogs.length) window.strays.push(`dialog: ${dialogs[0].innerText.slice(0, 60)}`);
  }
  setInterval(look, 10);
})();
"""
ADDRESS = "Held Back Road 1"
KINDS = ("none", "active", "off", "locked")


class Desk:
    """One page at a desk with a slow line."""

    def __init__(self, page: Page, clinic: Any, wait: int) -> None:
        self.page, self.clinic, self.wait = page, clinic, wait

    def slow(self, wait: int | None = None) -> None:
        """From now on, what the server sends takes this long."""
        self.page.evaluate("wait => { window.slowness = wait }", self.wait if wait is None else wait)

    def fast(self) -> None:
        self.slow(0)

    def list(self, term: str) -> None:
        """The list of whoever has this name."""
        self.fast()
        if not self.page.url.endswith("/patients"):
            self.page.get_by_role("link", name="Patients", exact=True).first.click()
        rows = self.page.locator("main tbody").last.get_by_role("row")
        expect(rows.first).to_be_visible()
        self.page.wait_for_timeout(150)  # the list has been read again, and its box made anew
        self.page.get_by_role("main").get_by_label("Search patients").fill(term)
        # the rows of an older term may show them, too: names that are one slip apart
        expect(self.page.locator("section[data-answers]")).to_have_attribute("data-answers", term)
        expect(rows.filter(has_text=term)).to_have_count(2)

    def link(self, done: Registered) -> Any:
        return self.page.locator(f"main a[href='/patients/{done.patient.patient_id}']").first

    def open(self, done: Registered) -> None:
        self.link(done).click()

    def shows(self, done: Registered) -> None:
        expect(self.page.locator("main h1")).to_have_text(done.patient.name, timeout=10_000 + 4 * self.wait)

    def watch_over(self, done: Registered, other: Registered) -> None:
        """Nothing of ``other`` may stand under the address of ``done``."""
        path, name = f"/patients/{done.patient.patient_id}", done.patient.name
        words = [other.patient.name, other.patient.patient_id, ADDRESS]
        self.page.evaluate("([...all]) => window.watchOver(...all)", [path, words, name])

    def strays(self) -> list[str]:
        assert self.page.evaluate("window.looks") > 0
        return self.page.evaluate("window.strays")

    def kept(self, done: Registered) -> list[Any]:
        """All that is kept of a patient and their account, but for what a sign-in leaves."""
        return [
            self.clinic.sql("SELECT * FROM patients WHERE id = ?", done.patient.id),
            self.clinic.sql(
                "SELECT username, password_hash, is_active, password_temporary FROM accounts WHERE patient_id = ?",
                done.patient.id,
            ),
        ]

    def button(self, name: str | re.Pattern[str], *, dialog: bool = False) -> Any:
        place = self.page.get_by_role("dialog") if dialog else self.page.get_by_role("main")
        return place.get_by_role("button", name=name, exact=isinstance(name, str))


# Each makes ready with a fast line, and returns the press that is made with a slow one.


def _ask_for_portal(desk: Desk) -> Callable[[], None]:
    return desk.button("Create Portal Account").click


def _create(desk: Desk) -> Callable[[], None]:
    desk.button("Create Portal Account").click()
    desk.page.get_by_role("dialog").get_by_label("Email").fill(f"slow{next(_numbers)}@example.org")
    return desk.button("Create Portal Account", dialog=True).click


def _ask_reset(desk: Desk) -> Callable[[], None]:
    return desk.button("Reset temporary password").click


def _reset(desk: Desk) -> Callable[[], None]:
    desk.button("Reset temporary password").click()
    return desk.button("Reset temporary password", dialog=True).click


def _ask_username(desk: Desk) -> Callable[[], None]:
    return desk.button("Change username").click


def _change_username(desk: Desk) -> Callable[[], None]:
    desk.button("Change username").click()
    desk.page.get_by_role("dialog").get_by_label("New username").fill(f"slow{next(_numbers)}@example.org")
    return desk.button("Change username", dialog=True).click


def _unlock(desk: Desk) -> Callable[[], None]:
    return desk.button("Unlock").click


def _ask_off(desk: Desk) -> Callable[[], None]:
    return desk.button("Turn off portal access").click


def _turn_off(desk: Desk) -> Callable[[], None]:
    desk.button("Turn off portal access").click()
    desk.page.get_by_role("radio", name="The patient asked for it").check()
    return desk.button("Turn off portal access", dialog=True).click


def _turn_on(desk: Desk) -> Callable[[], None]:
    return desk.button("Turn on portal access").click


def _edit(desk: Desk) -> Callable[[], None]:
    return desk.button("Edit contact information").click


def _typed(desk: Desk) -> None:
    _edit(desk)()
    desk.page.get_by_label("Address").fill(ADDRESS)


def _save(desk: Desk) -> Callable[[], None]:
    _typed(desk)
    return desk.button("Save changes").click


def _cancel(desk: Desk) -> Callable[[], None]:
    _typed(desk)
    return desk.button("Cancel").click


_numbers = itertools.count(1)
PORTAL = {
    "none": (_ask_for_portal, _create),
    "active": (_ask_reset, _reset, _ask_username, _change_username, _ask_off, _turn_off),
    "locked": (_unlock, _reset, _change_username, _ask_off, _turn_off),
    "off": (_turn_on,),
}
EDITS = (_edit, _save, _cancel)
CHANGING = {_create, _reset, _change_username, _turn_off, _turn_on, _save}


def _some(kind: str) -> list[tuple[Any, str]]:
    """Every action of this kind at least once, against every kind of the other patient at least once."""
    actions = [*PORTAL[kind], *EDITS]
    begin = KINDS.index(kind)
    others = [KINDS[(begin + number) % 4] for number in range(max(4, len(actions)))]
    return list(zip(itertools.islice(itertools.cycle(actions), len(others)), others, strict=True))


def _all(kind: str) -> list[tuple[Any, str]]:
    return list(itertools.product((*PORTAL[kind], *EDITS), KINDS))


def _pair(clinic: Any, kind: str, other: str) -> tuple[str, Registered, Registered]:
    term = "Pair" + "".join(chr(ord("a") + int(digit)) for digit in str(next(_numbers)))
    made = [
        factories.make_patient_with_access(clinic.desk, one, first_name=name, last_name=term, address="1 Old Road")
        for one, name in ((kind, "Adhiambo"), (other, "Barasa"))
    ]
    return term, made[0], made[1]


@pytest.fixture
def slow_desk(open_page, clinic, watch):
    """``slow_desk(300)``: a receptionist's page whose server's answers take 300 ms longer while it says so."""

    def opened(wait: int, who: str = "receptionist", path: str = "/patients") -> Desk:
        watch.expect("No element found for ref")  # what was to get the focus stands on the page that was left
        watch.expect("WebSocket is closed before the connection is established")  # a page left while it connects
        page = open_page(who)
        page.add_init_script(SLOW)
        page.goto(path)
        return Desk(page, clinic, wait)

    return opened


def _run(desk: Desk, clinic: Any, kind: str, cases: list[tuple[Any, str]]) -> None:
    for action, other in cases:
        term, a, b = _pair(clinic, kind, other)
        said = f"{action.__name__} of {kind} while {other} is opened"
        desk.list(term)
        desk.open(a)
        desk.shows(a)
        press = action(desk)
        before_a, before_b = desk.kept(a), desk.kept(b)
        desk.watch_over(b, a)
        desk.slow()
        press()
        desk.page.go_back()
        desk.open(b)
        desk.page.wait_for_url(f"**/patients/{b.patient.patient_id}")
        expect(desk.page.get_by_role("main")).not_to_contain_text(a.patient.name)
        desk.shows(b)
        desk.page.wait_for_timeout(desk.wait + 50)  # what was still under way has come
        assert desk.strays() == [], said
        assert desk.kept(b) == before_b, said
        if action in CHANGING:  # a busy machine may take a moment more
            until(lambda a=a, before=before_a: desk.kept(a) != before)
        else:
            assert desk.kept(a) == before_a, said
        expect(desk.page.get_by_role("dialog")).to_have_count(0)
        desk.fast()


@pytest.mark.parametrize("kind", [*KINDS[:2], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[2:])])
def test_a_press_and_the_next_patient_on_a_slow_line(slow_desk, clinic, kind):
    _run(slow_desk(300), clinic, kind, _some(kind))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_every_press_and_every_next_patient_on_a_very_slow_line(slow_desk, clinic, kind):
    _run(slow_desk(1500), clinic, kind, _all(kind))


def _from_one_to_the_next(desk: Desk, clinic: Any) -> None:
    """By the search box of the bar: the page stays the same one, and only the address says that it is not."""
    term, a, b = _pair(clinic, "active", "locked")
    desk.list(term)
    desk.open(a)
    desk.shows(a)
    for there, left in ((b, a), (a, b)):
        desk.fast()
        box = desk.page.get_by_role("combobox")
        box.fill(there.patient.name)
        option = desk.page.get_by_role("option").filter(has_text=there.patient.name)
        expect(option).to_be_visible()
        desk.watch_over(there, left)
        desk.slow()
        option.click()
        desk.page.wait_for_url(f"**/patients/{there.patient.patient_id}")
        expect(desk.page.get_by_role("status").filter(has_text="Loading the record")).to_be_attached()
        desk.shows(there)
        assert desk.strays() == []
        expect(desk.page.locator("main h1")).to_be_focused()


def test_from_one_record_to_the_next_by_the_bar(slow_desk, clinic):
    _from_one_to_the_next(slow_desk(300), clinic)


@pytest.mark.slow
def test_from_one_record_to_the_next_by_the_bar_very_slowly(slow_desk, clinic):
    _from_one_to_the_next(slow_desk(1500), clinic)


@pytest.mark.parametrize("wait", [300, pytest.param(1500, marks=pytest.mark.slow)])
def test_a_dialog_asked_for_in_the_list_does_not_open_over_a_record(slow_desk, clinic, wait):
    desk = slow_desk(wait)
    term, a, b = _pair(clinic, "none", "none")
    desk.list(term)
    desk.watch_over(b, a)
    desk.slow()
    asked = desk.page.get_by_role("row").filter(has_text=a.patient.name).get_by_role("button").element_handle()
    opened = desk.link(b).element_handle()
    desk.page.evaluate("all => all.forEach((one) => one.click())", [asked, opened])  # before the server can answer
    desk.page.wait_for_url(f"**/patients/{b.patient.patient_id}")
    desk.shows(b)
    desk.page.wait_for_timeout(wait + 50)
    assert desk.strays() == []
    # and what is asked for there is about whom the page shows
    desk.fast()
    desk.button("Create Portal Account").click()
    expect(desk.page.get_by_role("dialog")).to_contain_text(f"Create patient portal login for {b.patient.name}")


def test_back_on_a_slow_line_the_list_can_be_used_at_once(slow_desk, clinic):
    desk = slow_desk(2_000)
    term, a, b = _pair(clinic, "none", "none")
    desk.list(term)
    desk.open(a)
    desk.shows(a)
    desk.slow()
    desk.page.go_back()
    box = desk.page.get_by_role("main").get_by_label("Search patients")
    expect(box).to_have_value(term)
    desk.open(b)  # before the server has said anything
    desk.page.wait_for_url(f"**/patients/{b.patient.patient_id}")
    desk.fast()
    desk.shows(b)
    desk.slow()
    desk.page.go_back()
    box.fill("typed before the list is read")
    desk.page.wait_for_timeout(3 * desk.wait)
    expect(box).to_have_value("typed before the list is read")
    desk.fast()
    box.fill(term)
    expect(desk.page.get_by_role("row").filter(has_text=term)).to_have_count(2)
    desk.page.reload()
    expect(desk.page.get_by_role("row").filter(has_text=term)).to_have_count(2)
    expect(box).to_have_value(term)
    desk.open(a)
    desk.shows(a)


@pytest.mark.parametrize("spelling", ["lmc{}", "{}", "LMC{}", "%20Lmc-{}"])
def test_another_spelling_leads_to_the_one_address(slow_desk, clinic, spelling):
    desk = slow_desk(0)
    done = clinic.patient()
    number = int(done.patient.patient_id.removeprefix("LMC"))
    looks = len(clinic.audit("PATIENT_VIEWED"))
    desk.page.goto(f"/patients/{spelling.format(number)}")
    desk.page.wait_for_url(f"**/patients/{done.patient.patient_id}")
    desk.shows(done)
    assert len(clinic.audit("PATIENT_VIEWED")) == looks + 1
    desk.page.go_back()
    desk.page.wait_for_url("**/patients")


@pytest.mark.parametrize("wait", [300, pytest.param(1500, marks=pytest.mark.slow)])
def test_a_staff_account_is_changed_whose_panel_was_drawn(slow_desk, clinic, wait):
    names = [f"Slow Staff {letter} {wait}" for letter in "AB"]
    a, b = (factories.make_staff("CLINICIAN", f"slow.{number}.{wait}", name) for number, name in enumerate(names))
    desk = slow_desk(wait, "admin", "/admin/staff")
    active = "SELECT is_active FROM accounts WHERE id IN (?, ?) ORDER BY id"
    desk.button(f"Manage {names[0]}").click()
    expect(desk.button("Turn off account")).to_be_visible()
    desk.slow()
    desk.button(f"Manage {names[1]}").click()
    desk.button("Turn off account").click()  # still that of A's panel
    question = desk.page.get_by_role("dialog", name="Turn off account")
    expect(question).to_contain_text(f"{names[0]} will be signed out everywhere")
    question.get_by_role("button", name="Turn off account").click()
    expect(desk.page.get_by_text(f"{names[0]} can no longer sign in.")).to_be_visible()
    assert clinic.sql(active, a.account_id, b.account_id) == [(0,), (1,)]
    # a question that comes after the page was left is asked nowhere
    desk.slow(max(wait, 3_000))  # on a busy machine too it comes after the next press
    desk.button("Reset password").click()
    desk.page.get_by_role("link", name="Patients", exact=True).first.click()
    expect(desk.page.get_by_role("rowheader").first).to_be_visible()  # what the server sent before has come, too
    expect(desk.page.get_by_role("dialog")).to_have_count(0)
    assert json.loads(clinic.audit("STAFF_DISABLED")[-1][3]) == {}


@pytest.mark.parametrize("wait", [300, pytest.param(1500, marks=pytest.mark.slow)])
def test_the_session_ends_whose_row_was_pressed_and_the_event_opens_that_was(slow_desk, clinic, server, wait):
    others = [server.open_session("admin") for _ in range(2)]
    desk = slow_desk(wait, "admin", "/account")
    rows = desk.page.locator("ul.rows li")
    expect(rows).to_have_count(3)
    ends = [desk.button(re.compile("^Sign out ")).nth(place) for place in (0, 1)]
    desk.slow()
    ends[0].click()
    ends[1].click()  # before the first row has gone
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("This device")
    for token in others:
        server.end_session(token)
    desk.page.get_by_role("link", name="Audit trail", exact=True).first.click()
    details = desk.button(re.compile("^Details of event")).nth(3)
    name = details.get_attribute("aria-label") or ""
    details.click()
    expect(desk.page.get_by_role("dialog")).to_contain_text(f"{int(name.rpartition(' ')[2]):,}")
