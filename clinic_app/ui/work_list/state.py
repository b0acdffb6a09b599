"""*Portal work list*: groups, filters, pages, and other desks' changes as they happen."""

from __future__ import annotations

import datetime as dt

import reflex as rx

from clinic_app.core.errors import ClinicError
from clinic_app.core.paging import clamp
from clinic_app.services.access import Permission
from clinic_app.services.patients.portal_standing import URGENCY
from clinic_app.services.portal.work_list import PAGE_SIZE, Place, WorkPage, list_stuck
from clinic_app.ui import presenters
from clinic_app.ui.session import guard, identity, live_updates
from clinic_app.ui.session.handler import Asking, handler, text
from clinic_app.ui.view_models import Filter, WorkGroup
from clinic_app.ui.work_list import words


class WorkListState(Asking, rx.State):
    """One tab's list. Pages follow each other: each begins behind the last person of the one before."""

    mode: str = "loading"  # loading, failed (nothing could be read yet), rows, none (in this group) or empty
    groups: list[WorkGroup] = []
    reasons: list[Filter] = []
    title: str = ""  # of the chosen group
    page: int = 1
    pages: int = 1
    summary: str = ""
    failure: str = ""
    _chosen: str = ""  # a group; nothing: all
    _behind: tuple[Place, ...] = ()  # where the pages up to this one begin
    _then: Place | None = None
    _shown: tuple[str, tuple[Place, ...]] | None = None  # what the rows answer
    _seen: int = 0
    _again_at: dt.datetime | None = None
    _ids: tuple[int, ...] = ()  # who is on the screen

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail
        if self._shown is None:
            self.mode = "failed"
        else:  # the rows stay, and so does what they are
            self._chosen, self._behind = self._shown

    def _show(self, page: WorkPage) -> None:
        numbers, count = page.numbers, len(page.items)
        total = numbers.groups[self._chosen] if self._chosen else numbers.total
        self.groups = words.groups(page)
        self.reasons = words.reasons(numbers, self._chosen)
        self.title = words.TITLES.get(self._chosen, "")
        self.page = len(self._behind) + 1
        before = PAGE_SIZE * (self.page - 1)
        self.pages = max(self.page + 1, -(-total // PAGE_SIZE)) if page.then else self.page
        last = before + count
        self.summary = f"{before + 1:,}–{last:,} of {max(total, last):,} people"
        self.mode = "rows" if count else "none" if numbers.total else "empty"
        self.failure = ""
        self._then, self._ids = page.then, tuple(one.patient.id for one in page.items)
        self._shown = self._chosen, self._behind
        again = presenters.changes_at(one.patient.access for one in page.items)
        live_updates.again_at(self, words.changes_at(page, again))

    async def _refresh(self) -> None:
        seen = live_updates.changes.number  # before the query: what comes between is shown twice, never missed
        behind = self._behind[-1] if self._behind else None
        page = await self._ask(list_stuck, self._chosen, behind, page=len(self._behind) + 1)
        if not page.items and self._behind:  # everybody behind there has been helped meanwhile
            self._behind = ()
            page = await self._ask(list_stuck, self._chosen)
        self._seen = seen
        self._show(page)

    @handler(Permission.WORK_LISTS)
    async def load(self):
        """The list from its beginning, under the filter that was chosen in this tab."""
        self._behind = ()
        await self._refresh()

    @handler(Permission.WORK_LISTS, background=True)
    async def watch(self):
        """Who is helped goes, who gets stuck comes, ages grow: without a reload and without asking for it."""
        async for _ in live_updates.news(self, self._seen):
            async with self:
                wanted, shown = self._shown, self._ids
            if wanted is None:
                continue
            chosen, behind = wanted
            at, number = behind[-1] if behind else None, len(behind) + 1
            page = await self._ask(list_stuck, chosen, at, page=number, again=shown, touch=False)
            async with self:
                if wanted == self._shown == (self._chosen, self._behind):  # the page has not been turned meanwhile
                    self._show(page)
        yield guard.way_out(self, await identity.actor_of(self, touch=False))

    @handler(Permission.WORK_LISTS)
    async def choose(self, key: str):
        """One group, or all."""
        key = text(key, 20)
        self._chosen, self._behind = key if key in URGENCY else "", ()
        await self._refresh()

    @handler(Permission.WORK_LISTS)
    async def turn(self, by: int):
        """One page on (1) or back (-1)."""
        step = clamp(by, -1, 1, 0)
        if step > 0 and self._then is not None:
            self._behind = (*self._behind, self._then)
        elif step < 0:
            self._behind = self._behind[:-1]
        await self._refresh()
