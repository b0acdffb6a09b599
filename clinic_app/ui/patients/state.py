"""*Patients*: type-ahead, sorting, paging, and other desks' changes as they happen."""

from __future__ import annotations

import reflex as rx

from clinic_app.core.errors import ClinicError
from clinic_app.core.paging import Page, clamp
from clinic_app.services.access import Permission
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.search import ORDERS, list_patients
from clinic_app.services.patients.views import PatientSummary
from clinic_app.ui import presenters
from clinic_app.ui.frame.state import SearchState
from clinic_app.ui.session import guard, identity, live_updates
from clinic_app.ui.session.handler import Asking, handler, text
from clinic_app.ui.view_models import PatientRow

PAGE_SIZE = 10


class PatientListState(Asking, rx.State):
    """One tab's list. The term stays in the tab; Back brings the same list."""

    mode: str = "loading"  # loading, rows, empty (no patient at all) or none (nothing matches)
    rows: list[PatientRow] = []
    term: str = ""
    typed: str = ""  # what the search box begins with when it is made
    box: int = 0  # a new number makes a new search box
    sort: str = "name"
    descending: bool = False
    page: int = 1
    pages: int = 1
    summary: str = ""
    failure: str = ""
    _seen: int = 0

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail
        self.mode = "rows" if self.mode == "loading" else self.mode

    def _query(self) -> PatientQuery:
        order = f"-{self.sort}" if self.descending else self.sort
        return PatientQuery(term=self.term, page=self.page, page_size=PAGE_SIZE, order=order)

    def _show(self, page: Page[PatientSummary]) -> None:
        self.rows = [presenters.patient_row(patient) for patient in page.items]
        self.page, self.pages = page.number, page.pages
        self.summary = f"{page.first:,}–{page.last:,} of {presenters.plural(page.total, 'patient')}"
        self.mode = "rows" if page.total else "none" if self.term else "empty"
        self.failure = ""

    async def _refresh(self, *, again: bool = False) -> None:
        seen = live_updates.changes.number  # before the query: what comes between is shown twice, never missed
        self._show(await self._ask(list_patients, self._query(), again=again))
        self._seen = seen

    @handler(Permission.PATIENT_SEE)
    async def load(self):
        """The list as it was left in this tab, with today's rows."""
        self.typed = self.term
        self.box += 1
        await self._refresh(again=True)

    @handler(Permission.PATIENT_SEE, background=True)
    async def watch(self):
        """Another desk's badge, without a reload and without asking for it."""
        async for _ in live_updates.news(self, self._seen):
            async with self:
                query = self._query()
            page = await self._ask(list_patients, query, again=True, touch=False)
            async with self:
                if query == self._query():  # the person has not turned the page meanwhile
                    self._show(page)
        yield guard.way_out(self, await identity.actor_of(self, touch=False))

    @handler(Permission.PATIENT_SEE, supersedes=True)
    async def search(self, term: str):
        """Show what matches ``term``. Each keystroke ends the search of the one before."""
        self.term, self.page = text(term, 100).strip(), 1
        await self._refresh()

    @handler(Permission.PATIENT_SEE)
    async def clear(self):
        """All patients again, and an empty search box with the cursor in it."""
        self.term, self.typed, self.page = "", "", 1
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
        await self._refresh(again=True)

    @handler(Permission.PATIENT_SEE)
    async def turn(self, by: int):
        """One page on (1) or back (-1)."""
        self.page = clamp(self.page + clamp(by, -1, 1, 0), 1, self.pages, 1)
        await self._refresh(again=True)

    @handler(Permission.PATIENT_REGISTER)
    async def carry_over(self):
        """*Register "…"*: take the term along as a name."""
        (await self.get_state(SearchState)).carried = self.term
