"""*Where you are signed in*: one's own sessions, on the desk's account page and on the patient's record alike."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core.errors import ClinicError, NotFound
from clinic_app.services.access import Permission
from clinic_app.services.accounts.own_sessions import end_own_session, list_own_sessions
from clinic_app.states import guard, live, show
from clinic_app.states.base import Asking, safe
from clinic_app.states.shown import SessionRow


class OwnSessionsState(Asking, rx.State):
    """The open sessions of whoever is signed in, and ending one of them."""

    sessions: list[SessionRow] = []
    notice: str = ""
    failure: str = ""
    _seen: int = 0

    def _fail(self, error: ClinicError) -> Any:
        self.failure = error.detail

    async def _read(self, *, touch: bool = True) -> list[SessionRow]:
        return [show.own_session(one) for one in await self._ask(list_own_sessions, touch=touch)]

    @rx.event
    @guard.require(Permission.OWN_SESSION)
    @safe
    async def load(self):
        """The list, as it is now."""
        self.notice = self.failure = ""
        self._seen = live.changes.number
        self.sessions = await self._read()

    @rx.event(background=True)
    @guard.require(Permission.OWN_SESSION)
    @safe
    async def watch(self):
        """Sessions that end elsewhere, as they end; and this page when its own is over."""
        actor = await guard.actor_of(self, touch=False)
        async for _ in live.news(self, self._seen, patient_side=actor.patient_id is not None):
            found = await self._read(touch=False)
            async with self:
                self.sessions = found
        yield guard.way_out(self, await guard.actor_of(self, touch=False))

    @rx.event
    @guard.require(Permission.OWN_SESSION)
    @safe
    async def end(self, session_id: int):
        """*Sign out* beside one session. The row goes, and with it the button that had the focus."""
        self.notice = self.failure = ""
        try:
            await self._ask(end_own_session, session_id if isinstance(session_id, int) else 0)
            self.notice = "That device is signed out."
        except NotFound as over:
            self.failure = over.detail
        self.sessions = await self._read()
        return rx.set_focus("sessions-said")
