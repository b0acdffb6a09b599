"""*Portal accounts in bulk*: who, a preview, the run as it goes on in whichever server, and its report."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError
from clinic_app.core.paging import clamp
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.portal.bulk_choice import Chosen, Preview, preview_run
from clinic_app.services.portal.bulk_runs import (
    PAGE_SIZE,
    Report,
    continue_run,
    report_run,
    start_run,
    stop_run,
)
from clinic_app.services.portal.errors import NoSuchRun, PreviewChanged, RunUnderWay
from clinic_app.ui.bulk import words
from clinic_app.ui.session import guard, identity, live_updates, presses
from clinic_app.ui.session.drawn import keeps_a_page
from clinic_app.ui.session.handler import Asking, fields, handler
from clinic_app.ui.session.presses import press_of
from clinic_app.ui.view_models import ChosenRow, NotCreatedRow, Problem, SlipChoice, Tally

FIELDS = ("registered_from", "registered_until", "age", "language")
_NOTHING = dict.fromkeys(FIELDS, "")


@keeps_a_page
@presses.shows(Action.PORTAL_BULK_RUN)
class BulkState(Asking, rx.State):
    """One administrator's look. The run itself is in the database: whoever opens the page sees it."""

    mode: str = "loading"  # loading, failed (nothing could be read yet), who, running or report
    asked: dict[str, str] = _NOTHING  # the filter that was previewed
    previewed: bool = False
    eligible: int = 0
    eligible_words: str = ""
    invited_words: str = ""
    preview: list[Tally] = []
    chosen: list[ChosenRow] = []  # one page of those previewed
    chosen_page: int = 1
    chosen_pages: int = 1
    chosen_summary: str = ""
    run_id: int = 0
    title: str = ""
    done: int = 0
    total: int = 0
    progress: str = ""
    left: str = ""
    numbers: list[Tally] = []
    slips: list[SlipChoice] = []  # for whom slips can be printed
    slip_intent: str = ""  # of the press that would
    ended: str = ""  # why it is over too early: then it can go on
    rows: list[NotCreatedRow] = []
    page: int = 1
    pages: int = 1
    summary: str = ""
    errors: dict[str, str] = {}
    problems: list[Problem] = []
    failure: str = ""
    busy: bool = False
    form_number: int = 0
    _seen: int = 0
    _again_at: dt.datetime | None = None
    _ids: tuple[int, ...] = ()  # who is on the screen

    def _leave(self, path: str) -> None:
        if path != routes.PORTAL_BULK and self.mode != "loading":
            self.reset()

    def _meant(self, given: Any) -> int:
        """The number of the run a button was drawn for: the services know how it stands."""
        return given if type(given) is int else 0

    def _rest(self) -> None:
        self.busy = False

    def _fail(self, error: ClinicError) -> Any:
        self.busy = False
        self.errors = {name: said for name, said in error.fields.items() if name in FIELDS}
        self.problems = [Problem(name, said) for name, said in self.errors.items()]
        self.failure = "" if self.problems else error.detail
        self.mode = "failed" if self.mode == "loading" else self.mode
        return rx.set_focus(self.problems[0].ident) if self.problems else None

    def _calm(self) -> None:
        self.failure, self.errors, self.problems = "", {}, []

    def _show_preview(self, asked: dict[str, str], found: Preview) -> None:
        self.asked, self.previewed, self.eligible = asked, True, found.eligible
        self.preview = words.preview(found)
        self.eligible_words, self.invited_words = words.eligible(found.eligible), words.invited(found.eligible)
        self.chosen, self.chosen_page = words.chosen(found), found.page
        self.chosen_pages, self.chosen_summary = words.chosen_pages(found)

    def _forget_preview(self) -> None:
        self.previewed, self.chosen = False, []

    def _show(self, run: Report) -> None:
        self.mode = "running" if run.state == "RUNNING" else "report"
        self._forget_preview()
        self.run_id, self.title, self.ended = run.id, words.title(run), words.ended(run)
        self.done, self.total = run.created + run.refused, run.total
        self.progress, self.left = f"{self.done:,} of {self.total:,}", words.left(run)
        self.numbers, self.slips = words.numbers(run), words.slips(run)
        self.slip_intent = secrets.token_hex(16)
        self.rows = [words.not_created(one) for one in run.reasons]
        self._ids = tuple(one.id for one in run.reasons)
        self.page, self.pages = run.page, max(1, -(-run.refused // PAGE_SIZE))
        first = (run.page - 1) * PAGE_SIZE
        self.summary = f"{first + 1:,}–{first + len(self.rows):,} of {run.refused:,} patients"

    async def _latest(
        self, page: int = 1, again: Collection[int] | None = None, *, touch: bool = True
    ) -> Report | None:
        try:
            return await self._ask(report_run, page=page, again=again, touch=touch)
        except NoSuchRun:
            return None

    async def _look(self, page: int = 1) -> None:
        self._seen = live_updates.changes.number
        run = await self._latest(page)
        self.busy = False
        if run is None:
            self.mode = "who"
        else:
            self._show(run)

    @handler(Permission.PORTAL_BULK)
    async def load(self):
        """The run that is under way, or the report of the latest; where there was none, whom to choose."""
        self._calm()
        if self.mode == "who" and await presses.goes_on(self):
            self.busy = False
            return
        self.form_number += 1
        await self._look()

    @handler(Permission.PORTAL_BULK, background=True)
    async def watch(self):
        """How far the run is, and one that somebody else begins or stops, without a reload."""
        async for _ in live_updates.news(self, self._seen):
            async with self:
                page, shown = self.page, self._ids
            run = await self._latest(page, shown, touch=False)
            async with self:
                if run is not None and page == self.page and (self.mode != "who" or run.state == "RUNNING"):
                    self._show(run)
        yield guard.way_out(self, await identity.actor_of(self, touch=False))

    @handler(Permission.PORTAL_BULK)
    async def look(self, form: dict[str, Any]):
        """*Preview*."""
        self._calm()
        asked = {**_NOTHING, **fields(form, FIELDS)}
        self._forget_preview()
        self.busy = True
        yield
        found = await self._ask(preview_run, Chosen.parse(asked), page=1)
        self.busy = False
        self._show_preview(asked, found)

    @handler(Permission.PORTAL_BULK)
    async def begin(self):
        """*New run*: whom to choose. Nothing while a run is under way."""
        self._calm()
        if self.mode != "report":
            return None
        self.mode, self.asked = "who", _NOTHING
        self._forget_preview()
        self.form_number += 1
        return rx.set_focus("registered_from")

    @handler(Permission.PORTAL_BULK)
    async def turn(self, by: int):
        """One page of those not created on (1) or back (-1)."""
        await self._look(clamp(self.page + clamp(by, -1, 1, 0), 1, self.pages, 1))

    @handler(Permission.PORTAL_BULK)
    async def turn_chosen(self, by: int):
        """One page of those previewed on (1) or back (-1). They are counted anew."""
        self._calm()
        if self.mode == "who" and self.previewed:
            page = clamp(self.chosen_page + clamp(by, -1, 1, 0), 1, self.chosen_pages, 1)
            self._show_preview(self.asked, await self._ask(preview_run, Chosen.parse(self.asked), page=page))

    @handler(Permission.PORTAL_BULK, changes=True)
    async def start(self, form: dict[str, Any]):
        """*Create n portal accounts*, as they were previewed. A second click while it begins does nothing."""
        if self.busy:
            return
        self._calm()
        asked = {**_NOTHING, **fields(form, FIELDS)}
        number = clamp(form.get("eligible"), 0, 10**9, 0)
        self.busy = True
        yield
        chosen = Chosen.parse(asked)
        try:
            await self._ask(start_run, chosen, number, press=press_of(form))
        except PreviewChanged:
            self._show_preview(asked, await self._ask(preview_run, chosen, page=1))
            raise
        except RunUnderWay:
            await self._look()
            raise
        await self._look()

    async def _turned(self, use_case: Any, run_id: int, press: str) -> None:
        self._calm()
        try:
            await self._ask(use_case, run_id, press=press)
        except (NoSuchRun, RunUnderWay):
            await self._look(self.page)
            raise
        await self._look(self.page)

    @handler(Permission.PORTAL_BULK, about="run_id", changes=True)
    async def stop(self, run_id: int, press: str = ""):
        """*Stop the run*: what is done stays done."""
        await self._turned(stop_run, run_id, press=press_of(press))

    @handler(Permission.PORTAL_BULK, about="run_id", changes=True)
    async def go_on(self, run_id: int, press: str = ""):
        """*Continue the run*."""
        await self._turned(continue_run, run_id, press=press_of(press))

    async def _happened(self, done: intents.Done) -> None:
        """How the run stands now, which the press has begun, stopped or gone on with."""
        await self._look()
        (await self.get_state(presses.PressState))._tell(presses.happened_words(done))
