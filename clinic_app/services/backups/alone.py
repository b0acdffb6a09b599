"""Whole databases in the hands of one command: opened for it, with nobody else there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from clinic_app.core import db

#: Programs, which have a user, not what the server does there by itself, such as tidying up after many changes
#: (autovacuum). Of other users' programs PostgreSQL does not tell everybody what sort they are, but whose.
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND usesysid IS NOT NULL"
)
CONNECTED = "Somebody is connected to the database: stop every server of this clinic first."


@contextlib.contextmanager
def opened(url: str) -> Iterator[Engine]:
    """Building block: an engine for the block alone."""
    engine = db.make_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def others(connection: Connection) -> bool:
    """Building block: whether somebody else is connected. SQLite's are known by the lock of the data directory."""
    return connection.dialect.name == "postgresql" and connection.execute(_OTHERS).scalar_one() > 0


def in_use(folder: Path) -> str:
    """The sentence where that lock is held."""
    return f"A server or a command of this clinic works with {folder}: stop it first (`systemctl stop clinic`)."
