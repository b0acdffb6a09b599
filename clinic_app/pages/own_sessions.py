"""*Where you are signed in*, bound to its state: part of *Your account* and of *My record*."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.components.own_sessions import sessions_list
from clinic_app.states.own_sessions import OwnSessionsState


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
