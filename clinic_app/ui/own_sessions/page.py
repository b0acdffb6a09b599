"""*Where you are signed in*, bound to its state: part of *Your account* and of *My record*."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.ui.own_sessions.state import OwnSessionsState
from clinic_app.ui.own_sessions.view import sessions_list


def own_sessions(**look: Any) -> rx.Component:
    """The list of whoever is signed in."""
    here = OwnSessionsState
    return sessions_list(
        sessions=here.sessions,
        notice=here.notice,
        failure=here.failure,
        on_end=lambda ident: here.end(ident),
        **look,
    )
