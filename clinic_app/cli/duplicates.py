"""``duplicates``: comparing records with each other, and how many may be one person."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from clinic_app.cli.begin import connect
from clinic_app.cli.errors import command

app = typer.Typer(help="Records that may be one person.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("find")
@command
def find(
    again: Annotated[bool, typer.Option("--again", help="Compare every record once more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the records that wait for it now, as the running server does little by little.

    Broken off, it goes on where it was. What was said not to be a duplicate stays so.
    """
    connect()
    from clinic_app.services.access import SYSTEM
    from clinic_app.services.patients import pair_finding, pairs

    if again:
        pair_finding.compare_everybody(SYSTEM)
    with typer.progressbar(length=pair_finding.how_many_wait(), label="Comparing records", hidden=as_json) as bar:
        compared = pair_finding.compare_all(bar.update)
    numbers = pairs.count_pairs(SYSTEM)
    if as_json:
        typer.echo(json.dumps({"compared": compared, "pairs": dict(numbers.grades), "set_aside": numbers.set_aside}))
        return
    typer.echo(f"Compared: {compared:,}.")
    for grade, count in numbers.grades.items():
        typer.echo(f"{grade.capitalize():<10} {count:,}")


@app.command("status")
@command
def status(as_json: AsJson = False) -> None:
    """Count the pairs by how sure they are, and the records that are yet to be compared. Names nobody."""
    connect()
    from clinic_app.services.access import SYSTEM
    from clinic_app.services.patients import pair_finding, pairs

    numbers, waiting = pairs.count_pairs(SYSTEM), pair_finding.how_many_wait()
    if as_json:
        told = {"waiting": waiting, "pairs": dict(numbers.grades), "set_aside": numbers.set_aside}
        typer.echo(json.dumps(told))
        return
    for grade, count in numbers.grades.items():
        typer.echo(f"{grade.capitalize():<10} {count:,}")
    typer.echo(f"Not duplicates: {numbers.set_aside:,}. Yet to be compared: {waiting:,}.")
