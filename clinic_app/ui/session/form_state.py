"""What every form keeps on the server: how far it is, what its inputs began with, and the sentences beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx

from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.services.accounts.drafts import continue_draft, discard_draft, offered_drafts
from clinic_app.services.patients import birth_dates, phones, wording
from clinic_app.services.patients.email_slips import meant_domain
from clinic_app.services.patients.forms import PATIENT_FIELDS, Kind
from clinic_app.ui.session.handler import Asking, fields, text
from clinic_app.ui.session.presses import intent_of, press_of
from clinic_app.ui.view_models import Choice, Offer, Problem

#: The fields of forms that hold an email.
EMAILS = ("email", "portal_email")
#: The fields of forms about patients that hold a phone number.
PHONES = (*(name for name, field in PATIENT_FIELDS.items() if field.kind is Kind.PHONE), "portal_phone")
#: How far a form is: not there, waiting for somebody to fill it in, at work, or over.
CLOSED, INPUT, WORKING, DONE = "closed", "input", "working", "done"

#: What is said where an offered form cannot be gone on with.
GONE = ("This unfinished form is not there any more.", "It was sent, or it is filled in in another window.")


class FormState(Asking, rx.State, mixin=True):
    """Mixed into a state that has a form. What is typed stays in the browser's inputs.

    The state names its fields in ``_names`` and their rules in ``_problem_in``; its own handlers call the rest.
    """

    step: str = INPUT
    values: dict[str, str] = {}  # what the inputs begin with
    unlisted: dict[str, Choice] = {}  # what is on record and is not offered any more
    errors: dict[str, str] = {}
    problems: list[Problem] = []
    born_date: str = ""  # what was understood of a date of birth
    born_age: str = ""
    phones: dict[str, str] = {}  # what was understood of phone numbers, by field
    failure: str = ""  # what belongs to no field
    failure_detail: str = ""
    attempt: int = 0  # goes up with every failed submit: the focus goes to what is wrong
    form_number: int = 0  # a new number makes a new form, with ``values`` in its inputs
    slips: dict[str, str] = {}  # by field: the domain that was probably meant in an email
    _asked: dict[str, str] = {}  # by field: the domain that was asked about
    _kept: tuple[str, ...] = ()  # domains that are meant as they are
    offers: list[Offer] = []  # half-filled forms that may be gone on with; what they hold is not in here
    continues: str = ""  # the instance of the one this form goes on with

    def _names(self) -> tuple[str, ...]:
        """The fields, in the order of the form."""
        raise NotImplementedError

    def _problem_in(self, name: str, value: str) -> str:
        """The sentence ``value`` earns in the field ``name``; empty where it is fine."""
        raise NotImplementedError

    def _ident(self, name: str) -> str:
        """The id of a field's input."""
        return name

    def _draft_name(self) -> str:
        """Under which name what is typed and not sent is kept (``drafts.js`` has the same from the form)."""
        raise NotImplementedError

    def _begin_with(self, values: dict[str, str]) -> None:
        self.values, self.unlisted, self.errors, self.problems = values, {}, {}, []
        self.phones = {}
        self.born_date = self.born_age = self.failure = self.failure_detail = ""
        self.offers, self.continues = [], ""
        self.slips, self._asked, self._kept = {}, {}, ()
        self.step = INPUT
        self._read_phones_back(values)

    def _given(self, form: Any, names: tuple[str, ...]) -> dict[str, str]:
        """What was filled in: an empty tick is not sent, nor a last name that is switched off by one."""
        given = fields(form, names)
        for name in names if isinstance(form, dict) else ():
            if name in PATIENT_FIELDS and PATIENT_FIELDS[name].kind is Kind.TICK:
                given[name] = "on" if form.get(name) is True or form.get(name) == "on" else ""
        if given.get("single_name"):
            given["last_name"] = ""
        return given

    def _work(self) -> None:
        """From here on a second press does nothing."""
        self.step = WORKING
        self.errors, self.problems, self.failure, self.failure_detail = {}, [], "", ""

    def _rest(self) -> None:
        if self.step == WORKING:
            self.step = INPUT

    def _fail(self, error: ClinicError) -> Any:
        if self.step != DONE:
            self.step = INPUT
        self.attempt += 1
        self.errors = {name: error.fields[name] for name in self._names() if name in error.fields}
        self.problems = [Problem(self._ident(name), words) for name, words in self.errors.items()]
        placed = bool(self.errors) or error.kind == ErrorKind.UNAUTHENTICATED
        self.failure, self.failure_detail = ("", "") if placed else (error.title, error.detail)
        return rx.set_focus(self.problems[0].ident) if self.problems else None

    def _check(self, name: str, value: str) -> None:
        """Say what is wrong with the field that was left, and read a date of birth back."""
        name, value = text(name, 40), text(value)
        if name not in self._names() or self.step != INPUT:
            return
        told = {**self.errors, name: self._problem_in(name, value)}
        if name == "single_name":  # whether there must be a last name is looked at anew
            told["last_name"] = ""
        self.errors = {key: told[key] for key in self._names() if told.get(key)}
        if self.problems:
            self.problems = [Problem(self._ident(key), words) for key, words in self.errors.items()]
        if name == "date_of_birth":
            self._read_back(value)
        self._read_phones_back({name: value})
        if name in EMAILS:
            self._look_for_slip(name, "" if self.errors.get(name) else value)

    def _look_for_slip(self, name: str, value: str) -> None:
        """Ask about the domain of an email that looks like a slip, unless it has been said to be right."""
        domain = value.rpartition("@")[2].strip().lower()
        meant = "" if domain in self._kept else meant_domain(value)
        others = {key: asked for key, asked in self.slips.items() if key != name}
        self.slips = {**others, name: meant} if meant else others
        self._asked = {**self._asked, name: domain if meant else ""}

    def _answer_slip(self, name: Any, changed: Any) -> None:
        """The question is answered: the browser has changed the input, or it is right as it is."""
        name = text(name, 40)
        if changed is False and self._asked.get(name):
            self._kept = (*self._kept, self._asked[name])[-5:]
            self.slips = {key: asked for key, asked in self.slips.items() if self._asked.get(key) not in self._kept}
        self.slips = {key: asked for key, asked in self.slips.items() if key != name}

    def _read_back(self, value: str) -> None:
        try:
            self.born_date, self.born_age = wording.read_back(birth_dates.read(value))
        except ValueError:
            self.born_date = self.born_age = ""

    def _phone_names(self) -> tuple[str, ...]:
        """Which of the fields are phone numbers."""
        return PHONES

    def _read_phones_back(self, typed: Mapping[str, str]) -> None:
        """Say which numbers were understood of what was ``typed`` into fields."""
        told = {name: phones.read_back(value) for name, value in typed.items() if name in self._phone_names()}
        self.phones = {name: words for name, words in {**self.phones, **told}.items() if words}

    async def _offer(self) -> None:
        """Offer what was typed into such a form and not sent. It is never poured in."""
        self.offers = [
            Offer(draft.instance, wording.typed_name(draft.fields), wording.earlier_words(draft.typed_at), draft.open)
            for draft in await self._ask(offered_drafts, self._draft_name())
        ]

    async def _continued(self, instance: Any, names: tuple[str, ...]) -> dict[str, str] | None:
        """*Continue*: what the offered form held in these fields. None, and that is said, where it is gone."""
        taken = await self._ask(continue_draft, self._draft_name(), text(instance, 32))
        if taken is None:
            await self._offer()
            self.failure, self.failure_detail = GONE
            self.attempt += 1
            return None
        self.continues = taken.instance
        return {name: value for name, value in taken.fields.items() if name in names}

    async def _drop_draft(self, press: Any) -> None:
        """Forget what was kept of the form with this press, or this instance, and of no other."""
        instance = intent_of(press_of(press)) or text(press, 32)
        await self._ask(discard_draft, self._draft_name(), instance)
