"""*Pending verification*: who waits, what is decided about each, and other desks' decisions as they happen."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.core.paging import Page, clamp
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.patients.errors import NationalIdTaken
from clinic_app.services.patients.verification import (
    Rejection,
    WaitingPerson,
    everybody_on,
    last_link,
    link_registration,
    list_waiting,
    reject_registration,
    undo_link,
    verify_patient,
)
from clinic_app.services.patients.waiting import Linked
from clinic_app.ui.pending import words
from clinic_app.ui.session import guard, identity, live_updates, presses
from clinic_app.ui.session.drawn import keeps_a_page
from clinic_app.ui.session.handler import Asking, fields, handler
from clinic_app.ui.session.presses import press_of
from clinic_app.ui.view_models import WaitingRow


@keeps_a_page
@presses.shows(
    Action.PATIENT_VERIFIED, Action.REGISTRATION_LINKED, Action.REGISTRATION_LINK_UNDONE, Action.REGISTRATION_REJECTED
)
class PendingState(Asking, rx.State):
    """One desk's look at the line."""

    mode: str = "loading"  # loading, failed (nothing could be read yet), rows or empty
    rows: list[WaitingRow] = []
    page: int = 1
    pages: int = 1
    summary: str = ""
    failure: str = ""
    refused_id: int = 0  # whose card says that something was refused, and what
    refused: str = ""
    without_id: bool = False  # and offers to leave the national ID out
    rejecting: int = 0  # whose card asks why it is rejected
    errors: dict[str, str] = {}
    done: str = ""  # what was decided last, in this tab; after a load, what the actor linked and can undo
    done_more: str = ""
    done_href: str = ""
    done_patient: str = ""
    undo_id: int = 0
    decided: int = 0  # goes up with every decision since the page was opened: the focus goes to what is said of it
    _about: int = 0  # what is being decided about
    _stays: bool = False  # what failed is what somebody decided: other desks' changes do not wipe it away
    _seen: int = 0
    _ids: tuple[int, ...] = ()  # who is on the screen

    def _leave(self, path: str) -> None:
        if path != routes.PENDING and self.mode != "loading":
            self.reset()

    def _meant(self, given: Any) -> int:
        """The number of somebody who waits, as the card has it: the services know how it stands."""
        return given if type(given) is int else 0

    def _fail(self, error: ClinicError) -> Any:
        if self.mode == "loading":
            self.mode = "failed"
        about, self._about = self._about, 0
        shown = about and any(one.id == about for one in self.rows)
        self._stays = bool(about)
        self.errors = dict(error.fields) if shown and self.rejecting == about and error.fields else {}
        if self.errors:
            return rx.set_focus("reject-words") if "words" in self.errors else None
        said = error.detail if error.detail else error.title
        if isinstance(error, NationalIdTaken):
            said = f"{error.title} {error.detail}"
        if shown and error.kind != ErrorKind.UNAUTHENTICATED:
            self.refused_id, self.refused, self.without_id = about, said, isinstance(error, NationalIdTaken)
        else:
            self.failure = said
        return None

    def _calm(self) -> None:
        self.failure, self.refused_id, self.refused, self.without_id, self.errors = "", 0, "", False, {}
        self._stays = False

    def _say(self, done: str, more: str = "", patient_id: str = "", undo_id: int = 0) -> None:
        self.done, self.done_more, self.done_patient, self.undo_id = done, more, patient_id, undo_id
        self.done_href = routes.profile(patient_id) if patient_id else ""
        self.decided += 1

    def _say_linked(self, link: Linked) -> None:
        self._say(f"{link.name} was linked to {link.patient_id}.", words.linked(link), link.patient_id, link.id)

    def _show(self, found: Page[WaitingPerson]) -> None:
        self.rows = [words.row(one) for one in found.items]
        self._ids = tuple(everybody_on(found))
        self.page, self.pages = found.number, max(1, -(-found.total // found.size))
        self.summary = f"{found.first:,}–{found.last:,} of {found.total:,} people"
        self.mode = "rows" if found.items else "empty"
        if not self._stays:
            self.failure = ""
        shown = {one.id for one in self.rows}
        if self.rejecting not in shown:
            self.rejecting = 0
        if self.refused_id not in shown and self.refused_id:  # somebody else was quicker: that stays said
            self.failure, self.refused_id, self.refused, self.without_id = self.refused, 0, "", False

    async def _look(self, page: int, *, again: bool = False) -> None:
        self._seen = live_updates.changes.number  # before the query: what comes between is shown twice, never missed
        self._show(await self._ask(list_waiting, page, again=self._ids if again else None))

    @handler(Permission.PATIENT_VERIFY)
    async def load(self):
        """The line from its beginning."""
        self._calm()
        stays = await presses.goes_on(self)
        page = self.page if stays or self.undo_id else 1
        if not stays:
            self.rejecting = 0
            self._say("")
        await self._look(page)
        if stays:
            return
        if link := await self._ask(last_link):  # *Undo* outlives the page, and a reload
            self._say_linked(link)
        self.decided = 0

    @handler(Permission.PATIENT_VERIFY, background=True)
    async def watch(self):
        """Who is decided about goes, who registers comes: without a reload."""
        async for _ in live_updates.news(self, self._seen):
            async with self:
                page, shown, ready = self.page, self._ids, self.mode in ("rows", "empty")
            if not ready:
                continue
            found = await self._ask(list_waiting, page, again=shown, touch=False)
            async with self:
                if page == self.page:
                    self._show(found)
        yield guard.way_out(self, await identity.actor_of(self, touch=False))

    @handler(Permission.PATIENT_VERIFY)
    async def turn(self, by: int):
        """One page on (1) or back (-1)."""
        self._calm()
        await self._look(clamp(self.page + clamp(by, -1, 1, 0), 1, self.pages, 1))

    @handler(Permission.PATIENT_VERIFY, about="person")
    async def ask_reject(self, person: int, opened: bool = True):
        """*Reject…* opens the question in the card, *Cancel* closes it."""
        self._calm()
        self.rejecting = person if opened is True else 0

    async def _decided(self, person: int, use_case: Any, *args: Any, press: str, **kwargs: Any) -> Any:
        self._calm()
        self._about = person
        try:
            found = await self._ask(use_case, person, *args, press=press, **kwargs)
        except ClinicError as error:
            if error.kind in (ErrorKind.CONFLICT, ErrorKind.NOT_FOUND):  # what is on the screen is not so any more
                await self._look(self.page, again=True)
            raise
        self._about = 0
        return found

    @handler(Permission.PATIENT_VERIFY, about="person", changes=True)
    async def verify(self, person: int, version: int, seen: list[int], without_id: bool, press: str = ""):
        """*Verify as new patient*, although there are those whom the card showed."""
        despite = [one for one in seen if type(one) is int] if isinstance(seen, list) else []
        version = version if type(version) is int and version > 0 else None
        patient = await self._decided(
            person,
            verify_patient,
            version=version,
            despite=despite,
            without_national_id=without_id is True,
            press=press_of(press),
        )
        self._say(f"{patient.name} was verified.", f"The patient ID is {patient.patient_id}.", patient.patient_id)
        await self._look(self.page, again=True)

    @handler(Permission.PATIENT_VERIFY, about="person", changes=True)
    async def link(self, person: int, patient_id: str, version: int, press: str = ""):
        """*Link to this patient*."""
        patient_id = patient_id if isinstance(patient_id, str) else ""
        version = version if type(version) is int else 0
        done = await self._decided(person, link_registration, patient_id, version=version, press=press_of(press))
        self._say_linked(done)
        await self._look(self.page, again=True)

    @handler(Permission.PATIENT_VERIFY, about="person", changes=True)
    async def undo(self, person: int, press: str = ""):
        """*Undo*: the registration that was linked last waits again."""
        await self._decided(person, undo_link, press=press_of(press))
        self._say("The link was undone.", "The registration waits again.")
        await self._look(self.page, again=True)

    @handler(Permission.PATIENT_VERIFY, about="person", changes=True)
    async def reject(self, person: int, form: dict[str, Any]):
        """*Reject registration*."""
        self._about = person
        rejection = Rejection.parse(fields(form, ("reason", "words")))
        name = await self._decided(person, reject_registration, rejection, press=press_of(form))
        self.rejecting = 0
        self._say(f"The registration of {name} was rejected." if name else "The registration was rejected.")
        await self._look(self.page, again=True)

    async def _happened(self, done: intents.Done) -> None:
        """How the line stands now that the press has done its work."""
        self._calm()
        self.rejecting = 0
        await self._look(self.page, again=True)
        (await self.get_state(presses.PressState))._tell(presses.happened_words(done))
