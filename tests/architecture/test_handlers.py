"""Every handler of every state is marked with the permission it was meant to have, and is async.

A new handler needs a row here: who may fire it is decided by a person, not by whoever forgets a decorator.
"""

from __future__ import annotations

import pytest

from tests.security.handlers import Registry, registry

INTENDED = {
    "AccountState": {"own:session": "load"},
    "AuditTrailState": {"audit:see": "apply clear close load open turn"},
    "BulkState": {"portal:bulk": "begin go_on load look start stop turn turn_chosen watch"},
    "CompareState": {"patient:duplicates": "keep keep_login load merge not_a_duplicate"},
    "ConfirmState": {"own:session": "load"},
    "ImportPageState": {
        "patient:import": "another choose decide decide_all drop go_on load open_report stop take_in turn watch"
    },
    "OwnRecordState": {"own:record": "load"},
    "OwnSessionsState": {"own:session": "end load watch"},
    "PairsState": {"patient:duplicates": "choose load not_a_duplicate take_back turn watch"},
    "PatientListState": {"patient:see": "clear load search sort_by turn watch", "patient:register": "carry_over"},
    "PortalDialogState": {
        "portal:manage": "answer_slip ask_correct ask_for ask_reset ask_username change_open change_username"
        " check_email check_phone correct hand_over printed resend reset_password submit unlock",
        "own:session": "close confirm expire",
        "public": "forget",  # only wipes the tab's own
    },
    "ProfileState": {
        "patient:see": "load show_all_activity watch",
        "patient:register": "register_relative",
        "patient:edit": "answer_slip cancel check edit go_on put_aside save",
        "patient:duplicates": "undo_merge",
        "portal:manage": "ask_turn_off turn_off turn_on",
    },
    "PressState": {},
    "ResumeState": {"own:session": "resume"},
    "ReceptionState": {"patient:see": "load watch"},
    "RegistrationState": {"patient:register": "another answer_slip cancel check go_on load start_empty submit typing"},
    "PendingState": {"patient:verify": "ask_reject link load reject turn undo verify watch"},
    "SearchState": {"patient:see": "enter_box search list_all", "patient:register": "register_term"},
    "Misdirected": {},
    "Refusal": {},
    "SessionBinding": {},
    "ShellState": {"own:session": "enter watch", "public": "show_failure"},  # constant sentences
    "StaffAccountsState": {
        "staff:manage": "answer ask begin cancel change_role close create enable load open unlock watch",
    },
    "WorkListState": {"work-lists": "choose load turn watch"},
}
ROWS = {
    f"{state}.{name}": mark
    for state, marks in INTENDED.items()
    for mark, names in marks.items()
    for name in names.split()
}


def faults(known: Registry, rows: dict[str, str]) -> list[str]:
    """What is wrong with the handlers of this product, in words."""
    found = []
    ours = {f"{one.state}.{one.name.rsplit('.', 1)[1]}": one for one in known.ours if not one.name.endswith(".setvar")}
    for name, one in ours.items():
        if one.mark is None:
            found.append(f"{name} has no mark: anybody signed in or not could try it")
        if not one.is_async:
            found.append(f"{name} is not async: everybody waits for it")
        if name not in rows:
            found.append(f"{name} has no row in this test")
        elif one.mark is not None and one.mark != rows[name]:
            found.append(f"{name} asks for {one.mark}, meant was {rows[name]}")
    return found + [f"{name} has a row but does not exist" for name in rows if name not in ours]


def test_every_handler_is_marked_async_and_meant():
    assert faults(registry(), ROWS) == []


def test_what_reflex_brings_has_no_mark_and_setvar_is_not_let_through():
    known = registry()
    assert not [one.where for one in known.handlers if not one.ours and one.mark]
    assert not [name for name in known.framework if name.endswith(".setvar")]
    names = {one.name for one in known.handlers}
    assert known.framework <= names, "a name the guard lets through is not Reflex's any more"
    assert [one.name for one in known.handlers if one.name.endswith(".setvar") and one.mark] == []


BROKEN = """
import reflex as rx
from clinic_app.services.access import Permission
from clinic_app.ui.session import guard

class Broken(rx.State):
    words: str = ""

    @rx.event
    async def unmarked(self):
        self.words = "x"

    @rx.event
    def plain(self):
        self.words = "x"

    def undecorated(self):
        self.words = "x"

    @rx.event
    @guard.require(Permission.PATIENT_SEE)
    async def weaker(self):
        self.words = "x"

    @rx.event
    @guard.require(Permission.PATIENT_SEE)
    async def rowless(self):
        self.words = "x"

    def _helper(self):
        self.words = "x"
"""


def test_this_check_can_fail():
    rows = {**ROWS, "Broken.unmarked": "patient:see", "Broken.plain": "public", "Broken.undecorated": "public"}
    rows |= {"Broken.weaker": "patient:edit", "Broken.gone": "public"}
    assert sorted(fault for fault in faults(registry(BROKEN), rows) if fault.startswith("Broken")) == [
        "Broken.gone has a row but does not exist",
        "Broken.plain has no mark: anybody signed in or not could try it",
        "Broken.plain is not async: everybody waits for it",
        "Broken.rowless has no row in this test",
        "Broken.undecorated has no mark: anybody signed in or not could try it",
        "Broken.undecorated is not async: everybody waits for it",
        "Broken.unmarked has no mark: anybody signed in or not could try it",
        "Broken.weaker asks for patient:see, meant was patient:edit",
    ]


@pytest.mark.parametrize("mark", ["require", "public"])
def test_a_mark_does_not_take_a_handler_that_is_not_async(mark):
    from clinic_app.services.access import Permission
    from clinic_app.ui.session import guard

    def handler(self):
        """Would keep every other client waiting."""

    with pytest.raises(TypeError, match="must be async"):
        (guard.require(Permission.PATIENT_SEE) if mark == "require" else guard.public)(handler)
