"""What the product says back: notes, badges, empty states, skeletons, a meter, a strength."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.ui.kit.base import cx, icon, pick, row

_NOTE_ICONS = {
    "good": "circle-check",
    "warn": "triangle-alert",
    "bad": "circle-alert",
    "info": "info",
    "idle": "info",
}


def note(tone: str, *body: Any, name: str = "", **props: Any) -> rx.Component:
    """A message box. Tone is colour, icon and words together, never colour alone."""
    return rx.el.div(
        icon(name or _NOTE_ICONS[tone], 18, "mark"),
        rx.el.div(*body, class_name="grow"),
        class_name=cx("note", tone),
        **props,
    )


def failure_note(title: Any, detail: Any, attempt: Any = "1") -> rx.Component:
    """A mistake that belongs to no field: what happened, then what to do. Takes the focus."""
    return note(
        "bad",
        rx.el.p(title, class_name="strong"),
        rx.el.p(detail),
        role="alert",
        tab_index=-1,
        custom_attrs={"data-takes-focus": attempt},
    )


def badge(text: Any, tone: Any, name: Any = "") -> rx.Component:
    """A status word with a dot, or an icon of a small set. Dark text on a pale ground: 8:1 and more."""
    dot = rx.el.span(class_name="dot mark", aria_hidden="true")
    if isinstance(name, rx.Var):
        mark = pick(name, {known: icon(known, 12, "mark") for known in ("check", "clock")}, dot)
    else:
        mark = icon(name, 12, "mark") if name else dot
    return rx.el.span(mark, text, class_name="badge " + tone)


def portal_status(status: Any) -> rx.Component:
    """The ``Portal Status`` column: on or off, with a clock while the password is a temporary one."""
    waiting = badge("Active", "good", "clock")
    on = badge("Active", "good")
    cases = {"active": on, "temporary": waiting, "expired": waiting, "locked": on}
    return pick(status, cases, badge("Disabled", "idle"))


def portal_badge() -> rx.Component:
    """What stands where the button was, once access exists."""
    return rx.el.span("✓ Portal Active", class_name="badge good")


def empty(name: str, title: Any, text: Any, *actions: Any, heading: Any = rx.el.h2) -> rx.Component:
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


def live(text: Any = "", ident: str = "status") -> rx.Component:
    """Where quiet changes are said: counts, Saved."""
    return rx.el.p(text, id=ident, role="status", class_name="sr")


def meter(width: Any, label: Any) -> rx.Component:
    """A thin bar for a share of a whole (``62%``); the words beside it carry the figure."""
    return rx.el.div(rx.el.span(style={"width": width}), class_name="meter", role="img", aria_label=label)


def strength(ident: str, *, score: int = 0, word: str = "", why: str = "") -> rx.Component:
    """Password strength: four bars, a word, and what would be better, announced when it changes.

    ``password.js`` fills it for the field that has ``data-strength`` = ``ident``; nothing in it may
    depend on state, or React would take the script's words away.
    """
    bars = rx.el.div(
        *[rx.el.span() for _ in range(4)],
        class_name=f"strength s{score}",
        aria_hidden="true",
        custom_attrs={"data-strength-bars": ""},
    )
    return rx.el.div(
        row(
            rx.el.span("Strength", class_name="muted"),
            rx.el.span(word, class_name="strong", custom_attrs={"data-strength-word": ""}),
            cls="between",
        ),
        bars,
        rx.el.p(why, class_name="muted small", custom_attrs={"data-strength-why": ""}),
        role="status",
        class_name="stack g2",
        custom_attrs={"id": ident},
    )


def suggest_passphrase(*fields: str) -> rx.Component:
    """*Suggest a passphrase*: ``password.js`` asks the server for one, fills it into ``fields`` and shows it."""
    targets = ",".join(fields or ("new_password", "confirm_password"))
    return rx.el.div(
        rx.el.button(
            "Suggest a passphrase", type="button", class_name="in-btn bare", custom_attrs={"data-suggest": targets}
        ),
        rx.el.p(role="status", class_name="muted small", custom_attrs={"data-suggest-status": ""}),
    )
