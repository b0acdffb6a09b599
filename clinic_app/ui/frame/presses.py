"""What every page has for presses: where the browser finds their answers, and what became of one it lost."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.kit.base import sentence, when
from clinic_app.ui.kit.feedback import note
from clinic_app.ui.session.presses import PressState
from clinic_app.ui.session.resuming import ResumeState


def press_region() -> rx.Component:
    """For ``press.js``: which connection this is, which press was answered, and the form by which it asks."""
    names = ("intent", "what", "left", "had")
    return rx.el.form(
        *[rx.el.input(type="hidden", name=name, default_value="") for name in names],
        id="press",
        hidden=True,
        custom_attrs={"data-line": PressState.line, "data-answered": PressState.answered},
        on_submit=ResumeState.resume,
    )


def _words() -> tuple[rx.Component, rx.Component]:
    first = rx.el.p(sentence(PressState.told), class_name=when(PressState.told_more, "strong", ""))
    return first, when(PressState.told_more, rx.el.p(sentence(PressState.told_more)))


def lost_note() -> rx.Component:
    """In a dialog: that what was pressed there was not sent. What stands above the page is out of sight then."""
    return when(PressState.lost, note("warn", *_words(), role="alert"))


def told_note() -> rx.Component:
    """What became of a press while the line was away; not there while there is nothing to say."""
    words = _words()
    focus = {"data-takes-focus": PressState.told}  # also where the dialog that it is about was far below
    bad = note("warn", *words, role="alert", tab_index=-1, custom_attrs=focus)
    return when(PressState.told, when(PressState.bad, bad, note("info", *words, role="status")))
