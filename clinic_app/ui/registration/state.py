"""*Patient registration*: the form's errors, what was understood of the date of birth, and who was registered."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.services.access import Permission
from clinic_app.services.accounts.drafts import discard_draft, read_draft
from clinic_app.services.patients import wording
from clinic_app.services.patients.forms import PORTAL_EMAIL_REQUIRED, PatientRegistration
from clinic_app.services.patients.registration import register_patient
from clinic_app.ui import presenters
from clinic_app.ui.frame.state import SearchState
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.session.handler import Asking, fields, handler, text
from clinic_app.ui.view_models import PatientRow, Problem

FIELDS = tuple(PatientRegistration.model_fields)
DRAFT = "registration"


class RegistrationState(Asking, rx.State):
    """What is typed stays in the browser's inputs; here are the sentences beside them."""

    values: dict[str, str] = {"gender": "UNKNOWN"}  # what the inputs begin with
    errors: dict[str, str] = {}
    problems: list[Problem] = []
    born_date: str = ""
    born_age: str = ""
    busy: bool = False
    failure: str = ""
    failure_detail: str = ""
    attempt: int = 0  # goes up with every failed submit: the focus goes to what is wrong
    form_number: int = 0  # a new number makes a new, empty form
    done: bool = False
    message: str = ""
    patient: PatientRow = PatientRow()
    restored: bool = False  # the form began with what was typed and not sent
    _socket: str = ""

    def _fail(self, error: ClinicError) -> Any:
        self.busy = False
        self.attempt += 1
        self.errors = {name: words for name, words in error.fields.items() if name in FIELDS}
        self.problems = [Problem(name, self.errors[name]) for name in FIELDS if name in self.errors]
        placed = bool(self.problems) or error.kind == ErrorKind.UNAUTHENTICATED
        self.failure, self.failure_detail = ("", "") if placed else (error.title, error.detail)
        return rx.set_focus(self.problems[0].ident) if self.problems else None

    def _blank(self) -> None:
        self._begin_with({})
        self.form_number += 1

    def _begin_with(self, known: dict[str, str]) -> None:
        self.values, self.errors, self.problems = {"gender": "UNKNOWN", **known}, {}, []
        self.born_date = self.born_age = self.failure = self.failure_detail = self.message = ""
        self.busy = self.done = self.restored = False
        self.patient = PatientRow()

    @handler(Permission.PATIENT_REGISTER)
    async def load(self):
        """An empty form; names are carried over from a search that found nobody, and a draft is restored.

        Also runs after a lost connection: the inputs, and what is typed in them, then stay as they are.
        """
        socket, self._socket = self._socket, self.router.session.session_id
        reconnected = socket not in ("", self._socket)
        told = {} if socket else self.errors  # of a field that was left before this: after a restart that comes first
        before, known, was_restored = self.values, self.values if reconnected else {}, self.restored
        searched = await self.get_state(SearchState)
        words = searched.carried.split() if searched.carried and not any(c.isdigit() for c in searched.carried) else []
        searched.carried = ""
        if words:
            known = {"first_name": words[0], "last_name": " ".join(words[1:])}
        draft = {} if words or reconnected else await self._ask(read_draft, DRAFT)
        draft = {name: value for name, value in draft.items() if name in FIELDS}
        self._begin_with({**known, **draft})
        self.errors = told
        self.restored = bool(draft) or (reconnected and was_restored)
        if self.values.get("date_of_birth"):
            self._read_back(self.values["date_of_birth"])
        if self.values != before:
            self.form_number += 1

    @handler(Permission.PATIENT_REGISTER)
    async def check(self, name: str, value: str):
        """On leaving a field: say what is wrong with it, and read a date of birth back."""
        name, value = text(name, 40), text(value)
        if name not in FIELDS or self.busy or self.done:
            return
        problem = PatientRegistration.problem(name, value)
        if name == "portal_email" and not value.strip():
            problem = PORTAL_EMAIL_REQUIRED if self.errors.get(name) else ""  # leaving it empty is said on submit
        if not value.strip() and name in ("first_name", "last_name") and not self.errors.get(name):
            problem = ""  # tabbing through an empty form is no mistake yet
        self.errors = {
            **{key: words for key, words in self.errors.items() if key != name},
            **({name: problem} if problem else {}),
        }
        if self.problems:
            self.problems = [Problem(key, self.errors[key]) for key in FIELDS if key in self.errors]
        if name == "date_of_birth":
            self._read_back(value)

    def _read_back(self, value: str) -> None:
        self.born_date = self.born_age = ""
        if not PatientRegistration.problem("date_of_birth", value):
            form = PatientRegistration.parse({"first_name": "-", "last_name": "-", "date_of_birth": value})
            self.born_date, self.born_age = wording.read_back(form.date_of_birth)

    @handler(Permission.PATIENT_REGISTER)
    async def submit(self, form: dict[str, Any]):
        """Register. A second click or Enter while one is under way does nothing."""
        if self.busy or self.done:
            return
        given = fields(form, FIELDS)
        if isinstance(form, dict) and form.get("create_portal_account") is True:
            given["create_portal_account"] = "on"
        self._read_back(given.get("date_of_birth", ""))
        wanted = PatientRegistration.parse(given)
        self.busy = True
        self.errors, self.problems, self.failure, self.failure_detail = {}, [], "", ""
        yield
        done = await self._ask(register_patient, wanted)
        self.busy, self.done, self.message = False, True, done.message
        self.patient = presenters.patient_row(done.patient)
        await self._ask(discard_draft, DRAFT)
        if done.credentials is not None:
            dialog = await self.get_state(PortalDialogState)
            yield dialog._succeed(
                done.credentials, done.patient.patient_id, done.patient.name, "Portal Account Created!"
            )

    @handler(Permission.PATIENT_REGISTER)
    async def another(self):
        """The next person: an empty form."""
        self._blank()
        return rx.set_focus("first_name")

    @handler(Permission.PATIENT_REGISTER)
    async def clear(self):
        """*Clear*: an empty form instead of the restored one."""
        await self._ask(discard_draft, DRAFT)
        self._blank()
        return rx.set_focus("first_name")

    @handler(Permission.PATIENT_REGISTER)
    async def cancel(self):
        """Back to the list; nothing is kept of what was typed."""
        await self._ask(discard_draft, DRAFT)
        self._blank()
