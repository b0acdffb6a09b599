"""Whether a program of this clinic works with its data directory: a lock that each of them holds, shared."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

_NAME, _SERVER = "in-use.lock", "server.lock"
_held: int | None = None


class InUse(Exception):
    """A server or a command works with the data directory."""


def _opened(folder: Path, name: str = _NAME) -> int:
    file = folder / name
    try:
        return os.open(file, os.O_RDONLY)  # is enough for a lock, and possible on a disk that takes no writes
    except FileNotFoundError:
        return os.open(file, os.O_RDONLY | os.O_CREAT, 0o600)


def hold(folder: Path) -> None:
    """Say that this process works with ``folder``, until ``release`` or its end.

    Raises ``InUse`` while what is in it is being replaced.
    """
    global _held
    if _held is not None:
        return
    handle = _opened(folder)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise InUse from None
    _held = handle


def handles() -> tuple[int, ...]:
    """What a program inherits that is started to hold the lock, too, for as long as it lives."""
    return () if _held is None else (_held,)


def release() -> None:
    """Say that this process no longer does."""
    global _held
    if _held is not None:
        os.close(_held)
        _held = None


def make_alone() -> bool:
    """Whether this process, which holds the lock, is the only one, and will be until ``share_again``."""
    if _held is None:
        return False
    try:
        fcntl.flock(_held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def share_again() -> None:
    """Let others work with the directory again."""
    if _held is not None:
        fcntl.flock(_held, fcntl.LOCK_SH)


@contextlib.contextmanager
def the_server(folder: Path, patience: float) -> Iterator[None]:
    """This process, and those it forks for as long as any of them lives, are the one server of ``folder``.

    Waits ``patience`` seconds for one that is just ending. Raises ``InUse``.
    """
    handle, ends = _opened(folder, _SERVER), time.monotonic() + patience
    try:
        while not _locked(handle):
            if time.monotonic() > ends:
                raise InUse
            time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else works with ``folder`` inside the block, nor begins to. Raises ``InUse``."""
    handle = _opened(folder)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InUse from None
        yield
    finally:
        os.close(handle)
