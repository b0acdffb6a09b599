"""The frame around every staff page: who is signed in, refusals, and the search box of the bar."""

from __future__ import annotations

import datetime as dt

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.counts import plural
from clinic_app.core.errors import ClinicError
from clinic_app.services.access import Permission
from clinic_app.services.accounts.own_sessions import take_failed_tries
from clinic_app.services.patients import typed_searches
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.opened_last import opened_last
from clinic_app.services.patients.pairs import count_pairs
from clinic_app.services.patients.search import list_patients
from clinic_app.services.patients.verification import count_waiting
from clinic_app.services.patients.views import PairNumbers
from clinic_app.services.portal.work_list import Numbers, count_stuck
from clinic_app.ui import presenters
from clinic_app.ui.session import guard, identity, live_updates
from clinic_app.ui.session.drawn import enter_page, path_of
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.handler import Asking, handler, tab_of, text
from clinic_app.ui.session.presses import enter_line
from clinic_app.ui.view_models import PatientRow, Who

#: What else to try where nobody was found; *Patients* says the same.
TRY = "Try part of the name, the last digits of the phone number, the patient ID or the national ID."
SHOWN = 7  # patients below the box


class ShellState(Asking, rx.State):
    """The signed-in person, and what went wrong with the page as a whole."""

    who: Who = Who()
    failure: str = ""
    tries: str = ""  # what failed before this sign-in, said once
    stuck: str = ""  # how many are in the portal work list: 12; empty where nobody is, or it is not theirs to see
    pending: str = ""  # how many wait for verification, likewise
    doubles: str = ""  # how many pairs may be one person; empty likewise
    _seen: int = 0
    _again_at: dt.datetime | None = None

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail

    @handler(Permission.OWN_SESSION)
    async def enter(self):
        """First loader of every staff page: who is here; patients are sent to their own side."""
        self.failure = ""
        typed_searches.acted_on(tab_of(self))
        (await self.get_state(guard.Refusal)).words = ""
        (await self.get_state(SearchState))._forget()
        path = path_of(self)
        await enter_line(self, path)
        await enter_page(self)
        actor = await identity.actor_of(self)
        if not actor.is_staff or (actor.held_back and path != routes.ACCOUNT):
            return guard.way_out(self, actor)
        self.who = presenters.who(actor)
        told = await self._ask(take_failed_tries) if path == routes.RECEPTION else None
        if told is not None:
            self.tries = presenters.failed_tries(told)
        elif path != routes.RECEPTION:
            self.tries = ""  # it has been read
        self._seen = live_updates.changes.number  # before the count: what comes between is counted twice, never missed
        self._show_stuck(await self._ask(count_stuck) if actor.can(Permission.WORK_LISTS) else None)
        self._show_pending(await self._ask(count_waiting) if actor.can(Permission.PATIENT_VERIFY) else 0)
        self._show_doubles(await self._ask(count_pairs) if actor.can(Permission.DUPLICATES) else None)
        return None

    def _show_stuck(self, numbers: Numbers | None) -> None:
        self.stuck = f"{numbers.total:,}" if numbers and numbers.total else ""
        live_updates.again_at(self, numbers.changes_at if numbers else None)

    def _show_pending(self, number: int) -> None:
        self.pending = f"{number:,}" if number else ""

    def _show_doubles(self, numbers: PairNumbers | None) -> None:
        self.doubles = f"{numbers.total:,}" if numbers and numbers.total else ""

    @handler(Permission.OWN_SESSION, background=True)
    async def watch(self):
        """The numbers beside the work lists, kept up to date while the page is open."""
        async for _ in live_updates.news(self, self._seen):
            actor = await identity.actor_of(self, touch=False)
            if not actor.can(Permission.WORK_LISTS):
                continue
            numbers = await self._ask(count_stuck, touch=False)
            waiting = await self._ask(count_waiting, touch=False) if actor.can(Permission.PATIENT_VERIFY) else 0
            doubles = await self._ask(count_pairs, touch=False) if actor.can(Permission.DUPLICATES) else None
            async with self:
                self._show_stuck(numbers)
                self._show_pending(waiting)
                self._show_doubles(doubles)

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
    answers: str = ""  # the term that the rows belong to; empty: the records opened last
    more: str = ""  # Show all 12 patients, where more match than are shown
    advice: str = ""  # what else to try, where nobody matches
    listed: str = ""  # a term whose matches are wanted as a list: *Patients* begins with it
    carried: str = ""  # a term that matched nobody, taken along to the registration form
    household: str = ""  # the patient whose relative is about to be registered, taken along likewise

    def _fail(self, error: ClinicError) -> None:
        self._forget()
        self.count, self.shown = error.detail, True

    def _forget(self) -> None:
        """The list is gone with the page it was on."""
        self.rows, self.count, self.shown, self.answers, self.more, self.advice = [], "", False, "", "", ""

    async def _show_opened_last(self) -> None:
        """What an empty box offers; nothing hangs below it where nobody has opened a record yet."""
        found = await self._ask(opened_last)
        self._forget()
        self.rows = [presenters.patient_row(patient) for patient in found]
        self.count = f"{plural(len(found), 'patient')} you opened last"
        self.shown = bool(found)

    @handler(Permission.PATIENT_SEE)
    async def enter_box(self, term: str):
        """The cursor is in the box. What an empty one offers is asked for once, as long as it stays on the screen."""
        if not text(term, 100).strip() and (self.answers or not self.rows):
            await self._show_opened_last()

    @handler(Permission.PATIENT_SEE, supersedes=True)
    async def search(self, term: str):
        """The first few patients that match. Each keystroke ends the search of the one before."""
        term = text(term, 100).strip()
        if not term:
            await self._show_opened_last()
            return
        page = await self._ask(list_patients, PatientQuery(term=term, page_size=SHOWN), box=self._box())
        self.rows = [presenters.patient_row(patient, term=term) for patient in page.items]
        self.count = presenters.counted(page, "patient") if page.total else "No patient matches"
        all_of = f"the best {page.total:,}" if page.more else f"all {self.count}"
        self.more = f"Show {all_of}" if page.total > SHOWN else ""
        self.advice = "" if page.total else TRY
        self.shown, self.answers = True, term

    @handler(Permission.PATIENT_SEE)
    async def list_all(self):
        """*Show all*: on to the list of everybody who matches."""
        typed_searches.acted_on(self._box())
        self.listed = self.answers

    @handler(Permission.PATIENT_REGISTER)
    async def register_term(self):
        """*Register "…"*: take the term that found nobody along."""
        typed_searches.acted_on(self._box())
        self.carried = self.answers
