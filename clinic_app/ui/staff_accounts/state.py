"""*Staff accounts*: who can sign in at the desk, new accounts, and changes to one of them at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.accounts import staff
from clinic_app.services.accounts.errors import AccountChanged, CredentialsSeen
from clinic_app.services.accounts.reauthentication import check_fresh
from clinic_app.services.accounts.views import StaffCredentials
from clinic_app.services.audit.actions import Action
from clinic_app.ui import presenters
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.session import guard, identity, live_updates, presses
from clinic_app.ui.session.drawn import keeps_a_page
from clinic_app.ui.session.handler import Asking, fields, handler, text
from clinic_app.ui.session.presses import press_of
from clinic_app.ui.view_models import Problem, StaffRow

MADE, RESET = "Staff account created", "Password reset"
FIELDS = ("name", "username", "role")
#: What the question asks before → the use case and what is said afterwards.
QUESTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "disable": (staff.disable_staff, "{} can no longer sign in."),
    "reset": (staff.reset_staff_password, ""),
    "two_factor": (staff.reset_two_factor, "{} now signs in with the password alone."),
}


@keeps_a_page
@presses.shows(
    Action.STAFF_CREATED,
    Action.STAFF_PASSWORD_RESET,
    Action.STAFF_ROLE_CHANGED,
    Action.STAFF_DISABLED,
    Action.STAFF_ENABLED,
    Action.TWO_FACTOR_RESET,
    Action.ACCOUNT_UNLOCKED,
)
class StaffAccountsState(Asking, rx.State):
    """The list, the form for a new account, and the one row that is open.

    Actions carry the account they were drawn for, and its stamp: they change that account as it was shown, or nothing.
    """

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
    asked: StaffRow = StaffRow()  # about whom, as they were shown
    _seen: int = 0
    _again_at: dt.datetime | None = None

    @rx.var
    def opened(self) -> StaffRow:
        """The account whose panel is open. Its form cannot take the row it is drawn in: forms know no list's item."""
        return self._row(self.open_id) or StaffRow()

    def _leave(self, path: str) -> None:
        if path != routes.STAFF_ACCOUNTS and self.loaded:
            self.reset()

    def _meant(self, given: Any) -> int:
        """The id of the account an action was drawn for: any one, the services know which may be changed."""
        return given if type(given) is int else 0

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

    def _rest(self) -> None:
        self.busy = False

    def _calm(self) -> None:
        self.failure = self.notice = ""
        self.errors, self.problems = {}, []

    async def _read(self, *, touch: bool = True) -> tuple[list[StaffRow], dt.datetime | None]:
        """The rows, and when the first of their words becomes another one by time alone."""
        own = await identity.actor_of(self, touch=False)
        found = await self._ask(staff.list_staff, touch=touch)
        return [presenters.staff_row(one, own.account_id) for one in found], presenters.staff_changes_at(found)

    def _show(self, read: tuple[list[StaffRow], dt.datetime | None]) -> None:
        self.rows, changes_at = read
        live_updates.again_at(self, changes_at)

    def _row(self, account_id: int) -> StaffRow | None:
        return next((row for row in self.rows if row.id == account_id), None)

    @handler(Permission.STAFF_MANAGE)
    async def load(self):
        """The accounts as they are now."""
        self._calm()
        self.creating = self.busy = False
        self.open_id, self.asking = 0, ""
        self._seen = live_updates.changes.number
        self._show(await self._read())
        self.loaded = True

    @handler(Permission.STAFF_MANAGE, background=True)
    async def watch(self):
        """What other administrators change, without a reload."""
        async for _ in live_updates.news(self, self._seen):
            rows = await self._read(touch=False)
            async with self:
                self._show(rows)
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

    @handler(Permission.STAFF_MANAGE, changes=True)
    async def create(self, form: dict[str, Any]):
        """*Create account*. A second click while one is under way does nothing."""
        if self.busy or not self.creating:
            return
        given = {"username": "", "name": "", "role": "", **fields(form, FIELDS)}
        self._calm()
        self.busy = True
        yield
        press = press_of(form)
        made = await self._ask(
            staff.create_staff_with_temporary_password, given["username"], given["name"], given["role"], press=press
        )
        self.busy = self.creating = False
        await self._read_again()
        yield await self._hand_over(made, MADE, press=press)

    async def _read_again(self) -> None:
        """Show the list as it is after something was done, if it can be read."""
        if (found := await self._if_it_can(self._read())) is not None:
            self._show(found)

    async def _hand_over(
        self, made: StaffCredentials, title: str, *, press: str = "", late: intents.Done | None = None
    ) -> Any:
        dialog = await self.get_state(PortalDialogState)
        return dialog._succeed(made.credentials, "", made.name, title, for_staff=made.id, press=press, late=late)

    async def _happened(self, done: intents.Done) -> Any:
        """The accounts as they are now, and credentials whose answer was lost: fresh ones, if nobody has seen them."""
        self.creating, self.asking = False, ""
        await self._read_again()
        presses_told = await self.get_state(presses.PressState)
        if done.action not in (Action.STAFF_CREATED, Action.STAFF_PASSWORD_RESET):
            presses_told._tell(presses.happened_words(done))
            return None
        try:
            issued = await self._fresh(staff.reissue_staff_credentials, done)
        except CredentialsSeen:
            presses_told._tell(*presses.left_words(done))
            return None
        return await self._hand_over(issued, MADE if done.action == Action.STAFF_CREATED else RESET, late=done)

    # --- one account --------------------------------------------------------------------------

    @handler(Permission.STAFF_MANAGE, about="account_id")
    async def open(self, account_id: int):
        """Open the panel of one account; the same again closes it."""
        self._calm()
        self.creating = False
        self.open_id = account_id if account_id != self.open_id else 0

    async def _change(
        self, use_case: Callable[..., Any], said: str, account_id: int, *more: Any, drawn: str, press: str
    ) -> Any:
        self._calm()
        row = self._row(account_id)
        try:
            done = await self._ask(use_case, account_id, *more, drawn=text(drawn, 60), press=press)
        except AccountChanged:
            self._show(await self._read())
            raise
        self.asking = ""
        await self._read_again()
        self.notice = said.format(row.name) if said and row else ""
        return done

    @handler(Permission.STAFF_MANAGE, about="account_id", changes=True)
    async def change_role(self, account_id: int, drawn: str, form: dict[str, Any]):
        """*Save role*. ``drawn`` is the stamp of the account as it is shown, here and below."""
        role = fields(form, ("role",)).get("role", "")
        said = "{} now has another role and was signed out."
        await self._change(staff.change_role, said, account_id, role, drawn=drawn, press=press_of(form))

    @handler(Permission.STAFF_MANAGE, about="account_id", changes=True)
    async def enable(self, account_id: int, drawn: str, press: str = ""):
        """*Turn on account*."""
        await self._change(staff.enable_staff, "{} can sign in again.", account_id, drawn=drawn, press=press_of(press))

    @handler(Permission.STAFF_MANAGE, about="account_id", changes=True)
    async def unlock(self, account_id: int, drawn: str, press: str = ""):
        """*Unlock*."""
        said = "{} can try again right away."
        await self._change(staff.unlock_account, said, account_id, drawn=drawn, press=press_of(press))

    @handler(Permission.STAFF_MANAGE, about="account_id")
    async def ask(self, account_id: int, what: str):
        """Open the question before what is hard to take back."""
        self._calm()
        row = self._row(account_id)
        if what in QUESTIONS and row is not None:
            await self._ask(check_fresh)
            self.asking, self.asked = what, row

    @handler(Permission.STAFF_MANAGE)
    async def close(self, wanted: bool):
        """Escape, a click outside, Cancel."""
        if wanted is False:
            self.asking = ""
            await presses.dialog_closed(self)

    @handler(Permission.STAFF_MANAGE, about="account_id", changes=True)
    async def answer(self, account_id: int, drawn: str, what: str, press: str = ""):
        """Yes to the question ``what``."""
        if self.asking == "" or what not in QUESTIONS:
            return None
        press = press_of(press)
        done = await self._change(*QUESTIONS[what], account_id, drawn=drawn, press=press)
        return await self._hand_over(done, RESET, press=press) if isinstance(done, StaffCredentials) else None
