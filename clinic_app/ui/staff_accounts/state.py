"""*Staff accounts*: who can sign in at the desk, new accounts, and changes to one of them at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from clinic_app.core.errors import ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.services.access import Permission
from clinic_app.services.accounts import staff
from clinic_app.services.accounts.reauthentication import check_fresh
from clinic_app.services.accounts.views import StaffCredentials
from clinic_app.ui import presenters
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.session import guard, identity, live_updates
from clinic_app.ui.session.handler import Asking, fields, handler, text
from clinic_app.ui.view_models import Problem, StaffRow

FIELDS = ("name", "username", "role")
#: What the question asks before → the use case and what is said afterwards.
QUESTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "disable": (staff.disable_staff, "{} can no longer sign in."),
    "reset": (staff.reset_staff_password, ""),
    "two_factor": (staff.reset_two_factor, "{} now signs in with the password alone."),
}


class StaffAccountsState(Asking, rx.State):
    """The list, the form for a new account, and the one row that is open."""

    rows: list[StaffRow] = []
    loaded: bool = False
    creating: bool = False
    busy: bool = False
    errors: dict[str, str] = {}
    problems: list[Problem] = []
    failure: str = ""
    notice: str = ""
    attempt: int = 0
    form_number: int = 0
    open_id: int = 0  # the account whose panel is open
    asking: str = ""  # disable, reset or two_factor: the question that is open
    asking_name: str = ""
    _seen: int = 0

    def _fail(self, error: ClinicError) -> Any:
        self.busy, self.asking = False, ""
        self.notice = ""
        if isinstance(error, ReauthenticationRequired):
            self.creating, self.failure = False, ""
            return None
        self.attempt += 1
        self.errors = {name: words for name, words in error.fields.items() if name in FIELDS}
        self.problems = [Problem(f"staff-{name}", self.errors[name]) for name in FIELDS if name in self.errors]
        placed = bool(self.problems) or error.kind == ErrorKind.UNAUTHENTICATED
        self.failure = "" if placed else error.detail
        return rx.set_focus(self.problems[0].ident) if self.problems else None

    def _calm(self) -> None:
        self.failure = self.notice = ""
        self.errors, self.problems = {}, []

    async def _read(self, *, touch: bool = True) -> list[StaffRow]:
        own = await identity.actor_of(self, touch=False)
        return [presenters.staff_row(one, own.account_id) for one in await self._ask(staff.list_staff, touch=touch)]

    def _named(self) -> str:
        return next((row.name for row in self.rows if row.id == self.open_id), "")

    @handler(Permission.STAFF_MANAGE)
    async def load(self):
        """The accounts as they are now."""
        self._calm()
        self.creating = self.busy = False
        self.open_id, self.asking = 0, ""
        self._seen = live_updates.changes.number
        self.rows = await self._read()
        self.loaded = True

    @handler(Permission.STAFF_MANAGE, background=True)
    async def watch(self):
        """What other administrators change, without a reload."""
        async for _ in live_updates.news(self, self._seen):
            rows = await self._read(touch=False)
            async with self:
                self.rows = rows
        yield guard.way_out(self, await identity.actor_of(self, touch=False))

    # --- a new account ------------------------------------------------------------------------

    @handler(Permission.STAFF_MANAGE)
    async def begin(self):
        """*New staff account*: the form, for somebody who confirmed lately."""
        self._calm()
        await self._ask(check_fresh)
        self.open_id, self.creating = 0, True
        self.form_number += 1
        return rx.set_focus("staff-name")

    @handler(Permission.STAFF_MANAGE)
    async def cancel(self):
        """Leave the form."""
        self._calm()
        self.creating = False

    @handler(Permission.STAFF_MANAGE)
    async def create(self, form: dict[str, Any]):
        """*Create account*. A second click while one is under way does nothing."""
        if self.busy or not self.creating:
            return
        given = {"username": "", "name": "", "role": "", **fields(form, FIELDS)}
        self._calm()
        self.busy = True
        yield
        made = await self._ask(
            staff.create_staff_with_temporary_password, given["username"], given["name"], given["role"]
        )
        self.busy = self.creating = False
        self.rows = await self._read()
        yield await self._hand_over(made, "Staff account created")

    async def _hand_over(self, made: StaffCredentials, title: str) -> Any:
        dialog = await self.get_state(PortalDialogState)
        return dialog._succeed(made.credentials, "", made.name, title, for_staff=made.id)

    # --- one account --------------------------------------------------------------------------

    @handler(Permission.STAFF_MANAGE)
    async def open(self, account_id: int):
        """Open the panel of one account; the same again closes it."""
        self._calm()
        self.creating = False
        self.open_id = account_id if isinstance(account_id, int) and account_id != self.open_id else 0

    async def _change(self, use_case: Callable[..., Any], said: str, *more: Any) -> Any:
        self._calm()
        name = self._named()
        done = await self._ask(use_case, self.open_id, *more)
        self.asking = ""
        self.rows = await self._read()
        self.notice = said.format(name) if said else ""
        return done

    @handler(Permission.STAFF_MANAGE)
    async def change_role(self, form: dict[str, Any]):
        """*Save role*."""
        role = fields(form, ("role",)).get("role", "")
        await self._change(staff.change_role, "{} now has another role and was signed out.", role)

    @handler(Permission.STAFF_MANAGE)
    async def enable(self):
        """*Turn on account*."""
        await self._change(staff.enable_staff, "{} can sign in again.")

    @handler(Permission.STAFF_MANAGE)
    async def unlock(self):
        """*Unlock*."""
        await self._change(staff.unlock_account, "{} can try again right away.")

    @handler(Permission.STAFF_MANAGE)
    async def ask(self, what: str):
        """Open the question before what is hard to take back."""
        self._calm()
        if what in QUESTIONS and self._named():
            await self._ask(check_fresh)
            self.asking, self.asking_name = what, self._named()

    @handler(Permission.STAFF_MANAGE)
    async def close(self, wanted: bool):
        """Escape, a click outside, Cancel."""
        if wanted is False:
            self.asking = ""

    @handler(Permission.STAFF_MANAGE)
    async def answer(self):
        """Yes to the question."""
        if self.asking not in QUESTIONS:
            return None
        done = await self._change(*QUESTIONS[text(self.asking)])
        return await self._hand_over(done, "Password reset") if isinstance(done, StaffCredentials) else None
