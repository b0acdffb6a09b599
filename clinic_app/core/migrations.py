"""The database's shape: bring it up to date, or say that it is not."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect

from alembic import command

ROOT = Path(__file__).resolve().parents[2]

BEHIND = "The database is not up to date: run `python -m clinic_app migrate`."
_NEWER = (
    "The database was made by a newer version of this program ({}): install that version, or restore a backup that "
    "was made before the upgrade. Nothing was changed."
)
#: The table that a database has for as long as a clinic is being moved into it, and what stands for its revision.
MOVING = "moving"
_MOVING = "A clinic is being moved into this database: run the same `python -m clinic_app move` again until it is done."


def _config() -> Config:
    return Config(str(ROOT / "alembic.ini"))


def wanted() -> str:
    """The newest revision that this checkout knows."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def present(engine: Engine) -> str:
    """The revision of the database behind ``engine``; empty if it has none; ``MOVING``, as in ``of``."""
    with engine.connect() as connection:
        return of(connection)


def of(connection: Connection) -> str:
    """The revision of the database behind ``connection``; empty if it has none.

    ``MOVING``, whatever its tables are, while a clinic is being moved into it.
    """
    if inspect(connection).has_table(MOVING):
        return MOVING
    return MigrationContext.configure(connection).get_current_revision() or ""


def known(revision: str) -> bool:
    """Whether this program knows ``revision``: what it does not know was made by a newer one."""
    return revision in {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def up_to_date(engine: Engine) -> bool:
    """Whether the database has exactly the shape that this program expects."""
    return present(engine) == wanted()


def mismatch(engine: Engine) -> str:
    """Why this program cannot work with the database behind ``engine``, in a sentence; empty if it can."""
    return too_new(engine) or ("" if up_to_date(engine) else BEHIND)


def too_new(engine: Engine) -> str:
    """A sentence where a newer program has made the database: nothing here can change or read it. Else empty."""
    there = present(engine)
    if there == MOVING:
        return _MOVING
    return _NEWER.format(there) if there and not known(there) else ""


def upgrade(engine: Engine | None = None) -> None:
    """Bring the database of the settings, or the one behind ``engine``, to the newest revision. Safe to repeat."""
    config = _config()
    if engine is not None:
        config.attributes["url"] = engine.url.render_as_string(hide_password=False)
    command.upgrade(config, "head")
