"""*Patient profile*: the record, edited in place, its portal access and its activity."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any, TypeVar

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError, InvalidInput
from clinic_app.core.paging import clamp
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.reading import RecordedEvent
from clinic_app.services.patients.activity import all_activity
from clinic_app.services.patients.errors import PatientMerged, PatientNotFound, StaleRecord
from clinic_app.services.patients.forms import LABELS, SECTIONS, PatientDetails, PatientUpdate
from clinic_app.services.patients.merging import undo_merge
from clinic_app.services.patients.profile import ACTIVITY, reread_patient, update_patient, view_patient
from clinic_app.services.patients.views import PatientProfile
from clinic_app.services.patients.wording import patient_id_spelled
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.errors import NoPortalAccount, PortalAccessChanged, PortalTurnedOff
from clinic_app.services.portal.forms import TurnOff
from clinic_app.ui import message_words, presenters
from clinic_app.ui.frame.state import SearchState
from clinic_app.ui.kit.address import LONGEST
from clinic_app.ui.session import guard, identity, live_updates, presses
from clinic_app.ui.session.drawn import STAMP, AnotherPatient, keeps_a_page
from clinic_app.ui.session.form_state import CLOSED, INPUT, WORKING, FormState
from clinic_app.ui.session.handler import fields, handler, text
from clinic_app.ui.session.presses import press_of
from clinic_app.ui.view_models import Access, Fact, Happening, MergedRecord, Message, PatientRow, Person

Done = TypeVar("Done")
SAID = {
    Action.PATIENT_UPDATED: "Saved.",
    Action.PORTAL_TURNED_OFF: "Portal access is turned off.",
    Action.PORTAL_TURNED_ON: "Portal access is turned on.",
    Action.PATIENT_MERGE_UNDONE: "Merge undone.",
}


@presses.shows(*SAID)
@keeps_a_page
class ProfileState(FormState, rx.State):
    """One open record, one section of which may be a form.

    Drawn where ``key`` is what the browser's own address names. Actions carry the patient ID they were drawn for.
    """

    step: str = CLOSED  # the form's; it is at work too while access is changed
    key: str = ""  # what the address named when this was read: the patient ID, or what is missing
    mode: str = "loading"  # loading, shown or missing
    person: Person = Person()
    row: PatientRow = PatientRow()  # for the portal button, which the list shows too
    details: list[Fact] = []
    contact: list[Fact] = []
    access: Access = Access()
    messages: list[Message] = []  # to the owner of the portal account
    activity: list[Happening] = []
    activity_more: bool = False  # there is more to show than is shown
    merged: list[MergedRecord] = []  # what was merged into it, the latest first
    notice: str = ""
    editing: str = ""  # details, contact or nothing
    stale: list[Fact] = []  # what somebody else changed meanwhile
    stale_note: str = ""
    asked: str = ""  # the question before access is turned off is about access with this stamp
    asked_again: str = ""  # what is wrong with its answer
    version: int = 0  # of the record in the form
    _before: dict[str, str] = {}  # the record as it was when the form was opened
    _events: tuple[RecordedEvent, ...] = ()
    _all_events: bool = False  # *Show all* was pressed
    _seen: int = 0
    _again_at: dt.datetime | None = None
    _socket: str = ""

    def _names(self) -> tuple[str, ...]:
        return tuple(LABELS)

    def _problem_in(self, name: str, value: str) -> str:
        return PatientDetails.problem(name, value)

    def _draft_name(self) -> str:
        return f"profile-{self.person.patient_id}-{self.editing}"

    def _fail(self, error: ClinicError) -> Any:
        if isinstance(error, PatientMerged):  # there is one address of a person
            return rx.redirect(routes.profile(error.into), replace=True)
        if isinstance(error, PatientNotFound):
            self._empty("missing")
            return None
        self.asked = ""
        focus = super()._fail(error)
        self._rest()
        return focus

    def _meant(self, given: Any) -> str:
        """The patient ID an action was drawn for: what the address it came from names, and what this is about.

        A state that is about nobody, such as one that was dropped while nobody used the page, follows the page.
        """
        patient_id = text(given, 20)
        if not patient_id or patient_id != self._key() or self.key not in ("", patient_id):
            raise AnotherPatient
        self.key = patient_id
        return patient_id

    def _leave(self, path: str) -> None:
        if self.key and path != routes.profile(self.key):
            self.key = ""
            self._empty("loading")

    def _rest(self) -> None:
        """Nothing is under way any more."""
        self.step = INPUT if self.editing else CLOSED

    def _empty(self, mode: str) -> None:
        self.mode, self.person, self.access = mode, Person(), Access()
        self.details, self.contact, self.activity, self.messages = [], [], [], []
        self._events, self._all_events, self.activity_more = (), False, False
        self.row, self.notice, self.merged = PatientRow(), "", []
        self.version = 0
        self._close_form()

    def _close_form(self) -> None:
        self._begin_with({})
        self.step = CLOSED
        self.editing, self._before = "", {}
        self.stale, self.stale_note = [], ""
        self.asked = self.asked_again = ""

    def _show(self, patient: PatientProfile) -> None:
        self.person, self.row = presenters.person(patient), presenters.patient_row(patient)
        self.details, self.contact = presenters.details(patient), presenters.contact(patient)
        self.access = presenters.access(patient.access)
        self.merged = presenters.merged_records(patient)
        self.messages = message_words.messages(patient.deliveries, patient.access)
        instants = presenters.changes_at([patient.access]), message_words.changes_at(patient.deliveries)
        live_updates.again_at(self, min((at for at in instants if at is not None), default=None))
        self._show_activity(patient.activity)
        self.mode = "shown"
        if not self.editing:
            self.version = patient.version

    def _show_activity(self, events: tuple[RecordedEvent, ...]) -> None:
        """What has happened. Where everything is shown already, what is new comes on top of it."""
        if not self._all_events:
            self._events, self.activity = events, presenters.activity(events)
            self.activity_more = len(events) >= ACTIVITY or len(presenters.all_activity(events)) > len(self.activity)
            return
        newest = self._events[0].seq if self._events else 0
        self._events = (*[event for event in events if event.seq > newest], *self._events)
        self.activity, self.activity_more = presenters.all_activity(self._events), False

    def _key(self) -> str:
        return text(self.patient_id, LONGEST)  # from the address: the service decides whether it is one

    @handler(Permission.PATIENT_SEE)
    async def load(self):
        """Open the record. The look is recorded before anything is shown. There is one address of it.

        Also runs after a lost connection: an edit under way then stays as it is.
        """
        socket, self._socket = self._socket, self.router.session.session_id
        key = self._key()
        reconnected = socket != self._socket and self.person.patient_id == key
        if not (reconnected and self.editing):
            self.key = key
            self._empty("loading")
            if patient_id_spelled(key) != key:
                yield rx.redirect(routes.profile(patient_id_spelled(key)), replace=True)
                return
            yield
        seen = live_updates.changes.number
        self._show(await self._ask(view_patient, key))
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

    @handler(Permission.PATIENT_SEE, about="patient_id")
    async def show_all_activity(self, patient_id: str):
        """*Show all*: everything that happened to the record that the button stands on."""
        if self.mode != "shown" or patient_id != self.person.patient_id:
            return
        events = await self._ask(all_activity, patient_id)
        self._events, self._all_events = (), True
        self._show_activity(events)

    @handler(Permission.PATIENT_REGISTER, about="patient_id")
    async def register_relative(self, patient_id: str):
        """*Register a relative*: on to the registration, which asks for what the household shares."""
        (await self.get_state(SearchState)).household = patient_id
        return rx.redirect(routes.REGISTRATION)

    # --- editing in place ---------------------------------------------------------------------

    @handler(Permission.PATIENT_EDIT, about="patient_id")
    async def edit(self, patient_id: str, section: str):
        """Turn one section into a form, with the record as it is now."""
        if section not in SECTIONS:
            return None
        patient = await self._ask(reread_patient, patient_id)
        self._close_form()
        self.notice = ""
        self._show(patient)
        return await self._open_form(section, patient)

    async def _open_form(self, section: str, patient: PatientProfile) -> Any:
        """The record in the inputs. What was typed the last time and not saved is offered beside it."""
        self.editing, self.step = section, INPUT
        self._before, self.unlisted = presenters.typed(patient), presenters.unlisted(patient)
        self.values = self._before
        self.form_number += 1
        await self._offer()
        self._read_back(self.values["date_of_birth"])
        self._read_phones_back(self.values)
        return rx.set_focus(SECTIONS[section][0])

    async def _offer(self) -> None:
        await super()._offer()
        self.offers = [dataclasses.replace(offer, name=self.person.name) for offer in self.offers]

    @handler(Permission.PATIENT_EDIT, about="patient_id")
    async def go_on(self, patient_id: str, section: str, instance: str):
        """*Continue*: what was offered, over the record as it is now."""
        if self.step != INPUT or section not in SECTIONS or section != self.editing:
            return None
        patient = await self._ask(reread_patient, patient_id)
        fields = await self._continued(instance, SECTIONS[section])
        if fields is None:
            return None
        taken = self.continues
        self._close_form()
        self._show(patient)
        focus = await self._open_form(section, patient)
        self.offers, self.continues, self.values = [], taken, {**self._before, **fields}
        self._read_back(self.values["date_of_birth"])
        self._read_phones_back(self.values)
        return focus

    @handler(Permission.PATIENT_EDIT, about="patient_id")
    async def put_aside(self, patient_id: str):  # noqa: ARG002
        """*Not now*: the offers are put aside until the section is edited the next time."""
        self.offers = []
        return rx.set_focus(SECTIONS[self.editing][0]) if self.editing in SECTIONS else None

    @handler(Permission.PATIENT_EDIT)
    async def check(self, name: str, value: str):
        """On leaving a field."""
        self._check(name, value)

    @handler(Permission.PATIENT_EDIT)
    async def answer_slip(self, name: str, changed: bool):
        """*Change it* or *Keep it*, under the email."""
        self._answer_slip(name, changed)

    @handler(Permission.PATIENT_EDIT, about="patient_id", changes=True)
    async def save(self, patient_id: str, section: str, version: int, form: dict[str, Any]):
        """Save what was changed in this section, and only that: what others changed meanwhile stays theirs.

        ``version`` is that of the record the form was drawn with; a newer one refuses the edit.
        """
        if self.step != INPUT or self.editing not in SECTIONS or section not in SECTIONS:
            return
        given = self._given(form, SECTIONS[section])
        if section != self.editing:  # another form was asked for after this one was sent: it comes back if it fails
            self.editing, self.values = section, {**self._before, **given}
            self.form_number += 1
        changed = {name: value for name, value in given.items() if value.strip() != self._before.get(name, "").strip()}
        update = PatientUpdate.parse(changed, clamp(version, 0, 2**31 - 1, 0))
        self._work()
        self.stale, self.stale_note = [], ""
        yield
        try:
            patient = await self._ask(update_patient, patient_id, update, press=press_of(form))
        except StaleRecord as error:
            await self._say_stale(patient_id, error)
            return
        await self._if_it_can(self._drop_draft(form))
        self._close_form()
        self._show(patient)
        self.notice = SAID[Action.PATIENT_UPDATED]

    async def _say_stale(self, patient_id: str, error: StaleRecord) -> None:
        """Keep what was typed, show what the other one changed, and take the next *Save* as meant."""
        now = await self._ask(reread_patient, patient_id)
        fresh = presenters.typed(now)
        changed = [name for name in fresh if fresh[name] != self._before.get(name, "")]
        self.stale = presenters.facts(now, changed)
        self.stale_note = error.detail
        self._rest()
        self.attempt += 1
        self.version = now.version

    @handler(Permission.PATIENT_EDIT, about="patient_id")
    async def cancel(self, patient_id: str, instance: str):
        """Leave the form without saving; nothing is kept of what was typed."""
        if self.editing in SECTIONS:
            await self._drop_draft(instance)
        self._close_form()
        self._show(await self._ask(reread_patient, patient_id))

    @handler(Permission.DUPLICATES, about="patient_id", changes=True)
    async def undo_merge(self, patient_id: str, merged: str, press: str = ""):
        """*Undo merge*: the record that was merged into this one is a record of its own again."""
        self.notice, self.failure, self.failure_detail = "", "", ""
        done = await self._ask(undo_merge, text(merged, 20), press=press_of(press))
        self._show(await self._ask(reread_patient, patient_id))
        self.notice = presenters.merge_undone(done)

    # --- portal access ------------------------------------------------------------------------

    async def _happened(self, done: intents.Done) -> None:
        """The record as it is now, and what a press whose answer was lost has done to it."""
        patient = await self._ask(reread_patient, done.resource_id or 0)
        if not patient.patient_id == self.key == self._key():  # another one's page
            (await self.get_state(presses.PressState))._tell(presses.happened_words(done))
            return
        if done.action == Action.PATIENT_UPDATED:
            for section in SECTIONS:  # which one it was went with the server's memory
                self.editing = section
                await self._if_it_can(self._drop_draft(done.intent))
            self._close_form()
        self._show(patient)
        self.asked, self.notice = "", f"{presses.happened_words(done)} {SAID[done.action]}"

    async def _change_access(
        self, use_case: Callable[..., Done], patient_id: str, drawn: str, *args: Any, press: Any
    ) -> Done:
        """Do it if access is still what ``drawn`` says, and show how it stands afterwards, either way."""
        self.asked, self.asked_again, self.notice, self.failure, self.failure_detail = "", "", "", "", ""
        try:
            return await self._ask(use_case, patient_id, text(drawn, STAMP), *args, press=press_of(press))
        except (PortalAccessChanged, PortalTurnedOff, NoPortalAccount):
            self._show(await self._ask(reread_patient, patient_id))
            raise

    @handler(Permission.PORTAL_MANAGE, about="patient_id")
    async def ask_turn_off(self, patient_id: str, drawn: str, wanted: bool):  # noqa: ARG002
        """Open or close the question before access is turned off."""
        self.asked = text(drawn, STAMP) if wanted is True and self.step != WORKING else ""
        self.asked_again = ""
        if wanted is False:
            await presses.dialog_closed(self)

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def turn_off(self, patient_id: str, drawn: str, form: dict[str, Any]):
        """*Turn off portal access*, and why."""
        try:
            why = TurnOff.parse(fields(form, ("reason", "words")), required=True)
        except InvalidInput as problem:
            self.asked_again = problem.detail
            return
        await self._change_access(provisioning.turn_off_portal, patient_id, drawn, why, press=form)
        self._show(await self._ask(reread_patient, patient_id))
        self.notice = SAID[Action.PORTAL_TURNED_OFF]

    @handler(Permission.PORTAL_MANAGE, about="patient_id", changes=True)
    async def turn_on(self, patient_id: str, drawn: str, press: str = ""):
        """*Turn on portal access*."""
        done = await self._change_access(provisioning.turn_on_portal, patient_id, drawn, press=press)
        self._show(await self._ask(reread_patient, patient_id))
        sent = [message_words.told(done.deliveries)] if done.deliveries else []
        self.notice = " ".join([SAID[Action.PORTAL_TURNED_ON], *sent])
