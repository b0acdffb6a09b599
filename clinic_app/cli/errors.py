"""Exit codes by kind of error, and how a command says that it failed."""

from __future__ import annotations

import errno
import functools
import sys
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from clinic_app.cli.failure import CommandFailed
from clinic_app.core import context, logs, outage, storage
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.core.settings import SettingsError

P = ParamSpec("P")
R = TypeVar("R")

#: After sysexits.h where it has a fitting code (75 try again later, 77 not permitted to whoever asks).
EXIT_CODES: dict[ErrorKind, int] = {
    ErrorKind.INVALID: 2,
    ErrorKind.FORBIDDEN: 3,
    ErrorKind.NOT_FOUND: 4,
    ErrorKind.CONFLICT: 5,
    ErrorKind.THROTTLED: 75,
    ErrorKind.UNAVAILABLE: 75,
    ErrorKind.UNAUTHENTICATED: 77,
    ErrorKind.UNEXPECTED: 1,
}
UNEXPECTED = 1
WRONG_SETTING = 2
NO_WRITES = (
    "The database or the disk cannot be reached or written now (full, read-only, locked or away), and what was begun "
    "is undone. `python -m clinic_app doctor` says more."
)
UNHEARD = (
    "What there is to say could not be written (no room, or nobody reads it). What the command changed, stays changed."
)
DAMAGED = "The database file is damaged, or is no database: stop the server, and restore the newest backup."
#: What an ``OSError`` says of a file or folder that is another user's, or something else than it should be.
_NOT_USABLE = {
    errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG
}  # fmt: skip


def say(sentence: str) -> None:
    """Write one line to standard error, where a script's output is not disturbed."""
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201


def _takes_no_writes(error: BaseException) -> bool:
    on_disk = isinstance(error, OSError) and error.errno in storage.NO_WRITES
    return on_disk or outage.database_is_away(error)


def _said_to_nobody(error: Exception) -> bool:
    """Whether the answer of a command, which has done its work, could not be written: no room, or nobody who reads."""
    frames = traceback.walk_tb(error.__traceback__)
    return isinstance(error, OSError) and any(frame.f_code is typer.echo.__code__ for frame, _ in frames)


def _told(error: Exception) -> tuple[str, int] | None:
    """What is known of an error that no use case raised: a sentence, and the exit code."""
    if _takes_no_writes(error):
        return NO_WRITES, EXIT_CODES[ErrorKind.UNAVAILABLE]
    if outage.database_is_damaged(error):
        return DAMAGED, UNEXPECTED
    if isinstance(error, OSError) and error.errno in _NOT_USABLE and error.filename:
        asked = "is it what it should be, and may the user who runs this use it?"
        return f"{error.filename} cannot be used ({error.strerror}): {asked}", WRONG_SETTING
    return None


def command(function: Callable[P, R]) -> Callable[P, R]:
    """Run ``function`` as a command: source ``cli`` in audit and logs, errors as sentences and exit codes."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with context.use(context.RequestContext(source="cli")):
            try:
                logs.configure("WARNING")  # a wrong setting must not keep errors from being logged properly
                return function(*args, **kwargs)
            except SettingsError as error:
                say(str(error))
                raise typer.Exit(WRONG_SETTING) from None
            except CommandFailed as error:
                say(str(error))
                raise typer.Exit(error.code) from None
            except ClinicError as error:
                for sentence in list(error.fields.values()) or [error.detail or error.title]:
                    say(sentence)
                raise typer.Exit(EXIT_CODES[error.kind]) from None
            except (typer.Exit, typer.Abort):
                raise
            except Exception as error:  # noqa: BLE001  a traceback may hold values of a record
                if _said_to_nobody(error):
                    say(UNHEARD)
                    raise typer.Exit(UNEXPECTED) from None
                reference = logs.failure(error, f"command {function.__name__}")
                unknown = f"Something went wrong ({type(error).__name__}). Reference: {reference}", UNEXPECTED
                sentence, code = _told(error) or unknown
                say(sentence)
                raise typer.Exit(code) from None

    return run
