"""What a page must be however it is looked at: accessible, and nothing beside the screen."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.checkers import Checkers
from tests.browser.serving import ROOT

PICTURES = ROOT / ".artefacts" / "screens"
WHOLE = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations"],
}
#: What a change of colours can break; everything else is the same page.
COLOURS = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
WIDTHS = {1280: 860, 320: 640}
#: In the narrow dark one the colours are those of the wide one, and the layout is the light one's.
CHECKS = {(1280, "light"): WHOLE, (1280, "dark"): COLOURS, (320, "light"): WHOLE}
AXE = Axe().axe_script
#: Colours may fade from one scheme to the other, an element after the one around it: what counts is where they arrive.
SETTLED = """async () => {
  const ends = (one) => one.playState === "running" && one.effect.getComputedTiming().endTime < Infinity;
  for (let now; (now = document.getAnimations().filter(ends)).length;) {
    now.forEach((one) => one.finish());
    await new Promise(requestAnimationFrame);
  }
}"""


def _violations(page: Page, rules: dict[str, Any]) -> list[str]:
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE)
    found = page.evaluate("(rules) => axe.run(document, rules).then((results) => results.violations)", rules)
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for one in found
        for node in one["nodes"][:3]
    ]


def _sideways(page: Page) -> list[str]:
    """What is wider than the screen: the page itself, or a dialog that scrolls sideways."""
    return page.evaluate("""() => {
      const boxes = document.querySelectorAll("html, body, [role=dialog], dialog[open]");
      return [...boxes].filter((one) => one.scrollWidth > one.clientWidth + 1)
        .map((one) => `${one.tagName}: ${one.scrollWidth}`);
    }""")


def _showing_through(page: Page) -> list[str]:
    """What of the page lies over a popup: seen where the popup is, and pressed instead of it."""
    return page.evaluate("""() => [...document.querySelectorAll(".pop")].flatMap((popup) => {
      const box = popup.getBoundingClientRect(), over = new Set();
      for (let x = Math.max(box.left, 0) + 8; x < Math.min(box.right, innerWidth); x += 8)
        for (let y = Math.max(box.top, 0) + 8; y < Math.min(box.bottom, innerHeight); y += 8) {
          const top = document.elementFromPoint(x, y);
          if (top && !popup.contains(top) && !top.contains(popup)) over.add(top.outerHTML.slice(0, 160));
        }
      return [...over];
    })""")


class Looks:
    """Looks at pages; draws them where ``--pictures`` asks for it, and asks two more checkers with ``--checkers``."""

    def __init__(self, pictures: bool, checkers: Checkers | None = None) -> None:
        self._pictures = pictures
        self._checkers = checkers

    def _found(self, page: Page, rules: dict[str, Any]) -> list[str]:
        more = self._checkers.found(page) if self._checkers else []
        return [*_violations(page, rules), *more]

    def _draw(self, page: Page, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        whole = page.get_by_role("dialog").count() == 0
        page.screenshot(path=PICTURES / f"{name}.png", full_page=whole, animations="disabled")

    def as_it_stands(self, page: Page, name: str) -> None:
        """``page`` at its own width and in its own colours."""
        page.evaluate(SETTLED)
        if self._pictures:
            self._draw(page, name)
        assert [*self._found(page, WHOLE), *_sideways(page), *_showing_through(page)] == []

    def everywhere(self, page: Page, name: str, widths: tuple[int, ...] = tuple(WIDTHS)) -> None:
        """``page`` wide and narrow, light and dark."""
        wrong: list[str] = []
        for width in widths:
            page.set_viewport_size({"width": width, "height": WIDTHS[width]})
            for scheme in ("light", "dark"):
                rules = CHECKS.get((width, scheme))
                if not (rules or self._pictures):
                    continue
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                plain = page.locator(".radix-themes").count() == 0
                expect(page.locator(f"html.{scheme}" + ("" if plain else f" .radix-themes.{scheme}"))).to_have_count(1)
                page.evaluate(SETTLED)
                if self._pictures:
                    self._draw(page, f"{name}-{width}-{scheme}")
                if rules:
                    wrong += [f"{width} {scheme}: {one}" for one in self._found(page, rules)]
            wrong += [f"{width}: wider than the screen: {one}" for one in _sideways(page)]
            wrong += [f"{width}: over a popup: {one}" for one in _showing_through(page)]
        assert wrong == [], "\n".join(wrong)
