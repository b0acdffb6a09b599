"""Whether this process can serve: database, its shape, and Redis where it is used."""

from __future__ import annotations

import functools

from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from clinic_app.core import db, logs, migrations
from clinic_app.core.settings import get_settings

OK, FAILED, BEHIND, UNUSED = "ok", "unreachable", "behind", "not used"


@functools.lru_cache(maxsize=1)
def _wanted() -> str:
    return migrations.wanted()


def parts() -> dict[str, str]:
    """Each part and its state: ``ok``, ``unreachable``, ``behind`` (migrations) or ``not used``. Says no more."""
    found = {"database": FAILED, "migrations": FAILED, "state_store": UNUSED}
    try:
        with db.reading() as session:
            session.execute(text("SELECT 1"))
            found["database"] = OK
            present = MigrationContext.configure(session.connection()).get_current_revision() or ""
        found["migrations"] = OK if present == _wanted() else BEHIND
    except Exception as error:  # noqa: BLE001  whatever it is, this part is not ready
        logs.failure(error, "readiness")
    url = get_settings().redis_url
    if url:
        found["state_store"] = OK if _redis_answers(url) else FAILED
    return found


def _redis_answers(url: str) -> bool:
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, ValueError) as error:
        logs.failure(error, "readiness")
        return False


def ready(found: dict[str, str]) -> bool:
    """Whether all parts that are used are in order."""
    return all(state in (OK, UNUSED) for state in found.values())
