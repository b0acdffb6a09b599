"""``audit export``: a file that is whole or not there, readable by its owner only."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import typer

from clinic_app.cli.files import new_file
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit.exporting import export_audit
from clinic_app.services.audit.forms import audit_query


def write_audit(out: Path, asked: Mapping[str, str]) -> int:
    """Write the events that ``asked`` wants to ``out``; returns how many.

    Raises ``InvalidInput``; ``CommandFailed`` if the file exists or cannot be made.
    """
    query = audit_query(asked)
    with new_file(out) as file:
        export = export_audit(SYSTEM, query)
        for piece in _shown(export.pieces, export.count):
            file.write(piece)
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
