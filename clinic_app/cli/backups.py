"""``backup`` and ``restore``: the whole clinic as one file, and back."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from clinic_app.cli.begin import connect
from clinic_app.cli.errors import WRONG_SETTING, command, say
from clinic_app.cli.failure import CommandFailed
from clinic_app.cli.files import tidily
from clinic_app.core import bootstrap, continuous_copy, database_url
from clinic_app.core.database_copies import Moved
from clinic_app.core.settings import get_settings
from clinic_app.services.backups import making, moving, restoring

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
_AFTERWARDS = (
    "python -m clinic_app doctor",
    "python -m clinic_app audit anchor --after-restore",
    "python -m clinic_app audit verify",
)


@contextlib.contextmanager
def _shown(label: str) -> Iterator[Moved]:
    """A progress bar for a person at a terminal."""
    if not sys.stderr.isatty():
        yield lambda _, __: None
        return
    with typer.progressbar(length=1000, label=label, file=sys.stderr) as bar:
        yield lambda done, of: bar.update(max(0, done * 1000 // max(1, of) - bar.pos))


def _place(named: str) -> Path:
    if not named:  # a variable of the shell that is not set: it would be the folder one happens to be in
        raise typer.BadParameter("name a folder, or a new file.")
    return Path(named)


@command
def backup(
    target: Annotated[
        Path,
        typer.Argument(help="A folder, where the file gets a name of its own, or a new file.", parser=_place),
    ],
    with_keys: Annotated[
        bool,
        typer.Option(
            "--with-keys", help="The keys, too. Whoever has the file then has everything: keep it under lock and key."
        ),
    ] = False,
    keep: Annotated[
        int | None, typer.Option(help="Keep so many backups of this clinic in the folder; remove older ones.", min=1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the whole clinic to one file while it works, and check that file.

    It holds every health record: keep it as safe as those. It does not hold the keys, without which nobody can sign in
    to what is restored: keep keys.json somewhere else.
    """
    connect()
    with tidily(), _shown("Backing up") as moved:
        done = making.make_backup(bootstrap.start(), target, with_keys=with_keys, keep=keep, moved=moved)
    if as_json:
        typer.echo(json.dumps({**asdict(done.manifest), "file": str(done.file), "removed": done.removed}))
        return
    rows = done.manifest.rows
    typer.echo(f"{done.file}: {rows['patients']:,} patients, {rows['audit_events']:,} events, {done.size:,} bytes.")
    if done.removed:
        typer.echo(f"Older backups removed: {done.removed}.")
    if not with_keys:
        say("The keys are not in it: keep a copy of keys.json somewhere else.")


@command
def restore(
    source: Annotated[
        str,
        typer.Argument(help="A file that `backup` made, or what CLINIC_COPY_TO was: a folder, or s3://bucket/folder."),
    ],
    at: Annotated[
        str,
        typer.Option(
            help="Of a continuous copy: its state at this time, such as 2026-11-26T10:30:00Z.", show_default=False
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Put a backup, or the continuous copy, in the place of this clinic's database, which is kept.

    The server has to be stopped. Everything is checked before anything is changed.
    """
    bootstrap.stop()
    if "://" in source and not continuous_copy.is_storage(source):
        raise CommandFailed("An address of a continuous copy is s3://bucket/folder.", code=WRONG_SETTING)
    if continuous_copy.holds_one(source):
        with tidily():
            done = restoring.restore_copy(get_settings(), source, at)
    elif at:
        raise CommandFailed("--at is for a continuous copy: a backup is of one moment.", code=WRONG_SETTING)
    else:
        with tidily(), _shown("Restoring") as moved:
            done = restoring.restore_backup(get_settings(), Path(source), moved)
    after = (*(["python -m clinic_app migrate"] if done.behind else []), *_AFTERWARDS)
    if as_json:
        told = {"manifest": asdict(done.manifest), "old_database": done.aside, "run": after}
        typer.echo(json.dumps(told))
        return
    rows = done.manifest.rows
    typer.echo(
        f"Restored as of {done.manifest.made_at}: {rows['patients']:,} patients, {rows['audit_events']:,} events."
    )
    if done.keys_placed:
        typer.echo("The keys of the backup are in place.")
    if done.aside:
        typer.echo(f"The old database is kept: {done.aside}")
    typer.echo("Now run, before the server starts:")
    for line in after:
        typer.echo(f"  {line}")


@command
def move(
    to: Annotated[
        str,
        typer.Option(
            envvar="CLINIC_MOVE_TO",
            help="The URL of an empty database, such as postgresql+psycopg://…@host/clinic or sqlite:////path/file. "
            "In the environment nobody else on the machine reads its password.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Copy the whole clinic into another database, from SQLite to PostgreSQL or back, and compare every row.

    The server has to be stopped. The old database is only read. Run it again if it was interrupted: it goes on.
    """
    settings = get_settings()
    try:
        database_url.checked(to)
    except ValueError as error:
        raise CommandFailed(f"--to, or CLINIC_MOVE_TO: {error}.", code=WRONG_SETTING) from None
    bootstrap.stop()
    with _shown("Moving") as moved:
        done = moving.move_clinic(settings, to, moved)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    typer.echo(
        f"Moved to {moving.place_of(to)}: {done.rows:,} rows, {done.patients:,} patients, {done.events:,} events. "
        "Every row was compared, and the audit trail verified."
    )
    typer.echo("Now set CLINIC_DATABASE_URL to it, and start the server. The old database is as it was.")
