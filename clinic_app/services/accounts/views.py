"""What the account use cases return."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from clinic_app.core.user_agents import device_words
from clinic_app.services.access import Actor

PORTAL_LOGIN_URL = "/patient-portal/login"
STAFF_LOGIN_URL = "/login"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session. ``token`` goes into the cookie and nowhere else."""

    token: str = field(repr=False)
    actor: Actor
    expires_at: dt.datetime
    back_to: str = ""  # the page this browser was on when the same account's session went idle
    device: str = field(default="", repr=False)  # what the browser keeps to be known by; empty: what it has


#: After so many minutes credentials go from the screen, even if nobody closes what shows them.
SHOWN_MINUTES = 10


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is handed over once. The password exists here and on the screen only."""

    username: str
    temporary_password: str = field(repr=False)
    expires_at: dt.datetime
    login_url: str = PORTAL_LOGIN_URL
    mark: str = ""  # tells them from others of the same account (``shown.mark_of``)


@dataclass(frozen=True, slots=True)
class Strength:
    """How hard a password is to guess: ``score`` 0 to 4 (zxcvbn), a word, why, and whether it may be used."""

    score: int
    word: str
    why: str
    good_enough: bool


@dataclass(frozen=True, slots=True)
class OwnSession:
    """One of a person's open sessions. ``kind`` is ``page``, ``passkey`` (a page's too) or ``api``."""

    id: int
    kind: str
    opened_at: dt.datetime
    last_seen_at: dt.datetime
    address: str
    user_agent: str
    this_one: bool

    @property
    def device(self) -> str:
        """What it was opened with, as its owner knows it again: ``Firefox on Windows``."""
        if self.kind == "api":
            return "A program, through the API"
        return device_words(self.user_agent)


@dataclass(frozen=True, slots=True)
class FailedTries:
    """How many tries to sign in failed before the last one that did not, and when the latest of them was."""

    count: int
    last_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class TwoFactor:
    """The state of somebody's second factor: since when, recovery codes left, whether the clinic requires it."""

    enabled_at: dt.datetime | None
    codes_left: int
    required: bool


@dataclass(frozen=True, slots=True)
class Setup:
    """A second factor being set up: the secret, in groups to type and as an address for the authenticator app."""

    secret: str = field(repr=False)
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnPasskey:
    """One of a person's own passkeys, by the name they gave it."""

    id: int
    name: str
    added_at: dt.datetime
    used_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A staff account as administrators see it."""

    id: int
    username: str
    name: str
    role: str
    is_active: bool
    temporary_until: dt.datetime | None  # until when its temporary password opens; None where it has its own
    two_factor: bool
    last_sign_in_at: dt.datetime | None
    locked: bool  # for browsers in which it has not signed in before
    locked_until: dt.datetime | None  # None where only an administrator can open it again
    password_since: dt.datetime

    @property
    def stamp(self) -> str:
        """What an administrator decides on: role, on or off, second factor, and since when the password opens it.

        Another stamp means that the account has changed.
        """
        return staff_stamp(self.role, self.is_active, self.two_factor, self.password_since)


def staff_stamp(role: str, is_active: bool, two_factor: bool, password_since: dt.datetime) -> str:
    """Building block: the stamp of a staff account."""
    return f"{role}-{is_active:d}{two_factor:d}-{password_since:%Y%m%d%H%M%S%f}"


@dataclass(frozen=True, slots=True)
class StaffCredentials:
    """A staff account's new credentials, handed over once."""

    id: int
    name: str
    credentials: Credentials
