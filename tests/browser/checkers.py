"""HTML_CodeSniffer and IBM's checker on every state the suite looks at: by hand, ``--checkers node_modules``.

Both are npm packages and no part of the suite: axe is (``looking.py``), and these two say a hundred things about
each page that nobody has to mend. What is left here is what they call wrong and people or their tools could meet.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

#: What they call wrong and is not, by rule.
RIGHT = {
    "aria_form_label_unique": "a form without a name is no landmark",
    "input_autocomplete_valid": "an input of type email may be completed with the username",
    "table_headers_exists": "the headings of a narrow table are there for screen readers, and clipped for the eye",
}
#: Found, without what nobody meets: what is not drawn (the forms of scripts, a closed menu), and what is behind a
#: dialog or stands in for rows that are still loading.
MET = """
const met = (one) => one && one.checkVisibility({visibilityProperty: true}) && !one.closest("[aria-hidden=true]");
"""
SNIFFED = (
    "() => new Promise((done, fail) => {"
    + MET
    + """
  // It breaks off at an input of type email whose autocomplete is the username.
  HTMLCS_WCAG2AAA_Sniffs_Principle1_Guideline1_3_1_3_5.checkControlGroups = () => {};
  HTMLCS.process("WCAG2AA", document, () => done(HTMLCS.getMessages()
    .filter((one) => one.type === HTMLCS.ERROR && (one.element === document || met(one.element)))
    .map((one) => [one.code, `${one.msg} ${one.element.outerHTML ?? ""}`.slice(0, 300)])), fail);
})"""
)
CHECKED = (
    "async () => {"
    + MET
    + """
  const node = (path) => document.evaluate(path, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE).singleNodeValue;
  return (await new ace.Checker().check(document, ["WCAG_2_2"])).results
    .filter((one) => one.value.join() === "VIOLATION,FAIL" && met(node(one.path.dom)))
    .map((one) => [one.ruleId, `${one.message} ${one.snippet}`.slice(0, 300)]);
}"""
)


class Checkers:
    """The two, from the folder into which npm has put them."""

    def __init__(self, folder: Path) -> None:
        self._each = [
            (folder / "html_codesniffer/build/HTMLCS.js", "HTMLCS", SNIFFED),
            (folder / "accessibility-checker-engine/ace.js", "ace", CHECKED),
        ]

    def found(self, page: Page) -> list[str]:
        """What they call wrong on ``page`` as it stands."""
        found: list[str] = []
        for file, name, run in self._each:
            if page.evaluate(f"typeof {name}") == "undefined":
                page.evaluate(f"{file.read_text(encoding='utf-8')}\n;globalThis.{name} = {name}; undefined")
            found += [f"{name} {rule}: {text}" for rule, text in page.evaluate(run) if rule not in RIGHT]
        return found
