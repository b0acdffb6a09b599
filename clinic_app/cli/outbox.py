"""``outbox``: what waits to be sent, and sending it."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from clinic_app.cli.begin import connect
from clinic_app.cli.errors import command
from clinic_app.core.counts import plural

app = typer.Typer(help="Messages to patients.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("send")
@command
def send(as_json: AsJson = False) -> None:
    """Send what is due now, reminders too, as the running server does by itself; beside it, each is still sent once."""
    connect()
    from clinic_app.services.notifications.delivery import Worker
    from clinic_app.services.portal.reminders import remind_due

    remind_due()
    tried = asyncio.run(Worker().send_due())
    words = f"{plural(tried, 'message')} tried." if tried else "Nothing is due."
    typer.echo(json.dumps({"tried": tried}) if as_json else words)


@app.command("status")
@command
def status(as_json: AsJson = False) -> None:
    """Count the messages by how far they have come, and say since when the oldest waits. Names nobody."""
    connect()
    from clinic_app.services.notifications.delivery import waiting
    from clinic_app.services.notifications.kinds import open_channels
    from clinic_app.services.notifications.wording import STATES

    found = waiting()
    if as_json:
        oldest = found.oldest.isoformat() if found.oldest else None
        typer.echo(json.dumps({"channels": list(open_channels()), "states": found.states, "oldest_queued": oldest}))
        return
    ways = " and ".join(str(channel) for channel in open_channels())
    typer.echo(f"Messages are sent by {ways}." if ways else "Nothing is sent: see CLINIC_SMTP_HOST and CLINIC_SMS_URL.")
    for state, count in sorted(found.states.items()):
        typer.echo(f"{STATES[state]:<12} {count:,}")
    if found.oldest:
        typer.echo(f"The oldest waits since {found.oldest.isoformat(timespec='seconds')}.")
