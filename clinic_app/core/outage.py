"""Whether an exception means that a part cannot be reached now, rather than that something is wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy import exc

from clinic_app.core.errors import ClinicError, DatabaseAway, Unexpected

#: Classes of SQLSTATE: connection, resources, operator intervention (shutdown, changing leader), a standby's refusal, a
#: lock that somebody else keeps.
_STATES = ("08", "53", "57P", "25006", "55P03")
#: SQLite says it in words only. "no such table" is of the same class, and no outage.
_WORDS = (
    "unable to open",
    "database is locked",
    "database table is locked",
    "disk i/o error",
    "database or disk is full",
    "readonly database",
)


class CannotRecord(exc.DBAPIError):
    """Nothing can be added to the audit trail, for whatever reason: so nothing is shown and nothing is done."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    here: BaseException | None = error
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        yield here
        here = (here.orig if isinstance(here, exc.DBAPIError) else None) or here.__cause__ or here.__context__


def _is_one(error: BaseException) -> bool:
    if isinstance(error, exc.TimeoutError | CannotRecord):  # no free connection in time
        return True
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, sqlite3.OperationalError):
        return any(words in str(error).lower() for words in _WORDS)
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.partition(".")[0] == "psycopg"}
    state = getattr(error, "sqlstate", None) if names else None
    # without a state the server never answered: psycopg's own words about the connection
    return state.startswith(_STATES) if state else "OperationalError" in names


def redis_is_away(error: BaseException) -> bool:
    """Whether ``error``, or what caused it, says that Redis cannot be reached, or is not what it was."""
    return any(isinstance(one, RedisConnectionError | RedisTimeoutError | ReadOnlyError) for one in _chain(error))


def database_is_away(error: BaseException) -> bool:
    """Whether ``error``, or what caused it, says so: trying again later may work, and nothing is known until then."""
    return any(_is_one(one) for one in _chain(error))


def database_is_damaged(error: BaseException) -> bool:
    """Whether ``error``, or what caused it, says that the file of SQLite is damaged, or is not one."""
    signs = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return any(
        isinstance(one, sqlite3.Error) and getattr(one, "sqlite_errorcode", 0) & 0xFF in signs for one in _chain(error)
    )


def told(error: BaseException, reference: str, title: str | None = None) -> ClinicError:
    """How a fault, logged under ``reference``, is told: that the database is away, or that something went wrong."""
    return DatabaseAway() if database_is_away(error) else Unexpected(reference, title)
