"""*Patient registration*: the form, and who was registered."""

from __future__ import annotations

import secrets
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.accounts.errors import CredentialsSeen
from clinic_app.services.audit.actions import Action
from clinic_app.services.intents import Done
from clinic_app.services.patients.carrying import fields_of_term
from clinic_app.services.patients.duplicates import typed
from clinic_app.services.patients.duplicates.showing import possible_duplicates
from clinic_app.services.patients.duplicates.typed import COMPARED
from clinic_app.services.patients.errors import PossibleDuplicate
from clinic_app.services.patients.forms import LABELS, PORTAL_EMAIL_REQUIRED, PatientRegistration
from clinic_app.services.patients.household import household_of
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.patients.registration import DONE as REGISTERED
from clinic_app.services.patients.registration import DONE_WITH_PORTAL, register_patient
from clinic_app.services.portal import provisioning
from clinic_app.ui import presenters
from clinic_app.ui.frame.state import SearchState
from clinic_app.ui.portal_dialog.state import CREATED, PortalDialogState
from clinic_app.ui.session import presses
from clinic_app.ui.session.drawn import keeps_a_page, path_of
from clinic_app.ui.session.form_state import DONE, INPUT, FormState
from clinic_app.ui.session.handler import handler, text
from clinic_app.ui.view_models import MatchRow, PatientRow

FIELDS = tuple(PatientRegistration.model_fields)
DRAFT = "registration"
#: The id of the part of the page that says who may be registered already.
PANEL = "duplicates"
#: The hidden input with the ids of patients of whom was said that they are other people.
DESPITE = "despite"
_AT_MOST = 10
BLANK = presenters.blank()


def _ids(form: Any) -> tuple[int, ...]:
    """Whom *Register anyway* was drawn for: those are other people. Nobody, where another button was pressed."""
    sent = text(form.get(DESPITE), 200) if isinstance(form, dict) else ""
    return tuple(int(one) for one in sent.split(",")[:_AT_MOST] if one.isascii() and one.isdigit() and len(one) < 10)


def _strong(matches: list[MatchRow]) -> str:
    return ",".join(str(one.id) for one in matches if one.strong)


