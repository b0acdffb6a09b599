"""Accounts, their sessions, and what limits guessing."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Index, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of


class Role(StrEnum):
    """What an account may do; see services.access."""

    ADMIN = "ADMIN"
    RECEPTIONIST = "RECEPTIONIST"
    CLINICIAN = "CLINICIAN"
    PATIENT = "PATIENT"


class Account(TableModel, table=True):
    """Somebody who can sign in. A portal account is one with role ``PATIENT``, linked to its patient."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("(role = 'PATIENT') = (patient_id IS NOT NULL)", name="patient_role_has_patient"),
        CheckConstraint("username = lower(username)", name="username_lower"),
        # those who have yet to sign in or to choose a password, with all that counting them asks for
        Index(
            "ix_accounts_waiting",
            "password_expires_at",
            "password_temporary",
            "temporary_failures",
            "last_sign_in_at",
            "password_changed_at",
            "patient_id",
            "id",
            sqlite_where=text("is_active = 1 AND (password_temporary = 1 OR last_sign_in_at IS NULL)"),
            postgresql_where=text("is_active AND (password_temporary OR last_sign_in_at IS NULL)"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    username: str = Field(max_length=254, unique=True)  # lower case; a portal account's is its email
    full_name: str = Field(max_length=210)
    role: str = Field(max_length=20)
    patient_id: int | None = Field(default=None, foreign_key="patients.id", unique=True)
    phone: str | None = Field(default=None, max_length=20)  # for SMS; E.164
    contact_email: str | None = Field(default=None, max_length=254)  # for emails, where the username reaches nobody
    password_hash: str = Field(max_length=120)
    password_temporary: bool = False
    password_expires_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    password_changed_at: dt.datetime = Field(sa_type=UtcDateTime)
    temporary_failures: int = 0  # wrong tries since the temporary password was made
    is_active: bool = True
    last_sign_in_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: dt.datetime = Field(sa_type=UtcDateTime)
    updated_at: dt.datetime = Field(sa_type=UtcDateTime)
    created_by_id: int | None = Field(default=None, foreign_key="accounts.id")
    turned_off_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    turned_off_by_id: int | None = Field(default=None, foreign_key="accounts.id")
    turned_off_reason: str | None = Field(default=None, max_length=200)
    email_shown_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)  # used a link sent to the username
    handed_over: str | None = Field(default=None, max_length=10)  # how the temporary password was; see services.portal
    handed_over_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    handed_over_by_id: int | None = None  # an account
    invited_again: int = 0  # how often the desk has sent an invitation again
    passkey_handle: str | None = Field(default=None, max_length=88)  # what authenticators know the account by
    failed_tries: int = 0  # since the last sign-in
    last_failed_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    told_tries: int = 0  # failed tries before the last sign-in, until the owner has been told
    told_failed_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    totp_secret: str | None = Field(default=None, max_length=200)  # encrypted; see core.encryption
    totp_enabled_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)  # empty while being set up
    totp_counter: int | None = Field(default=None, sa_column=Column(BigInteger))  # of the last code used


class FormerUsername(TableModel, table=True):
    """A username that a portal account had before: free for others, and its patient is still found by it."""

    __tablename__ = "former_usernames"
    __table_args__ = (Index("ix_former_usernames_username", "username"),)

    account_id: int = Field(foreign_key="accounts.id", primary_key=True)
    username: str = Field(max_length=254, primary_key=True)
    ended_at: dt.datetime = Field(sa_type=UtcDateTime)


class LoginSession(TableModel, table=True):
    """One sign-in. Only the token's hash is kept; a row with ``ended_at`` opens nothing."""

    __tablename__ = "login_sessions"
    __table_args__ = (Index("ix_login_sessions_account_id", "account_id", "ended_at"),)

    id: int | None = Field(default=None, primary_key=True)
    token_hash: str = Field(max_length=64, unique=True)
    account_id: int = Field(foreign_key="accounts.id")
    kind: str = Field(default="page", max_length=10)  # page, passkey (a page's too) or api
    created_at: dt.datetime = Field(sa_type=UtcDateTime)
    last_seen_at: dt.datetime = Field(sa_type=UtcDateTime)
    expires_at: dt.datetime = Field(sa_type=UtcDateTime)  # absolute end
    ended_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    end_reason: str | None = Field(default=None, max_length=30)
    address: str = Field(default="", max_length=64)
    user_agent: str = Field(default="", max_length=200)
    proved_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)  # last gave all proofs of who it is
    path: str = Field(default="", max_length=120)  # the page to come back to after an idle end


class PendingSignIn(TableModel, table=True):
    """The right password of an account that asks for a code too: opens nothing but the second step, once."""

    __tablename__ = "pending_sign_ins"

    token_hash: str = Field(max_length=64, primary_key=True)
    account_id: int = Field(foreign_key="accounts.id")
    replaces: str = Field(max_length=64)  # hash of the session token this browser had
    password_changed_at: dt.datetime = Field(sa_type=UtcDateTime)  # another password since: start again
    tries: int = 0
    expires_at: dt.datetime = Field(sa_type=UtcDateTime)


