"""Portal access: the one dialog, for the list, the profile and after a registration.

It creates an account, resets its temporary password or changes its username, and then shows the credentials.

The temporary password is in this state while it is shown, sealed so that only the session's own browser gets to read
it, and nowhere else: closing, opening, leaving the page and a timer all wipe it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import reflex as rx
from reflex.state import _override_base_method

from clinic_app.core import clock, qr, routes, sealing
from clinic_app.core.errors import ClinicError, ErrorKind, InvalidInput
from clinic_app.core.paging import clamp
from clinic_app.core.settings import get_settings
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.accounts.errors import CredentialsSeen
from clinic_app.services.accounts.shown import confirm_shown
from clinic_app.services.accounts.staff import note_staff_printed
from clinic_app.services.accounts.views import SHOWN_MINUTES, Credentials
from clinic_app.services.audit.actions import Action
from clinic_app.services.intents import AlreadyDone, Done
from clinic_app.services.notifications.views import Delivery
from clinic_app.services.patients import wording
from clinic_app.services.patients.errors import StaleRecord
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.patients.views import PatientProfile
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.errors import NoPortalAccount, PortalAccessChanged, PortalTurnedOff
from clinic_app.services.portal.forms import AddressCorrection, ChangePortalUsername, HandOver, PortalAccountRequest
from clinic_app.services.portal.handing_over import record_hand_over
from clinic_app.services.portal.invitations import correct_address, resend_invitation
from clinic_app.services.portal.views import PortalCreated
from clinic_app.services.portal.wording import HAND_OVERS
from clinic_app.ui import message_words, presenters
from clinic_app.ui.session import identity, live_updates, presses
from clinic_app.ui.session.drawn import STAMP, AnotherPatient, path_of, say
from clinic_app.ui.session.form_state import CLOSED, DONE, INPUT, WORKING, FormState
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.handler import fields, handler, text
from clinic_app.ui.view_models import Sent

Answer = TypeVar("Answer")

CREATED = "Portal Account Created!"
RESET = "Temporary password reset"
RENAMED = "Username changed"
#: What the dialog's form does.
CREATING, RESETTING, RENAMING, CORRECTING = "create", "reset", "rename", "correct"

#: What the dialog shows, by what has issued it.
TITLES = {
    Action.PORTAL_ACCOUNT_CREATED: CREATED,
    Action.PORTAL_PASSWORD_RESET: RESET,
    Action.PORTAL_USERNAME_CHANGED: RENAMED,
    Action.PORTAL_ADDRESS_CORRECTED: RENAMED,
}
#: What shows nothing but that it has happened.
AT_ONCE = (Action.PORTAL_UNLOCKED, Action.PORTAL_INVITED, Action.PORTAL_HANDED_OVER)


@presses.shows(*TITLES, *AT_ONCE)
class PortalDialogState(FormState, rx.State):
    """Closed, a form waiting or at work, or done: the credentials are shown.

    It is drawn on the page it was opened from and nowhere else: a reply that comes after that was left opens nothing.
    """

    step: str = CLOSED
    page: str = ""  # the path of the page it was opened from
    kind: str = CREATING  # or reset, rename or correct
    channel: str = ""  # of the address that is corrected: email or sms
    version: int = 0  # of the record it stands in
    stamp: str = ""  # of the access that is reset or renamed
    replaced: list[str] = []  # what a new temporary password does, in sentences
    tells: bool = False  # messages can go to the account's owner
    turn: int = 0  # goes up with every opening and closing: closing closes what was drawn
    title: str = ""  # over the credentials
    for_patient: str = ""
    staff_id: int = 0  # more than 0: the credentials are this staff account's
    name: str = ""
    username: str = ""
    _sealed: str = ""  # the temporary password, for this session: see core.sealing
    mark: str = ""  # which they are, of all that the account ever had
    _shown_until: float = 0.0  # seconds since 1970
    _again_at: dt.datetime | None = None  # the same, for the loop
    until: str = ""
    sent: list[Sent] = []
    handed: str = ""  # how the credentials on the screen were handed over, or why that was not recorded
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
        if self.kind == CORRECTING:
            return ("phone",) if self.channel == "sms" else ("email",)
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
        self._sealed, self._shown_until, self.mark = "", 0.0, ""
        self.username = self.until = self.address = self.link = self.qr = ""
        self.late = self.shown = self.handed = self.channel = ""
        self.sent, self.version = [], 0
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
        deliveries: Sequence[Delivery] = (),
        stamp: str = "",
        for_staff: int = 0,
        press: str = "",
        late: Done | None = None,
    ) -> Any:
        """Show credentials. Called by other states too: a registration, a reset, a staff account (its id).

        ``deliveries`` were written with them, ``stamp`` is that of the access they open. ``press`` issued them;
        ``late``: it did long ago, and these are fresh ones in place of those.
        """
        sealed = sealing.seal(credentials.temporary_password, identity.session_hash(self))  # or nothing is shown
        self._wipe()
        self.shown = presses.intent_of(press) if late is None else late.intent
        if late is not None:
            self.late = f"{presses.happened_words(late)} The password below is a fresh one."
            if late.had:
                self.late = presses.REPLACED
        self.page, self.staff_id = path_of(self), for_staff
        self.for_patient, self.name, self.title = patient_id, name, title
        self.username = credentials.username
        self._sealed, self.mark = sealed, credentials.mark
        over = clock.now() + dt.timedelta(minutes=SHOWN_MINUTES)
        self._shown_until = over.timestamp()
        live_updates.again_at(self, over)
        self.stamp, self.sent = stamp, message_words.sent(deliveries)
        self._say_until(credentials.expires_at)
        origin = get_settings().origin
        self.address = urlsplit(origin).netloc + credentials.login_url
        self.link = origin + credentials.login_url
        self.qr = qr.picture(self.link)
        self.step = DONE
        return PortalDialogState.expire()

    def _say_until(self, expires_at: dt.datetime) -> None:
        left, at = wording.deadline_words(expires_at)
        self.until = f"{at} (in {left})"

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

    @handler(Permission.PORTAL_MANAGE, about="patient_id")
    async def ask_correct(self, patient_id: str, channel: str):
        """*Correct address*: ask for the email, or for the phone, that messages are to go to."""
        await self._ask_about(patient_id, CORRECTING, channel="sms" if channel == "sms" else "email")

    async def _ask_about(self, patient_id: str, kind: str, channel: str = "") -> None:
        """Open a form about the access that a patient has, as it is now; where there is none, say so."""
        self._wipe()
        page = path_of(self)
        patient = await self._patient(patient_id)
        nameless = kind == RENAMING and not patient.access.username  # another username turns it on again
        if patient.access.status == "none" or (patient.access.status == "off" and not nameless):
            await say(self, (NoPortalAccount if patient.access.status == "none" else PortalTurnedOff).detail)
            return
        self.page, self.kind, self.channel = page, kind, channel
        self.for_patient, self.name = patient.patient_id, patient.name
        goes = {one.channel: one.address for one in patient.access.reach}
        number = wording.phone_words(goes.get("sms", patient.phone))
        wrong = {"email": goes.get("email", patient.access.username), "phone": number}
        self._begin_with({name: wrong[name] if kind == CORRECTING else "" for name in self._names()})
        self._look_for_slip("email", self.values.get("email", ""))
        self._draw(patient)
        self.form_number += 1

    def _draw(self, patient: PatientProfile) -> None:
        access = patient.access
        self.version, self.stamp, self.username = patient.version, access.stamp, access.username
        self.replaced, self.tells = presenters.replaced(access), bool(access.reach)

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
        yield self._show_made(done, CREATED, press)

    def _show_made(self, done: PortalCreated, title: str, press: str = "", late: Done | None = None) -> Any:
        """The credentials that a use case has given."""
        return self._succeed(
            done.credentials,
            done.patient.patient_id,
            done.patient.name,
            title,
            deliveries=done.deliveries,
            stamp=done.stamp,
            press=press,
            late=late,
        )

    async def _happened(self, done: Done) -> Any:
        """Credentials whose answer was lost: fresh ones, if nobody has seen them; never on another patient's page."""
        corrected = done.action == Action.PORTAL_ADDRESS_CORRECTED and done.seen
        if done.action in AT_ONCE or corrected:
            if corrected and self.kind == CORRECTING and self.step == INPUT:
                self._wipe()
            (await self.get_state(presses.PressState))._tell(presses.happened_words(done))
            return None
        title = TITLES.get(Action(done.action), CREATED)
        patient = await self._ask(reread_patient, done.resource_id or 0, Seen.OUTCOME)
        try:
            if routes.patient_of(path_of(self)) not in ("", patient.patient_id):
                raise CredentialsSeen
            issued = await self._fresh(provisioning.reissue_credentials, done)
        except CredentialsSeen:
            self._wipe()
            await self._ask(intents.mark_seen, done.intent)
            (await self.get_state(presses.PressState))._tell(*presses.left_words(done))
            return None
        return self._show_made(issued, title, late=done)

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def reset_password(self, patient_id: str, drawn: str, form: dict[str, Any]):
        """The answer to the question: new credentials, shown once. ``drawn`` is the stamp of the access it is about."""
        if self.step != INPUT or self.kind != RESETTING:
            return
        self._work()
        yield
        press, wanted = presses.press_of(form), (patient_id, text(drawn, STAMP))
        done = await self._change(provisioning.reset_portal_password, *wanted, press=press)
        yield self._show_made(done, RESET, press)

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def change_username(self, patient_id: str, drawn: str, form: dict[str, Any]):
        """Give the account another username, with new credentials. ``drawn`` as for ``reset_password``."""
        if self.step != INPUT or self.kind != RENAMING:
            return
        new = ChangePortalUsername.parse(fields(form, self._names()))
        self._work()
        yield
        press = presses.press_of(form)
        done = await self._change(provisioning.change_portal_username, patient_id, new, text(drawn, STAMP), press=press)
        yield self._show_made(done, RENAMED, press)

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def correct(self, patient_id: str, drawn: str, version: int, form: dict[str, Any]):
        """*Save and send again*. ``drawn`` as for ``reset_password``, ``version`` is that of the record."""
        if self.step != INPUT or self.kind != CORRECTING:
            return
        given: dict[str, Any] = fields(form, self._names())
        if self.channel == "email":
            given["change_username"] = form.get("change_username") in (True, "on")
        right = AddressCorrection.parse(given)
        self._work()
        yield
        press, seen = presses.press_of(form), clamp(version, 0, 2**31 - 1, 0)
        done = await self._change(correct_address, patient_id, right, text(drawn, STAMP), seen, press=press)
        if done.credentials is None:
            self._wipe()
            words = f"The address is corrected. {message_words.told(done.deliveries)}"
            (await self.get_state(presses.PressState))._tell(words)
            return
        yield self._succeed(
            done.credentials,
            done.patient.patient_id,
            done.patient.name,
            RENAMED,
            deliveries=done.deliveries,
            stamp=done.stamp,
            press=press,
        )

    async def _change(self, use_case: Callable[..., Answer], patient_id: str, *args: Any, press: str) -> Answer:
        """Do it for the patient the dialog is about; where access has changed since, show how it stands now."""
        if patient_id != self.for_patient:
            raise AnotherPatient
        try:
            return await self._ask(use_case, patient_id, *args, press=press)
        except (PortalAccessChanged, StaleRecord):
            self._draw(await self._patient(patient_id))
            raise

    async def _at_once(self, use_case: Callable[..., Answer], patient_id: str, *args: Any, press: str) -> Answer | str:
        """Do what has no form; returns what was refused in words, which are said above the page."""
        try:
            return await self._ask(use_case, patient_id, *args, press=presses.press_of(press))
        except ClinicError as error:
            if isinstance(error, AlreadyDone) or error.kind == ErrorKind.UNAUTHENTICATED:
                raise
            await say(self, error.detail)
            return error.detail

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def unlock(self, patient_id: str, drawn: str, press: str = ""):
        """*Unlock*: its owner can sign in again at once. ``drawn`` is the stamp of the access that was shown."""
        await self._at_once(provisioning.unlock_portal, patient_id, text(drawn, STAMP), press=press)

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def resend(self, patient_id: str, drawn: str, press: str = ""):
        """*Resend invitation*, *Send again*: another link, the same temporary password. ``drawn`` as for ``unlock``."""
        done = await self._at_once(resend_invitation, patient_id, text(drawn, STAMP), press=press)
        if not isinstance(done, str):
            (await self.get_state(presses.PressState))._tell(message_words.told(done.deliveries))

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def hand_over(self, patient_id: str, drawn: str, how: str, press: str = ""):
        """*In person*, *By phone*, *By post*: on the profile, or under the credentials. ``drawn`` as for ``unlock``."""
        if text(how, 10) not in HAND_OVERS:
            return
        shown = self.step == DONE and self.for_patient == patient_id and self.stamp == drawn
        done = await self._at_once(record_hand_over, patient_id, HandOver(how), text(drawn, STAMP), press=press)
        if shown and isinstance(done, str):
            self.handed = done
        elif shown:
            self.stamp, self.handed = done.stamp, f"{HAND_OVERS[done.how]}."
            self._say_until(done.expires_at)

    @handler(Permission.PORTAL_MANAGE)
    async def answer_slip(self, name: str, changed: bool):
        """*Change it* or *Keep it*, under the email."""
        self._answer_slip(name, changed)

    @handler(Permission.PORTAL_MANAGE)
    async def change_open(self, turn: int, wanted: bool):
        """Escape, a click outside, Cancel. Not while it works, and not over shown credentials."""
        if wanted is False and self.step == INPUT and self._drawn(turn):
            self._wipe()
            await presses.dialog_closed(self)

    @handler(Permission.OWN_SESSION)
    async def close(self, turn: int):
        """*Close*: the password is gone from the page and from the server, and is not issued again."""
        if self.step == WORKING or not self._drawn(turn):
            return
        shown = self.shown
        self._wipe()
        if shown:
            await self._ask(intents.mark_seen, shown)

    @handler(Permission.OWN_SESSION)
    async def confirm(self, turn: int):
        """The page has the credentials of this ``turn`` on its screen, after this connection: nobody replaces them now.

        Where others have taken their place before that, the page is shown fresh ones or told, so that no password is
        handed over that does not work.
        """
        if self.step != DONE or not self._drawn(turn) or not self.mark:
            return None
        if await self._if_it_can(self._stands(arrived=True)) is not False:
            return None  # or it is asked again once the database is back
        return await self._replaced()

    async def _stands(self, *, arrived: bool) -> bool:
        """Whether what is on the screen opens the account."""
        return await self._ask(confirm_shown, self.shown, self.username, self.mark, arrived=arrived, touch=False)

    async def _replaced(self) -> Any:
        """Fresh credentials in place of the dead ones on the screen, if nobody has seen others; else it is told."""
        turn, event = self.turn, None
        done = await self._ask(intents.outcome, self.shown) if self.shown else None
        if done is not None:
            try:
                event = await presses.show(self, dataclasses.replace(done, had=self.mark))
            except ClinicError as error:
                if error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.UNAUTHENTICATED):
                    raise
        if self.turn == turn or self.step != DONE:
            self._wipe()
            (await self.get_state(presses.PressState))._tell(*presses.NO_LONGER_WORKS, bad=True)
        return event

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
        """Wipe the credentials when their time is over; the client does not say when that is.

        Until then it is looked, after every change, whether they still open the account.
        """
        async for _ in live_updates.news(self, -1):
            async with self:
                if self.step == DONE and self._shown_until <= clock.now().timestamp():
                    self._wipe()
                if self.step != DONE or not self.mark:
                    return
                turn = self.turn
            if not await self._stands(arrived=False):
                yield PortalDialogState.confirm(turn)
