"""``staff``: accounts of the people at the desk. For the first administrator, and for when nobody can sign in."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from clinic_app.cli.errors import command
from clinic_app.cli.failure import CommandFailed

app = typer.Typer(help="Staff accounts.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Who = Annotated[str, typer.Argument(help="The account's username.")]
RoleName = Annotated[str, typer.Option(help="ADMIN, RECEPTIONIST or CLINICIAN.")]


def _answer(as_json: bool, words: str, data: dict[str, Any]) -> None:
    typer.echo(json.dumps(data) if as_json else words)


def _found(username: str) -> int:
    """Connect, and the id of the account."""
    from clinic_app.cli.begin import connect
    from clinic_app.services import access
    from clinic_app.services.accounts.staff import staff_id

    connect()
    return staff_id(access.SYSTEM, username)


@app.command("create")
@command
def create(
    username: Annotated[str, typer.Option(help="What the person types to sign in.")],
    name: Annotated[str, typer.Option(help="The person's name, as others see it.")],
    role: RoleName,
    temporary: Annotated[
        bool, typer.Option("--temporary", help="Print a temporary password, to be replaced at the first sign-in.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create a staff account. This is how the first administrator is created.

    The password is asked for twice, or read from standard input (one line) when that is not a terminal.
    """
    from clinic_app.cli.begin import connect
    from clinic_app.services import access
    from clinic_app.services.accounts import staff

    connect()
    data: dict[str, Any] = {"username": username, "role": role.upper()}
    if temporary:
        made = staff.create_staff_with_temporary_password(access.SYSTEM, username, name, role.upper())
        _hand_over(as_json, made)
        return
    ident = staff.create_staff(access.SYSTEM, username, name, role.upper(), _new_password())
    _answer(as_json, f"{username} can sign in now.", {"id": ident, **data})


def _hand_over(as_json: bool, made: Any) -> None:
    shown = made.credentials
    words = (
        f"Username: {shown.username}\nTemporary password: {shown.temporary_password}\n"
        f"It works until {shown.expires_at:%Y-%m-%d %H:%M} UTC and is not shown again."
    )
    data = {
        "id": made.id,
        "username": shown.username,
        "temporary_password": shown.temporary_password,
        "expires_at": shown.expires_at.isoformat(),
    }
    _answer(as_json, words, data)


def _new_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = typer.prompt("Password (a long phrase is best)", hide_input=True)
    if typer.prompt("The same password again", hide_input=True) != first:
        raise CommandFailed("The two passwords differ.", 2)
    return first


@app.command("list")
@command
def show(as_json: AsJson = False) -> None:
    """List the staff accounts: username, role, status, name."""
    from clinic_app.cli.begin import connect
    from clinic_app.services import access
    from clinic_app.services.accounts.staff import list_staff

    connect()
    found = list_staff(access.SYSTEM)
    if as_json:
        rows = [
            {
                "id": one.id,
                "username": one.username,
                "name": one.name,
                "role": one.role,
                "active": one.is_active,
                "temporary_password": one.temporary_until is not None,
                "two_factor": one.two_factor,
                "locked": one.locked,
                "last_sign_in_at": one.last_sign_in_at.isoformat() if one.last_sign_in_at else None,
            }
            for one in found
        ]
        typer.echo(json.dumps(rows))
        return
    for one in found:
        marks = [
            "active" if one.is_active else "turned off",
            *(["temporary password"] if one.temporary_until else []),
            *(["two-factor"] if one.two_factor else []),
            *(["locked"] if one.locked else []),
        ]
        typer.echo(f"{one.username:<24} {one.role:<13} {', '.join(marks):<32} {one.name}")


@app.command("role")
@command
def role(username: Who, role: RoleName, as_json: AsJson = False) -> None:
    """Give an account another role; it is signed out everywhere."""
    from clinic_app.services import access
    from clinic_app.services.accounts.staff import change_role

    ident = _found(username)
    change_role(access.SYSTEM, ident, role.upper())
    _answer(as_json, f"{username} now has the role {role.upper()}.", {"id": ident, "role": role.upper()})


@app.command("disable")
@command
def disable(username: Who, as_json: AsJson = False) -> None:
    """Turn an account off; it is signed out everywhere."""
    from clinic_app.services import access
    from clinic_app.services.accounts.staff import disable_staff

    ident = _found(username)
    disable_staff(access.SYSTEM, ident)
    _answer(as_json, f"{username} can no longer sign in.", {"id": ident, "active": False})


@app.command("enable")
@command
def enable(username: Who, as_json: AsJson = False) -> None:
    """Turn an account on again, with the password it had."""
    from clinic_app.services import access
    from clinic_app.services.accounts.staff import enable_staff

    ident = _found(username)
    enable_staff(access.SYSTEM, ident)
    _answer(as_json, f"{username} can sign in again.", {"id": ident, "active": True})


@app.command("reset")
@command
def reset(
    username: Who,
    two_factor: Annotated[
        bool, typer.Option("--two-factor", help="Remove the second factor instead, when a device was lost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a new temporary password for an account; it is signed out everywhere."""
    from clinic_app.services import access
    from clinic_app.services.accounts.staff import reset_staff_password, reset_two_factor

    ident = _found(username)
    if two_factor:
        reset_two_factor(access.SYSTEM, ident)
        _answer(as_json, f"{username} now signs in with the password alone.", {"id": ident, "two_factor": False})
        return
    _hand_over(as_json, reset_staff_password(access.SYSTEM, ident))


@app.command("unlock")
@command
def unlock(username: Who, as_json: AsJson = False) -> None:
    """Clear an account's failed attempts, so that its owner can sign in right away."""
    from clinic_app.services import access
    from clinic_app.services.accounts.staff import unlock_account

    ident = _found(username)
    unlock_account(access.SYSTEM, ident)
    _answer(as_json, f"{username} can try again right away.", {"id": ident, "locked": False})
