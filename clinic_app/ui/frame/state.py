"""The frame around every staff page: who is signed in, refusals, and the search box of the bar."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError
from clinic_app.services.access import Permission
from clinic_app.services.accounts.own_sessions import take_failed_tries
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.search import list_patients
from clinic_app.ui import presenters
from clinic_app.ui.session import guard, identity
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.handler import Asking, handler, text
from clinic_app.ui.view_models import PatientRow, Who


class ShellState(Asking, rx.State):
    """The signed-in person, and what went wrong with the page as a whole."""

    who: Who = Who()
    failure: str = ""
    tries: str = ""  # what failed before this sign-in, said once

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail

    @handler(Permission.OWN_SESSION)
    async def enter(self):
        """First loader of every staff page: who is here; patients are sent to their own side."""
        self.failure = ""
        (await self.get_state(guard.Refusal)).words = ""
        (await self.get_state(SearchState))._forget()
        actor = await identity.actor_of(self)
        path = str(self.router.url.path or "").rstrip("/") or routes.RECEPTION
        if not actor.is_staff or (actor.held_back and path != routes.ACCOUNT):
            return guard.way_out(self, actor)
        self.who = presenters.who(actor)
        told = await self._ask(take_failed_tries) if path == routes.RECEPTION else None
        if told is not None:
            self.tries = presenters.failed_tries(told)
        elif path != routes.RECEPTION:
            self.tries = ""  # it has been read
        return None

    @handler(PUBLIC)
    async def show_failure(self, reference: str):
        """Say that something went wrong, under which reference."""
        plain = text(reference, 16)
        self.failure = f"Something went wrong. Please try again. Reference: {plain}" if plain.isalnum() else ""


class SearchState(Asking, rx.State):
    """The type-ahead of the bar. The term stays here: it is in no address, title or log."""

    rows: list[PatientRow] = []
    count: str = ""
    shown: bool = False
    carried: str = ""  # a term that matched nobody, taken along to the registration form

    def _fail(self, error: ClinicError) -> None:
        self.rows, self.count, self.shown = [], error.detail, True

    def _forget(self) -> None:
        """The list is gone with the page it was on."""
        self.rows, self.count, self.shown = [], "", False

    @handler(Permission.PATIENT_SEE, supersedes=True)
    async def search(self, term: str):
        """The first few patients that match. Each keystroke ends the search of the one before."""
        term = text(term, 100).strip()
        if not term:
            self._forget()
            return
        page = await self._ask(list_patients, PatientQuery(term=term, page_size=7))
        self.rows = [presenters.patient_row(patient, term=term) for patient in page.items]
        self.count = presenters.plural(page.total, "patient") if page.total else "No patient matches"
        self.shown = True
