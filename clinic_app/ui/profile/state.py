"""*Patient profile*: the record, edited in place, its portal access and its activity."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core.errors import ClinicError
from clinic_app.services.access import Permission
from clinic_app.services.patients.errors import PatientNotFound, StaleRecord
from clinic_app.services.patients.forms import LABELS, SECTIONS, PatientDetails, PatientUpdate
from clinic_app.services.patients.profile import reread_patient, update_patient, view_patient
from clinic_app.services.patients.views import PatientProfile
from clinic_app.services.portal import provisioning
from clinic_app.ui import presenters
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.session import guard, identity, live_updates
from clinic_app.ui.session.form_state import CLOSED, INPUT, WORKING, FormState
from clinic_app.ui.session.handler import fields, handler, text
from clinic_app.ui.view_models import Access, Fact, Happening, PatientRow, Person


class ProfileState(FormState, rx.State):
    """One open record, one section of which may be a form."""

    step: str = CLOSED  # the form's; it is at work too while access is changed
    mode: str = "loading"  # loading, shown or missing
    person: Person = Person()
    row: PatientRow = PatientRow()  # for the portal button, which the list shows too
    details: list[Fact] = []
    contact: list[Fact] = []
    access: Access = Access()
    activity: list[Happening] = []
    notice: str = ""
    editing: str = ""  # details, contact or nothing
    stale: list[Fact] = []  # what somebody else changed meanwhile
    stale_note: str = ""
    asking_off: bool = False
    _before: dict[str, str] = {}  # the record as it was when the form was opened
    _version: int = 0
    _seen: int = 0
    _socket: str = ""

    def _names(self) -> tuple[str, ...]:
        return tuple(LABELS)

    def _problem_in(self, name: str, value: str) -> str:
        return PatientDetails.problem(name, value)

    def _draft_name(self) -> str:
        return f"profile-{self.person.patient_id}-{self.editing}"

    def _fail(self, error: ClinicError) -> Any:
        if isinstance(error, PatientNotFound):
            self._empty("missing")
            return None
        focus = super()._fail(error)
        self._rest()
        return focus

    def _rest(self) -> None:
        """Nothing is under way any more."""
        self.step = INPUT if self.editing else CLOSED

    def _empty(self, mode: str) -> None:
        self.mode, self.person, self.access = mode, Person(), Access()
        self.details, self.contact, self.activity = [], [], []
        self.notice = ""
        self._close_form()

    def _close_form(self) -> None:
        self._begin_with({})
        self.step = CLOSED
        self.editing, self._before = "", {}
        self.stale, self.stale_note = [], ""
        self.asking_off = False

    def _show(self, patient: PatientProfile) -> None:
        self.person, self.row = presenters.person(patient), presenters.patient_row(patient)
        self.details, self.contact = presenters.details(patient), presenters.contact(patient)
        self.access = presenters.access(patient.access)
        self.activity = presenters.activity(patient.activity)
        self.mode = "shown"
        if not self.editing:
            self._version = patient.version

    def _key(self) -> str:
        return text(self.patient_id, 20)  # from the address: the service decides whether it is one

    @handler(Permission.PATIENT_SEE)
    async def load(self):
        """Open the record. The look is recorded before anything is shown.

        Also runs after a lost connection: an edit under way then stays as it is.
        """
        socket, self._socket = self._socket, self.router.session.session_id
        reconnected = socket != self._socket and self.person.patient_id == self._key()
        if not (reconnected and self.editing):
            self._empty("loading")
            yield
        seen = live_updates.changes.number
        self._show(await self._ask(view_patient, self._key()))
        self._seen = seen

    @handler(Permission.PATIENT_SEE, background=True)
    async def watch(self):
        """Show what other desks change, but never under the hands of somebody who edits."""
        async for _ in live_updates.news(self, self._seen):
            async with self:
                key, shown = self.person.patient_id, self.mode == "shown"
            if not shown:
                continue
            patient = await self._ask(reread_patient, key, touch=False)
            async with self:
                if self.person.patient_id == key:
                    self._show(patient)
        yield guard.way_out(self, await identity.actor_of(self, touch=False))

    # --- editing in place ---------------------------------------------------------------------

    @handler(Permission.PATIENT_EDIT)
    async def edit(self, section: str):
        """Turn one section into a form, with the record as it is now."""
        if section not in SECTIONS:
            return None
        patient = await self._ask(reread_patient, self.person.patient_id)
        self._close_form()
        self.notice = ""
        self._show(patient)
        return await self._open_form(section, patient)

    async def _open_form(self, section: str, patient: PatientProfile) -> Any:
        """The record in the inputs, and over it what was typed the last time and not saved."""
        self.editing, self.step = section, INPUT
        self._before, self.unlisted = presenters.typed(patient), presenters.unlisted(patient)
        self.values = self._before
        self.form_number += 1
        typed = await self._draft(SECTIONS[section])
        self.restored = any(value != self._before[name] for name, value in typed.items())
        if self.restored:
            self.values = {**self._before, **typed}
        self._read_back(self.values["date_of_birth"])
        return rx.set_focus(SECTIONS[section][0])

    @handler(Permission.PATIENT_EDIT)
    async def clear(self):
        """*Clear*: the record instead of the restored form."""
        section = self.editing
        if section not in SECTIONS:
            return None
        await self._drop_draft()
        self._close_form()
        return await self._open_form(section, await self._ask(reread_patient, self.person.patient_id))

    @handler(Permission.PATIENT_EDIT)
    async def check(self, name: str, value: str):
        """On leaving a field."""
        self._check(name, value)

    @handler(Permission.PATIENT_EDIT)
    async def save(self, form: dict[str, Any]):
        """Save what was changed in this section, and only that: what others changed meanwhile stays theirs."""
        if self.step != INPUT or self.editing not in SECTIONS:
            return
        given = fields(form, SECTIONS[self.editing])
        changed = {name: value for name, value in given.items() if value.strip() != self._before.get(name, "").strip()}
        update = PatientUpdate.parse(changed, self._version)
        self._work()
        self.stale, self.stale_note = [], ""
        yield
        try:
            patient = await self._ask(update_patient, self.person.patient_id, update)
        except StaleRecord as error:
            await self._say_stale(error)
            return
        await self._drop_draft()
        self._close_form()
        self._show(patient)
        self.notice = "Saved."

    async def _say_stale(self, error: StaleRecord) -> None:
        """Keep what was typed, show what the other one changed, and take the next *Save* as meant."""
        now = await self._ask(reread_patient, self.person.patient_id)
        fresh = presenters.typed(now)
        changed = [name for name in fresh if fresh[name] != self._before.get(name, "")]
        self.stale = presenters.facts(now, changed)
        self.stale_note = error.detail
        self._rest()
        self.attempt += 1
        self._version = now.version

    @handler(Permission.PATIENT_EDIT)
    async def cancel(self):
        """Leave the form without saving."""
        if self.editing in SECTIONS:
            await self._drop_draft()
        self._close_form()
        self._show(await self._ask(reread_patient, self.person.patient_id))

    # --- portal access ------------------------------------------------------------------------

    @handler(Permission.PORTAL_MANAGE)
    async def reset_password(self):
        """*Reset temporary password*: new credentials, shown once."""
        if self.step == WORKING:
            return
        self.step, self.notice, self.failure, self.failure_detail = WORKING, "", "", ""
        yield
        done = await self._ask(provisioning.reset_portal_password, self.person.patient_id)
        self._rest()
        self._show(await self._ask(reread_patient, self.person.patient_id))
        dialog = await self.get_state(PortalDialogState)
        yield dialog._succeed(done.credentials, done.patient.patient_id, done.patient.name, "Temporary password reset")

    @handler(Permission.PORTAL_MANAGE)
    async def ask_turn_off(self, wanted: bool):
        """Open or close the question before access is turned off."""
        self.asking_off = wanted is True and self.step != WORKING

    @handler(Permission.PORTAL_MANAGE)
    async def turn_off(self):
        """*Turn off portal access*."""
        await self._ask(provisioning.turn_off_portal, self.person.patient_id)
        self.asking_off, self.failure, self.failure_detail = False, "", ""
        self._show(await self._ask(reread_patient, self.person.patient_id))
        self.notice = "Portal access is turned off."

    @handler(Permission.PORTAL_MANAGE)
    async def turn_on(self):
        """*Turn on portal access*."""
        await self._ask(provisioning.turn_on_portal, self.person.patient_id)
        self.failure = self.failure_detail = ""
        self._show(await self._ask(reread_patient, self.person.patient_id))
        self.notice = "Portal access is turned on."
