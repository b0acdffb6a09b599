"""How many keys does the desk's daily work take, beyond what is typed in? ``python bench/keys.py``

Drives the finished pages in Chromium by the keyboard alone, as somebody would who knows the desk: Tab to what is
wanted, Enter or Space, and the shortcuts. Every press counts but the letters of the data (names, dates, numbers,
addresses, the letter that chooses in a list). Prints a line a job, with the presses in their order.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable

from bed import clinic
from playwright.sync_api import Locator, Page, expect, sync_playwright

from clinic_app.core import cookies
from tests.browser.conftest import FLAGS, _chromium
from tests.browser.serving import Server, bound

FARTHEST = 120  # presses of Tab; what is not reached by then cannot be reached
_people = itertools.count(1)


class Keyboard:
    """One page, and the keys pressed on it so far."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed: list[str] = []

    def press(self, key: str) -> None:
        """A key that counts."""
        self.pressed.append(key)
        self.page.keyboard.press(key)

    def data(self, text: str) -> None:
        """What is typed in counts nothing."""
        self.page.keyboard.type(text, delay=5)

    def has_focus(self, wanted: Locator) -> bool:
        """Whether the keyboard is there."""
        return wanted.evaluate("element => element === document.activeElement")

    def go_to(self, wanted: Locator) -> None:
        """Tab until the keyboard is there."""
        wanted.wait_for()
        for _ in range(FARTHEST):
            if self.has_focus(wanted):
                return
            self.press("Tab")
        raise AssertionError(f"Tab does not reach {wanted}")


#: Printing is noted at the page's root; a print dialog of the browser's own would wait for a person.
NO_PAPER = "window.print = () => { document.documentElement.dataset.printed = 'yes'; }"