@presses.shows(Action.PATIENT_CREATED)
@keeps_a_page
class RegistrationState(FormState, rx.State):
    """The form, and after it who was registered."""

    values: dict[str, str] = BLANK
    message: str = ""
    patient: PatientRow = PatientRow()
    relative: PatientRow = PatientRow()  # whose household it is, where the form began with what it shares
    shared: list[str] = []  # what that is, by its labels
    matches: list[MatchRow] = []  # who may be the one in the form, best first
    held: str = ""  # ids of those who hold the registration, until somebody says that they are other people
    unknown: bool = False  # who it may be could not be looked up
    said: str = ""  # what became of credentials that were lost on the way
    visit: str = ""  # another one whenever the page is opened: what is over from the visit before is not drawn
    _typed: dict[str, str] = {}  # what stands in the inputs that tell who somebody is
    _loaded: bool = False
    _here: bool = False  # the page is open, and its form belongs to whoever sits there

    def _names(self) -> tuple[str, ...]:
        return FIELDS

    def _leave(self, path: str) -> None:
        """Who was registered goes with the page, and so does a form: what was typed is a draft's business."""
        if path != routes.REGISTRATION:
            self._here = False
            self._begin_with({})

    def _draft_name(self) -> str:
        return DRAFT

    def _problem_in(self, name: str, value: str) -> str:
        if not value.strip() and not self.errors.get(name):
            return ""  # tabbing through an empty form is no mistake yet
        if name == "portal_email" and not value.strip():
            return PORTAL_EMAIL_REQUIRED
        return PatientRegistration.problem(name, value)

    def _begin_with(self, values: dict[str, str]) -> None:
        super()._begin_with({**BLANK, **values})
        self.message, self.patient, self.said = "", PatientRow(), ""
        self.relative, self.shared = PatientRow(), []
        self._forget_matches(values)

    def _forget_matches(self, values: dict[str, str]) -> None:
        self.matches, self.held, self.unknown = [], "", False
        self._typed = {name: values[name] for name in COMPARED if values.get(name)}

    def _note(self, name: Any, value: Any) -> bool:
        """Whether another thing than before stands in an input that tells who somebody is."""
        name, value = text(name, 40), text(value)
        if name not in COMPARED or self.step != INPUT or self._typed.get(name, "") == value:
            return False
        self._typed = {**self._typed, name: value}
        return True

    async def _look(self) -> None:
        """Who may be the one in the form. An answer that does not come is no mistake in the form."""
        who = typed.person(self._typed)
        if who is None:
            self.matches, self.held, self.unknown = [], "", False
            return
        try:
            found = await self._ask(possible_duplicates, who, again=[one.id for one in self.matches])
        except ClinicError as error:
            if error.kind not in (ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE):
                raise
            self.unknown = True
            return
        self.matches, self.unknown = [presenters.match_row(one) for one in found], False
        self.held = _strong(self.matches) if self.held else ""

    def _fail(self, error: ClinicError) -> Any:
        """A likely duplicate holds the form: who it is stands beside it, and takes the focus."""
        if not isinstance(error, PossibleDuplicate):
            return super()._fail(error)
        self.step = INPUT
        self.attempt += 1
        self.matches = [presenters.match_row(one) for one in error.matches]
        self.held, self.unknown = _strong(self.matches), False
        return rx.set_focus(PANEL)

    async def _begin_with_household(self, patient_id: str) -> None:
        """*Register a relative*: the form begins with what the household shares."""
        found = await self._ask(household_of, patient_id)
        self._begin_with(found.values)
        self.relative = presenters.patient_row(found.patient)
        self.shared = [LABELS[name] for name in found.values]
        self.form_number += 1

    def _blank(self) -> Any:
        self._begin_with({})
        self.form_number += 1
        return rx.set_focus("first_name")

    @handler(Permission.PATIENT_REGISTER)
    async def load(self):
        """A new form: empty, but for what a search that found nobody says. What is half filled is offered beside it.

        After *Register a relative* on a profile it begins with what the household shares, and with nothing else.

        Also runs after a lost connection: the inputs, and what is typed in them, then stay as they are, and so does
        the outcome of what was pressed before it.
        """
        self.visit = secrets.token_hex(4)
        if self.step == DONE and await presses.goes_on(self):
            return
        loaded, here = self._loaded, self._here
        self._loaded = self._here = True
        searched = await self.get_state(SearchState)
        household, carried = searched.household, searched.carried
        searched.household = searched.carried = ""
        if here and self.step != DONE and not household and not carried:
            self._rest()
            return
        before = self.values
        told = {} if loaded else self.errors  # of a field that was left before this: after a restart that comes first
        if household:
            await self._begin_with_household(household)
        else:
            known = fields_of_term(carried)
            self._begin_with({**known, **({"portal_email": known["email"]} if "email" in known else {})})
            self.errors = told
            self._read_back(self.values.get("date_of_birth", ""))
            if self.values != before:
                self.form_number += 1
        await self._offer()

    @handler(Permission.PATIENT_REGISTER)
    async def check(self, name: str, value: str):
        """On leaving a field. Who it may be is looked at after that, and waits for nobody."""
        self._check(name, value)
        if self._note(name, value):
            yield
            await self._look()

    @handler(Permission.PATIENT_REGISTER, supersedes=True)
    async def typing(self, name: str, value: str):
        """Nothing was typed for a moment: who it may be is looked at."""
        if self._note(name, value):
            await self._look()

    @handler(Permission.PATIENT_REGISTER)
    async def answer_slip(self, name: str, changed: bool):
        """*Change it* or *Keep it*, under an email."""
        self._answer_slip(name, changed)

    @handler(Permission.PATIENT_REGISTER, changes=True)
    async def submit(self, form: dict[str, Any]):
        """Register. A second click or Enter while one is under way does nothing."""
        if self.step != INPUT:
            return
        given = self._given(form, FIELDS)
        if isinstance(form, dict) and form.get("create_portal_account") is True:
            given["create_portal_account"] = "on"
        self._read_back(given.get("date_of_birth", ""))
        self._read_phones_back(given)
        wanted = PatientRegistration.parse(given)
        self._typed = {name: given[name] for name in COMPARED if given.get(name)}
        self._work()
        yield
        press = presses.press_of(form)
        done = await self._ask(register_patient, wanted, press=press, despite=_ids(form))
        beside = self.relative, self.shared
        self._begin_with({})  # what stands there at once when the page is opened the next time
        self.relative, self.shared = beside
        self.step, self.message = DONE, done.message
        self.patient = presenters.patient_row(done.patient)
        await self._if_it_can(self._drop_draft(press))
        if done.credentials is not None:
            dialog = await self.get_state(PortalDialogState)
            yield dialog._succeed(
                done.credentials,
                done.patient.patient_id,
                done.patient.name,
                CREATED,
                deliveries=done.deliveries,
                stamp=done.patient.access.stamp,
                press=press,
            )

    async def _happened(self, done: Done) -> Any:
        """The success screen of a registration whose answer was lost; a password nobody has seen is replaced.

        Never on another patient's page: there it is told, and nothing is issued anew.
        """
        patient = await self._ask(reread_patient, done.resource_id or 0, Seen.OUTCOME)
        self._begin_with({})
        self.step, self.patient = DONE, presenters.patient_row(patient)
        portal = patient.access.status != "none"
        self.message = DONE_WITH_PORTAL if portal else REGISTERED
        await self._if_it_can(self._drop_draft(done.intent))
        if not portal:
            self.said = presses.happened_words(done)
            if path_of(self) != routes.REGISTRATION:
                (await self.get_state(presses.PressState))._tell(self.said)
            return None
        try:
            if routes.patient_of(path_of(self)) not in ("", patient.patient_id):
                raise CredentialsSeen
            issued = await self._fresh(provisioning.reissue_credentials, done)
        except CredentialsSeen:
            (self.said,) = presses.left_words(done)
            if path_of(self) != routes.REGISTRATION:
                await self._ask(intents.mark_seen, done.intent)
                (await self.get_state(presses.PressState))._tell(self.said)
            return None
        dialog = await self.get_state(PortalDialogState)
        return dialog._show_made(issued, CREATED, late=done)

    @handler(Permission.PATIENT_REGISTER)
    async def another(self):
        """The next person: an empty form."""
        focus = self._blank()
        await self._offer()
        return focus

    @handler(Permission.PATIENT_REGISTER)
    async def go_on(self, instance: str):
        """*Continue*: the form that was offered, as it was left."""
        if self.step != INPUT:
            return None
        fields = await self._continued(instance, FIELDS)
        if fields is None:
            return None
        taken = self.continues
        focus = self._blank()
        self.continues, self.values = taken, {**BLANK, **fields}
        self._read_back(self.values.get("date_of_birth", ""))
        self._read_phones_back(self.values)
        self._forget_matches(self.values)
        await self._look()
        return focus

    @handler(Permission.PATIENT_REGISTER)
    async def start_empty(self):
        """*Start empty*: the offers are put aside until the form is opened the next time."""
        self.offers = []
        return rx.set_focus("first_name")

    @handler(Permission.PATIENT_REGISTER)
    async def cancel(self, instance: str):
        """Back to the list; nothing is kept of what was typed."""
        await self._drop_draft(instance)
        self._blank()
