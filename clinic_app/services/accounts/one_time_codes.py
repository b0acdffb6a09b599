"""Building blocks of the second factor: codes of an authenticator app (RFC 6238), and recovery codes."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

import pyotp
from pyotp.totp import TOTP
from sqlalchemy import delete, func, insert, select, update
from sqlmodel import Session

from clinic_app.core import clock, crypto, encryption, logs
from clinic_app.models.accounts import ACCOUNTS, RECOVERY_CODES, Account

_PURPOSE = "totp"
STEP = 30  # seconds
DIGITS = 6
WINDOW = 1  # steps a clock may be off, each way
SECRET_LENGTH = 32  # base32 characters: 160 bits
CODES_AT_ONCE = 10
#: Upper case, none that look alike: 30 symbols.
_SYMBOLS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_MARK = 2  # symbols that find a code among the ten
_LENGTH = 16  # the other 14 are 68 bits (NIST SP 800-63B-4, 3.1.2.1 asks for 64)
#: Enough for 68 random bits behind the pepper, and ten of them are made at once.
_COST = 10


def new_secret() -> str:
    """A fresh secret for an authenticator app."""
    return pyotp.random_base32(SECRET_LENGTH)


def encrypt_secret(account_id: int, secret: str) -> str:
    """The secret as it is kept."""
    return encryption.encrypt(secret, _PURPOSE, str(account_id))


def decrypt_secret(account: Account) -> str | None:
    """The account's secret; None where there is none or it cannot be read."""
    if account.totp_secret is None:
        return None
    try:
        return encryption.decrypt(account.totp_secret, _PURPOSE, str(account.id))
    except encryption.Unreadable as error:
        logs.failure(error, "second factor")
        return None


def normal(code: str) -> str:
    """A code as it is compared: without spaces and dashes, in upper case."""
    return "".join(c for c in code.upper() if c not in " -\u2010\u2011\u2013\u00a0")[:64]


def matching_counter(secret: str, code: str) -> int | None:
    """The time step whose code this is, among those the window allows; None for a wrong one."""
    if len(code) != DIGITS or not (code.isascii() and code.isdecimal()):
        return None
    now, totp, found = int(clock.now().timestamp()) // STEP, TOTP(secret, digits=DIGITS, interval=STEP), None
    for counter in range(now - WINDOW, now + WINDOW + 1):
        if hmac.compare_digest(totp.generate_otp(counter), code):
            found = counter
    return found


def use_counter(session: Session, account_id: int, counter: int) -> bool:
    """Use a time step up: False if it, or a later one, has been used. Of several calls at once, one gets True."""
    used = session.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.id == account_id, func.coalesce(ACCOUNTS.c.totp_counter, 0) < counter)
        .values(totp_counter=counter)
        .returning(ACCOUNTS.c.id)
    )
    return used.scalar_one_or_none() is not None


# --- recovery codes -----------------------------------------------------------------------------


def new_recovery_codes() -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Ten codes to show, in groups, and (mark, hash) of each to keep. Slow: call it before the transaction."""
    marks: set[str] = set()
    while len(marks) < CODES_AT_ONCE:
        marks.add("".join(secrets.choice(_SYMBOLS) for _ in range(_MARK)))
    shown, kept = [], []
    for mark in sorted(marks, key=lambda _: secrets.token_bytes(4)):
        code = mark + "".join(secrets.choice(_SYMBOLS) for _ in range(_LENGTH - _MARK))
        shown.append("-".join(code[at : at + 4] for at in range(0, _LENGTH, 4)))
        kept.append((mark, crypto.hash_password(code, cost=_COST)))
    return tuple(shown), kept


def keep_recovery_codes(session: Session, account_id: int, kept: list[tuple[str, str]]) -> None:
    """Replace an account's recovery codes."""
    session.execute(delete(RECOVERY_CODES).where(RECOVERY_CODES.c.account_id == account_id))
    if kept:
        rows = [{"account_id": account_id, "mark": mark, "code_hash": hashed} for mark, hashed in kept]
        session.execute(insert(RECOVERY_CODES), rows)


def find_recovery_code(session: Session, account_id: int, code: str) -> tuple[int, str] | None:
    """Id and hash of the unused recovery code that ``code`` may be. Its hash has still to be checked."""
    if len(code) != _LENGTH:
        return None
    row = session.execute(
        select(RECOVERY_CODES.c.id, RECOVERY_CODES.c.code_hash).where(
            RECOVERY_CODES.c.account_id == account_id,
            RECOVERY_CODES.c.mark == code[:_MARK],
            RECOVERY_CODES.c.used_at.is_(None),
        )
    ).one_or_none()
    return (row.id, row.code_hash) if row is not None else None


def use_recovery_code(session: Session, code_id: int) -> bool:
    """Use a recovery code up: of several calls at once, one gets True."""
    used = session.execute(
        update(RECOVERY_CODES)
        .where(RECOVERY_CODES.c.id == code_id, RECOVERY_CODES.c.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(RECOVERY_CODES.c.id)
    )
    return used.scalar_one_or_none() is not None


# --- both kinds ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found out about a code before the transaction that uses it up; no hash is left to compute."""

    code: str
    recovery_id: int | None = None

    @property
    def kind(self) -> str:
        """For the trail: ``totp`` or ``recovery code``."""
        return "recovery code" if self.recovery_id is not None else "totp"


def look_at(found: tuple[int, str] | None, code: str) -> Proof:
    """Check the hash of a recovery code, if one was found. Slow: outside of transactions."""
    right = found is not None and crypto.verify_password(code, found[1])
    return Proof(code, found[0] if found is not None and right else None)


def use(session: Session, account: Account, proof: Proof) -> bool:
    """Use a code up, inside the caller's transaction with the account's row locked: whether it was right and unused."""
    if proof.recovery_id is not None:
        return use_recovery_code(session, proof.recovery_id)
    secret = decrypt_secret(account)
    counter = matching_counter(secret, proof.code) if secret is not None else None
    return counter is not None and use_counter(session, account.id or 0, counter)
