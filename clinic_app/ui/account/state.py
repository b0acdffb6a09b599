"""*Your account*: own password, second factor and passkeys.

Passwords, codes and secrets never come here: browsers post the forms themselves, and what is secret is shown by
plain pages (web/two_factor.py, web/passkeys.py).
"""

from __future__ import annotations

import asyncio

import reflex as rx

from clinic_app.core import addresses
from clinic_app.core.counts import plural
from clinic_app.core.errors import ClinicError
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import flash
from clinic_app.services.accounts.passkeys import own_passkeys
from clinic_app.services.accounts.two_factor import own_two_factor
from clinic_app.services.patients import wording
from clinic_app.ui import presenters
from clinic_app.ui.session import guard, identity
from clinic_app.ui.session.handler import Asking, handler, text


class AccountState(Asking, rx.State):
    """One's own account. While something has to be done first, only that is shown."""

    mode: str = "loading"  # loading, set_up (a second factor) or shown
    username: str = ""
    errors: dict[str, str] = {}
    failure: str = ""
    notice: str = ""
    two_factor_since: str = ""  # empty where it is off
    codes_left: int = 0
    required: bool = False
    has_passkeys: bool = False  # whether there can be any at the address people type
    passkeys: str = ""
    _socket: str = ""

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail

    async def _read_passkeys(self, actor: Actor) -> None:
        """How many there are; nothing where there can be none, or while something has to be done first."""
        self.has_passkeys = bool(addresses.passkey_site(get_settings())) and not actor.held_back
        kept = len(await self._ask(own_passkeys)) if self.has_passkeys else 0
        self.passkeys = f"You have {plural(kept, 'passkey')}." if kept else ""

    @handler(Permission.OWN_SESSION)
    async def load(self):
        """How the account stands, and what the server noted about the last form."""
        actor = await identity.actor_of(self)
        if not actor.is_staff or actor.must_choose_password:
            return guard.way_out(self, actor)
        note = await asyncio.to_thread(flash.pop_note, identity.flash_hash(self))
        socket, self._socket = self._socket, self.router.session.session_id
        if note or socket == self._socket:  # after a lost connection what is shown stays
            errors = note.get("errors") or {}
            self.errors = {name: text(words) for name, words in errors.items() if isinstance(name, str)}
            self.failure, self.notice = text(note.get("message")), text(note.get("notice"))
        self.username = actor.username
        factor = await self._ask(own_two_factor)
        self.two_factor_since = wording.date_words(presenters.day_of(factor.enabled_at)) if factor.enabled_at else ""
        self.codes_left, self.required = factor.codes_left, factor.required
        await self._read_passkeys(actor)
        self.mode = "set_up" if actor.must_set_up_second_factor else "shown"
        return None
