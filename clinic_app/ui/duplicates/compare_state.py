"""*Compare and merge*: two records side by side, what is chosen of them, and the merge."""

from __future__ import annotations

import re
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError
from clinic_app.core.paging import clamp
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.patients.errors import PairChanged, PatientMerged, PatientNotFound, SameRecord
from clinic_app.services.patients.merge_forms import FIELDS, MergeRequest
from clinic_app.services.patients.merging import compare_records, merge_patients
from clinic_app.services.patients.pairs import say_not_duplicate
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.patients.views import Comparison
from clinic_app.ui.duplicates import words
from clinic_app.ui.kit.address import LONGEST
from clinic_app.ui.session import presses
from clinic_app.ui.session.drawn import AnotherPatient, keeps_a_page
from clinic_app.ui.session.handler import Asking, fields, handler, text
from clinic_app.ui.session.presses import press_of
from clinic_app.ui.view_models import Chip, CompareHead, CompareRow, Fact, Outcome

_PAIR = re.compile(r"([A-Z]{1,8}[0-9]{6,12})-([A-Z]{1,8}[0-9]{6,12})")


@presses.shows(Action.PATIENT_MERGED)
@keeps_a_page
class CompareState(Asking, rx.State):
    """Two records. Drawn where ``key`` is what the browser's own address names."""

    key: str = ""  # LMC004817-LMC004911
    mode: str = "loading"  # loading, shown, missing or failed
    working: bool = False
    grade: str = ""
    tone: str = "idle"
    chips: list[Chip] = []
    first: CompareHead = CompareHead()
    second: CompareHead = CompareHead()
    rows: list[CompareRow] = []
    same: list[Fact] = []
    same_words: str = ""
    stays: str = ""  # the patient ID of the record that stays
    login: str = ""  # the id of the account that stays, where both have one
    outcomes: list[Outcome] = []
    stamp: str = ""
    number: int = 0  # of the form: another one begins with what is chosen by itself
    failure: str = ""
    attempt: int = 0
    missing: str = ""  # why there is nothing to compare
    instead: str = ""  # the patient ID of the record to open: one of them was merged into it
    instead_href: str = ""

    def _fail(self, error: ClinicError) -> None:
        self.working = False
        if isinstance(error, PatientNotFound | PatientMerged | SameRecord):
            self._empty("missing")
            self.missing = error.detail
            if isinstance(error, PatientMerged):
                self.instead, self.instead_href = error.into, routes.profile(error.into)
            return
        if self.mode == "loading":
            self.mode = "failed"
        self.failure, self.attempt = error.detail, self.attempt + 1

    def _rest(self) -> None:
        self.working = False

    def _address(self) -> str:
        return text(self.pair, LONGEST)  # from the address

    def _meant(self, given: Any) -> str:
        """The pair an action was drawn for: what the address it came from names, and what this is about."""
        key = text(given, 50)
        if not key or key != self._address() or self.key not in ("", key):
            raise AnotherPatient
        return key

    def _leave(self, path: str) -> None:
        if self.key and path != f"{routes.DUPLICATES}/{self.key}":
            self.key = ""
            self._empty("loading")

    def _empty(self, mode: str) -> None:
        self.mode, self.failure, self.missing, self.instead, self.instead_href = mode, "", "", "", ""
        self.first, self.second, self.rows, self.same = CompareHead(), CompareHead(), [], []
        self.chips, self.outcomes, self.grade, self.stamp, self.stays, self.login = [], [], "", "", "", ""
        self.working = False

    def _show(self, found: Comparison) -> None:
        self.grade, self.tone = words.grade(found.likeness)
        self.chips = words.chips(found.likeness)
        self.first, self.second = words.head(found.first), words.head(found.second)
        self.rows, self.same = words.rows(found), words.same(found)
        count = len(self.same)
        self.same_words = f"{count} {'value is' if count == 1 else 'values are'} the same in both records"
        self.stays, self.login, self.stamp = self.first.patient_id, str(found.login or ""), found.stamp
        self.number += 1
        self.mode = "shown"
        self._tell()

    def _tell(self) -> None:
        """What will happen, by what is chosen."""
        stays, goes = (self.first, self.second) if self.stays == self.first.patient_id else (self.second, self.first)
        self.outcomes = words.outcomes(stays, goes, self.login)

    @handler(Permission.DUPLICATES)
    async def load(self):
        """Look at both. That is recorded before anything is shown."""
        self.key = self._address()
        self._empty("loading")
        yield
        await self._read()

    async def _read(self) -> None:
        named = _PAIR.fullmatch(self.key)
        if named is None:
            raise PatientNotFound
        self._show(await self._ask(compare_records, named[1], named[2]))

    @handler(Permission.DUPLICATES, about="pair")
    async def keep(self, pair: str, patient_id: str):  # noqa: ARG002
        """*Record that stays*."""
        if patient_id in (self.first.patient_id, self.second.patient_id):
            self.stays = patient_id
            self._tell()

    @handler(Permission.DUPLICATES, about="pair")
    async def keep_login(self, pair: str, account: str):  # noqa: ARG002
        """*Login that stays*."""
        if account in (self.first.account, self.second.account):
            self.login = account
            self._tell()

    @handler(Permission.DUPLICATES, about="pair", changes=True)
    async def merge(self, pair: str, stamp: str, form: dict[str, Any]):
        """*Merge into …*: on to the record that stays."""
        given = fields(form, ("stays", "login", *FIELDS))
        one, other = _PAIR.fullmatch(pair).groups()  # type: ignore[union-attr]
        into = given.get("stays") or self.stays
        goes = other if into == one else one
        take = [name for name in FIELDS if given.get(name) == goes]
        request = MergeRequest.chosen(into, take, clamp(given.get("login", ""), 0, 2**31 - 1, 0), text(stamp, 200))
        self.working, self.failure = True, ""
        yield
        try:
            done = await self._ask(merge_patients, goes, request, press=press_of(form))
        except PairChanged as error:
            await self._read()
            self._fail(error)
            return
        self.working = False
        yield rx.redirect(routes.profile(done.patient.patient_id), replace=True)

    @handler(Permission.DUPLICATES, about="pair", changes=True)
    async def not_a_duplicate(self, pair: str, press: str = ""):
        """*Not a duplicate*: back to the list."""
        one, other = _PAIR.fullmatch(pair).groups()  # type: ignore[union-attr]
        await self._ask(say_not_duplicate, one, other, press=press_of(press))
        return rx.redirect(routes.DUPLICATES)

    async def _happened(self, done: intents.Done) -> Any:
        """On to the record that stays, where a press whose answer was lost has merged them."""
        patient = await self._ask(reread_patient, done.resource_id or 0)
        (await self.get_state(presses.PressState))._tell(presses.happened_words(done))
        return rx.redirect(routes.profile(patient.patient_id), replace=True)
