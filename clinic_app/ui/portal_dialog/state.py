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

from clinic_app.core.errors import ClinicError, InvalidInput
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Permission
from clinic_app.services.accounts.staff import note_staff_printed
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.patients import wording
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.handler import Asking, fields, handler, text

#: After so many minutes the credentials go, even if nobody closes the dialog.
SHOWN_MINUTES = 10
IN_PERSON = "Nothing was sent: hand these credentials over in person."


class PortalDialogState(Asking, rx.State):
    """Four states: input, loading (``busy``), error (``error`` or ``failure``), success."""

    open: bool = False
    done: bool = False
    busy: bool = False
    title: str = ""  # of the success state
    for_patient: str = ""
    for_staff: bool = False  # the credentials are a staff account's
    name: str = ""
    email: str = ""
    phone: str = ""
    error: str = ""
    phone_error: str = ""
    failure: str = ""
    failure_detail: str = ""
    attempt: int = 0
    form_number: int = 0
    username: str = ""
    password: str = ""
    until: str = ""
    sent: str = ""
    address: str = ""  # where to sign in, as one types it
    qr: str = ""  # the same as a picture
    busy_id: str = ""  # the patient whose button shows the spinner
    _turn: int = 0
    _staff_id: int = 0

    def _wipe(self) -> None:
        self.open = self.done = self.busy = False
        self.password = self.username = self.until = self.sent = self.address = self.qr = ""
        self.error = self.phone_error = self.failure = self.failure_detail = ""
        self.for_patient = self.name = self.email = self.phone = self.busy_id = ""
        self.for_staff, self._staff_id = False, 0
        self._turn += 1

    def _fail(self, error: ClinicError) -> Any:
        self.busy, self.busy_id = False, ""
        self.attempt += 1
        self.error = error.fields.get("email", "")
        self.phone_error = error.fields.get("phone", "")
        placed = bool(self.error or self.phone_error)
        self.failure, self.failure_detail = ("", "") if placed else (error.title, error.detail)
        self.open = True  # where it failed before the form could be shown, the dialog says so
        return rx.set_focus("portal-email" if self.error else "portal-phone") if placed else None

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
        self.open = self.done = True
        return PortalDialogState.expire(self._turn)

    @handler(Permission.PORTAL_MANAGE)
    async def ask_for(self, patient_id: str):
        """Open the form for one patient, filled with the email and phone on record."""
        self._wipe()
        patient = await self._ask(reread_patient, text(patient_id, 20))
        self.for_patient, self.name = patient.patient_id, patient.name
        self.email, self.phone = patient.email or "", wording.phone_words(patient.phone)
        self.form_number += 1
        self.open = True

    @handler(Permission.PORTAL_MANAGE)
    async def check_email(self, email: str):
        """On leaving the field: say what is wrong with it, if anything."""
        if self.busy or self.done:
            return
        try:
            PortalAccountRequest.parse({"email": text(email, 300)})
            self.error = ""
        except InvalidInput as problem:
            self.error = problem.fields.get("email", "")

    @handler(Permission.PORTAL_MANAGE)
    async def check_phone(self, phone: str):
        """The same for the phone."""
        if self.busy or self.done:
            return
        self.phone_error = ""
        try:
            PortalAccountRequest.parse({"email": "somebody@example.com", "phone": text(phone, 60)})
        except InvalidInput as problem:
            self.phone_error = problem.fields.get("phone", "")

    @handler(Permission.PORTAL_MANAGE)
    async def submit(self, form: dict[str, Any]):
        """Create the account. A second click or Enter while one is under way does nothing."""
        if self.busy or self.done or not self.open or not self.for_patient:
            return
        given = fields(form, ("email", "phone"))
        wanted = PortalAccountRequest.parse(given)
        self.busy, self.busy_id = True, self.for_patient
        self.error = self.phone_error = self.failure = self.failure_detail = ""
        yield
        done = await self._ask(provisioning.create_portal_account, self.for_patient, wanted)
        yield self._succeed(done.credentials, done.patient.patient_id, done.patient.name, "Portal Account Created!")

    @handler(Permission.PORTAL_MANAGE)
    async def change_open(self, wanted: bool):
        """Escape, a click outside, Cancel. Not while it works, and not over shown credentials."""
        if wanted is False and not self.busy and not self.done:
            self._wipe()

    @handler(Permission.OWN_SESSION)
    async def close(self):
        """*Close*: the password is gone from the page and from the server."""
        if not self.busy:
            self._wipe()

    @handler(PUBLIC)
    async def forget(self):
        """On entering any page: nothing of an earlier dialog is left. Anybody may; it only wipes the tab's own."""
        self._wipe()

    @handler(Permission.PORTAL_MANAGE)
    async def printed(self):
        """Somebody pressed *Print* over shown credentials: that is recorded."""
        if self.done and self.for_patient:
            await self._ask(provisioning.note_printed, self.for_patient)
        if self.done and self._staff_id:
            await self._ask(note_staff_printed, self._staff_id)

    @handler(Permission.OWN_SESSION, background=True)
    async def expire(self, turn: int):
        """Wipe the credentials of this ``turn`` when their time is over."""
        await asyncio.sleep(SHOWN_MINUTES * 60)
        async with self:
            if turn == self._turn:
                self._wipe()
