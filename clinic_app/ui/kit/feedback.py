"""What the product says back: notes, badges, empty states, skeletons, a meter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.kit.base import Child, Text, apart, cx, icon, link, pick, sentence, when
from clinic_app.ui.view_models import PatientRow

_NOTE_ICONS = {
    "good": "circle-check",
    "warn": "triangle-alert",
    "bad": "circle-alert",
    "info": "info",
    "idle": "info",
}


def note(tone: str, *body: Child, name: str = "", **props: Any) -> rx.Component:
    """A message box. Tone is colour, icon and words together, never colour alone."""
    return rx.el.div(
        icon(name or _NOTE_ICONS[tone], 18, "mark"),
        rx.el.div(*body, class_name="grow"),
        class_name=cx("note", tone),
        **props,
    )


def success_note(words: Text) -> rx.Component:
    """What was done; not there while there is nothing to say."""
    return when(words, note("good", rx.el.p(sentence(words)), role="status"))


def told(words: Text) -> rx.Component:
    """Why something was refused; with a link to the record that stays, where one was merged (``PatientMerged``)."""
    if not isinstance(words, rx.Var):
        return sentence(words)
    stays = words.to(str).split(" was merged into ")[1].split(".")[0]
    opens = rx.fragment(" ", link("Open ", apart(stays), href=routes.PATIENTS + "/" + stays))
    return rx.fragment(sentence(words), when(words.to(str).contains(". Open that record instead."), opens))


def error_note(words: Text) -> rx.Component:
    """What went wrong; not there while nothing did."""
    return when(words, note("bad", rx.el.p(told(words)), role="alert"))


def failure_note(title: Text, detail: Text, attempt: Text = "1") -> rx.Component:
    """A mistake that belongs to no field: what happened, then what to do. Takes the focus."""
    return note(
        "bad",
        rx.el.p(sentence(title), class_name="strong"),
        rx.el.p(told(detail)),
        role="alert",
        tab_index=-1,
        custom_attrs={"data-takes-focus": attempt},
    )


def badge(text: Text, tone: Text, name: Text = "") -> rx.Component:
    """A status word with a dot, or an icon of a small set. Dark text on a pale ground: 8:1 and more."""
    dot = rx.el.span(class_name="dot mark", aria_hidden="true")
    if isinstance(name, rx.Var):
        mark = pick(name, {known: icon(known, 12, "mark") for known in ("check", "clock", "circle-alert")}, dot)
    else:
        mark = icon(name, 12, "mark") if name else dot
    return rx.el.span(mark, apart(text), class_name="badge " + tone)


def portal_status(patient: PatientRow) -> rx.Component:
    """The ``Portal Status`` column: on or off, and under it in amber what the desk should see to, if anything.

    Where nothing is, a clock in the badge says that the password is still a temporary one.
    """
    on = badge("Active", "good")
    marks = {"locked": "lock", "failed": "mail-x", "soon": "clock", "never": "log-in"}
    mark = pick(patient.due, {due: icon(name, 12) for due, name in marks.items()}, icon("clock-alert", 12))
    amber = rx.el.span(mark, apart(patient.due_words), class_name="due")
    active = when(patient.due_words, rx.el.span(on, amber, class_name="statuses"), on)
    waiting = when(patient.due_words, active, badge("Active", "good", "clock"))
    cases = {"active": active, "temporary": waiting, "expired": active, "locked": active}
    return pick(patient.portal, cases, badge("Disabled", "idle"))


def portal_badge() -> rx.Component:
    """What stands where the button was, once access exists."""
    return rx.el.span("✓ Portal Active", class_name="badge good")


def empty(
    name: str, title: Child, text: Child, *actions: Child, heading: Callable[..., rx.Component] = rx.el.h2
) -> rx.Component:
    """Nothing here, why, and the next step. ``heading=rx.el.h1`` where the page has no other."""
    doing = [rx.el.div(*actions, class_name="actions")] if actions else []
    return rx.el.div(
        rx.el.div(icon(name, 26), class_name="glyph"),
        heading(title, class_name="break"),
        rx.el.p(text),
        *doing,
        class_name="empty",
    )


def bone(width: str, cls: str = "") -> rx.Component:
    """One grey bar of a skeleton, as wide as the words it stands for."""
    return rx.el.span(class_name=cx("bone", cls), **({"style": {"width": width}} if width else {}))


def disc(tone: str, name: str) -> rx.Component:
    """A round mark in front of a dialog's title."""
    return rx.el.span(icon(name, 22, "mark"), class_name=cx("disc", tone), aria_hidden="true")


def meter(width: Text, label: Text) -> rx.Component:
    """A thin bar for a share of a whole (``62%``); the words beside it carry the figure."""
    return rx.el.div(rx.el.span(style={"width": width}), class_name="meter", role="img", aria_label=label)
