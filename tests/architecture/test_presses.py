"""Whatever changes something counts its press once: asked for with the press, from a button that has one."""

from __future__ import annotations

import ast

from tests.conftest import ROOT

#: Use cases that change nothing about a record or an account: asking twice does no harm.
HARMLESS = {
    "check_fresh": "asks whether somebody confirmed lately",
    "continue_draft": "goes on with what was typed",
    "discard_draft": "forgets what was typed",
    "list_own_sessions": "reads",
    "list_patients": "reads",
    "staff.list_staff": "reads",
    "intents.mark_seen": "about a press itself",
    "confirm_shown": "about a press itself, whose page says that it has the answer",
    "intents.outcome": "about a press itself",
    "preview_run": "reads",
    "report_run": "a look, recorded each time",
    "compare_records": "a look, recorded each time",
    "count_pairs": "reads",
    "count_stuck": "reads",
    "count_waiting": "reads",
    "list_waiting": "a look, recorded each time",
    "list_pairs": "a look, recorded each time",
    "list_stuck": "a look, recorded each time",
    "opened_last": "a look, recorded each time",
    "earlier_imports": "reads",
    "exportable": "reads",
    "last_link": "a look, recorded each time",
    "latest_import": "reads",
    "view_import": "a look, recorded each time",
    "household_of": "a look, recorded each time",
    "all_activity": "reads",
    "note_staff_printed": "each print is one more",
    "overview": "reads",
    "own_passkeys": "reads",
    "possible_duplicates": "a look, recorded where somebody new is shown",
    "own_record": "reads",
    "offered_drafts": "reads",
    "own_two_factor": "reads",
    "provisioning.note_printed": "each print is one more",
    "reissue": "one of the two that issue anew, under the row of a press that was carried out",
    "reread_patient": "reads",
    "take_failed_tries": "tells once, to whoever looks",
    "browse_audit": "a look, recorded each time",
    "view_patient": "a look, recorded each time",
}
FORWARDS = {"use_case"}  # helpers that take the use case, and the press with it


def faults(source: str, where: str) -> list[str]:
    """What forgets the press, in words."""
    tree, found = ast.parse(source), []
    for handler in (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)):
        with_press = False
        for call in (node for node in ast.walk(handler) if isinstance(node, ast.Call)):
            if not ast.unparse(call.func).endswith("._ask") or not call.args:
                continue
            asked = ast.unparse(call.args[0])
            given = any(word.arg == "press" for word in call.keywords)
            with_press = with_press or given
            if asked not in HARMLESS and not given:
                found.append(f"{where} {handler.name}: {asked} is asked without its press")
            if asked in HARMLESS and given:
                found.append(f"{where} {handler.name}: {asked} changes nothing and has a press")
        marks = [ast.unparse(mark) for mark in handler.decorator_list if "handler(" in ast.unparse(mark)]
        if marks and with_press and "changes=True" not in marks[0]:
            found.append(f"{where} {handler.name}: its press is never answered (changes=True)")
    return found


def test_what_changes_something_counts_once():
    files = sorted((ROOT / "clinic_app" / "ui").rglob("*.py"))
    assert [fault for file in files for fault in faults(file.read_text(), file.parent.name)] == []


def test_a_button_of_such_a_handler_has_a_press():
    """Forms and buttons are made by the kit: a plain one would send no press."""
    changing = set()
    for file in (ROOT / "clinic_app" / "ui").rglob("state.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.AsyncFunctionDef) and any(
                "changes=True" in ast.unparse(d) for d in node.decorator_list
            ):
                changing.add(node.name)
    assert {"submit", "save", "create", "reset_password", "turn_off", "turn_on", "end", "answer"} <= changing
    plain = []
    for file in (ROOT / "clinic_app" / "ui").rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
            made = ast.unparse(call.func)
            for word in call.keywords:
                used = {f"State.{name}" for name in changing} & {
                    ast.unparse(node) for node in ast.walk(word.value) if isinstance(node, ast.Attribute)
                }
                if word.arg == "on_click" and used:
                    plain.append(f"{file.name}: {used} on a plain button")
                if word.arg == "on_submit" and used and not made.endswith("press_form"):
                    plain.append(f"{file.name}: {used} on a plain form")
    assert plain == []


BROKEN = """
class Broken:
    @handler(Permission.X)
    async def forgets(self):
        await self._ask(turn_off)

    @handler(Permission.X)
    async def never_answers(self, press):
        await self._ask(turn_off, press=press)
"""


def test_this_check_can_fail():
    assert faults(BROKEN, "x") == [
        "x forgets: turn_off is asked without its press",
        "x never_answers: its press is never answered (changes=True)",
    ]
