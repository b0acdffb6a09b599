"""``keys``: changing the keys of a clinic."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from clinic_app.cli.begin import connect
from clinic_app.cli.errors import command, say
from clinic_app.cli.failure import CommandFailed
from clinic_app.core import bootstrap, migrations
from clinic_app.services.audit import key_rotation

app = typer.Typer(help="The keys of the clinic.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def _begin() -> None:
    connect(migrated=False)
    if words := migrations.mismatch(bootstrap.start()):
        raise CommandFailed(words)


def _tell(versions: dict[str, int], *, as_json: bool) -> None:
    told = ", ".join(f"{name} (version {version})" for name, version in versions.items())
    typer.echo(json.dumps(versions) if as_json else f"In use now: {told}.")
    say("Keep a copy of the new keys.json, and the old copy as long as there are backups from before.")


@app.command("rotate")
@command
def rotate(
    names: Annotated[list[str], typer.Argument(help="pepper, audit_key, token_key: one or several of them.")],
    as_json: AsJson = False,
) -> None:
    """Give the clinic new keys; those before stay in keys.json for what was made with them. Stop the server first.

    One-time links that nobody has used end with a new token_key.
    """
    _begin()
    _tell(key_rotation.rotate_keys(names), as_json=as_json)


@app.command("lost")
@command
def lost(
    yes: Annotated[
        bool, typer.Option("--yes", help="The keys are gone for good: nobody has a copy of keys.json.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Go on without keys that are lost: makes new ones in their place. What needs the lost ones is lost with them.

    Without the pepper nobody's password works, without the token_key nothing that is encrypted can be read, and
    without the audit_key the trail up to now cannot be checked.
    """
    if not yes:
        raise CommandFailed(
            "What needs the lost keys is lost for good: say --yes if nobody has a copy of keys.json.", 2
        )
    _begin()
    _tell(key_rotation.replace_lost_keys(), as_json=as_json)
