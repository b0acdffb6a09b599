"""*Where you are signed in*: one's own sessions, on the desk's account page and on the patient's record alike."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError, NotFound
from clinic_app.services.access import Permission
from clinic_app.services.accounts.own_sessions import end_own_session, list_own_sessions
from clinic_app.ui import presenters
from clinic_app.ui.session import guard, identity, live_updates
from clinic_app.ui.session.drawn import keeps_a_page
from clinic_app.ui.session.handler import Asking, handler
from clinic_app.ui.session.presses import press_of
from clinic_app.ui.view_models import SessionRow


@keeps_a_page
class OwnSessionsState(Asking, rx.State):
    """The open sessions of whoever is signed in, and ending one of them."""

    sessions: list[SessionRow] = []
    notice: str = ""
    failure: str = ""
    _seen: int = 0

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail

    def _leave(self, path: str) -> None:
        if path not in (routes.ACCOUNT, routes.PORTAL) and self.sessions:
            self.reset()

    def _meant(self, given: Any) -> int:
        """The id of the session a row was drawn for: the service knows whose it is."""
        return given if type(given) is int else 0

    async def _read(self, *, touch: bool = True) -> list[SessionRow]:
        return [presenters.own_session(one) for one in await self._ask(list_own_sessions, touch=touch)]

    @handler(Permission.OWN_SESSION)
    async def load(self):
        """The list, as it is now."""
        self.notice = self.failure = ""
        self._seen = live_updates.changes.number
        self.sessions = await self._read()

    @handler(Permission.OWN_SESSION, background=True)
    async def watch(self):
        """Sessions that end elsewhere, as they end; and this page when its own is over."""
        actor = await identity.actor_of(self, touch=False)
        async for _ in live_updates.news(self, self._seen, patient_side=actor.patient_id is not None):
            found = await self._read(touch=False)
            async with self:
                self.sessions = found
        yield guard.way_out(self, await identity.actor_of(self, touch=False))

    @handler(Permission.OWN_SESSION, about="session_id", changes=True)
    async def end(self, session_id: int, press: str = ""):
        """*Sign out* beside one session. The row goes, and with it the button that had the focus."""
        self.notice = self.failure = ""
        try:
            await self._ask(end_own_session, session_id, press=press_of(press))
            self.notice = "That device has been signed out."
        except NotFound as over:
            self.failure = over.detail
        self.sessions = await self._read()
        return rx.set_focus("sessions-said")
