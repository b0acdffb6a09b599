"""``import``: patients from a CSV file."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TextIO

import typer

from clinic_app.cli.errors import say
from clinic_app.cli.failure import CommandFailed
from clinic_app.cli.files import new_file
from clinic_app.core.counts import plural
from clinic_app.services.access import SYSTEM
from clinic_app.services.patients.importing import csv_file, runs, work
from clinic_app.services.patients.importing.csv_file import Survey
from clinic_app.services.patients.importing.dry_run import check_file, line_of
from clinic_app.services.patients.importing.errors import FileRefused
from clinic_app.services.patients.importing.views import ImportView

#: From so many bytes on a second process reads: starting it takes a second.
_WORTH_READERS = 2 * 1024 * 1024
#: So many of the rows left out are said on the screen.
_SAID = 20


def look_over(path: Path) -> Survey:
    """Look the file over. Raises ``CommandFailed`` with a sentence."""
    try:
        return csv_file.survey(path)
    except FileRefused as error:
        raise CommandFailed(error.sentence, 2) from None
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read ({error.strerror}).", 2) from None


@contextlib.contextmanager
def _readers(found: Survey) -> Iterator[Executor | None]:
    if found.size < _WORTH_READERS or (os.cpu_count() or 1) < 2:
        yield None
        return
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def _whole(report: Path | None) -> AbstractContextManager[TextIO | None]:
    return contextlib.nullcontext() if report is None else new_file(report, instead=True)


def _line(file: TextIO, data: dict[str, Any]) -> None:
    file.write(json.dumps(data, ensure_ascii=False) + "\n")


def _columns(found: Survey) -> None:
    if found.left_out:
        some = ", ".join(found.left_out)
        say(f"Columns that have no place here and are left out: {some}.")


def dry_run(path: Path, report: Path | None, *, allow_duplicates: bool, as_json: bool) -> None:
    """Say what an import would do; nothing is written but the report."""
    found = look_over(path)
    _columns(found)
    counts: Counter[str] = Counter()
    with _readers(found) as readers, _whole(report) as file:
        bar = typer.progressbar(length=found.size, label="Checking", file=sys.stderr, hidden=as_json)
        said = 0
        with bar:
            for judged in check_file(SYSTEM, path, found, readers=readers, allow_duplicates=allow_duplicates):
                for one in judged:
                    counts[str(one.outcome)] += 1
                    if file:
                        _line(file, line_of(one))
                    elif said < _SAID and not as_json and one.errors:
                        said += 1
                        say(f"Row {one.read.row}: {' '.join(one.errors.values())}")
                bar.update(judged[-1].read.end - bar.pos)
    numbers = {name: counts[name] for name in ("new", "possible_duplicate", "invalid")}
    if as_json:
        columns = list(found.left_out)
        typer.echo(json.dumps({"rows": counts.total(), **numbers, "left_out_columns": columns}))
        return
    doubles = plural(numbers["possible_duplicate"], "possible duplicate")
    typer.echo(
        f"{plural(counts.total(), 'row')}: {numbers['new']:,} new, {doubles}, "
        f"{numbers['invalid']:,} invalid. Nothing was written."
    )


def take_in(path: Path, report: Path | None, *, allow_duplicates: bool, as_json: bool) -> bool:
    """Import the file, or go on with it; whether rows were left out."""
    found = look_over(path)
    _columns(found)
    run = runs.begin_file(SYSTEM, path.name, found, allow_duplicates=allow_duplicates)
    before = runs.view_import(SYSTEM, run)
    with _readers(found) as readers:
        bar = typer.progressbar(length=found.size, label="Importing", file=sys.stderr, hidden=as_json)
        with bar:
            bar.update(before.done)
            mine = work.work_on(run, path=path, found=found, readers=readers, done=lambda at: bar.update(at - bar.pos))
    if not mine:
        raise CommandFailed("Another process is importing this file just now: try again in a minute.", 75)
    done = runs.view_import(SYSTEM, run)
    with _whole(report) as file:
        if file:
            for row in runs.rows_left_out(SYSTEM, run):
                _line(file, row)
    _tell(done, done.imported - before.imported, as_json)
    if report is None and not as_json:
        for one in done.shown[:_SAID]:
            like = ", ".join(f"{each.patient_id or f'row {each.row}'}" for each in one.alike[:3])
            why = " ".join(one.errors) or f"possible duplicate of {like}."
            say(f"Row {one.row}: {why}")
        if done.total > _SAID:
            say(f"And {done.total - _SAID:,} more: see them all with --report.")
    if done.state not in ("DONE",):
        raise CommandFailed(done.reason or "The import was stopped before its end: run it again to go on.", 1)
    return bool(done.total)


def _tell(done: ImportView, imported: int, as_json: bool) -> None:
    if as_json:
        data = {
            "import": done.id,
            "state": done.state,
            "imported": imported,
            "imported_before": done.imported - imported,
            "possible_duplicate": done.duplicates,
            "invalid": done.invalid,
            "first_patient_id": done.first_patient_id or None,
            "last_patient_id": done.last_patient_id or None,
            "left_out_columns": list(done.left_out_columns),
        }
        typer.echo(json.dumps(data))
        return
    numbers = f" ({done.first_patient_id} to {done.last_patient_id})" if done.first_patient_id else ""
    earlier = done.imported - imported
    before = f", {earlier:,} {'was' if earlier == 1 else 'were'} in before" if earlier else ""
    doubles = plural(done.duplicates, "possible duplicate")
    typer.echo(
        f"{plural(imported, 'patient')} imported{before}{numbers}. Left out: {doubles}, {done.invalid:,} invalid."
    )
