"""Who is signed in, as the frame around every staff page shows it; and refusals."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core.errors import ClinicError
from clinic_app.services import access
from clinic_app.services.access import Actor, Permission
from clinic_app.states import guard, show
from clinic_app.states.base import Asking, safe, text
from clinic_app.states.shown import Who


def _itself(actor: Actor) -> Actor:
    return actor


class ShellState(Asking, rx.State):
    """The signed-in person, and what a page they may not open says instead."""

    who: Who = Who()
    refusal: str = ""
    failure: str = ""

    def _fail(self, error: ClinicError) -> Any:
        self.failure = error.detail

    @rx.event
    @guard.require(Permission.OWN_SESSION)
    @safe
    async def enter(self):
        """First loader of every staff page: who is here; patients are sent to their own side."""
        self.refusal = self.failure = ""
        actor = await self._ask(_itself)
        if not actor.is_staff:
            return guard.way_out(self, actor)
        self.who = show.who(actor)
        return None

    @rx.event
    @guard.public
    @safe
    async def show_refusal(self, permission: str):
        """Say whose this is. Anybody may fire it: it shows a constant sentence and changes nothing else."""
        try:
            self.refusal = access.REFUSALS.get(Permission(text(permission)), "")
        except ValueError:
            self.refusal = ""

    @rx.event
    @guard.public
    @safe
    async def show_failure(self, reference: str):
        """Say that something went wrong, under which reference."""
        plain = text(reference, 16)
        self.failure = f"Something went wrong. Please try again. Reference: {plain}" if plain.isalnum() else ""
