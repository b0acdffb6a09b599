"""*Patient profile*: the record, edited in place, its portal access and its activity."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.services.access import Permission
from clinic_app.services.accounts.drafts import discard_draft, read_draft
from clinic_app.services.patients import wording
from clinic_app.services.patients.errors import PatientNotFound, StaleRecord
from clinic_app.services.patients.forms import LABELS, PatientDetails, PatientUpdate
from clinic_app.services.patients.profile import reread_patient, update_patient, view_patient
from clinic_app.services.patients.views import PatientProfile
from clinic_app.services.portal import provisioning
from clinic_app.ui import presenters
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.session import guard, identity, live_updates
from clinic_app.ui.session.handler import Asking, fields, handler, text
from clinic_app.ui.view_models import Access, Fact, Happening, PatientRow, Person, Problem

SECTIONS = {
    "details": ("first_name", "last_name", "date_of_birth", "gender", "national_id"),
    "contact": ("phone", "email", "address", "next_of_kin_name", "next_of_kin_phone"),
}


class ProfileState(Asking, rx.State):
    """One open record. While a section is edited its inputs hold what is typed; here is what it began with."""

    mode: str = "loading"  # loading, shown or missing
    person: Person = Person()
    row: PatientRow = PatientRow()  # for the portal button, which the list shows too
    details: list[Fact] = []
    contact: list[Fact] = []
    access: Access = Access()
    activity: list[Happening] = []
    notice: str = ""
    failure: str = ""
    editing: str = ""  # details, contact or nothing
    values: dict[str, str] = {}
    errors: dict[str, str] = {}
    problems: list[Problem] = []
    stale: list[Fact] = []  # what somebody else changed meanwhile
    stale_note: str = ""
    busy: bool = False
    attempt: int = 0
    form_number: int = 0
    born_date: str = ""
    born_age: str = ""
    asking_off: bool = False
    restored: bool = False  # the form began with what was typed and not saved
    _before: dict[str, str] = {}  # the record as it was when the form was opened
    _version: int = 0
    _seen: int = 0
    _socket: str = ""

    def _fail(self, error: ClinicError) -> Any:
        self.busy = False
        if isinstance(error, PatientNotFound):
            self._empty("missing")
            return None
        self.attempt += 1
        self.errors = {name: words for name, words in error.fields.items() if name in LABELS}
        self.problems = [Problem(name, words) for name, words in self.errors.items()]
        placed = bool(self.problems) or error.kind == ErrorKind.UNAUTHENTICATED
        self.failure = "" if placed else error.detail
        return rx.set_focus(self.problems[0].ident) if self.problems else None

    def _empty(self, mode: str) -> None:
        self.mode, self.person, self.access = mode, Person(), Access()
        self.details, self.contact, self.activity = [], [], []
        self.notice = self.failure = ""
        self._close_form()

    def _close_form(self) -> None:
        self.editing, self.values, self.errors, self.problems = "", {}, {}, []
        self._before, self.restored = {}, False
        self.stale, self.stale_note = [], ""
        self.born_date = self.born_age = ""
        self.busy = self.asking_off = False

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
        self.notice = self.failure = ""
        self._show(patient)
        await self._open_form(section, patient)
        return rx.set_focus(SECTIONS[section][0])

    async def _open_form(self, section: str, patient: PatientProfile) -> None:
        """The record in the inputs, and over it what was typed the last time and not saved."""
        draft = await self._ask(read_draft, self._draft(section))
        self._before = presenters.typed(patient)
        typed = {name: value for name, value in draft.items() if name in SECTIONS[section]}
        self.restored = any(value != self._before[name] for name, value in typed.items())
        self.values = {**self._before, **typed} if self.restored else self._before
        self.born_date, self.born_age = wording.read_back(patient.date_of_birth)
        if self.restored and section == "details":
            self._read_back(self.values["date_of_birth"])
        self.editing = section
        self.form_number += 1

    def _draft(self, section: str) -> str:
        return f"profile-{self.person.patient_id}-{section}"

    @handler(Permission.PATIENT_EDIT)
    async def clear(self):
        """*Clear*: the record instead of the restored form."""
        section = self.editing
        if section not in SECTIONS:
            return None
        await self._ask(discard_draft, self._draft(section))
        self._close_form()
        await self._open_form(section, await self._ask(reread_patient, self.person.patient_id))
        return rx.set_focus(SECTIONS[section][0])

    @handler(Permission.PATIENT_EDIT)
    async def check(self, name: str, value: str):
        """On leaving a field: say what is wrong with it, and read a date of birth back."""
        name, value = text(name, 40), text(value)
        if name not in LABELS or self.busy or not self.editing:
            return
        problem = PatientDetails.problem(name, value)
        kept = {key: words for key, words in self.errors.items() if key != name}
        self.errors = {**kept, **({name: problem} if problem else {})}
        if self.problems:
            self.problems = [Problem(key, words) for key, words in self.errors.items()]
        if name == "date_of_birth":
            self._read_back(value)

    def _read_back(self, value: str) -> None:
        self.born_date = self.born_age = ""
        if not PatientDetails.problem("date_of_birth", value):
            form = PatientUpdate.parse({"date_of_birth": value})
            self.born_date, self.born_age = wording.read_back(form.changes["date_of_birth"])

    @handler(Permission.PATIENT_EDIT)
    async def save(self, form: dict[str, Any]):
        """Save what was changed in this section, and only that: what others changed meanwhile stays theirs."""
        if self.busy or self.editing not in SECTIONS:
            return
        given = fields(form, SECTIONS[self.editing])
        changed = {name: value for name, value in given.items() if value.strip() != self._before.get(name, "").strip()}
        update = PatientUpdate.parse(changed, self._version)
        self.busy, self.errors, self.problems, self.failure = True, {}, [], ""
        self.stale, self.stale_note = [], ""
        yield
        try:
            patient = await self._ask(update_patient, self.person.patient_id, update)
        except StaleRecord as error:
            await self._say_stale(error)
            return
        await self._ask(discard_draft, self._draft(self.editing))
        self._close_form()
        self._show(patient)
        self.notice = "Saved."

    async def _say_stale(self, error: StaleRecord) -> None:
        """Keep what was typed, show what the other one changed, and take the next *Save* as meant."""
        now = await self._ask(reread_patient, self.person.patient_id)
        fresh = presenters.typed(now)
        self.stale = [Fact(LABELS[name], fresh[name]) for name in fresh if fresh[name] != self._before.get(name, "")]
        self.stale_note = error.detail
        self.busy = False
        self.attempt += 1
        self._version = now.version

    @handler(Permission.PATIENT_EDIT)
    async def cancel(self):
        """Leave the form without saving."""
        if self.editing in SECTIONS:
            await self._ask(discard_draft, self._draft(self.editing))
        self._close_form()
        self._show(await self._ask(reread_patient, self.person.patient_id))

    # --- portal access ------------------------------------------------------------------------

    @handler(Permission.PORTAL_MANAGE)
    async def reset_password(self):
        """*Reset temporary password*: new credentials, shown once."""
        if self.busy:
            return
        self.busy, self.notice, self.failure = True, "", ""
        yield
        done = await self._ask(provisioning.reset_portal_password, self.person.patient_id)
        self.busy = False
        self._show(await self._ask(reread_patient, self.person.patient_id))
        dialog = await self.get_state(PortalDialogState)
        yield dialog._succeed(done.credentials, done.patient.patient_id, done.patient.name, "Temporary password reset")

    @handler(Permission.PORTAL_MANAGE)
    async def ask_turn_off(self, wanted: bool):
        """Open or close the question before access is turned off."""
        self.asking_off = wanted is True and not self.busy

    @handler(Permission.PORTAL_MANAGE)
    async def turn_off(self):
        """*Turn off portal access*."""
        await self._ask(provisioning.turn_off_portal, self.person.patient_id)
        self.asking_off, self.failure = False, ""
        self._show(await self._ask(reread_patient, self.person.patient_id))
        self.notice = "Portal access is turned off."

    @handler(Permission.PORTAL_MANAGE)
    async def turn_on(self):
        """*Turn on portal access*."""
        await self._ask(provisioning.turn_on_portal, self.person.patient_id)
        self.failure = ""
        self._show(await self._ask(reread_patient, self.person.patient_id))
        self.notice = "Portal access is turned on."
