"""What every form keeps on the server: how far it is, what its inputs began with, and the sentences beside them."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.services.accounts.drafts import discard_draft, read_draft
from clinic_app.services.patients import fields, wording
from clinic_app.ui.session.handler import Asking, text
from clinic_app.ui.view_models import Choice, Problem

#: How far a form is: not there, waiting for somebody to fill it in, at work, or over.
CLOSED, INPUT, WORKING, DONE = "closed", "input", "working", "done"


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
    failure: str = ""  # what belongs to no field
    failure_detail: str = ""
    attempt: int = 0  # goes up with every failed submit: the focus goes to what is wrong
    form_number: int = 0  # a new number makes a new form, with ``values`` in its inputs
    restored: bool = False  # the form began with what was typed and not sent

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
        """Under which name what is typed and not sent is kept."""
        raise NotImplementedError

    def _begin_with(self, values: dict[str, str]) -> None:
        self.values, self.unlisted, self.errors, self.problems = values, {}, {}, []
        self.born_date = self.born_age = self.failure = self.failure_detail = ""
        self.restored = False
        self.step = INPUT

    def _work(self) -> None:
        """From here on a second press does nothing."""
        self.step = WORKING
        self.errors, self.problems, self.failure, self.failure_detail = {}, [], "", ""

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
        self.errors = {key: told[key] for key in self._names() if told.get(key)}
        if self.problems:
            self.problems = [Problem(self._ident(key), words) for key, words in self.errors.items()]
        if name == "date_of_birth":
            self._read_back(value)

    def _read_back(self, value: str) -> None:
        try:
            self.born_date, self.born_age = wording.read_back(fields.date_of_birth(value))
        except ValueError:
            self.born_date = self.born_age = ""

    async def _draft(self, names: tuple[str, ...]) -> dict[str, str]:
        """What was typed into these fields the last time and not sent."""
        found = await self._ask(read_draft, self._draft_name())
        return {name: value for name, value in found.items() if name in names}

    async def _drop_draft(self) -> None:
        await self._ask(discard_draft, self._draft_name())
