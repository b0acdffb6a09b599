"""The commands of ``python -m clinic_app``. What they do is in the modules beside this one."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from clinic_app.cli import backups, duplicates, exporting, keys, outbox, portal, proofs, staff
from clinic_app.cli.errors import command, say
from clinic_app.cli.failure import CommandFailed
from clinic_app.core.counts import plural

app = typer.Typer(
    help="The clinic's front desk and patient portal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback may hold values of a record
    context_settings={"help_option_names": ["-h", "--help"]},
)
audit = typer.Typer(help="The audit trail.", no_args_is_help=True)
app.add_typer(staff.app, name="staff")
app.add_typer(audit, name="audit")
app.add_typer(outbox.app, name="outbox")
app.add_typer(duplicates.app, name="duplicates")
app.add_typer(portal.app, name="portal")
app.add_typer(exporting.app, name="export")
app.add_typer(keys.app, name="keys")
audit.command("checkpoint")(proofs.checkpoint)
audit.command("key")(proofs.key)
audit.command("prove")(proofs.prove)
audit.command("check")(proofs.check)
app.command()(backups.backup)
app.command()(backups.restore)
app.command()(backups.move)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def _answer(as_json: bool, words: str, data: dict[str, Any]) -> None:
    typer.echo(json.dumps(data) if as_json else words)


@app.command()
@command
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on instead of CLINIC_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on instead of CLINIC_PORT.", min=1, max=65535)
    ] = None,
) -> None:
    """Run the server (by default reachable from this machine only). In demo mode, create whatever is missing first."""
    from clinic_app.cli import server

    server.serve(host, port)


@app.command()
@command
def build(
    force: Annotated[bool, typer.Option(help="Build even if nothing has changed.")] = False,
    update_lock: Annotated[
        bool, typer.Option(help="Choose JavaScript package versions again and write reflex.lock.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build the pages for these sources and settings, unless they have been built."""
    from clinic_app.cli import build as building
    from clinic_app.cli import server
    from clinic_app.core.settings import get_settings

    before = building.finished()
    server.make_pages(get_settings(), force=force, update_lock=update_lock)
    folder = building.finished()
    if folder is None:
        raise CommandFailed("A source file changed while the pages were being built: run the command again.")
    fresh = force or update_lock or before is None
    words = f"The pages are built ({folder.name})." if fresh else f"The pages are up to date ({folder.name})."
    _answer(as_json, words, {"build": folder.name, "built": fresh})


@app.command()
@command
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if the database is not up to date.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database (SQLite or PostgreSQL) up to date with this version of the program."""
    from clinic_app.cli import database

    if check:
        present, wanted = database.state()
        same = present == wanted
        words = (
            f"The database is up to date ({present})." if same else f"The database is at {present or 'no revision'}."
        )
        _answer(as_json, words, {"present": present, "wanted": wanted, "up_to_date": same})
        if not same:
            raise CommandFailed("The database is not up to date: run `python -m clinic_app migrate`.")
        return
    before, after = database.migrate()
    words = f"The database is up to date ({after})." if before == after else f"The database was upgraded to {after}."
    _answer(as_json, words, {"before": before, "after": after})


@app.command()
@command
def demo(
    patients: Annotated[
        int, typer.Option(help="So many more invented people, a tenth of them twice.", min=0, max=5_000_000)
    ] = 0,
) -> None:
    """Fill an empty clinic with invented patients and the demo accounts (CLINIC_MODE=demo only)."""
    from clinic_app.cli.begin import connect

    if connect().mode != "demo":
        raise CommandFailed("Demo data has invented patients and known passwords: it needs CLINIC_MODE=demo.", 2)
    from clinic_app.cli import demo_data

    with typer.progressbar(length=patients, label="Registering", hidden=not patients, file=sys.stderr) as bar:
        there = demo_data.seed(patients, bar.update)
    if patients and not there:
        raise CommandFailed("There is somebody in this clinic already: a crowd comes to an empty one.", 5)
    typer.echo("The demo data is in place.")


@app.command("import")
@command
def import_patients(
    file: Annotated[Path, typer.Argument(help="The CSV file; its first line names the columns.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a JSON line for each row (dry run), or for each row left out, here.")
    ] = None,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Take in possible duplicates, too.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 where a row was left out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register the patients of a CSV file. Bad rows and possible duplicates are left out and reported.

    Columns are a patient's fields (first_name, last_name, date_of_birth, gender, phone, …), and external_id, the number
    in the system it comes from. Broken off, the same command goes on where it was; given the same file again, it tries
    again what was left out, and takes in nothing twice.
    """
    from clinic_app.cli import importing
    from clinic_app.cli.begin import connect

    connect()
    if dry_run:
        importing.dry_run(file, report, allow_duplicates=allow_duplicates, as_json=as_json)
    elif importing.take_in(file, report, allow_duplicates=allow_duplicates, as_json=as_json) and strict:
        raise typer.Exit(1)


