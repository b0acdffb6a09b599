"""``export``: patients as files, for their owner only, whole or not there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from clinic_app.cli.begin import connect
from clinic_app.cli.errors import command
from clinic_app.cli.failure import CommandFailed
from clinic_app.cli.files import new_file
from clinic_app.core.counts import plural

app = typer.Typer(help="Patients as files. Every export is in the audit trail.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Out = Annotated[Path, typer.Option(help="The file to write; it must not exist yet.")]


def _written(out: Path, pieces: Iterator[str]) -> None:
    with new_file(out) as file:
        for piece in pieces:
            file.write(piece)


@app.command("patients")
@command
def patients(
    out: Out,
    inactive: Annotated[bool, typer.Option("--inactive", help="With inactive records.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write all patients to a CSV file that is safe to open in a spreadsheet, and that `import` reads."""
    connect()
    from clinic_app.services.access import SYSTEM
    from clinic_app.services.patients.exporting import export_patients

    if out.exists():
        raise CommandFailed(f"{out} cannot be written (File exists).", 2)
    export = export_patients(SYSTEM, inactive=inactive)
    with typer.progressbar(length=export.count, label="Exporting", file=sys.stderr, hidden=as_json) as bar:

        def shown() -> Iterator[str]:
            for number, piece in enumerate(export.pieces):
                yield piece
                bar.update(500 if number else 0)

        _written(out, shown())
    words = f"{plural(export.count, 'patient')} written to {out}."
    typer.echo(json.dumps({"count": export.count, "file": str(out)}) if as_json else words)


@app.command("patient")
@command
def patient(
    patient_id: Annotated[str, typer.Argument(help="The patient ID, such as LMC000123.")],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Write one patient's whole record to a JSON file."""
    connect()
    from clinic_app.services.access import SYSTEM
    from clinic_app.services.patients.exporting import export_record

    if out.exists():
        raise CommandFailed(f"{out} cannot be written (File exists).", 2)
    found = export_record(SYSTEM, patient_id)
    _written(out, iter([json.dumps(found, ensure_ascii=False, indent=2) + "\n"]))
    typer.echo(json.dumps({"patient_id": patient_id, "file": str(out)}) if as_json else f"Written to {out}.")
