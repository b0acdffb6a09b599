"""How long from the last key to the rows? ``python bench/type_ahead.py``

A browser on one server as in production, demo patients or (``--filled``) others: a term is typed at 90 ms a key into
the search of *Patients* and of the bar; measured is the time from the last key to the first painted frame in which the
rows answer it. Prints milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from bed import clinic
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS, _chromium
from tests.browser.serving import bound

TERMS = ("wanj", "amin", "odhi", "kipt", "0712", "lmc0", "achi", "john", "hass", "mwan")
WATCH = """
() => {
  window.taken = null;
  const field = document.getElementById("search");
  let begun = 0;
  field.addEventListener("input", () => { begun = performance.now(); });
  new MutationObserver(() => {
    const place = document.querySelector("[data-answers]");
    if (field.value.length === 4 && place.dataset.answers === field.value && window.taken === null) {
      requestAnimationFrame(() => { window.taken = performance.now() - begun; });
    }
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["data-answers"] });
}
"""


def typed(page: Page, rounds: int) -> list[float]:
    """Milliseconds of each term, ``rounds`` times over."""
    page.evaluate(WATCH)
    taken = []
    for _ in range(rounds):
        for term in TERMS:
            page.locator("#search").fill("")
            page.wait_for_timeout(150)
            page.evaluate("window.taken = null")
            page.locator("#search").press_sequentially(term, delay=90)
            for _ in range(400):
                if (found := page.evaluate("window.taken")) is not None:
                    taken.append(found)
                    break
                page.wait_for_timeout(10)
    return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--filled", type=Path, help="data directory of a clinic that is filled already")
    asked = parser.parse_args()
    rounds = asked.rounds
    with clinic(asked.filled) as server, sync_playwright() as playwright:
        server.start()
        with bound(server):
            token = server.open_session("receptionist")
        context = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS).new_context()
        context.add_cookies([{"name": "clinic_session", "value": token, "url": server.url}])
        page = context.new_page()
        for name, path in (("Patients", "/patients"), ("bar", "/")):
            page.goto(server.url + path)
            page.locator("#press:not([data-line=''])").wait_for(state="attached")
            taken = sorted(typed(page, rounds))
            p95 = taken[min(len(taken) - 1, int(0.95 * len(taken)))]
            middle, most = statistics.median(taken), taken[-1]
            print(f"{name:<10} n {len(taken)}  p50 {middle:.0f}  p95 {p95:.0f}  max {most:.0f} ms")


if __name__ == "__main__":
    main()
