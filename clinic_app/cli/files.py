"""Files that commands write: for their owner only, whole under their name or not there, whatever ends the command."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from clinic_app.cli.failure import CommandFailed
from clinic_app.core.database_copies import keep_names


@contextlib.contextmanager
def tidily() -> Iterator[None]:
    """What a signal ends is tidied up: half a copy of every health record lies in the folder."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def new_file(out: Path, *, instead: bool = False) -> Iterator[TextIO]:
    """What becomes ``out`` when the block ends well; until then it lies beside it, so that half is never taken for all.

    ``out`` must not exist yet, unless it is written ``instead`` of the one that is there. What a killed command left
    for the same file is removed. Raises ``CommandFailed``.
    """
    if out.name in {"", "-"}:  # a file named - is one that nobody meant
        raise CommandFailed("Name the file that is to be written.", 2)
    draft = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        if not instead and os.path.lexists(out):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        _remove_left(out)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandFailed(f"{out} cannot be written ({error.strerror}).", 2) from None
    try:
        with tidily(), os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            with contextlib.suppress(OSError):  # a disk without locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file
            file.flush()
            os.fsync(file.fileno())
            _name(draft, out, instead)
    finally:
        draft.unlink(missing_ok=True)
    keep_names(out.parent)


def _name(draft: Path, out: Path, instead: bool) -> None:
    if not instead:
        try:
            os.link(draft, out)
            return
        except FileExistsError:
            raise CommandFailed(f"{out} cannot be written (File exists).", 2) from None
        except OSError:  # a disk that knows one name for a file only
            pass
    draft.replace(out)


def _remove_left(out: Path) -> None:
    """By a command that was killed; one that still writes holds a lock."""
    for left in out.parent.glob(f".{glob.escape(out.name)}.*.part"):
        with contextlib.suppress(OSError), left.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
