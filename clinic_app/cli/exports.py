"""``audit export``: a file that is whole or not there, readable by its owner only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import typer

from clinic_app.cli.failure import CommandFailed
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit.exporting import export_audit
from clinic_app.services.audit.forms import audit_query


def write_audit(out: Path, asked: Mapping[str, str]) -> int:
    """Write the events that ``asked`` wants to ``out``; returns how many.

    Raises ``InvalidInput``; ``CommandFailed`` if the file exists or cannot be made.
    """
    query = audit_query(asked)
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandFailed(f"{out} cannot be written ({error.strerror}).", 2) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            export = export_audit(SYSTEM, query)
            for piece in _shown(export.pieces, export.count):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    return export.count


def _shown(pieces: Iterator[str], count: int) -> Iterator[str]:
    """The pieces, with a progress bar for a person at a terminal."""
    if not sys.stderr.isatty():
        yield from pieces
        return
    with typer.progressbar(length=count, label="Exporting", file=sys.stderr) as bar:
        for piece in pieces:
            yield piece
            bar.update(piece.count("\r\n"))
