"""The sign-in pages, the second step, *Choose your password*: what the server noted about the last try, shown once."""

from __future__ import annotations

import asyncio

import reflex as rx

from clinic_app.core.errors import ClinicError
from clinic_app.services.access import Permission
from clinic_app.services.accounts import flash
from clinic_app.ui.session import guard, identity
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.handler import Asking, handler, text


class SignInState(Asking, rx.State):
    """Both sign-in pages. The password never comes here: the browser posts the form itself."""

    message: str = ""
    username: str = ""
    expired: bool = False

    def _fail(self, error: ClinicError) -> None:
        self.message = error.detail

    @handler(PUBLIC)
    async def load(self):
        """Show the note of a refused sign-in. None after a reconnect: then what is shown stays."""
        note = await asyncio.to_thread(flash.pop_note, identity.flash_hash(self))
        if note:
            self.message = text(note.get("message"))
            self.username = text(note.get("username"), 254)
            self.expired = note.get("expired") is True

    @handler(PUBLIC)
    async def again(self):
        """From the page that says the password has expired, back to the form."""
        self.message, self.username, self.expired = "", "", False


class CodeState(Asking, rx.State):
    """The second step of signing in: what was wrong with the last code."""

    message: str = ""

    def _fail(self, error: ClinicError) -> None:
        self.message = error.detail

    @handler(PUBLIC)
    async def load(self):
        """Show the note of a refused code. None after a reconnect: then what is shown stays."""
        note = await asyncio.to_thread(flash.pop_note, identity.flash_hash(self))
        if note:
            self.message = text(note.get("message"))


class ChoosePasswordState(Asking, rx.State):
    """*Choose your password*: the note of a refused try. Passwords never come here."""

    username: str = ""
    new_error: str = ""
    confirm_error: str = ""
    failure: str = ""

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail

    @handler(Permission.OWN_PASSWORD)
    async def load(self):
        """Only while the password is temporary; everybody else is sent to their own side."""
        actor = await identity.actor_of(self)
        if not actor.must_choose_password:
            return guard.way_out(self, actor)
        self.username = actor.username
        note = await asyncio.to_thread(flash.pop_note, identity.flash_hash(self))
        if note:
            errors = note.get("errors") or {}
            self.new_error = text(errors.get("new_password"))
            self.confirm_error = text(errors.get("confirm_password"))
            self.failure = text(note.get("message"))
        return None
