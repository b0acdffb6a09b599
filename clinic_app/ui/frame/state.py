"""Who is signed in, as the frame around every staff page shows it; and refusals."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.own_sessions import take_failed_tries
from clinic_app.ui import presenters
from clinic_app.ui.session import guard
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.handler import Asking, handler, text
from clinic_app.ui.view_models import Who


def _itself(actor: Actor) -> Actor:
    return actor


class ShellState(Asking, rx.State):
    """The signed-in person, and what went wrong with the page as a whole."""

    who: Who = Who()
    failure: str = ""
    tries: str = ""  # what failed before this sign-in, said once

    def _fail(self, error: ClinicError) -> Any:
        self.failure = error.detail

    @handler(Permission.OWN_SESSION)
    async def enter(self):
        """First loader of every staff page: who is here; patients are sent to their own side."""
        self.failure = ""
        (await self.get_state(guard.Refusal)).words = ""
        actor = await self._ask(_itself)
        path = str(self.router.url.path or "").rstrip("/") or routes.RECEPTION
        if not actor.is_staff or (actor.held_back and path != routes.ACCOUNT):
            return guard.way_out(self, actor)
        self.who = presenters.who(actor)
        told = await self._ask(take_failed_tries) if path == routes.RECEPTION else None
        if told is not None:
            self.tries = presenters.failed_tries(told)
        elif path != routes.RECEPTION:
            self.tries = ""  # it has been read
        return None

    @handler(PUBLIC)
    async def show_failure(self, reference: str):
        """Say that something went wrong, under which reference."""
        plain = text(reference, 16)
        self.failure = f"Something went wrong. Please try again. Reference: {plain}" if plain.isalnum() else ""
