"""Setting a password by a one-time link: for whoever holds its code, without a session."""

from __future__ import annotations

import math

from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core import crypto, db
from clinic_app.core.errors import InvalidInput, TooManyAttempts
from clinic_app.core.text_rules import trimmed
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.services.accounts import code_tries, passkey_ceremonies, passwords, sign_in_throttle
from clinic_app.services.accounts.code_tries import READ
from clinic_app.services.accounts.errors import LinkOver
from clinic_app.services.accounts.sign_in_throttle import Budget
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, compared, opens, welcome
from clinic_app.services.accounts.views import SignedIn
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications import links, outbox
from clinic_app.services.notifications.links import FoundLink


def _refuse_incomplete(code: str, new: str) -> None:
    """Raise ``InvalidInput`` for what is missing."""
    needed = {"code": (code, "Code from the message"), "new_password": (new, "New password")}
    missing = {field: f"{label} is required." for field, (typed, label) in needed.items() if not trimmed(typed, READ)}
    if missing:
        raise InvalidInput(missing)


def _settle(budget: Budget) -> None:
    """The try stays counted."""
    with db.transaction() as session:
        sign_in_throttle.settle(session, budget)


def _why_over(session: Session, found: FoundLink, account: Account | None) -> LinkOver | None:
    """Why the link of a right code sets no password; None if it does."""
    if not opens(account, PATIENT_DOOR):
        return LinkOver("off")
    if found.ended != "superseded":
        return LinkOver(found.ended, found.ended_at) if found.ended else None
    newer = links.newer_link_at(session, found)
    return LinkOver("superseded", newer) if newer else LinkOver("replaced", found.ended_at)


def _hashed(account: Account, new: str, again: str, budget: Budget) -> str:
    """The new password's hash. Raises ``InvalidInput`` where it is not good enough, or not the same both times."""
    try:
        passwords.check_for(account, new, again)
    except (InvalidInput, TooManyAttempts):
        _settle(budget)
        raise
    with compared(budget):
        return crypto.hash_password(new)


def _save(
    session: Session, account: Account, found: FoundLink, fresh: str, budget: Budget, replaces: str, device: str
) -> SignedIn:
    """The password, and all that follows from it, in the caller's transaction with the account's row locked."""
    was_temporary = account.password_temporary
    sign_in_throttle.forgive(session, budget)  # first what strangers share, as they are locked everywhere
    sign_in_throttle.unlock(session, account.username, account.id)
    if outbox.went_by_email_alone(session, found.id, account.username):
        links.note_email_shown(session, account.id or 0)
    passwords.put_own_password(session, account, fresh)
    passkey_ceremonies.forget(session, account.id or 0)  # what opened the account before it was taken back
    done = welcome(session, account, PATIENT_DOOR, "page", replaces, device)
    record(
        session,
        done.actor,
        Action.PASSWORD_CHOSEN,
        resource_type="account",
        resource_id=account.id,
        details={"was_temporary": was_temporary, "by": "link"},
        changes_lists=True,
    )
    return done


def activate(
    code: str, new: str, again: str, *, replaces: str = "", device: str = "", waited: float = math.inf
) -> SignedIn:
    """Set the password of the account that a one-time link is for, and open a session.

    For anybody who has the code. The link is used up when the password is kept, and not before; of several at once one
    uses it. All sessions of the account end, its links open nothing any more, and wrong tries are forgotten.
    ``replaces``, ``device`` and ``waited`` as for ``sign_in``. Counted before anything slow; one check of the code in
    every case, and one hash of the password, outside of transactions.

    Raises ``InvalidInput`` (fields ``code``, ``new_password``, ``confirm_password``; of the password's strength only
    after the right code), ``CodeBelongsElsewhere``, ``LinkOver`` after the right code of a link that is over,
    ``TooManyAttempts``, ``TryAgainShortly`` (ask again then).
    """
    _refuse_incomplete(code, new)
    given = code_tries.check(code, links.PASSWORD, _why_over, waited=waited)
    found, account, over = given.found, given.account, given.over
    if over is None:
        fresh = _hashed(account, new, again, given.budget)
        with db.transaction() as session:
            # Read again: another one may have been quicker, or the reception, while the hash was computed.
            current = session.execute(select(Account).where(ACCOUNTS.c.id == account.id).with_for_update()).scalar_one()
            over = _why_over(session, links.find(session, code) or found, current)
            if over is None and links.redeem(session, found.id):
                return _save(session, current, found, fresh, given.budget, replaces, device)
    over = over or LinkOver("expired", found.expires_at)
    code_tries.note_refused(given.budget, found, over.why)
    raise over
