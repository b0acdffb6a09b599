"""``portal``: portal accounts for many patients at once."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from clinic_app.cli.begin import connect
from clinic_app.cli.errors import command
from clinic_app.cli.failure import CommandFailed

app = typer.Typer(help="Portal accounts.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Day = Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Included; a day at the clinic.")]

_WORDS = {
    "portal_account_exists": "have a login already",
    "portal_email_required": "have no email",
    "email_in_use": "share an email with another login",
    "no_messages": "do not want messages by email",
}


@app.command("bulk")
@command
def bulk(
    registered_from: Day = "",
    registered_until: Day = "",
    age: Annotated[str, typer.Option(help="adult (18 and older) or child; else any age.")] = "",
    language: Annotated[str, typer.Option(help="The preferred language, such as sw; else any.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count who is eligible, and why others are not.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the latest run, if it is not over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give portal accounts to the patients chosen, by the email on their record, and send them invitations.

    No password is shown. Each account is made by itself: what is done stays done. Broken off, the run goes on with
    --resume, or by the running server. Exit code 1 where some could not be created, 5 where there is nobody or another
    run is under way.
    """
    connect()
    from clinic_app.services.access import SYSTEM
    from clinic_app.services.portal import bulk_choice, bulk_runs

    chosen = bulk_choice.Chosen.parse(
        {"registered_from": registered_from, "registered_until": registered_until, "age": age, "language": language}
    )
    if dry_run:
        _tell_preview(bulk_choice.preview_run(SYSTEM, chosen), as_json)
        return
    run_id = _resumed() if resume else bulk_runs.start_run(SYSTEM, chosen)
    before = bulk_runs.report_run(SYSTEM, run_id)
    with typer.progressbar(length=before.waiting, label="Creating portal accounts", hidden=as_json) as bar:
        if not bulk_runs.work_on(run_id, done=bar.update):
            raise CommandFailed("The running server works on it: see how far it is with `portal report`.", 75)
    if _tell_report(bulk_runs.report_run(SYSTEM, run_id), as_json):
        raise typer.Exit(1)


def _resumed() -> int:
    from clinic_app.services.access import SYSTEM
    from clinic_app.services.portal import bulk_runs

    latest = bulk_runs.report_run(SYSTEM)
    if latest.state in ("STOPPED", "ENDED"):
        bulk_runs.continue_run(SYSTEM, latest.id)
    elif latest.state == "DONE":
        raise CommandFailed("The latest run is over: there is nothing to go on with.", 5)
    return latest.id


@app.command("stop")
@command
def stop() -> None:
    """Stop the run that is under way. What is done stays done; `portal bulk --resume` goes on with it."""
    connect()
    from clinic_app.services.access import SYSTEM
    from clinic_app.services.portal import bulk_runs

    latest = bulk_runs.report_run(SYSTEM)
    bulk_runs.stop_run(SYSTEM, latest.id)
    typer.echo("Stopped.")


@app.command("report")
@command
def report(as_json: AsJson = False) -> None:
    """Say how the latest run stands: numbers, and of those not created the patient ID and why."""
    connect()
    from clinic_app.services.access import SYSTEM
    from clinic_app.services.portal import bulk_runs

    _tell_report(bulk_runs.report_run(SYSTEM), as_json)


def _tell_preview(found: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"chosen": found.chosen, "eligible": found.eligible, "why_not": dict(found.why_not)}))
        return
    typer.echo(f"{found.eligible:,} eligible of {found.chosen:,} chosen.")
    for code, number in found.why_not.items():
        if number:
            typer.echo(f"{number:,} {_WORDS[code]}.")


def _tell_report(found: Any, as_json: bool) -> bool:
    """Print it; whether some could not be created."""
    if as_json:
        reasons = {one.patient_id: one.reason for one in found.reasons}
        data = asdict(found) | {"reasons": reasons, "started_at": found.started_at.isoformat()}
        typer.echo(json.dumps(data | {"ended_at": found.ended_at.isoformat() if found.ended_at else None}))
    else:
        typer.echo(
            f"{found.state.capitalize()}: {found.created:,} created, {found.refused:,} not, {found.waiting:,} left."
        )
        for one in found.reasons:
            typer.echo(f"{one.patient_id}: {one.reason.replace('_', ' ')}")
    return bool(found.refused)
