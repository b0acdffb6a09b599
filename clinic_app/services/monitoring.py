"""What whoever runs the clinic watches: numbers alone, none of which grows with the register to find."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

from sqlalchemy import func, literal_column, select

from clinic_app.core import clock, continuous_copy, db, logs, readiness, storage
from clinic_app.core.settings import get_settings
from clinic_app.models.audit import AUDIT_EVENTS, AUDIT_HEAD
from clinic_app.models.notifications import OUTBOX_MESSAGES, MessageState
from clinic_app.services.audit.actions import Action

MB = 2**20
#: As the indexes have them, which hold these rows alone.
_QUEUED, _FAILED = literal_column(f"'{MessageState.QUEUED}'"), literal_column(f"'{MessageState.FAILED}'")


@functools.cache
def program_version() -> str:
    """The version of the program, as its own folder says."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


def clinic_figures() -> dict[str, dict[str, float]]:
    """The figures of ``core.metrics.CLINIC`` by name and label. For monitoring: nobody is named, no record is read.

    What the database does not tell is left out, so that an alert on its absence speaks; the rest is told all the same.
    """
    parts = readiness.parts()
    found: dict[str, dict[str, float]] = {
        "clinic_part_ready": {part: float(state in (readiness.OK, readiness.UNUSED)) for part, state in parts.items()},
        "clinic_info": {program_version(): 1.0},
    }
    if copy := continuous_copy.known(get_settings()):
        found["clinic_copy_timestamp_seconds"] = {"": copy.at}
        found["clinic_copy_checked_timestamp_seconds"] = {"": copy.checked}
        found["clinic_copy_damaged"] = {"": float(bool(copy.damaged))}
    try:
        found["clinic_disk_free_bytes"] = {"": float(storage.least_free(get_settings())[1] * MB)}
    except (OSError, ValueError) as error:
        logs.failure(error, "metrics")
    if parts["database"] == readiness.OK:
        try:
            found |= _from_database()
        except Exception as error:  # noqa: BLE001  the other figures are told whatever the database says
            logs.failure(error, "metrics")
    return found


def _from_database() -> dict[str, dict[str, float]]:
    """Each by an index that holds these rows alone, or one row: no more work for a clinic of a million patients."""
    messages, events = OUTBOX_MESSAGES.c, AUDIT_EVENTS.c
    with db.reading() as session:
        waiting, oldest = session.execute(
            select(func.count(), func.min(messages.created_at)).where(messages.state == _QUEUED)
        ).one()
        failed = session.execute(
            select(func.count()).select_from(OUTBOX_MESSAGES).where(messages.state == _FAILED)
        ).scalar_one()
        rows = session.execute(select(AUDIT_HEAD.c.seq).where(AUDIT_HEAD.c.id == 1)).scalar_one()
        backup = session.execute(
            select(events.at).where(events.action == str(Action.BACKUP_MADE)).order_by(events.seq.desc()).limit(1)
        ).scalar_one_or_none()
    waited = max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0.0
    return {
        "clinic_outbox_messages": {"waiting": float(waiting), "failed": float(failed)},
        "clinic_outbox_oldest_seconds": {"": waited},
        "clinic_audit_trail_rows": {"": float(rows)},
        "clinic_last_backup_timestamp_seconds": {"": backup.timestamp() if backup else 0.0},
    }
