"""Credentials on somebody's screen: whether they still open their account, and that no others take their place."""

from __future__ import annotations

from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core import crypto, db
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.services import intents
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.errors import CredentialsSeen, IssuedMeanwhile
from clinic_app.services.audit.authorization import demand


def mark_of(password_hash: str) -> str:
    """Building block: what tells one temporary password from the next, and nothing of it."""
    return crypto.digest(password_hash)[:16]


def confirm_shown(actor: Actor, intent: str, username: str, mark: str, *, arrived: bool = True) -> bool:
    """Whether the credentials with this ``mark`` open the account, or its owner has used them and chosen a password.

    For whoever is shown them. With ``arrived`` a page has them on its screen: from now on nothing else is issued for
    the press ``intent``, but to that page itself. The account's row decides between this and a fresh issue.
    """
    demand(actor, Permission.OWN_SESSION)
    with db.transaction() if arrived else db.reading() as session:
        columns = ACCOUNTS.c.password_hash, ACCOUNTS.c.password_temporary, ACCOUNTS.c.is_active
        asked = select(*columns).where(ACCOUNTS.c.username == username)
        found = session.execute(asked.with_for_update() if arrived else asked).one_or_none()
        if found is None or not found.is_active:
            return False
        if found.password_temporary and mark_of(found.password_hash) != mark:
            return False
        if arrived:
            intents.note_seen(session, actor, intent)
    return True


class Lost:
    """Building block: credentials that a press of ``actor`` issued, and their page has lost.

    Fresh ones take their place while nobody has seen them, and nothing else has replaced them.
    """

    def __init__(self, actor: Actor, intent: str, resource_type: str) -> None:
        """Raise ``CredentialsSeen`` where the press issued nothing about a ``resource_type``."""
        done = intents.outcome(actor, intent)
        if done is None or done.resource_type != resource_type or done.resource_id is None:
            raise CredentialsSeen
        self.key = done.resource_id
        self._actor, self._done, self._username, self._mark = actor, done, "", ""

    def refuse_if_seen(self, account: Account, had: str) -> None:
        """Before a fresh password is hashed. ``had``: the mark of those that the page had on its screen."""
        self._username, self._mark = account.username, mark_of(account.password_hash)
        if self._done.seen and had != self._mark:
            raise CredentialsSeen

    def refuse_if_changed(self, session: Session, account: Account) -> None:
        """While ``account`` is locked, before its password is replaced.

        Raises ``CredentialsSeen`` where they were seen, are in use or have been replaced meanwhile; ``IssuedMeanwhile``
        where another line of the same page got fresh ones.
        """
        now = intents.lock(session, self._actor, self._done.intent)
        untouched = account.password_temporary and account.is_active and account.username == self._username
        if now is None or now.seen != self._done.seen or not untouched or account.password_changed_at > now.done_at:
            raise CredentialsSeen
        if mark_of(account.password_hash) != self._mark:
            raise IssuedMeanwhile

    def note_replaced(self, session: Session) -> None:
        """After it, in the same transaction: nobody has seen the fresh ones."""
        intents.issued_anew(session, self._actor, self._done.intent)