@app.command("rebuild-search")
@command
def rebuild_search(as_json: AsJson = False) -> None:
    """Make what patients are found by anew from their records; nobody can register meanwhile."""
    from clinic_app.cli.begin import connect
    from clinic_app.services.patients import rebuilding

    connect()
    made = rebuilding.rebuild_search()
    words = f"The search index is made anew: {plural(made.patients, 'patient')}, {plural(made.parts, 'part')} of names."
    _answer(as_json, words, asdict(made))


@audit.command("verify")
@command
def audit_verify(as_json: AsJson = False) -> None:
    """Check the audit trail, row by row and against its anchors; exit code 1 if something was changed or is missing."""
    from clinic_app.cli.begin import connect
    from clinic_app.services.audit import chain

    connect()
    found = chain.verify()
    words = f"The audit trail is intact: {plural(found.count, 'row')}, {plural(found.anchors, 'anchor')}"
    words += f", {plural(found.checkpoints, 'signed checkpoint')}." if found.checkpoints else "."
    if not found.ok:
        where = "" if found.first_bad is None else f" at row {found.first_bad}"
        words = f"The audit trail is broken{where}: {found.why}"
    _answer(as_json, words, asdict(found))
    for warning in found.warnings:
        say(f"Warning: {warning}")
    if not found.ok:
        raise typer.Exit(1)


@audit.command("anchor")
@command
def audit_anchor(
    after_restore: Annotated[
        bool,
        typer.Option("--after-restore", help="Record that a backup was restored on purpose, and continue from here."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Note where the audit trail ends, outside the database, as the running server does on its own."""
    from clinic_app.cli.begin import connect
    from clinic_app.core.settings import get_settings
    from clinic_app.services.audit import anchor

    connect()
    try:
        made = anchor.accept_restored() if after_restore else anchor.anchor_head()
    except OSError as error:
        raise CommandFailed(
            f"The anchors cannot be written ({error.strerror}): see CLINIC_AUDIT_ANCHOR_FILE."
        ) from None
    seq = made.seq if made else None
    words = (
        f"Row {seq} is noted in {get_settings().anchors}." if made else "Nothing has been added since the last note."
    )
    _answer(as_json, words, {"seq": seq, "file": str(get_settings().anchors)})


@audit.command("export")
@command
def audit_export(
    out: Annotated[Path, typer.Option(help="The CSV file to write; it must not exist yet.")],
    since: Annotated[str, typer.Option(help="From this day on, such as 2026-06-18.")] = "",
    until: Annotated[str, typer.Option(help="Up to and including this day.")] = "",
    actor: Annotated[str, typer.Option(help="Only events by the account with this username.")] = "",
    action: Annotated[str, typer.Option(help="Only this action, such as PATIENT_VIEWED.")] = "",
    patient: Annotated[str, typer.Option(help="Only about the patient with this patient ID.")] = "",
    outcome: Annotated[str, typer.Option(help="Only this outcome: success, failure or denied.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write the audit trail, or part of it, to a CSV file that is safe to open in a spreadsheet."""
    from clinic_app.cli import exports
    from clinic_app.cli.begin import connect

    connect()
    asked = {"since": since, "until": until, "actor": actor, "action": action, "patient": patient, "outcome": outcome}
    count = exports.write_audit(out, asked)
    _answer(as_json, f"{plural(count, 'row')} written to {out}.", {"count": count, "file": str(out)})


@app.command()
@command
def doctor(as_json: AsJson = False) -> None:
    """Check that everything the clinic needs is there; exit code 1 if something is missing."""
    from clinic_app.cli.doctor import examine

    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            typer.echo(f"{finding.state:<8} {finding.name}: {finding.text}")
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings]))
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(1)
