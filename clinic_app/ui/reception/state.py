"""*Reception*: today in numbers, and the latest patients."""

from __future__ import annotations

import datetime as dt

import reflex as rx

from clinic_app.core import clock
from clinic_app.core.counts import plural
from clinic_app.core.errors import ClinicError
from clinic_app.services.access import Permission
from clinic_app.services.patients import wording
from clinic_app.services.patients.overview import overview
from clinic_app.services.patients.views import Overview
from clinic_app.ui import presenters
from clinic_app.ui.session import guard, identity, live_updates
from clinic_app.ui.session.handler import Asking, handler
from clinic_app.ui.view_models import DayBar, PatientRow


class ReceptionState(Asking, rx.State):
    """What the desk looks like today; kept up to date while the page is open."""

    today: str = ""
    registered_today: str = ""
    registered_note: str = ""
    uptake: str = ""
    uptake_width: str = "0%"
    uptake_note: str = ""
    waiting: str = ""
    waiting_note: str = ""
    latest: list[PatientRow] = []
    days: list[DayBar] = []
    days_label: str = ""
    days_range: str = ""
    loaded: bool = False
    failure: str = ""
    little_room: str = ""
    copy_late: str = ""
    _seen: int = 0
    _again_at: dt.datetime | None = None
    _ids: tuple[int, ...] = ()  # who is on the screen

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail

    def _show(self, view: Overview) -> None:
        share = round(view.with_portal / view.patients * 100) if view.patients else 0
        self.today = presenters.day_words(clock.today())
        self.registered_today = f"{view.registered_today:,}"
        self.registered_note = f"{view.registered_yesterday:,} yesterday"
        self.uptake = self.uptake_width = f"{share}%"
        self.uptake_note = f"of {plural(view.patients, 'patient')}"
        self.waiting = f"{view.waiting:,}"
        since = wording.moment_words(view.waiting_since).removeprefix("Today, ")
        since = since[0].lower() + since[1:] if since.startswith("Yesterday") else since
        self.waiting_note = f"longest since {since}" if since else "nobody is waiting"
        self._ids = tuple(patient.id for patient in view.latest)
        self.latest = [presenters.latest_row(patient) for patient in view.latest]
        live_updates.again_at(self, presenters.changes_at(patient.access for patient in view.latest))
        self.days = presenters.bars(view)
        self.days_range = presenters.range_words(view)
        self.days_label = f"Registrations per day, {self.days_range}"
        left = view.room_left
        self.little_room = "" if left is None else f"The server's disk has {left:,} MB left."
        self.copy_late = presenters.copy_words(view.copy_late, damaged=view.copy_damaged)
        self.loaded = True

    @handler(Permission.PATIENT_SEE)
    async def load(self):
        """The numbers of today."""
        self.failure = ""
        self._seen = live_updates.changes.number  # before the query: what comes between is shown twice, never missed
        self._show(await self._ask(overview))

    @handler(Permission.PATIENT_SEE, background=True)
    async def watch(self):
        """Sleep until something changes, then show it; as long as the page is open and the session lives."""
        async for _ in live_updates.news(self, self._seen):
            async with self:
                shown = self._ids
            view = await self._ask(overview, again=shown, touch=False)
            async with self:
                self._show(view)
        yield guard.way_out(self, await identity.actor_of(self, touch=False))
