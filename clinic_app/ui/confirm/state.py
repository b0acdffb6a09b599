"""*Confirm it is you*. Password and code never come here: the browser posts the form itself."""

from __future__ import annotations

import asyncio

import reflex as rx

from clinic_app.core import addresses, routes
from clinic_app.core.errors import ClinicError
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Permission
from clinic_app.services.accounts import flash
from clinic_app.services.accounts.passkeys import own_passkeys
from clinic_app.services.accounts.two_factor import own_two_factor
from clinic_app.ui.session import guard, identity
from clinic_app.ui.session.handler import Asking, handler, text


class ConfirmState(Asking, rx.State):
    """Where it leads, whether a code is asked for, and what was wrong the last time."""

    next: str = routes.ACCOUNT
    username: str = ""
    asks_code: bool = False
    passkey_site: str = ""  # where the account has a passkey: what it is made for
    password_error: str = ""
    code_error: str = ""
    failure: str = ""

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail

    @handler(Permission.OWN_SESSION)
    async def load(self):
        """What the form needs to know."""
        actor = await identity.actor_of(self)
        if not actor.is_staff:
            return guard.way_out(self, actor)
        self.next = routes.after_confirming(text(self.router.url.query_parameters.get("next", ""), 120))
        self.username = actor.username
        if actor.can(Permission.OWN_SECOND_FACTOR):
            self.asks_code = (await self._ask(own_two_factor)).enabled_at is not None
        site = addresses.passkey_site(get_settings())
        if site and actor.can(Permission.OWN_PASSKEYS) and await self._ask(own_passkeys):
            self.passkey_site = site
        note = await asyncio.to_thread(flash.pop_note, identity.flash_hash(self))
        if note:
            errors = note.get("errors") or {}
            self.password_error, self.code_error = text(errors.get("password")), text(errors.get("code"))
            self.failure = "" if errors else text(note.get("message"))
        return None
