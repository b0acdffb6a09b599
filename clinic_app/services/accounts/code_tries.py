"""The code of a one-time link that somebody gives: counted before anything slow, checked once, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlmodel import Session

from clinic_app.core import context, db
from clinic_app.core.errors import InvalidInput, TooManyAttempts
from clinic_app.models.accounts import Account
from clinic_app.models.notifications import LinkPurpose
from clinic_app.services.access import ANONYMOUS
from clinic_app.services.accounts import sign_in_throttle
from clinic_app.services.accounts.errors import CodeBelongsElsewhere
from clinic_app.services.accounts.sign_in_throttle import Budget
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, compared, record_failure
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import note_failure
from clinic_app.services.notifications import links
from clinic_app.services.notifications.links import FoundLink

Over = TypeVar("Over")
NOT_RIGHT = "This code is not right. Check it against the message: three groups of four."
#: So much of what is typed is looked at.
READ = 1000


@dataclass(frozen=True, slots=True)
class Given(Generic[Over]):
    """A right code, and what it belongs to. ``over``: why its link does nothing any more; None where it does."""

    budget: Budget
    found: FoundLink
    account: Account
    over: Over | None


def note_refused(budget: Budget, found: FoundLink | None, reason: str) -> None:
    """Building block: record that a code did nothing, and why. The try stays counted."""
    note_failure(
        ANONYMOUS,
        Action.LINK_REFUSED,
        resource_type="account",
        resource_id=found.account_id if found else None,
        details={"reason": reason},
        also=lambda session: sign_in_throttle.settle(session, budget),
    )


def check(
    code: str,
    purposes: tuple[LinkPurpose, ...],
    why_over: Callable[[Session, FoundLink, Account], Over | None],
    *,
    waited: float,
) -> Given[Over]:
    """Building block: what a code belongs to, for a use case that anybody with the code may call.

    Counted before anything slow; one check of the code in every case, outside of transactions. ``why_over`` is asked in
    the transaction that counts, where the link is for one of ``purposes``. What is refused is recorded. Raises
    ``InvalidInput`` (field ``code``), ``CodeBelongsElsewhere`` after a right code that is for something else,
    ``TooManyAttempts``, ``TryAgainShortly`` (ask again then).
    """
    with db.transaction() as session:
        found = links.find(session, code)
        budget = sign_in_throttle.of_code(context.current().address, found.id if found else None)
        verdict = sign_in_throttle.count_try(session, budget, waited=waited)
        account = session.get(Account, found.account_id) if found is not None else None
        here = found is not None and found.purpose in purposes
        over = why_over(session, found, account) if found is not None and account is not None and here else None
        if verdict.newly_blocked:
            record_failure(session, Action.SIGN_IN_BLOCKED, account, door=PATIENT_DOOR, by="link", seconds=verdict.wait)
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)
    with compared(budget):
        right = links.is_right(found, code)
    if not right or found is None or account is None:
        note_refused(budget, found, "wrong")
        raise InvalidInput({"code": NOT_RIGHT})
    if not here:
        note_refused(budget, found, "elsewhere")
        raise CodeBelongsElsewhere(found.purpose)
    return Given(budget, found, account, over)