def _printed(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("data-printed", "yes")


def register(keys: Keyboard) -> None:
    """From Reception: register somebody with a portal account, print the slip, close it, have the next empty form."""
    page, number = keys.page, next(_people)
    page.goto("/")
    expect(page.get_by_role("heading", name="Reception", exact=True)).to_be_visible()
    page.evaluate(NO_PAPER)
    page.get_by_role("link", name="Register patient").first.wait_for()  # what the key is a short cut for
    page.wait_for_timeout(500)
    keys.press("n")
    page.get_by_label("First name", exact=True).wait_for()
    page.wait_for_timeout(300)  # the page takes the focus
    keys.go_to(page.get_by_label("First name", exact=True))
    keys.data("Keyed")
    keys.go_to(page.get_by_label("Last name", exact=True))
    keys.data(f"Person {'abcdefghij'[number % 10]}")
    keys.go_to(page.get_by_label("Date of birth", exact=True))
    keys.data("14/3/1988")
    keys.go_to(page.get_by_label("Gender", exact=True))
    keys.data("F")
    keys.go_to(page.get_by_label("Phone", exact=True))
    keys.data("0712 445 901")
    keys.go_to(page.get_by_label("Create Patient Portal Login"))
    keys.press("Space")
    keys.go_to(page.get_by_label("Portal email", exact=True))
    keys.data(f"keyed.person{number}@example.org")
    keys.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Temporary Password", exact=True)).to_be_visible()
    page.wait_for_timeout(300)  # the dialog takes the focus
    keys.go_to(dialog.get_by_role("button", name="Print"))
    keys.press("Enter")
    _printed(page)
    keys.go_to(dialog.get_by_role("button", name="Close"))
    keys.press("Enter")
    expect(dialog).to_have_count(0)
    page.wait_for_timeout(300)
    page.get_by_role("button", name="Register another patient").wait_for()
    keys.press("n")  # the short cut for it
    first = page.get_by_label("First name", exact=True)
    expect(first).to_have_value("")
    keys.go_to(first)


def find_from_the_bar(keys: Keyboard) -> None:
    """With the cursor in the box of the bar: from the words to the open record."""
    page = keys.page
    page.goto("/")
    page.get_by_role("combobox", name="Search patients").focus()
    keys.data("findable")
    expect(page.get_by_role("option")).to_have_count(1)
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Findable Person")).to_be_visible()


def find_from_patients(keys: Keyboard) -> None:
    """The same in the box of *Patients*: Enter opens the only one."""
    page = keys.page
    page.goto("/patients")
    page.get_by_label("Search patients").focus()
    keys.data("findable")
    expect(page.get_by_role("rowheader")).to_have_count(1)
    page.wait_for_timeout(300)
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Findable Person")).to_be_visible()


def _give_access(keys: Keyboard) -> None:
    """From the open dialog to the closed one."""
    page = keys.page
    page.evaluate(NO_PAPER)
    dialog = page.get_by_role("dialog")
    email = dialog.get_by_label("Email", exact=True)
    expect(email).to_be_visible()
    page.wait_for_timeout(300)
    keys.go_to(email)
    keys.data(f"given{next(_people)}@example.org")
    keys.press("Enter")
    expect(dialog.get_by_label("Temporary Password", exact=True)).to_be_visible()
    page.wait_for_timeout(300)
    keys.go_to(dialog.get_by_role("button", name="Print"))
    keys.press("Enter")
    _printed(page)
    keys.go_to(dialog.get_by_role("button", name="Close"))
    keys.press("Enter")
    expect(dialog).to_have_count(0)


def give_access_from_patients(keys: Keyboard) -> None:
    """In the box of *Patients*: find somebody, create their account, print the slip, close it."""
    page = keys.page
    page.goto("/patients")
    page.get_by_label("Search patients").focus()
    keys.data("access list")
    expect(page.get_by_role("rowheader")).to_have_count(1)
    keys.go_to(page.get_by_role("button", name="Create Portal Account"))
    keys.press("Enter")
    _give_access(keys)


def give_access_from_the_profile(keys: Keyboard) -> None:
    """In the box of the bar: open somebody's record, create their account there, print the slip, close it."""
    page = keys.page
    page.goto("/")
    page.get_by_role("combobox", name="Search patients").focus()
    keys.data("access profile")
    expect(page.get_by_role("option")).to_have_count(1)
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Access Profile")).to_be_visible()
    page.get_by_role("button", name="Create Portal Account").wait_for()
    page.wait_for_timeout(300)
    keys.press("p")  # the short cut for it
    _give_access(keys)


#: Job → how it is done, what it took in the first version that was measured by hand, and the goal.
JOBS: dict[str, tuple[Callable[[Keyboard], None], int, int]] = {
    "register, portal, print, close, empty form": (register, 28, 24),
    "find from the bar": (find_from_the_bar, 1, 1),
    "find from Patients": (find_from_patients, 6, 1),
    "give access from Patients": (give_access_from_patients, 19, 12),
    "give access from the profile": (give_access_from_the_profile, 17, 12),
}


def measure(server: Server) -> dict[str, list[str]]:
    """The keys of each job, each in a window of its own."""
    from tests import factories

    with bound(server):
        desk = factories.make_staff(username="keys")
        for first, last in (("Findable", "Person"), ("Access", "List"), ("Access", "Profile")):
            factories.make_patient(desk, first_name=first, last_name=last, email=None)
        token = server.open_session("keys")
    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        for job, (do, _, _) in JOBS.items():
            window = browser.new_context(base_url=server.url)
            window.add_cookies([{"name": cookies.session_name(), "value": token, "url": server.url}])
            keys = Keyboard(window.new_page())
            do(keys)
            found[job] = keys.pressed
            window.close()
        browser.close()
    return found


def main() -> None:
    """Make a clinic, serve it, count, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="answer as JSON")
    given = options.parse_args()
    with clinic() as server:
        server.start()
        found = measure(server)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'keys beyond the data':<46}{'now':>5}{'before':>8}{'goal':>6}")
    for job, pressed in found.items():
        _, before, goal = JOBS[job]
        print(f"{job:<46}{len(pressed):>5}{before:>8}{goal:>6}")
        runs = [(key, len(list(run))) for key, run in itertools.groupby(pressed)]
        print("    " + " ".join(key if times == 1 else f"{key}×{times}" for key, times in runs))


if __name__ == "__main__":
    main()
