"""*Where you are signed in*: the list of one's own sessions, for the desk's card and the patient's sheet."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import apart, cx, stack, when
from clinic_app.ui.kit.feedback import badge, error_note, success_note
from clinic_app.ui.own_sessions.state import OwnSessionsState as State
from clinic_app.ui.view_models import SessionRow

TITLE = "Where you are signed in"
EVERYWHERE = "Signs you out on every device, this one as well."


def _session(one: SessionRow, size: str) -> rx.Component:
    end = forms.press_button(
        "Sign out",
        rx.el.span(" ", apart(one.what), class_name="sr"),
        called="end-" + one.id.to_string(),
        on_press=lambda press: State.end(one.id, press),
        variant="outline",
        size=size,
    )
    words = rx.el.div(
        rx.el.p(apart(one.what), class_name="strong"),
        rx.el.p(apart(one.line), class_name="muted small"),
        class_name="grow",
    )
    return rx.el.li(
        rx.el.div(words, when(one.this_one, badge("This device", "good"), end), class_name="line"), key=one.id
    )


def own_sessions(*, size: str = "2", wide: bool = False) -> rx.Component:
    """Every session of whoever is signed in, with its way out, and all at once."""
    said = rx.el.div(success_note(State.notice), error_note(State.failure), tab_index=-1, id="sessions-said")
    everywhere = forms.plain_form(
        rx.el.p(EVERYWHERE, class_name="muted small", id="everywhere-means"),
        rx.el.div(
            rx.button(
                "Sign out everywhere",
                type="submit",
                variant="outline",
                size=size,
                class_name=cx("danger", "wide" if wide else ""),
                aria_describedby="everywhere-means",
            ),
            class_name="actions",
        ),
        action=routes.SIGN_OUT_EVERYWHERE,
        class_name="stack g3",
    )
    rows = rx.el.ul(rx.foreach(State.sessions, lambda one: _session(one, size)), class_name="rows")
    return stack(rx.el.div(said, rows), everywhere, gap=4)
