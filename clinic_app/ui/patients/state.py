"""*Patients*: type-ahead, sorting, paging, and other desks' changes as they happen."""

from __future__ import annotations

import datetime as dt

import reflex as rx

from clinic_app.core.errors import ClinicError
from clinic_app.core.paging import Page, clamp
from clinic_app.services.access import Permission
from clinic_app.services.patients import typed_searches
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.search import ORDERS, list_patients
from clinic_app.services.patients.views import PatientSummary
from clinic_app.ui import presenters
from clinic_app.ui.frame.state import SearchState
from clinic_app.ui.session import guard, identity, live_updates
from clinic_app.ui.session.handler import Asking, handler, text
from clinic_app.ui.view_models import PatientRow

#: Rows of a page: they fill a tall screen; on a lower one the line that turns the pages stays in sight.
PAGE_SIZE = 25


class PatientListState(Asking, rx.State):
    """One tab's list. The term stays in the tab; Back brings the same list."""

    mode: str = "loading"  # loading, rows, empty (no patient at all) or none (nothing matches)
    rows: list[PatientRow] = []
    term: str = ""
    answers: str = ""  # the term that the rows belong to
    typed: str = ""  # what the search box begins with
    box: int = 0  # a new number makes a new search box
    sort: str = "name"  # a column; nothing: best match first
    descending: bool = False
    page: int = 1
    pages: int = 1
    summary: str = ""
    failure: str = ""
    _seen: int = 0
    _again_at: dt.datetime | None = None
    _shown: PatientQuery | None = None  # what the rows answer
    _ids: tuple[int, ...] = ()  # who is on the screen

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail
        self.mode = "rows" if self.mode == "loading" else self.mode

    def _query(self) -> PatientQuery:
        order = f"-{self.sort}" if self.sort and self.descending else self.sort
        return PatientQuery(term=self.term, page=self.page, page_size=PAGE_SIZE, order=order)

    def _show(self, page: Page[PatientSummary]) -> None:
        self.rows = [presenters.patient_row(patient, term=self.term) for patient in page.items]
        self._ids = tuple(patient.id for patient in page.items)
        self.page, self.pages = page.number, page.pages
        self.summary = presenters.shown_of(page, "patient")
        self.mode = "rows" if page.total else "none" if self.term else "empty"
        self.typed = self.answers = self.term  # with its rows: Back draws the box of these before the server is heard
        self.failure = ""
        live_updates.again_at(self, presenters.changes_at(patient.access for patient in page.items))

    async def _refresh(self) -> None:
        seen = live_updates.changes.number  # before the query: what comes between is shown twice, never missed
        query = self._query()
        try:
            page = await self._ask(list_patients, query, box=self._box())
        except ClinicError:
            if self._shown is not None and self._shown.term == query.term:  # the rows stay, and so does what they are
                order = self._shown.order
                self.page, self.sort, self.descending = self._shown.page, order.lstrip("-"), order.startswith("-")
            raise
        self._show(page)
        self._seen, self._shown = seen, self._query()

    @handler(Permission.PATIENT_SEE)
    async def load(self):
        """The list as it was left in this tab, with today's rows."""
        searched = await self.get_state(SearchState)
        listed, searched.listed = searched.listed, ""
        if listed:
            self.term, self.page, self.sort, self.descending = listed, 1, "", False
        self.typed = self.term  # into the box, unless something has been typed there meanwhile
        await self._refresh()

    @handler(Permission.PATIENT_SEE, background=True)
    async def watch(self):
        """Another desk's badge, without a reload and without asking for it."""
        async for _ in live_updates.news(self, self._seen):
            async with self:
                query, shown = self._shown, self._ids
            if query is None:
                continue
            page = await self._ask(list_patients, query, again=shown, touch=False)
            async with self:
                if query == self._shown == self._query():  # the person has not turned the page meanwhile
                    self._show(page)
                    self._shown = self._query()  # the last page may be an earlier one now
        yield guard.way_out(self, await identity.actor_of(self, touch=False))

    @handler(Permission.PATIENT_SEE, supersedes=True)
    async def search(self, term: str):
        """Show what matches ``term``. Each keystroke ends the search of the one before."""
        self.term, self.page = text(term, 100).strip(), 1
        self.sort, self.descending = "" if self.term else "name", False
        await self._refresh()

    @handler(Permission.PATIENT_SEE)
    async def clear(self):
        """All patients again, and an empty search box with the cursor in it."""
        self.term, self.typed, self.page, self.sort, self.descending = "", "", 1, "name", False
        self.box += 1
        await self._refresh()
        return rx.set_focus("search")

    @handler(Permission.PATIENT_SEE)
    async def sort_by(self, key: str):
        """Sort by a column; by the same one again, the other way round."""
        key = text(key, 40)
        if key not in ORDERS:
            return
        self.descending = not self.descending if key == self.sort else False
        self.sort, self.page = key, 1
        await self._refresh()

    @handler(Permission.PATIENT_SEE)
    async def turn(self, by: int):
        """One page on (1) or back (-1)."""
        self.page = clamp(self.page + clamp(by, -1, 1, 0), 1, self.pages, 1)
        await self._refresh()

    @handler(Permission.PATIENT_REGISTER)
    async def carry_over(self):
        """*Register "…"*: take the term along as a name."""
        typed_searches.acted_on(self._box())
        (await self.get_state(SearchState)).carried = self.term