class RecoveryCode(TableModel, table=True):
    """Stands in for a code of the authenticator, once. Hashed like a password; ``mark`` finds it."""

    __tablename__ = "recovery_codes"
    __table_args__ = (UniqueConstraint("account_id", "mark", name="uq_recovery_codes_account_id_mark"),)

    id: int | None = Field(default=None, primary_key=True)
    account_id: int = Field(foreign_key="accounts.id")
    mark: str = Field(max_length=4)  # its first characters, which are no secret
    code_hash: str = Field(max_length=120)
    used_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


class Draft(TableModel, table=True):
    """What was typed into one form in one tab and not sent. Encrypted: it holds personal data."""

    __tablename__ = "drafts"
    __table_args__ = (Index("ix_drafts_typed_at", "typed_at"),)

    account_id: int = Field(foreign_key="accounts.id", primary_key=True)
    instance: str = Field(max_length=32, primary_key=True)  # the tab makes it up: random, hex
    form: str = Field(max_length=40)
    body: str = Field(sa_type=Text)  # encrypted, see core.encryption; empty: the form was sent or discarded
    typed_at: dt.datetime = Field(sa_type=UtcDateTime)
    open_until: dt.datetime = Field(sa_type=UtcDateTime)  # until then its window counts as one that is typed in


class RefreshToken(TableModel, table=True):
    """One link of an API session's chain: used once, for the next link. A second use ends the session."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("ix_refresh_tokens_session_id", "session_id"),
        Index("ix_refresh_tokens_expires_at", "expires_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    token_hash: str = Field(max_length=64, unique=True)
    session_id: int = Field(foreign_key="login_sessions.id")
    role: str = Field(max_length=20)  # as it was at sign-in: another role means signing in again
    created_at: dt.datetime = Field(sa_type=UtcDateTime)
    expires_at: dt.datetime = Field(sa_type=UtcDateTime)  # the session's absolute end
    used_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


class KnownDevice(TableModel, table=True):
    """A browser in which an account has signed in: opens nothing, but guesses of strangers do not shut it out.

    For the API, a network the account signed in from. Only a hash of the cookie, or of the network, is kept.
    """

    __tablename__ = "known_devices"
    __table_args__ = (
        Index("ix_known_devices_account_id", "account_id"),
        Index("ix_known_devices_used_at", "used_at"),
    )

    device_hash: str = Field(max_length=64, primary_key=True)
    account_id: int = Field(foreign_key="accounts.id", primary_key=True)
    created_at: dt.datetime = Field(sa_type=UtcDateTime)
    used_at: dt.datetime = Field(sa_type=UtcDateTime)  # last signed in


class SignInLimit(TableModel, table=True):
    """Failures under one key: a keyed digest of a username, a network, or both; a known device; a session.

    A try counts from its beginning. Those of which it is not known yet how they end are ``pending`` too.
    """

    __tablename__ = "sign_in_limits"

    key: str = Field(max_length=80, primary_key=True)
    account_id: int | None = None  # where only tries at one account are counted that there is
    failures: int  # in the present window
    consecutive: int  # since the last success
    pending: int = 0  # of the failures, those that may turn out to be none
    pending_since: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    window_started_at: dt.datetime = Field(sa_type=UtcDateTime)
    blocked_until: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


class Passkey(TableModel, table=True):
    """A key that signs its account in (WebAuthn Level 3). Only its public half is here."""

    __tablename__ = "passkeys"
    __table_args__ = (Index("ix_passkeys_account_id", "account_id"),)

    id: int | None = Field(default=None, primary_key=True)
    account_id: int = Field(foreign_key="accounts.id")
    credential_id: str = Field(max_length=1400, unique=True)  # base64url; at most 1023 bytes
    public_key: bytes = Field(sa_type=LargeBinary)  # COSE
    sign_count: int = Field(default=0, sa_type=BigInteger)
    name: str = Field(max_length=60)
    created_at: dt.datetime = Field(sa_type=UtcDateTime)
    used_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


class PasskeyChallenge(TableModel, table=True):
    """What a browser was asked to sign, until it has done so once or its time is over. Only a hash is kept."""

    __tablename__ = "passkey_challenges"
    __table_args__ = (Index("ix_passkey_challenges_expires_at", "expires_at"),)

    challenge_hash: str = Field(max_length=64, primary_key=True)
    account_id: int | None = Field(default=None, foreign_key="accounts.id")  # none: for signing in
    expires_at: dt.datetime = Field(sa_type=UtcDateTime)


class FlashNote(TableModel, table=True):
    """What the next page says once, such as a refused sign-in. Named by a cookie that lives a minute."""

    __tablename__ = "flash_notes"

    token_hash: str = Field(max_length=64, primary_key=True)
    body: dict[str, Any] = Field(sa_type=JSON)
    expires_at: dt.datetime = Field(sa_type=UtcDateTime)


#: What statements are made of.
ACCOUNTS = table_of(Account)
FORMER_USERNAMES = table_of(FormerUsername)
LOGIN_SESSIONS = table_of(LoginSession)
PENDING_SIGN_INS = table_of(PendingSignIn)
RECOVERY_CODES = table_of(RecoveryCode)
DRAFTS = table_of(Draft)
REFRESH_TOKENS = table_of(RefreshToken)
KNOWN_DEVICES = table_of(KnownDevice)
SIGN_IN_LIMITS = table_of(SignInLimit)
PASSKEYS = table_of(Passkey)
PASSKEY_CHALLENGES = table_of(PasskeyChallenge)
FLASH_NOTES = table_of(FlashNote)
