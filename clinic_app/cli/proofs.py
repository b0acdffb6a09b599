"""``audit checkpoint``, ``audit key``, ``audit prove`` and ``audit check``: what somebody outside can check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from clinic_app.cli.errors import command, say
from clinic_app.cli.failure import CommandFailed
from clinic_app.cli.files import new_file
from clinic_app.core.counts import plural

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Older = Annotated[
    Path | None,
    typer.Option(help="A file with a checkpoint from before, as it was printed: its trail is the beginning."),
]
#: Of a file with a checkpoint.
_LONGEST = 20_000


def _note(file: Path | None) -> str:
    """The text of a file with a checkpoint; empty if none is given."""
    if file is None:
        return ""
    try:
        with file.open("rb") as opened:
            return opened.read(_LONGEST + 1).decode()
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read ({error.strerror}).", 2) from None
    except UnicodeDecodeError:
        raise CommandFailed(f"{file} is no checkpoint.", 2) from None


@command
def checkpoint(
    sheet: Annotated[
        Path | None,
        typer.Option(help="Also write a page to print, with the checkpoint as a QR code, to this HTML file."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign the audit trail as it is now, as the server does once a day, and print the signed checkpoint."""
    from clinic_app.cli.begin import connect
    from clinic_app.core import clock, qr, templates
    from clinic_app.services.audit.checkpoints import make_checkpoint

    settings = connect()
    made = make_checkpoint()
    if sheet is not None:
        page = templates.beside(__file__).get_template("checkpoint.html")
        shown = {
            "clinic": settings.name,
            "when": f"{clock.local(made.made_at):%Y-%m-%d %H:%M}",
            "size": f"{made.size:,}",
        }
        with new_file(sheet) as opened:
            opened.write(
                page.render(**shown, note=made.note, key=made.public_key, picture=qr.picture(made.note, border=4))
            )
        say(f"The page to print is {sheet}.")
    found = {"size": made.size, "made_at": made.made_at.isoformat(), "public_key": made.public_key, "note": made.note}
    typer.echo(json.dumps(found) if as_json else made.note, nl=as_json)


@command
def key(as_json: AsJson = False) -> None:
    """Print the public key that checkpoints are checked with; below it those from before the audit key was changed."""
    from clinic_app.cli.begin import connect
    from clinic_app.services.audit.checkpoints import public_keys

    connect()
    found = [str(each) for each in public_keys()]
    typer.echo(json.dumps(found) if as_json else "\n".join(found))


@command
def prove(
    out: Annotated[Path, typer.Option(help="The file to write; it must not exist yet.")],
    event: Annotated[int | None, typer.Argument(help="The number of one event.")] = None,
    patient: Annotated[str, typer.Option(help="All events about the patient with this patient ID.")] = "",
    since: Annotated[str, typer.Option(help="Of those, the ones from this day on, such as 2026-06-18.")] = "",
    older: Older = None,
    as_json: AsJson = False,
) -> None:
    """Write events of the audit trail, with the proof that they are in it, for somebody outside. That is recorded."""
    from clinic_app.cli.begin import connect
    from clinic_app.services.access import SYSTEM
    from clinic_app.services.audit.forms import audit_query
    from clinic_app.services.audit.proving import prove_audit

    if (event is None) != bool(patient) and not (older is not None and event is None):
        raise CommandFailed("Name an event by its number, or a patient by --patient.", 2)
    if since and not patient:
        raise CommandFailed("--since goes with --patient.", 2)
    kept = _note(older)
    connect()
    query = audit_query({"patient": patient, "since": since}) if patient else None
    with new_file(out) as opened:
        proof = prove_audit(SYSTEM, query, event=event, older=kept)
        for piece in proof.pieces:
            opened.write(piece)
    counted = plural(proof.count, "event")
    words = f"{counted} of the {proof.checkpoint.size} in the trail, with the proof of it, written to {out}."
    found = {"events": proof.count, "size": proof.checkpoint.size, "file": str(out)}
    typer.echo(json.dumps(found) if as_json else words)


def _told(event: Mapping[str, Any]) -> str:
    """One line of what somebody else has written, so nothing in it may be more than text."""

    def text(name: str) -> str:
        value = event.get(name)
        return "" if value is None else json.dumps(value)[:200].strip('"')

    who = " ".join(one for one in (text("actor"), text("actor_id"), text("role")) if one)
    about = " ".join(one for one in (text("resource_type"), text("resource_id")) if one)
    return (
        f"Event {text('seq')}: {text('at')}, {text('action')} ({text('outcome')}), by {who}, about {about or 'nothing'}"
    )


@command
def check(
    file: Annotated[Path, typer.Argument(help="What `audit prove` has written.")],
    keys: Annotated[
        list[str], typer.Option("--key", help="The clinic's public key, as it was given to you; may be repeated.")
    ],
    older: Older = None,
    as_json: AsJson = False,
) -> None:
    """Check a proof, without the clinic: exit code 1 if it does not hold. Needs no database and no settings."""
    from clinic_app.core.signed_notes import NotValid, parsed_key
    from clinic_app.services.audit.proof_checking import check_proof

    kept, shown = _note(older), list[Mapping[str, Any]]()
    try:
        known = [parsed_key(one) for one in keys]
        with file.open("rb") as opened:
            found = check_proof(
                opened, known, kept, shown.append if as_json else lambda event: typer.echo(_told(event))
            )
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read ({error.strerror}).", 2) from None
    except NotValid as error:
        raise CommandFailed(f"This does not hold: {error}", 1) from None
    if as_json:
        size, origin = found.checkpoint.size, found.checkpoint.origin
        typer.echo(
            json.dumps({"origin": origin, "size": size, "key": found.key.ident, "older": found.older, "events": shown})
        )
        return
    size, origin = found.checkpoint.size, found.checkpoint.origin
    typer.echo(f"Signed with the key {found.key.ident} of {origin}: a trail of {size} events.")
    if found.older is not None:
        typer.echo(
            f"It begins with that of the older checkpoint ({found.older} of its events): nothing was changed since."
        )
    if found.events:
        many = f"These {found.events} events are" if found.events > 1 else "This event is"
        typer.echo(f"{many} in it, word for word. Whether others were left out of the file cannot be seen from it.")
