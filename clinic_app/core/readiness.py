"""Whether this process can serve: database, its shape, and Redis where it is used."""

from __future__ import annotations

import functools

from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from clinic_app.core import db, logs, migrations, storage
from clinic_app.core.settings import get_settings

OK, FAILED, BEHIND, UNUSED = "ok", "unreachable", "behind", "not used"
NO_WRITES, LOW = "takes no writes", "low"


@functools.lru_cache(maxsize=1)
def _wanted() -> str:
    return migrations.wanted()


def parts() -> dict[str, str]:
    """Each part and its state: ``ok``, ``unreachable``, ``takes no writes``, ``behind`` (migrations), ``low`` (disk) or
    ``not used``. Says no more."""
    found = {"database": FAILED, "migrations": FAILED, "writes": FAILED, "disk": OK, "state_store": UNUSED}
    settings = get_settings()
    try:
        with db.reading() as session:
            session.execute(text("SELECT 1"))
            found["database"] = OK
            present = MigrationContext.configure(session.connection()).get_current_revision() or ""
        found["migrations"] = OK if present == _wanted() else BEHIND
        found["writes"] = OK if storage.takes_writes(settings) else NO_WRITES
    except Exception as error:  # noqa: BLE001  whatever it is, this part is not ready
        logs.failure(error, "readiness")
    try:
        found["disk"] = LOW if storage.is_low(settings) else OK
    except OSError as error:
        logs.failure(error, "readiness")
        found["disk"] = FAILED
    url = settings.redis_url
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
    """Whether all parts that are used are in order. A disk with little room left is told, and still serves."""
    return all(state in (OK, UNUSED, LOW) for state in found.values())
