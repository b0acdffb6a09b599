"""*Create Portal Account*: the one dialog, for the list, the profile and after a registration.

The temporary password is in this state while it is shown, and nowhere else: closing, opening, leaving the page
and a timer all wipe it.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import reflex as rx
import segno

from clinic_app.core.errors import InvalidInput
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Permission
from clinic_app.services.accounts.staff import note_staff_printed
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.patients import wording
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.ui.session.form_state import CLOSED, DONE, INPUT, WORKING, FormState
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.handler import fields, handler, text

#: After so many minutes the credentials go, even if nobody closes the dialog.
SHOWN_MINUTES = 10
CREATED = "Portal Account Created!"
IN_PERSON = "Nothing was sent: hand these credentials over in person."


class PortalDialogState(FormState, rx.State):
    """Closed, a form waiting or at work, or done: the credentials are shown."""

    step: str = CLOSED
    title: str = ""  # over the credentials
    for_patient: str = ""
    for_staff: bool = False  # the credentials are a staff account's
    name: str = ""
    username: str = ""
    password: str = ""
    until: str = ""
    sent: str = ""
    address: str = ""  # where to sign in, as one types it
    qr: str = ""  # the same as a picture
    _turn: int = 0
    _staff_id: int = 0

    def _names(self) -> tuple[str, ...]:
        return ("email", "phone")

    def _ident(self, name: str) -> str:
        return f"portal-{name}"

    def _problem_in(self, name: str, value: str) -> str:
        try:
            PortalAccountRequest.parse({"email": "somebody@example.com", name: value})
        except InvalidInput as problem:
            return problem.fields.get(name, "")
        return ""

    def _wipe(self) -> None:
        self._begin_with({})
        self.step = CLOSED
        self.password = self.username = self.until = self.sent = self.address = self.qr = ""
        self.for_patient = self.name = ""
        self.for_staff, self._staff_id = False, 0
        self._turn += 1

    def _succeed(self, credentials: Credentials, patient_id: str, name: str, title: str, *, for_staff: int = 0) -> Any:
        """Show credentials. Called by other states too: a registration, a reset, a staff account (its id)."""
        self._wipe()
        self.for_staff, self._staff_id = for_staff > 0, for_staff
        self.for_patient, self.name, self.title = patient_id, name, title
        self.username, self.password = credentials.username, credentials.temporary_password
        left, at = wording.deadline_words(credentials.expires_at)
        self.until = f"{at} (in {left})"
        self.sent = IN_PERSON
        origin = get_settings().origin
        self.address = urlsplit(origin).netloc + credentials.login_url
        code = segno.make(origin + credentials.login_url, error="m")
        self.qr = code.svg_data_uri(border=0, dark="#111", omitsize=True)
        self.step = DONE
        return PortalDialogState.expire(self._turn)

    @handler(Permission.PORTAL_MANAGE)
    async def ask_for(self, patient_id: str):
        """Open the form for one patient, filled with the email and phone on record."""
        self._wipe()
        patient = await self._ask(reread_patient, text(patient_id, 20))
        self.for_patient, self.name = patient.patient_id, patient.name
        self._begin_with({"email": patient.email or "", "phone": wording.phone_words(patient.phone)})
        self.form_number += 1

    @handler(Permission.PORTAL_MANAGE)
    async def check_email(self, email: str):
        """On leaving the field."""
        self._check("email", email)

    @handler(Permission.PORTAL_MANAGE)
    async def check_phone(self, phone: str):
        """The same for the phone."""
        self._check("phone", phone)

    @handler(Permission.PORTAL_MANAGE)
    async def submit(self, form: dict[str, Any]):
        """Create the account. A second click or Enter while one is under way does nothing."""
        if self.step != INPUT or not self.for_patient:
            return
        wanted = PortalAccountRequest.parse(fields(form, self._names()))
        self._work()
        yield
        done = await self._ask(provisioning.create_portal_account, self.for_patient, wanted)
        yield self._succeed(done.credentials, done.patient.patient_id, done.patient.name, CREATED)

    @handler(Permission.PORTAL_MANAGE)
    async def change_open(self, wanted: bool):
        """Escape, a click outside, Cancel. Not while it works, and not over shown credentials."""
        if wanted is False and self.step == INPUT:
            self._wipe()

    @handler(Permission.OWN_SESSION)
    async def close(self):
        """*Close*: the password is gone from the page and from the server."""
        if self.step != WORKING:
            self._wipe()

    @handler(PUBLIC)
    async def forget(self):
        """On entering any page: nothing of an earlier dialog is left. Anybody may; it only wipes the tab's own."""
        self._wipe()

    @handler(Permission.PORTAL_MANAGE)
    async def printed(self):
        """Somebody pressed *Print* over shown credentials: that is recorded."""
        if self.step == DONE and self.for_patient:
            await self._ask(provisioning.note_printed, self.for_patient)
        if self.step == DONE and self._staff_id:
            await self._ask(note_staff_printed, self._staff_id)

    @handler(Permission.OWN_SESSION, background=True)
    async def expire(self, turn: int):
        """Wipe the credentials of this ``turn`` when their time is over."""
        await asyncio.sleep(SHOWN_MINUTES * 60)
        async with self:
            if turn == self._turn:
                self._wipe()
