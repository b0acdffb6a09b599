"""What the next page says once: kept on the server, named by a cookie, read once within a minute."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import delete

from clinic_app.core import clock, crypto, db
from clinic_app.models.accounts import FLASH_NOTES, FlashNote

LIFE = dt.timedelta(seconds=60)


def put_note(**body: Any) -> str:
    """Keep ``body`` (no secrets) for a minute; returns the token for the cookie. Expired notes are removed."""
    token, now = crypto.new_token(), clock.now()
    with db.transaction() as session:
        session.execute(delete(FLASH_NOTES).where(FLASH_NOTES.c.expires_at <= now))
        session.add(FlashNote(token_hash=crypto.digest(token), body=body, expires_at=now + LIFE))
    return token


def pop_note(token_hash: str) -> dict[str, Any]:
    """The note behind a token's hash, removed by reading it; empty where there is none or it is too old."""
    if not token_hash:
        return {}
    with db.transaction() as session:
        gone = session.execute(
            delete(FLASH_NOTES)
            .where(FLASH_NOTES.c.token_hash == token_hash)
            .returning(FLASH_NOTES.c.body, FLASH_NOTES.c.expires_at)
        ).one_or_none()
    return dict(gone.body) if gone is not None and gone.expires_at > clock.now() else {}
