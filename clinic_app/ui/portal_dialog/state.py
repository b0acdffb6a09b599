"""Portal access: the one dialog, for the list, the profile and after a registration.

It creates an account, resets its temporary password or changes its username, and then shows the credentials.

The temporary password is in this state while it is shown, sealed so that only the session's own browser gets to read
it, and nowhere else: closing, opening, leaving the page and a timer all wipe it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import reflex as rx
from reflex.state import _override_base_method

from clinic_app.core import clock, qr, routes, sealing
from clinic_app.core.errors import InvalidInput
from clinic_app.core.settings import get_settings
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.accounts.errors import CredentialsSeen
from clinic_app.services.accounts.staff import note_staff_printed
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.actions import Action
from clinic_app.services.intents import Done
from clinic_app.services.patients import wording
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.patients.views import PatientProfile, PortalStanding
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.errors import NoPortalAccount, PortalAccessChanged, PortalTurnedOff
from clinic_app.services.portal.forms import ChangePortalUsername, PortalAccountRequest
from clinic_app.services.portal.views import PortalCreated
from clinic_app.ui import presenters
from clinic_app.ui.session import identity, presses
from clinic_app.ui.session.drawn import AnotherPatient, path_of, say
from clinic_app.ui.session.form_state import CLOSED, DONE, INPUT, WORKING, FormState
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.handler import fields, handler, text

#: After so many minutes the credentials go, even if nobody closes the dialog.
SHOWN_MINUTES = 10
CREATED = "Portal Account Created!"
RESET = "Temporary password reset"
RENAMED = "Username changed"
#: What the dialog's form does.
CREATING, RESETTING, RENAMING = "create", "reset", "rename"
IN_PERSON = "Nothing was sent: hand these credentials over in person."


#: What the dialog shows, by what has issued it.
TITLES = {
    Action.PORTAL_ACCOUNT_CREATED: CREATED,
    Action.PORTAL_PASSWORD_RESET: RESET,
    Action.PORTAL_USERNAME_CHANGED: RENAMED,
}


@presses.shows(*TITLES, Action.PORTAL_UNLOCKED)
class PortalDialogState(FormState, rx.State):
    """Closed, a form waiting or at work, or done: the credentials are shown.

    It is drawn on the page it was opened from and nowhere else: a reply that comes after that was left opens nothing.
    """

    step: str = CLOSED
    page: str = ""  # the path of the page it was opened from
    kind: str = CREATING  # or reset, or rename
    stamp: str = ""  # of the access that is reset or renamed
    replaced: list[str] = []  # what a new temporary password does, in sentences
    turn: int = 0  # goes up with every opening and closing: closing closes what was drawn
    title: str = ""  # over the credentials
    for_patient: str = ""
    staff_id: int = 0  # more than 0: the credentials are this staff account's
    name: str = ""
    username: str = ""
    _sealed: str = ""  # the temporary password, for this session: see core.sealing
    _shown_until: float = 0.0  # seconds since 1970
    until: str = ""
    sent: str = ""
    late: str = ""  # said over credentials that come after a lost line
    shown: str = ""  # the press that issued them: while it is here they are on the screen
    address: str = ""  # where to sign in, as one types it
    link: str = ""  # the same, as one sends it
    qr: str = ""  # the same as a picture

    @rx.var(cache=False)  # cached, it would be kept with the state, readable
    def password(self) -> str:
        """The temporary password, while it is shown."""
        return sealing.unseal(self._sealed, identity.session_hash(self)) if self._sealed else ""

    @_override_base_method  # else Reflex takes it for a handler
    def get_delta(self) -> dict[str, dict[str, Any]]:
        """What the page is sent, with the password as an object of its own.

        Reflex keeps what it has sent of a computed value with the state, unless what is sent is not what was computed.
        """
        delta = super().get_delta()
        sent = delta.get(self.get_full_name(), {})
        for name, value in sent.items():
            if name.startswith("password") and value:
                sent[name] = value.encode().decode()
        return delta

    def _names(self) -> tuple[str, ...]:
        return {CREATING: ("email", "phone"), RENAMING: ("email",)}.get(self.kind, ())

    def _ident(self, name: str) -> str:
        return f"portal-{name}"

    def _phone_names(self) -> tuple[str, ...]:
        return ("phone",)

    def _problem_in(self, name: str, value: str) -> str:
        try:
            PortalAccountRequest.parse({"email": "somebody@example.com", name: value})
        except InvalidInput as problem:
            return problem.fields.get(name, "")
        return ""

    def _wipe(self) -> None:
        self._begin_with({})
        self.step, self.kind = CLOSED, CREATING
        self._sealed, self._shown_until = "", 0.0
        self.username = self.until = self.sent = self.address = self.link = self.qr = ""
        self.late = self.shown = ""
        self.page = self.for_patient = self.name = self.stamp = ""
        self.replaced = []
        self.staff_id = 0
        self.turn += 1

    def _meant(self, given: Any) -> str:
        """The patient ID an action was drawn for: on a patient's own page, that patient's."""
        patient_id = text(given, 20)
        if routes.patient_of(path_of(self)) not in ("", patient_id):
            raise AnotherPatient
        return patient_id

    async def _patient(self, patient_id: str) -> PatientProfile:
        """Who the dialog is about. On their own page the record is open already, as the trail must say."""
        on_record = routes.patient_of(path_of(self)) == patient_id
        return await self._ask(reread_patient, patient_id, Seen.DIALOG, on_record=on_record)

    def _drawn(self, turn: Any) -> bool:
        """Whether the dialog is still the one that was drawn."""
        return turn == self.turn

    def _succeed(
        self,
        credentials: Credentials,
        patient_id: str,
        name: str,
        title: str,
        *,
        for_staff: int = 0,
        press: str = "",
        late: Done | None = None,
    ) -> Any:
        """Show credentials. Called by other states too: a registration, a reset, a staff account (its id).

        ``press`` issued them; ``late``: it did long ago, and these are fresh ones in place of those.
        """
        self._wipe()
        self.shown = presses.intent_of(press) if late is None else late.intent
        self.late = f"{presses.happened_words(late)} The password below is a fresh one." if late is not None else ""
        self.page, self.staff_id = path_of(self), for_staff
        self.for_patient, self.name, self.title = patient_id, name, title
        self.username = credentials.username
        self._sealed = sealing.seal(credentials.temporary_password, identity.session_hash(self))
        self._shown_until = clock.now().timestamp() + SHOWN_MINUTES * 60
        left, at = wording.deadline_words(credentials.expires_at)
        self.until = f"{at} (in {left})"
        self.sent = IN_PERSON
        origin = get_settings().origin
        self.address = urlsplit(origin).netloc + credentials.login_url
        self.link = origin + credentials.login_url
        self.qr = qr.picture(self.link)
        self.step = DONE
        return PortalDialogState.expire()

    @handler(Permission.PORTAL_MANAGE, about="patient_id")
    async def ask_for(self, patient_id: str):
        """Open the form for one patient, filled with the email and phone on record."""
        self._wipe()
        self.page = path_of(self)
        patient = await self._patient(patient_id)
        self.for_patient, self.name = patient.patient_id, patient.name
        self._begin_with({"email": patient.email or "", "phone": wording.phone_words(patient.phone)})
        self._look_for_slip("email", self.values["email"])
        self.form_number += 1

    @handler(Permission.PORTAL_MANAGE, about="patient_id")
    async def ask_reset(self, patient_id: str):
        """*Reset temporary password*, *Reissue*: ask first, saying what it replaces."""
        await self._ask_about(patient_id, RESETTING)

    @handler(Permission.PORTAL_MANAGE, about="patient_id")
    async def ask_username(self, patient_id: str):
        """*Change username*: ask for the new one."""
        await self._ask_about(patient_id, RENAMING)

    async def _ask_about(self, patient_id: str, kind: str) -> None:
        """Open a form about the access that a patient has, as it is now; where there is none, say so."""
        self._wipe()
        page = path_of(self)
        patient = await self._patient(patient_id)
        if patient.access.status in {"none", "off"}:
            await say(self, (NoPortalAccount if patient.access.status == "none" else PortalTurnedOff).detail)
            return
        self.page, self.kind = page, kind
        self.for_patient, self.name = patient.patient_id, patient.name
        self._begin_with({"email": ""})
        self._draw(patient.access)
        self.form_number += 1

    def _draw(self, access: PortalStanding) -> None:
        self.stamp, self.username, self.replaced = access.stamp, access.username, presenters.replaced(access)

    @handler(Permission.PORTAL_MANAGE)
    async def check_email(self, email: str):
        """On leaving the field."""
        self._check("email", email)

    @handler(Permission.PORTAL_MANAGE)
    async def check_phone(self, phone: str):
        """The same for the phone."""
        self._check("phone", phone)

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def submit(self, patient_id: str, form: dict[str, Any]):
        """Create the account. A second click or Enter while one is under way does nothing."""
        if self.step != INPUT or self.kind != CREATING or not self.for_patient:
            return
        if patient_id != self.for_patient:
            raise AnotherPatient
        wanted = PortalAccountRequest.parse(fields(form, self._names()))
        self._work()
        yield
        press = presses.press_of(form)
        done = await self._ask(provisioning.create_portal_account, patient_id, wanted, press=press)
        yield self._succeed(done.credentials, done.patient.patient_id, done.patient.name, CREATED, press=press)

    async def _happened(self, done: Done) -> Any:
        """Credentials whose answer was lost: fresh ones, if nobody has seen them; never on another patient's page."""
        if done.action == Action.PORTAL_UNLOCKED:
            (await self.get_state(presses.PressState))._tell(presses.happened_words(done))
            return None
        title = TITLES.get(Action(done.action), CREATED)
        patient = await self._ask(reread_patient, done.resource_id or 0, Seen.OUTCOME)
        try:
            if routes.patient_of(path_of(self)) not in ("", patient.patient_id):
                raise CredentialsSeen
            issued = await self._ask(provisioning.reissue_credentials, done.intent)
        except CredentialsSeen:
            self._wipe()
            await self._ask(intents.mark_seen, done.intent)
            (await self.get_state(presses.PressState))._tell(*presses.left_words(done))
            return None
        return self._succeed(issued.credentials, patient.patient_id, patient.name, title, late=done)

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def reset_password(self, patient_id: str, drawn: str, form: dict[str, Any]):
        """The answer to the question: new credentials, shown once. ``drawn`` is the stamp of the access it is about."""
        if self.step != INPUT or self.kind != RESETTING:
            return
        self._work()
        yield
        press, wanted = presses.press_of(form), (patient_id, text(drawn, 60))
        done = await self._change(provisioning.reset_portal_password, *wanted, press=press)
        yield self._succeed(done.credentials, done.patient.patient_id, done.patient.name, RESET, press=press)

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def change_username(self, patient_id: str, drawn: str, form: dict[str, Any]):
        """Give the account another username, with new credentials. ``drawn`` as for ``reset_password``."""
        if self.step != INPUT or self.kind != RENAMING:
            return
        new = ChangePortalUsername.parse(fields(form, self._names()))
        self._work()
        yield
        press = presses.press_of(form)
        done = await self._change(provisioning.change_portal_username, patient_id, new, text(drawn, 60), press=press)
        yield self._succeed(done.credentials, done.patient.patient_id, done.patient.name, RENAMED, press=press)

    async def _change(
        self, use_case: Callable[..., PortalCreated], patient_id: str, *args: Any, press: str
    ) -> PortalCreated:
        """Do it for the patient the dialog is about; where access has changed since, show how it stands now."""
        if patient_id != self.for_patient:
            raise AnotherPatient
        try:
            return await self._ask(use_case, patient_id, *args, press=press)
        except PortalAccessChanged:
            self._draw((await self._patient(patient_id)).access)
            raise

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def unlock(self, patient_id: str, drawn: str, press: str = ""):
        """*Unlock*: its owner can sign in again at once. ``drawn`` is the stamp of the access that was shown."""
        try:
            await self._ask(provisioning.unlock_portal, patient_id, text(drawn, 60), press=presses.press_of(press))
        except (PortalAccessChanged, NoPortalAccount) as error:
            await say(self, error.detail)

    @handler(Permission.PORTAL_MANAGE)
    async def answer_slip(self, name: str, changed: bool):
        """*Change it* or *Keep it*, under the email."""
        self._answer_slip(name, changed)

    @handler(Permission.PORTAL_MANAGE)
    async def change_open(self, turn: int, wanted: bool):
        """Escape, a click outside, Cancel. Not while it works, and not over shown credentials."""
        if wanted is False and self.step == INPUT and self._drawn(turn):
            self._wipe()

    @handler(Permission.OWN_SESSION)
    async def close(self, turn: int):
        """*Close*: the password is gone from the page and from the server, and is not issued again."""
        if self.step == WORKING or not self._drawn(turn):
            return
        shown = self.shown
        self._wipe()
        if shown:
            await self._ask(intents.mark_seen, shown)

    @handler(PUBLIC)
    async def forget(self):
        """On entering any page: nothing of an earlier dialog is left. Anybody may; it only wipes the tab's own.

        Not after a lost connection, which enters no page. Whoever left credentials behind is told.
        """
        shows = self.step == DONE and bool(self.password)
        if await presses.goes_on(self) and (shows or self.step != DONE):
            return PortalDialogState.expire() if shows else None  # the one before ended with the connection
        shown = self.shown
        self._wipe()
        if shown and (done := await self._ask(intents.outcome, shown)) is not None:
            await self._ask(intents.mark_seen, shown)
            (await self.get_state(presses.PressState))._tell(*presses.left_words(done))
        return None

    @handler(Permission.PORTAL_MANAGE)
    async def printed(self, turn: int):
        """The credentials that were shown in this ``turn`` went to a printer: that is recorded."""
        if self.step != DONE or not self._drawn(turn):
            return
        if self.for_patient:
            await self._ask(provisioning.note_printed, self.for_patient)
        if self.staff_id:
            await self._ask(note_staff_printed, self.staff_id)

    @handler(Permission.OWN_SESSION, background=True)
    async def expire(self):
        """Wipe the credentials when their time is over; the client does not say when that is."""
        await asyncio.sleep(max(0.0, self._shown_until - clock.now().timestamp()))
        async with self:
            if self.step == DONE and self._shown_until <= clock.now().timestamp():
                self._wipe()
