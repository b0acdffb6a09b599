"""A press counts once: which press was answered last, and what became of one while the line was away.

``assets/press.js`` names each press (``<intent>-<try>``), marks its button and waits until ``answered`` names it. After
a new connection, which it knows by ``line``, it asks about presses without an answer (``resuming``).
"""

from __future__ import annotations

import re
import secrets
from typing import Any, TypeVar

import reflex as rx

from clinic_app.core import clock
from clinic_app.services.audit.actions import Action
from clinic_app.services.intents import Done

_PRESS = re.compile(r"([0-9a-f]{32})-[0-9]{1,4}")
NO_LONGER_SHOWN = "The password is no longer shown: reset it to hand over a new one."
#: Over fresh credentials in place of some that were on the screen; and where there are none.
REPLACED = "The password that was shown here before no longer works. The password below is a fresh one."
NO_LONGER_WORKS = (
    "The password that was shown here no longer works.",
    "Another one was issued meanwhile, or access was turned off. Reset it to hand over a new one.",
)
#: What the pressed button said.
BUTTONS: dict[str, str] = {
    Action.PATIENT_CREATED: "Register patient",
    Action.PATIENT_UPDATED: "Save changes",
    Action.PORTAL_ACCOUNT_CREATED: "Create Portal Account",
    Action.PORTAL_PASSWORD_RESET: "Reset temporary password",
    Action.PORTAL_USERNAME_CHANGED: "Change username",
    Action.PORTAL_UNLOCKED: "Unlock",
    Action.PORTAL_INVITED: "Resend invitation",
    Action.PORTAL_ADDRESS_CORRECTED: "Save and send again",
    Action.PORTAL_TURNED_OFF: "Turn off portal access",
    Action.PORTAL_TURNED_ON: "Turn on portal access",
    Action.PATIENT_VERIFIED: "Verify as new patient",
    Action.REGISTRATION_LINKED: "Link to this patient",
    Action.REGISTRATION_LINK_UNDONE: "Undo",
    Action.REGISTRATION_REJECTED: "Reject registration",
    Action.PATIENT_MERGED: "Merge",
    Action.PATIENT_MERGE_UNDONE: "Undo merge",
    Action.NOT_A_DUPLICATE: "Not a duplicate",
    Action.NOT_A_DUPLICATE_UNDONE: "Undo",
    Action.STAFF_CREATED: "Create account",
    Action.STAFF_DISABLED: "Turn off account",
    Action.STAFF_ENABLED: "Turn on account",
    Action.STAFF_PASSWORD_RESET: "Reset password",
    Action.STAFF_ROLE_CHANGED: "Save role",
    Action.TWO_FACTOR_RESET: "Reset two-factor sign-in",
    Action.ACCOUNT_UNLOCKED: "Unlock",
    Action.SESSIONS_ENDED: "Sign out",
}
#: Form → what is said when its press was swallowed. Others are told in general.
NOT_SENT: dict[str, tuple[str, str]] = {
    "registration": (
        "The registration was not sent.",
        "The line was away. Nothing was registered, and what you typed is here. Press Register patient again.",
    ),
    "": ("It was not sent.", "The line was away. Nothing was changed. Press the button again."),
}
State = TypeVar("State", bound=type)


class PressState(rx.State):
    """Of the tab, whichever page is open."""

    line: str = ""  # another one after every connection and on every page
    answered: str = ""  # "<press> done", "<press> refused" or "<press> lost"
    told: str = ""  # what became of a press, said above the page
    told_more: str = ""
    bad: bool = False
    lost: bool = False  # what is told is that a press was not sent: until the next one has its answer
    _socket: str = ""
    _path: str = ""
    _again: bool = False
    _found: str = ""  # the intent whose outcome was shown instead of doing it again
    _unread: str = ""  # the press whose credentials could not be shown: its line had gone
    _silent: bool = False  # the press that is being served gets no answer: the same

    def _tell(self, words: str, more: str = "", *, bad: bool = False, lost: bool = False) -> None:
        self.told, self.told_more, self.bad, self.lost = words, more, bad, lost

    def _tell_lost_no_more(self) -> None:
        if self.lost:
            self._tell("")


