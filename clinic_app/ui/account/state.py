"""*Your account*: own password and second factor. And the two pages that ask for a proof again.

Passwords, codes and secrets never come here: browsers post the forms themselves, and what is secret is shown by
plain pages (web/two_factor.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import flash
from clinic_app.services.accounts.two_factor import own_two_factor
from clinic_app.services.patients import wording
from clinic_app.ui import presenters
from clinic_app.ui.session import guard, identity
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.handler import Asking, handler, text


def _itself(actor: Actor) -> Actor:
    return actor


class AccountState(Asking, rx.State):
    """One's own account. While something has to be done first, only that is shown."""

    mode: str = "loading"  # loading, choose (a temporary password), set_up (a second factor) or shown
    username: str = ""
    errors: dict[str, str] = {}
    failure: str = ""
    notice: str = ""
    two_factor_since: str = ""  # empty where it is off
    codes_left: int = 0
    required: bool = False
    _socket: str = ""

    def _fail(self, error: ClinicError) -> Any:
        self.failure = error.detail

    @handler(Permission.OWN_SESSION)
    async def load(self):
        """How the account stands, and what the server noted about the last form."""
        actor = await self._ask(_itself)
        if not actor.is_staff:
            return guard.way_out(self, actor)
        note = await asyncio.to_thread(flash.pop_note, identity.flash_hash(self))
        socket, self._socket = self._socket, self.router.session.session_id
        if note or socket == self._socket:  # after a lost connection what is shown stays
            errors = note.get("errors") or {}
            self.errors = {name: text(words) for name, words in errors.items() if isinstance(name, str)}
            self.failure, self.notice = text(note.get("message")), text(note.get("notice"))
        self.username = actor.username
        if actor.must_choose_password:
            self.mode = "choose"
            return None
        factor = await self._ask(own_two_factor)
        self.two_factor_since = wording.date_words(presenters.day_of(factor.enabled_at)) if factor.enabled_at else ""
        self.codes_left, self.required = factor.codes_left, factor.required
        self.mode = "set_up" if actor.must_set_up_second_factor else "shown"
        return None


class ConfirmState(Asking, rx.State):
    """*Confirm it is you*: where it leads, whether a code is asked for, and what was wrong the last time."""

    next: str = routes.ACCOUNT
    username: str = ""
    asks_code: bool = False
    password_error: str = ""
    code_error: str = ""
    failure: str = ""

    def _fail(self, error: ClinicError) -> Any:
        self.failure = error.detail

    @handler(Permission.OWN_SESSION)
    async def load(self):
        """What the form needs to know."""
        actor = await self._ask(_itself)
        if not actor.is_staff:
            return guard.way_out(self, actor)
        self.next = routes.after_confirming(text(self.router.url.query_parameters.get("next", ""), 120))
        self.username = actor.username
        if actor.can(Permission.OWN_SECOND_FACTOR):
            self.asks_code = (await self._ask(own_two_factor)).enabled_at is not None
        note = await asyncio.to_thread(flash.pop_note, identity.flash_hash(self))
        if note:
            errors = note.get("errors") or {}
            self.password_error, self.code_error = text(errors.get("password")), text(errors.get("code"))
            self.failure = "" if errors else text(note.get("message"))
        return None


class CodeState(Asking, rx.State):
    """The second step of signing in: what was wrong with the last code."""

    message: str = ""

    def _fail(self, error: ClinicError) -> Any:
        self.message = error.detail

    @handler(PUBLIC)
    async def load(self):
        """Show the note of a refused code. None after a reconnect: then what is shown stays."""
        note = await asyncio.to_thread(flash.pop_note, identity.flash_hash(self))
        if note:
            self.message = text(note.get("message"))
