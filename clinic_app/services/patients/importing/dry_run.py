"""What an import would make of each row of a file, with nothing written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import Any

from clinic_app.core import db
from clinic_app.models.imports import RowOutcome
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record
from clinic_app.services.patients.importing import csv_file
from clinic_app.services.patients.importing.csv_file import Survey
from clinic_app.services.patients.importing.matching import Earlier, Judged, judge
from clinic_app.services.patients.importing.work import in_batches, note


def line_of(one: Judged) -> dict[str, Any]:
    """A row for programs: ``row``, ``external_id``, ``outcome``, ``errors`` by field, ``candidates`` best first, and in
    ``changed`` the values that are kept otherwise than they stand in the file."""
    return {
        "row": one.read.row,
        "external_id": one.read.external_id or None,
        "outcome": str(one.outcome),
        "errors": dict(one.errors),
        "candidates": [match.told() for match in one.matches],
        "changed": one.read.changed(),
    }


def check_file(
    actor: Actor, path: Path, found: Survey, *, readers: Executor | None = None, allow_duplicates: bool = False
) -> Iterator[list[Judged]]:
    """What each row is, some hundred at a time, with everybody who may be the same: asked of the matcher row by row.

    For the command line. Nothing is written but that it was asked, and that patients were named. ``allow_duplicates``:
    rows below are also compared with possible duplicates. Raises ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    with transaction(actor) as session:
        note(session, actor, {"dry_run": True, "bytes": found.size})
    return _checked(actor, path, found, readers, allow_duplicates)


def _checked(
    actor: Actor, path: Path, found: Survey, readers: Executor | None, allow_duplicates: bool
) -> Iterator[list[Judged]]:
    def goes_in(one: Judged) -> bool:
        return one.outcome == RowOutcome.NEW or (allow_duplicates and not one.clashes)

    named = 0
    try:
        with closing(Earlier(all_of_it=True)) as earlier:
            for reads in in_batches(csv_file.rows(path, found), readers):
                with db.reading() as session:
                    judged = judge(session, reads, earlier, goes_in, whole=True)
                named += sum(any(match.id for match in one.matches) for one in judged)
                yield judged
    finally:
        if named:
            with transaction(actor) as session:
                details = {"kind": "import", "count": named}
                record(session, actor, Action.PATIENT_LISTED, resource_type="patient", details=details)
