"""*My record*: the signed-in patient's own, decided by the session alone."""

from __future__ import annotations

import asyncio

import reflex as rx

from clinic_app.core import addresses
from clinic_app.core.errors import ClinicError
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Permission
from clinic_app.services.accounts import flash
from clinic_app.services.accounts.own_sessions import take_failed_tries
from clinic_app.services.accounts.passkeys import own_passkeys
from clinic_app.services.patients import wording
from clinic_app.services.portal.own_record import own_record
from clinic_app.ui import presenters
from clinic_app.ui.session import identity
from clinic_app.ui.session.drawn import path_of
from clinic_app.ui.session.handler import Asking, handler, text
from clinic_app.ui.session.presses import enter_line
from clinic_app.ui.view_models import Fact, Look


class OwnRecordState(Asking, rx.State):
    """A patient's own details and who has looked at them."""

    first_name: str = ""
    details: list[Fact] = []
    contact: list[Fact] = []
    viewers: list[Look] = []
    viewed: str = ""  # how many there are, where not all are shown
    username: str = ""
    password_since: str = ""
    passkeys: str = ""  # how many there are; empty where there can be none
    email_waits: str = ""  # another email that has to be confirmed, and until when
    email_waits_until: str = ""
    notice: str = ""  # what became of the form before
    refused: str = ""
    failure: str = ""
    tries: str = ""  # what failed before this sign-in, said once
    loaded: bool = False

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail

    @handler(Permission.OWN_RECORD)
    async def load(self):
        """Ask for the record. A temporary password is sent to choose one's own first."""
        self.failure = ""
        await enter_line(self, path_of(self))
        note = await asyncio.to_thread(flash.pop_note, identity.flash_hash(self))
        if note:  # after a lost connection what is shown stays
            self.notice, self.refused = text(note.get("notice")), text(note.get("message"))
        view = await self._ask(own_record)
        self.first_name = view.first_name
        self.details, self.contact = presenters.own_details(view), presenters.own_contact(view)
        self.viewers = [presenters.viewing(look) for look in view.viewings]
        self.viewed = f"{view.viewed:,}" if view.viewed > len(self.viewers) else ""
        self.email_waits = view.email_waits
        self.email_waits_until = presenters.until(view.email_waits_until)
        self.username = view.username
        since = view.password_since
        self.password_since = f"Changed {wording.date_words(presenters.day_of(since))}" if since else ""
        possible = addresses.passkey_site(get_settings())
        self.passkeys = presenters.passkeys(await self._ask(own_passkeys)) if possible else ""
        told = await self._ask(take_failed_tries)
        if told is not None:  # after a lost connection what is shown stays
            self.tries = presenters.failed_tries(told)
        self.loaded = True
