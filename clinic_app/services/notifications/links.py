"""One-time links: their codes, which no row holds, and who may use one. Building blocks.

A code is 12 symbols of 32, 60 bits, HMAC-SHA-256 of the row's seed with a key that is not in the database: whoever has
only the database has no link, and every try to send a message repeats the same one. It is found by a keyed digest and
checked against a password hash (OWASP ASVS 5.0, 6.5.2).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import Table, select, update
from sqlmodel import Session

from clinic_app.core import clock, crypto, db, keys
from clinic_app.core.text_rules import normalised, visible
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.notifications import ONE_TIME_LINKS, LinkPurpose, OneTimeLink

#: Digits and capitals without ``I L O U`` (Crockford's base 32), so that nothing looks like something else.
SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH, GROUP = 12, 4
#: Enough for 60 random bits behind the pepper.
_COST = 10
#: So much of what is typed is looked at.
_READ = 500
#: A code at the end of a link, whatever follows it in the message.
_IN_LINK = re.compile(r"#([0-9A-Za-z]{4}(?:-[0-9A-Za-z]{4}){2})(?![0-9A-Za-z])")
#: What asks for another password: of these an account has one at a time.
PASSWORD = (LinkPurpose.ACTIVATE, LinkPurpose.FORGOT)
EVERY = tuple(LinkPurpose)


@dataclass(frozen=True, slots=True)
class FoundLink:
    """The link that a code belongs to. ``ended``: empty, ``used``, ``superseded`` or ``expired``; ``ended_at`` UTC."""

    id: int
    account_id: int
    purpose: str
    email: str | None
    expires_at: dt.datetime
    ended: str
    ended_at: dt.datetime
    code_hash: str


def code_of(seed: str) -> str:
    """The code that belongs to a seed: ``7KQM-4RXT-92WD``."""
    digest = hmac.new(keys.key("token_key"), f"one-time link, v1: {seed}".encode(), hashlib.sha256).digest()
    number = int.from_bytes(digest[:8], "big")
    plain = "".join(SYMBOLS[number >> 5 * place & 31] for place in range(LENGTH))
    return "-".join(plain[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def plain_code(typed: str) -> str:
    """A code as it is compared: capitals and digits alone, ``O`` as 0, ``I`` and ``L`` as 1. Empty if it is none.

    Of a whole link, the code in it: that is what people copy from a message.
    """
    typed = normalised(visible(typed[:_READ]), _READ, "NFKC")
    in_link = _IN_LINK.search(typed)
    text = (in_link[1] if in_link else typed).upper()
    plain = "".join(c for c in text if c.isalnum()).translate(str.maketrans("OIL", "011"))
    return plain if len(plain) == LENGTH and all(c in SYMBOLS for c in plain) else ""


def digest_of(plain: str) -> str:
    """What finds a code."""
    return crypto.keyed_digest(plain, "one-time link")


def new_link(
    session: Session,
    account_id: int,
    purpose: LinkPurpose,
    expires_at: dt.datetime,
    *,
    email: str | None = None,
    first: bool = False,
) -> int:
    """Make a link in the caller's transaction; returns its id. The ones before it for the same purpose open nothing.

    One from the reception ends those for a forgotten password too. Not the other way round: anybody can ask for those,
    and would end somebody's invitation. ``first`` where the account cannot have one yet, which saves a statement.
    """
    if not first:
        end_links(session, account_id, PASSWORD if purpose == LinkPurpose.ACTIVATE else (purpose,))
    link = OneTimeLink(
        account_id=account_id,
        purpose=purpose,
        seed=secrets.token_hex(16),
        email=email,
        created_at=clock.now(),
        expires_at=expires_at,
    )
    session.add(link)
    session.flush()
    return link.id or 0


def end_links(session: Session, account_id: int, purposes: tuple[LinkPurpose, ...] = PASSWORD) -> None:
    """End the account's links for these purposes, as superseded."""
    links = ONE_TIME_LINKS.c
    session.execute(
        update(ONE_TIME_LINKS)
        .where(links.account_id == account_id, links.purpose.in_(purposes), links.ended_at.is_(None))
        .values(ended_at=clock.now(), end_reason="superseded")
    )


def make_findable(row_id: int, seed: str, table: Table = ONE_TIME_LINKS) -> None:
    """Write what finds and checks the code of a row, unless it is there. One hash: for whoever is about to send it."""
    plain = plain_code(code_of(seed))
    hashed = crypto.hash_password(plain, cost=_COST)
    with db.transaction() as session:
        session.execute(
            update(table)
            .where(table.c.id == row_id, table.c.code_digest.is_(None))
            .values(code_digest=digest_of(plain), code_hash=hashed)
        )


def find(session: Session, typed: str) -> FoundLink | None:
    """The link a code belongs to, by its digest alone: ``is_right`` has still to be asked, outside of transactions."""
    plain = plain_code(typed)
    if not plain:
        return None
    row = session.execute(select(ONE_TIME_LINKS).where(ONE_TIME_LINKS.c.code_digest == digest_of(plain))).one_or_none()
    if row is None:
        return None
    over = "expired" if row.expires_at <= clock.now() else ""
    ended = (row.end_reason or "superseded") if row.ended_at else over
    at = row.ended_at or row.expires_at
    return FoundLink(row.id, row.account_id, row.purpose, row.email, row.expires_at, ended, at, row.code_hash)


def newer_link_at(session: Session, found: FoundLink) -> dt.datetime | None:
    """When the link was made that works in place of one for a password; None where none does."""
    links = ONE_TIME_LINKS.c
    newer = (
        select(links.created_at)
        .where(
            links.account_id == found.account_id,
            links.purpose.in_(PASSWORD),
            links.id > found.id,
            links.ended_at.is_(None),
            links.expires_at > clock.now(),
        )
        .order_by(links.id.desc())
        .limit(1)
    )
    return session.execute(newer).scalar_one_or_none()


def is_right(found: FoundLink | None, typed: str) -> bool:
    """Whether the code is the link's: one hash in every case, also where none was found."""
    return matches(typed, found.code_hash if found else None)


def matches(typed: str, code_hash: str | None) -> bool:
    """Whether what was typed is the code behind a hash: one hash in every case, also where there is none to compare."""
    return crypto.verify_password(plain_code(typed) or "none", code_hash, stranger=True)


def redeem(session: Session, link_id: int) -> bool:
    """Use the link up, in the transaction of what it allows: of several at once, one gets True."""
    links, now = ONE_TIME_LINKS.c, clock.now()
    used = session.execute(
        update(ONE_TIME_LINKS)
        .where(links.id == link_id, links.ended_at.is_(None), links.expires_at > now)
        .values(ended_at=now, end_reason="used")
        .returning(links.account_id)
    ).scalar_one_or_none()
    return used is not None


def note_email_shown(session: Session, account_id: int) -> None:
    """The owner of the account's username has used a link sent there."""
    session.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(email_shown_at=clock.now()))
