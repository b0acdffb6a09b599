"""*Patient registration*: the form, and who was registered."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.services.access import Permission
from clinic_app.services.patients.forms import PORTAL_EMAIL_REQUIRED, PatientRegistration
from clinic_app.services.patients.registration import register_patient
from clinic_app.ui import presenters
from clinic_app.ui.frame.state import SearchState
from clinic_app.ui.portal_dialog.state import CREATED, PortalDialogState
from clinic_app.ui.session.form_state import DONE, INPUT, FormState
from clinic_app.ui.session.handler import fields, handler
from clinic_app.ui.view_models import PatientRow

FIELDS = tuple(PatientRegistration.model_fields)
DRAFT = "registration"
BLANK = presenters.blank()


class RegistrationState(FormState, rx.State):
    """The form, and after it who was registered."""

    values: dict[str, str] = BLANK
    message: str = ""
    patient: PatientRow = PatientRow()
    _socket: str = ""

    def _names(self) -> tuple[str, ...]:
        return FIELDS

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
        self.message, self.patient = "", PatientRow()

    def _blank(self) -> Any:
        self._begin_with({})
        self.form_number += 1
        return rx.set_focus("first_name")

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
        draft = {} if words or reconnected else await self._draft(FIELDS)
        self._begin_with({**known, **draft})
        self.errors = told
        self.restored = bool(draft) or (reconnected and was_restored)
        self._read_back(self.values.get("date_of_birth", ""))
        if self.values != before:
            self.form_number += 1

    @handler(Permission.PATIENT_REGISTER)
    async def check(self, name: str, value: str):
        """On leaving a field."""
        self._check(name, value)

    @handler(Permission.PATIENT_REGISTER)
    async def submit(self, form: dict[str, Any]):
        """Register. A second click or Enter while one is under way does nothing."""
        if self.step != INPUT:
            return
        given = fields(form, FIELDS)
        if isinstance(form, dict) and form.get("create_portal_account") is True:
            given["create_portal_account"] = "on"
        self._read_back(given.get("date_of_birth", ""))
        wanted = PatientRegistration.parse(given)
        self._work()
        yield
        done = await self._ask(register_patient, wanted)
        self.step, self.message = DONE, done.message
        self.patient = presenters.patient_row(done.patient)
        await self._drop_draft()
        if done.credentials is not None:
            dialog = await self.get_state(PortalDialogState)
            yield dialog._succeed(done.credentials, done.patient.patient_id, done.patient.name, CREATED)

    @handler(Permission.PATIENT_REGISTER)
    async def another(self):
        """The next person: an empty form."""
        return self._blank()

    @handler(Permission.PATIENT_REGISTER)
    async def clear(self):
        """*Clear*: an empty form instead of the restored one."""
        await self._drop_draft()
        return self._blank()

    @handler(Permission.PATIENT_REGISTER)
    async def cancel(self):
        """Back to the list; nothing is kept of what was typed."""
        await self._drop_draft()
        self._blank()
