"""How long until each page of the desk is all there? ``python bench/pages.py [--filled DIR …]``

A browser on one server as in production, for each clinic in turn: the demo's, and each filled one. Each page is opened
by its address, as an administrator; measured is the time from there until nothing on it loads or changes any more (for
half a second). Prints the median of the rounds in milliseconds, a line for each page; ``--pictures DIR`` keeps a
picture of each.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from bed import clinic
from playwright.sync_api import Page, sync_playwright

from clinic_app.core import routes
from tests.browser.conftest import FLAGS, _chromium
from tests.browser.serving import Server, bound

PAGES = {
    "Reception": routes.RECEPTION,
    "Patients": routes.PATIENTS,
    "Register patient": routes.REGISTRATION,
    "Pending verification": routes.PENDING,
    "Portal work list": routes.PORTAL_WORK_LIST,
    "Possible duplicates": routes.DUPLICATES,
    "Portal accounts in bulk": routes.PORTAL_BULK,
    "Import and export": routes.IMPORT,
    "Audit trail": routes.AUDIT_TRAIL,
    "Staff accounts": routes.STAFF_ACCOUNTS,
}
#: What is pressed on *Patients*, one after the other.
PRESSES = ("Date of birth", "Patient ID", "Next", "Next")
#: Milliseconds after the navigation began at which the page changed last, once it has been quiet; else nothing.
QUIET = """
() => {
  if (!document.querySelector("#press[data-line]:not([data-line=''])")) return null;
  if (document.querySelector("[aria-busy=true]")) return null;
  const now = performance.now();
  return now - window.changed > 500 ? window.changed : null;
}
"""
WATCH = """
window.changed = 0;
new MutationObserver(() => { window.changed = performance.now(); })
  .observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
"""


def opened(page: Page, address: str) -> float:
    """Milliseconds until the page at ``address`` is all there."""
    page.goto(address)
    return float(page.wait_for_function(QUIET, timeout=60_000, polling=50).json_value())


def pressed(page: Page, button: str) -> float:
    """Milliseconds from a press of ``button`` until the page is all there again."""
    begun = page.evaluate("() => { window.changed = performance.now(); return window.changed; }")
    page.get_by_role("button", name=button, exact=True).first.click()
    return float(page.wait_for_function(QUIET, timeout=60_000, polling=50).json_value()) - begun


def measure(server: Server, rounds: int, pictures: Path | None) -> dict[str, float]:
    """The median for each page of one clinic."""
    server.start()
    with bound(server):
        token = server.open_session("admin")
    taken: dict[str, float] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script(WATCH)
        context.add_cookies([{"name": "clinic_session", "value": token, "url": server.url}])
        page = context.new_page()
        opened(page, server.url)  # the program itself is fetched
        for name, path in PAGES.items():
            taken[name] = statistics.median(opened(page, server.url + path) for _ in range(rounds))
            if pictures is not None:
                page.screenshot(path=pictures / f"{server.port}-{name.lower().replace(' ', '-')}.png")
        opened(page, server.url + routes.PATIENTS)
        for number, button in enumerate(PRESSES, 1):
            taken[f"{number}. {button}"] = pressed(page, button)
        page.locator("tbody a").first.click()
        page.wait_for_url("**/patients/*")
        address = page.url
        taken["Profile"] = statistics.median(opened(page, address) for _ in range(rounds))
        browser.close()
    return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--filled", type=Path, nargs="*", default=[], help="data directories of filled clinics")
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()
    found = []
    for filled in (None, *asked.filled):
        with clinic(filled) as server:
            found.append(measure(server, asked.rounds, asked.pictures))
    for name in found[0]:
        print(f"{name:<24}" + "".join(f"{taken[name]:8.0f}" for taken in found))


if __name__ == "__main__":
    main()
