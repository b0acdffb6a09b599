"""*Audit trail*: what happened, filtered and in pages; one event whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import reflex as rx

from clinic_app.core import clock, routes
from clinic_app.core.errors import ClinicError
from clinic_app.core.paging import Page, clamp
from clinic_app.services.access import Permission
from clinic_app.services.audit import wording as words
from clinic_app.services.audit.browsing import TrailEvent, browse_audit
from clinic_app.services.audit.forms import FILTERS, audit_query
from clinic_app.services.patients import wording
from clinic_app.ui import presenters
from clinic_app.ui.session.drawn import keeps_a_page
from clinic_app.ui.session.handler import Asking, fields, handler
from clinic_app.ui.view_models import Fact, Problem

PAGE_SIZE = 20
_TONES = {"success": "good", "failure": "warn", "denied": "bad"}
_NOBODY = {"anonymous": "Not signed in", "system": "The system"}
_NOTHING = dict.fromkeys(FILTERS, "")


@dataclass(frozen=True)
class TrailRow:
    """One event in the list, and all there is to say about it."""

    seq: int = 0
    when: str = ""  # Today, 09:14
    what: str = ""
    who: str = ""
    initials: str = ""
    username: str = ""
    role: str = ""
    about: str = ""  # a patient ID, an account, or nothing
    href: str = ""  # the patient's profile
    outcome: str = ""
    tone: str = "good"
    facts: list[Fact] = field(default_factory=list)
    times: int = 1  # more than 1: a group of so many looks in a row, the latest of which is ``seq``


def _about(event: TrailEvent) -> str:
    if event.patient_id or event.account or event.resource_id is None:
        return event.patient_id or event.account
    return f"{(event.resource_type or '').capitalize()} {event.resource_id}"


def _metadata(event: TrailEvent) -> dict[str, Any]:
    """The event's metadata, an account in it by its username."""
    if not event.asked_for:
        return event.metadata
    return {**event.metadata, "filters": {**event.metadata["filters"], "actor_id": event.asked_for}}


def _facts(event: TrailEvent) -> list[Fact]:
    there = clock.local(event.at)
    return [
        Fact("Event", f"{event.seq:,}"),
        Fact("Time", f"{wording.date_words(there.date())}, {there:%H:%M:%S} ({event.at:%Y-%m-%d %H:%M:%S} UTC)"),
        Fact("Action", event.action),
        Fact("Outcome", words.OUTCOMES.get(event.outcome, event.outcome), _TONES.get(event.outcome, "idle")),
        Fact("Done by", event.actor_name or _NOBODY.get(event.actor, "Account")),
        Fact("Username", event.actor_username),
        Fact("Role", _role(event) or "None"),
        Fact("About", _about(event)),
        Fact("Address", event.address),
        Fact("Device", event.user_agent),
        Fact("Request", event.request_id),
        *[Fact(words.fact_label(key), words.fact_words(value)) for key, value in _metadata(event).items()],
    ]


def _role(event: TrailEvent) -> str:
    return "Patient" if event.role == "PATIENT" else presenters.ROLES.get(event.role, "")


def trail_row(event: TrailEvent) -> TrailRow:
    """An event as the page shows it."""
    names = event.actor_name.split()
    return TrailRow(
        seq=event.seq,
        when=wording.moment_words(event.at),
        what=words.action_words(event.action),
        who=event.actor_name or _NOBODY.get(event.actor, "Account"),
        initials=wording.initials(names[0], names[-1] if len(names) > 1 else "") if names else "–",
        username=event.actor_username,
        role=_role(event),
        about=_about(event),
        href=routes.profile(event.patient_id) if event.patient_id else "",
        outcome=words.OUTCOMES.get(event.outcome, event.outcome),
        tone=_TONES.get(event.outcome, "idle"),
        facts=_facts(event),
    )


def _looks(events: Sequence[TrailEvent]) -> Iterator[list[TrailEvent]]:
    """The events in order, those looks together that one person took in a row, each kind by itself."""
    run: dict[str, list[TrailEvent]] = {}
    for event in events:
        plain = event.action not in words.GROUPED or event.outcome != "success"
        if run and (plain or next(iter(run.values()))[0].actor_id != event.actor_id):
            yield from run.values()
            run = {}
        if plain:
            yield [event]
        else:
            run.setdefault(event.action, []).append(event)
    yield from run.values()


