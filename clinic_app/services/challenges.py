"""Challenges that a browser solves before it may send a form that anybody can reach: work for whoever sends thousands.

ALTCHA's protocol (https://altcha.org): find the number whose hash, with the salt, is the one given. Nothing of the
browser or the person goes in, and nobody else is asked. A solution counts once, and for an hour.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from typing import Any

from altcha import v1 as altcha
from sqlmodel import Session

from clinic_app.core import clock, crypto, db
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.models.registrations import USED_CHALLENGES

LIFE = dt.timedelta(hours=1)
#: Numbers to try at most; half of them on average. A second or two on a phone of 2020, ten on an older one.
HARDNESS = 300_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LONGEST = 2000  # characters of a solution


class ChallengeNotSolved(ClinicError):
    """The solution is missing, wrong, too old or was handed in before."""

    kind = ErrorKind.INVALID
    code = "challenge_not_solved"
    title = "The check has to be done again"
    detail = "The check that you are no robot has to be done again. Please press the button once more."


def _key() -> str:
    return crypto.keyed_digest("signature", "challenge")


def new_challenge() -> dict[str, Any]:
    """A challenge, as the page hands it to the script that solves it."""
    made = altcha.create_challenge(
        algorithm="SHA-256",
        max_number=HARDNESS,
        salt_length=12,
        hmac_key=_key(),
        salt="",
        number=None,
        expires=clock.now() + LIFE,
        params=None,
    )
    return {
        "algorithm": made.algorithm,
        "challenge": made.challenge,
        "maxnumber": made.max_number,
        "salt": made.salt,
        "signature": made.signature,
    }


def _read(solution: str) -> dict[str, Any] | None:
    """The parts of a solution as the browser sends it: JSON in base 64."""
    try:
        found = json.loads(base64.b64decode(solution[:_LONGEST], validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    texts = ("algorithm", "challenge", "salt", "signature")
    right = isinstance(found, dict) and all(isinstance(found.get(name), str) for name in texts)
    return found if right and type(found.get("number")) is int else None


def _expires_at(solution: dict[str, Any]) -> dt.datetime | None:
    """When it is over, as its salt says, which the hash holds."""
    try:
        (seconds,) = altcha.extract_params(solution)["expires"]  # type: ignore[arg-type]
        return _EPOCH + dt.timedelta(seconds=int(seconds))
    except (KeyError, ValueError, OverflowError):
        return None


def check(solution: str) -> tuple[str, dt.datetime]:
    """What a right solution is known by, and when it is over. Raises ``ChallengeNotSolved``."""
    found = _read(solution)
    over = _expires_at(found) if found is not None else None
    if found is None or over is None or not clock.now() < over <= clock.now() + LIFE:
        raise ChallengeNotSolved
    right, _ = altcha.verify_solution(found, _key(), check_expires=False)  # type: ignore[call-overload]
    if not right:
        raise ChallengeNotSolved
    return crypto.digest(found["challenge"]), over


def use_up(session: Session, known_by: str, expires_at: dt.datetime) -> None:
    """Building block: the solution counts in this transaction, and never again. Raises ``ChallengeNotSolved``."""
    if db.upsert(session, USED_CHALLENGES, {"digest": known_by, "expires_at": expires_at}) is None:
        raise ChallengeNotSolved