def press_of(given: Any) -> str:
    """The press that came with a handler's arguments: the last one, or the field ``intent`` of a form. Else empty."""
    value = given.get("intent") if isinstance(given, dict) else given
    return value if isinstance(value, str) and _PRESS.fullmatch(value) else ""


def intent_of(press: str) -> str:
    """What stays the same when a press is tried again."""
    return press.partition("-")[0]


def fields_of(given: Any) -> str:
    """Which form it was, of those with a sentence of their own."""
    return given if isinstance(given, str) and given in NOT_SENT else ""


async def answer(state: Any, press: str, how: str) -> None:
    """Tell the browser that ``press`` has its answer. The first one stands."""
    presses = await state.get_state(PressState)
    if presses._silent:
        presses._silent = False
    elif press and press not in (presses.answered.partition(" ")[0], presses._unread):
        presses._tell_lost_no_more()
        presses.answered = f"{press} {'done' if presses._found == intent_of(press) else how}"


async def dialog_closed(state: Any) -> None:
    """What a dialog said of its press that was not sent was read there."""
    (await state.get_state(PressState))._tell_lost_no_more()


async def leave_unanswered(state: Any) -> None:
    """Take the answer to the last press back: it is done, and nobody is there to read the credentials it issued.

    The browser asks after its next connection, and is shown fresh ones.
    """
    presses = await state.get_state(PressState)
    presses._unread, presses.answered = presses.answered.partition(" ")[0], ""


async def stay_silent(state: Any) -> None:
    """The press that is being served was carried out before, and nobody is there to read what it issued: no answer."""
    (await state.get_state(PressState))._silent = True


def socket_of(state: Any) -> str:
    """Which connection an event came by."""
    return str(state.router.session.session_id or "")


async def enter_line(state: Any, path: str) -> None:
    """Every page's first loader calls it: here begins a page, or the same one goes on after a lost connection."""
    presses = await state.get_state(PressState)
    socket = socket_of(state)
    presses._again = socket != presses._socket and path == (presses._path or path)
    presses._socket, presses._path, presses.line = socket, path, secrets.token_hex(4)
    if not presses._again:
        presses._tell("")


async def goes_on(state: Any) -> bool:
    """Whether the page that is being loaded was open already, and what is on it stays."""
    return (await state.get_state(PressState))._again


_shown_by: dict[str, type] = {}


def shows(*actions: Action) -> Any:
    """Mark a state that can show what these actions have done: ``async def _happened(self, done: Done)``."""

    def decorate(state: State) -> State:
        _shown_by.update(dict.fromkeys((str(action) for action in actions), state))
        return state

    return decorate


def happened_words(done: Done) -> str:
    """``The line was away when you pressed Save changes. It happened once, at 10:41.``"""
    button, at = BUTTONS.get(done.action, ""), f"{clock.local(done.done_at):%H:%M}"
    return f"The line was away when you pressed {button or 'the button'}. It happened once, at {at}."


def left_words(done: Done) -> tuple[str]:
    """What somebody reads who has left, or closed, the credentials of a press."""
    first = {Action.PATIENT_CREATED: "Registered.", Action.PORTAL_ACCOUNT_CREATED: "Portal account created."}
    return (f"{first.get(Action(done.action), 'Done.')} {NO_LONGER_SHOWN}",)


async def show(state: Any, done: Done) -> Any:
    """Lead the screen to what a press has done, instead of doing it again."""
    (await state.get_state(PressState))._found = done.intent
    if (found := _shown_by.get(done.action)) is not None:
        return await (await state.get_state(found))._happened(done)
    (await state.get_state(PressState))._tell(happened_words(done))
    return None