def trail_rows(events: Sequence[TrailEvent], opened: Collection[int] = ()) -> list[TrailRow]:
    """Events as the page shows them: looks in a row as one group, but for groups that were ``opened``."""
    rows: list[TrailRow] = []
    for group in _looks(events):
        first = group[0]
        if len(group) == 1 or first.seq in opened:
            rows += [trail_row(event) for event in group]
            continue
        number = len({event.resource_id for event in group}) if first.resource_id is not None else len(group)
        what = words.group_words(first.action, number, len(group))
        rows.append(replace(trail_row(first), what=what, about="", href="", facts=[], times=len(group)))
    return rows


@keeps_a_page
class AuditTrailState(Asking, rx.State):
    """One administrator's look at the trail. What is asked for stays in the tab."""

    mode: str = "loading"  # loading, rows, empty (nothing yet), none (nothing matches) or failed
    rows: list[TrailRow] = []
    asked: dict[str, str] = _NOTHING  # the filters in force
    errors: dict[str, str] = {}
    problems: list[Problem] = []
    summary: str = ""
    page: int = 1
    pages: int = 1
    failure: str = ""
    busy: bool = False
    form_number: int = 0
    _events: tuple[TrailEvent, ...] = ()
    _groups: tuple[int, ...] = ()  # those that were opened, by their latest event
    opened: TrailRow = TrailRow()
    is_open: bool = False

    def _leave(self, path: str) -> None:
        """The filters and the page stay for who comes back; the events do not."""
        if path != routes.AUDIT_TRAIL and self.rows:
            self.rows, self.mode, self.summary = [], "loading", ""
            self._events = self._groups = ()
            self.opened, self.is_open = TrailRow(), False

    def _meant(self, given: Any) -> int:
        """The number of the event a row was drawn for."""
        return given if type(given) is int else 0

    def _fail(self, error: ClinicError) -> Any:
        self.busy = False
        self.errors = {name: text for name, text in error.fields.items() if name in FILTERS}
        self.problems = [Problem(name, text) for name, text in self.errors.items()]
        self.failure = "" if self.problems else error.detail
        self.mode = "failed" if self.mode == "loading" else self.mode
        return rx.set_focus(self.problems[0].ident) if self.problems else None

    def _show(self, page: Page[TrailEvent]) -> None:
        self._events, self._groups = tuple(page.items), ()
        self._draw()
        self.page, self.pages = page.number, page.pages
        self.summary = presenters.shown_of(page, "event")
        self.mode = "rows" if page.total else "none" if any(self.asked.values()) else "empty"
        self.failure, self.errors, self.problems, self.busy = "", {}, [], False

    def _draw(self) -> None:
        exact = self.asked.get("action") or self.asked.get("patient")  # then each is wanted
        opened = [event.seq for event in self._events] if exact else self._groups
        self.rows = trail_rows(self._events, opened)

    async def _look(self, asked: dict[str, str], number: int) -> None:
        found = await self._ask(browse_audit, audit_query(asked, page=number, page_size=PAGE_SIZE))
        self.asked = asked
        self._show(found)

    @handler(Permission.AUDIT_SEE)
    async def load(self):
        """The trail as it was left in this tab, with what has happened since."""
        self.is_open, self.opened = False, TrailRow()
        self.form_number += 1
        if not self.rows:
            self.mode = "loading"
        yield
        await self._look(self.asked, self.page)

    @handler(Permission.AUDIT_SEE)
    async def apply(self, form: dict[str, Any]):
        """*Show events*: the first page of what was asked for."""
        if self.busy:
            return
        self.busy = True
        yield
        await self._look({**_NOTHING, **fields(form, FILTERS)}, 1)

    @handler(Permission.AUDIT_SEE)
    async def clear(self):
        """*Clear filters*: everything again, and empty fields with the cursor in the first."""
        await self._look(dict(_NOTHING), 1)
        self.form_number += 1
        return rx.set_focus("since")

    @handler(Permission.AUDIT_SEE)
    async def turn(self, by: int):
        """One page on (1) or back (-1)."""
        await self._look(self.asked, clamp(self.page + clamp(by, -1, 1, 0), 1, self.pages, 1))

    @handler(Permission.AUDIT_SEE, about="seq")
    async def open(self, seq: int):
        """Show one of the events on the page whole, or each event of a group."""
        found = [row for row in self.rows if row.seq == seq]
        if found and found[0].times > 1:
            self._groups = (*self._groups, seq)
            self._draw()
        elif found:
            self.opened, self.is_open = found[0], True

    @handler(Permission.AUDIT_SEE)
    async def close(self, _wanted: bool = False):
        """Back to the list."""
        self.is_open = False
