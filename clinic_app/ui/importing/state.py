"""*Import and export*: a file checked and decided, the import as it goes on in whichever server, and its report."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError
from clinic_app.core.paging import clamp
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.patients.exporting import exportable
from clinic_app.services.patients.importing.errors import ImportUnderWay, NoSuchImport, NoSuchRow
from clinic_app.services.patients.importing.runs import (
    continue_import,
    decide_rest,
    decide_row,
    discard_import,
    earlier_imports,
    latest_import,
    start_import,
    stop_import,
    view_import,
)
from clinic_app.services.patients.importing.views import ImportView
from clinic_app.ui.importing import words
from clinic_app.ui.session import guard, identity, live_updates, presses
from clinic_app.ui.session.drawn import keeps_a_page
from clinic_app.ui.session.handler import Asking, handler, text
from clinic_app.ui.session.presses import press_of
from clinic_app.ui.view_models import EarlierFile, FileRowShown, Filter, Tally

_MODES = {
    "RECEIVING": "start",
    "CHECKING": "checking",
    "CHECKED": "preview",
    "IMPORTING": "running",
    "REFUSED": "refused",
}


@keeps_a_page
@presses.shows(Action.PATIENT_IMPORT_RUN)
class ImportPageState(Asking, rx.State):
    """One administrator's look. The import itself is in the database: it goes on without the page."""

    mode: str = (
        "loading"  # loading, failed (nothing could be read yet), start, checking, refused, preview, running, report
    )
    number: int = 0
    stamp: str = ""  # of what was decided, as it stands on the screen
    name: str = ""
    by: str = ""
    reason: str = ""
    columns: str = ""
    column_names: list[str] = []
    more_columns: str = ""
    again: str = ""
    figures: list[Tally] = []
    filters: list[Filter] = []
    only: str = ""
    rows: list[FileRowShown] = []
    page: int = 1
    pages: int = 1
    summary: str = ""
    duplicates: int = 0
    rest: str = ""
    rest_goes_in: bool = False
    button: str = ""
    nothing: bool = False  # would go in
    done: int = 0
    size: int = 1
    progress: str = ""
    did: str = ""
    how: str = ""
    early: str = ""
    can_go_on: bool = False
    earlier: list[EarlierFile] = []
    active: str = ""
    everybody: str = ""
    failure: str = ""
    busy: bool = False
    form_number: int = 0
    _mine: bool = False
    _seen: int = 0
    _rows: tuple[int, ...] = ()

    def _leave(self, path: str) -> None:
        if path != routes.IMPORT and self.mode != "loading":
            self.reset()

    def _meant(self, given: Any) -> int:
        """The number of the import a button was drawn for: the services know how it stands."""
        return given if type(given) is int else 0

    def _rest(self) -> None:
        self.busy = False

    def _fail(self, error: ClinicError) -> Any:
        self.busy, self.failure = False, error.detail
        self.mode = "failed" if self.mode == "loading" else self.mode

    def _show(self, found: ImportView) -> None:
        self.mode = _MODES.get(found.state, "report")
        self.number, self.name, self.reason = found.id, found.name, found.reason
        self.stamp, self.by, self._mine = found.stamp, words.by(found), found.mine
        self.columns, self.column_names = words.columns(found), words.column_names(found)
        self.more_columns = words.more_columns(found)
        self.again = words.again(found)
        self.figures = words.left_out(found) if self.mode == "report" else words.tally(found)
        self.filters, self.only = words.filters(found), found.only
        waits = self.mode == "preview"
        self.rows = [words.row_shown(one, waits=waits) for one in found.shown]
        self._rows = tuple(one.row for one in found.shown)
        self.page, self.pages, self.summary = found.page, found.pages, words.summary(found)
        self.duplicates, self.rest = found.duplicates, words.rest(found)
        self.rest_goes_in = found.allow_duplicates
        self.button, self.nothing = words.button(found), not (found.goes_in or found.same)
        self.done, self.size, self.progress = found.done, max(1, found.size), words.progress(found)
        self.did, self.how = words.done(found) if self.mode == "report" else ("", "")
        self.early = words.early(found)
        self.can_go_on = bool(self.early) and found.uploaded

    async def _look(self, number: int, *, only: str = "", page: int = 1, again: Collection[int] | None = None) -> None:
        self._seen = live_updates.changes.number
        if number:
            self._show(await self._ask(view_import, number, only=only, page=page, again=again))
        else:
            await self._start()
        self.busy = False

    async def _start(self) -> None:
        """A file to choose, what was imported before, and what can be taken out."""
        self.earlier = [words.earlier(one) for one in await self._ask(earlier_imports)]
        numbers = await self._ask(exportable)
        self.active, self.everybody = f"{numbers.active:,}", f"{numbers.all:,}"
        self.mode, self.number = "start", 0
        self.form_number += 1

    @handler(Permission.PATIENT_IMPORT)
    async def load(self):
        """What waits for something: an import under way, or a file that was checked. Else a file to choose."""
        self.failure = ""
        if self.mode == "start" and await presses.goes_on(self):
            self.busy = False
            return
        number = self.number if self.mode == "report" and await presses.goes_on(self) else 0
        await self._look(number or await self._ask(latest_import))

    @handler(Permission.PATIENT_IMPORT, background=True)
    async def watch(self):
        """How far it is, and what somebody else decides or stops, without a reload."""
        async for _ in live_updates.news(self, self._seen):
            async with self:
                mode, number, only, page, shown = self.mode, self.number, self.only, self.page, self._rows
            if mode in ("loading", "failed", "report"):
                continue
            found = None
            try:
                number = number or await self._ask(latest_import, touch=False)
                if number:
                    found = await self._ask(view_import, number, only=only, page=page, again=shown, touch=False)
            except NoSuchImport:
                number = 0
            async with self:
                if (self.mode, self.only, self.page) != (mode, only, page):
                    continue
                if found is not None:
                    self._show(found)
                elif mode != "start":
                    await self._start()
        yield guard.way_out(self, await identity.actor_of(self, touch=False))

    @handler(Permission.PATIENT_IMPORT)
    async def choose(self, only: str):
        """One of the outcomes."""
        await self._look(self.number, only=only if isinstance(only, str) else "")

    @handler(Permission.PATIENT_IMPORT)
    async def turn(self, by: int):
        """One page of the rows on (1) or back (-1)."""
        page = clamp(self.page + clamp(by, -1, 1, 0), 1, self.pages, 1)
        await self._look(self.number, only=self.only, page=page)

    @handler(Permission.PATIENT_IMPORT, about="run_id")
    async def open_report(self, run_id: int):
        """*Report* of an earlier import."""
        self.failure = ""
        await self._look(run_id)

    @handler(Permission.PATIENT_IMPORT)
    async def another(self):
        """*Import another file*, from a report."""
        self.failure = ""
        await self._start()

    async def _did(self, use_case: Callable[..., None], *args: Any, press: str) -> None:
        self.failure = ""
        number, only, page = self.number, self.only, self.page
        try:
            await self._ask(use_case, *args, press=press)
        except (NoSuchImport, ImportUnderWay, NoSuchRow):
            await self._look(await self._ask(latest_import))
            raise
        await self._look(number, only=only, page=page, again=self._rows)

    @handler(Permission.PATIENT_IMPORT, about="run_id", changes=True)
    async def decide(self, run_id: int, row: int, decision: str, patient: int, press: str = ""):
        """*Same person*, *Import anyway* or *Leave out*, of one row."""
        ids = clamp(row, 0, 2**31 - 1, 0), clamp(patient, 0, 2**31 - 1, 0)
        what = decision if isinstance(decision, str) else ""
        await self._did(decide_row, run_id, ids[0], what, ids[1], press=press_of(press))

    @handler(Permission.PATIENT_IMPORT, about="run_id", changes=True)
    async def decide_all(self, run_id: int, import_them: bool, press: str = ""):
        """What becomes of possible duplicates that nothing was said about."""
        self.failure = ""
        only, page = self.only, self.page
        await self._ask(decide_rest, run_id, import_them=import_them is True, press=press_of(press))
        await self._look(run_id, only=only, page=page, again=self._rows)

    @handler(Permission.PATIENT_IMPORT, about="run_id", changes=True)
    async def take_in(self, run_id: int, stamp: str, press: str = ""):
        """*Import n patients*, as they were decided on the screen that it was pressed on."""
        await self._did(start_import, run_id, text(stamp, 40), press=press_of(press))

    @handler(Permission.PATIENT_IMPORT, about="run_id", changes=True)
    async def stop(self, run_id: int, press: str = ""):
        """*Stop the import*: what is in stays in."""
        await self._did(stop_import, run_id, press=press_of(press))

    @handler(Permission.PATIENT_IMPORT, about="run_id", changes=True)
    async def go_on(self, run_id: int, press: str = ""):
        """*Continue the import*."""
        await self._did(continue_import, run_id, press=press_of(press))

    @handler(Permission.PATIENT_IMPORT, about="run_id", changes=True)
    async def drop(self, run_id: int, press: str = ""):
        """*Another file*: this one goes, of which nothing was taken in; one that waits for somebody else stays."""
        self.failure = ""
        if run_id == self.number and self.mode in ("preview", "refused") and not self._mine:
            await self._start()
            return
        try:
            await self._ask(discard_import, run_id, press=press_of(press))
        except NoSuchImport:
            await self._look(await self._ask(latest_import))
            raise
        await self._start()

    async def _happened(self, done: intents.Done) -> None:
        """How it stands now, which the press has changed."""
        await self._look(await self._ask(latest_import))
        (await self.get_state(presses.PressState))._tell(presses.happened_words(done))
