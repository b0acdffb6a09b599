"""Credentials on somebody's screen: whether they still open their account, and that no others take their place."""

from __future__ import annotations

from sqlalchemy import select

from clinic_app.core import crypto, db
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.services import intents
from clinic_app.services.access import Actor, Permission
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
