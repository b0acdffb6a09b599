"""What the account use cases return."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from clinic_app.services.access import Actor

PORTAL_LOGIN_URL = "/patient-portal/login"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session. ``token`` goes into the cookie and nowhere else."""

    token: str = field(repr=False)
    actor: Actor
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is handed over once. The password exists here and on the screen only."""

    username: str
    temporary_password: str = field(repr=False)
    expires_at: dt.datetime
    login_url: str = PORTAL_LOGIN_URL


@dataclass(frozen=True, slots=True)
class Strength:
    """How hard a password is to guess: ``score`` 0 to 4 (zxcvbn), a word, why, and whether it may be used."""

    score: int
    word: str
    why: str
    good_enough: bool
