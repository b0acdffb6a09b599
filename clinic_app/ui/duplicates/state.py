"""*Possible duplicates*: grades, pages, *Not a duplicate* and its undoing, other desks' changes as they happen."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import reflex as rx

from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.core.paging import Page, clamp
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.patients.pairs import (
    GRADES,
    SET_ASIDE,
    list_pairs,
    say_not_duplicate,
    take_back_not_duplicate,
)
from clinic_app.services.patients.views import Pair, PairNumbers
from clinic_app.ui.duplicates import words
from clinic_app.ui.session import guard, identity, live_updates, presses
from clinic_app.ui.session.drawn import AnotherPatient
from clinic_app.ui.session.handler import Asking, handler, text
from clinic_app.ui.session.presses import press_of
from clinic_app.ui.view_models import Filter, PairCard

_LONGEST = 50


@presses.shows(Action.NOT_A_DUPLICATE, Action.NOT_A_DUPLICATE_UNDONE)
class PairsState(Asking, rx.State):
    """One tab's list. A pair that was said to be two people leaves a note in its place until the page is turned."""

    mode: str = "loading"  # loading, failed (nothing could be read yet), rows, none (of this grade) or empty
    cards: list[PairCard] = []
    reasons: list[Filter] = []
    chosen: str = ""  # a grade, SET_ASIDE, or nothing: all
    page: int = 1
    pages: int = 1
    summary: str = ""
    waiting: str = ""  # how many records are yet to be compared
    failure: str = ""
    _deciding: bool = False
    _stays: bool = False  # what failed is what somebody decided: other desks' changes do not wipe it away
    _notes: dict[str, tuple[int, PairCard]] = {}
    _seen: int = 0
    _again_at: dt.datetime | None = None
    _ids: tuple[int, ...] = ()

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail
        self._stays, self._deciding = self._deciding, False
        if self.mode == "loading":
            self.mode = "failed"

    def _rest(self) -> None:
        self._deciding = False

    def _meant(self, given: Any) -> str:
        """The pair a button stands on: one that is on the screen."""
        key = text(given, _LONGEST)
        if key not in {card.key for card in self.cards}:
            raise AnotherPatient
        return key

    def _show(self, found: tuple[Page[Pair], PairNumbers]) -> None:
        page, numbers = found
        cards = [words.card(pair) for pair in page.items]
        shown = {card.key for card in cards}
        self._notes = {key: note for key, note in self._notes.items() if key not in shown}
        for place, card in sorted(self._notes.values(), key=lambda note: note[0]):
            cards.insert(min(place, len(cards)), card)
        self.cards, self.reasons = cards, words.filters(numbers, self.chosen)
        self.page, self.pages = page.number, page.pages
        self.summary = f"{page.first:,}–{page.last:,} of {page.total:,} pairs"
        self.waiting = f"{numbers.waiting:,}" if numbers.waiting else ""
        self.mode = "rows" if cards else "none" if numbers.total or numbers.set_aside else "empty"
        if not self._stays:
            self.failure = ""
        self._ids = tuple(one.id for pair in page.items for one in (pair.first, pair.second))

    async def _refresh(self, *, again: bool = False) -> None:
        self.failure, self._stays = "", False
        seen = live_updates.changes.number
        found = await self._ask(list_pairs, self.chosen, self.page, again=self._ids if again else None)
        self._seen = seen
        self._show(found)

    @handler(Permission.DUPLICATES)
    async def load(self):
        """The list from its beginning, under the filter that was chosen in this tab."""
        self.page, self._notes = 1, {}
        await self._refresh()

    @handler(Permission.DUPLICATES, background=True)
    async def watch(self):
        """What is decided elsewhere goes, what is found comes, without a reload."""
        async for _ in live_updates.news(self, self._seen):
            async with self:
                chosen, page, shown = self.chosen, self.page, self._ids
            found = await self._ask(list_pairs, chosen, page, again=shown, touch=False)
            async with self:
                if (chosen, page) == (self.chosen, self.page):
                    self._show(found)
        yield guard.way_out(self, await identity.actor_of(self, touch=False))

    @handler(Permission.DUPLICATES)
    async def choose(self, key: str):
        """One grade, those said to be two, or all."""
        key = text(key, 20)
        self.chosen, self.page, self._notes = key if key in (*GRADES, SET_ASIDE) else "", 1, {}
        await self._refresh()

    @handler(Permission.DUPLICATES)
    async def turn(self, by: int):
        """One page on (1) or back (-1)."""
        self.page, self._notes = max(1, self.page + clamp(by, -1, 1, 0)), {}
        await self._refresh()

    async def _decide(self, use_case: Callable[..., None], one: str, other: str, press: str) -> None:
        self._deciding = True
        try:
            await self._ask(use_case, one, other, press=press_of(press))
        except ClinicError as error:
            if error.kind in (ErrorKind.CONFLICT, ErrorKind.NOT_FOUND):  # what is on the screen is not so any more
                await self._refresh(again=True)
            raise
        self._deciding = False

    @handler(Permission.DUPLICATES, about="pair", changes=True)
    async def not_a_duplicate(self, pair: str, press: str = ""):
        """*Not a duplicate*: a note with *Undo* stands where the pair was."""
        place = next(place for place, card in enumerate(self.cards) if card.key == pair)
        card = self.cards[place]
        await self._decide(say_not_duplicate, card.first.row.patient_id, card.second.row.patient_id, press)
        self._notes = {**self._notes, pair: (place, dataclasses.replace(card, said=True))}
        await self._refresh(again=True)

    @handler(Permission.DUPLICATES, about="pair", changes=True)
    async def take_back(self, pair: str, press: str = ""):
        """*Undo*: the pair is in the list again."""
        one, _, other = pair.partition("-")
        await self._decide(take_back_not_duplicate, one, other, press)
        self._notes = {name: note for name, note in self._notes.items() if name != pair}
        await self._refresh()

    async def _happened(self, done: intents.Done) -> None:
        """The list as it is now, and what a press whose answer was lost has done to it."""
        (await self.get_state(presses.PressState))._tell(presses.happened_words(done))
        await self._refresh()
