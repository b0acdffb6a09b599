"""What the kernel knows about a TCP connection and the HTTP server does not say; and a way to end one. Linux only.

The server (granian 2.8) puts a message of the event socket together from up to 64 MiB before it hands it on, waits for
ever for a client that does not read, and does not count connections by address. None of that can be set.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_OPEN_FILES = Path("/proc/self/fd")
#: ``struct tcp_info`` (linux/tcp.h) up to the bytes received: 8 flags, 24 numbers, 4 counters.
_TCP_INFO = struct.Struct("=8B24I4Q")
_LAST_DATA_RECEIVED = 8 + 11
_BYTES_ACKED, _BYTES_RECEIVED = 8 + 24 + 2, 8 + 24 + 3
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)


class Traffic(NamedTuple):
    """What has passed over a connection: bytes that came, bytes that arrived there, milliseconds of silence since."""

    received: int
    delivered: int
    quiet: int


class Wire:
    """One connection. Held open until ``release``, so that its number is never another one's."""

    def __init__(self, held: socket.socket) -> None:
        self._held = held

    def traffic(self) -> Traffic | None:
        """What has passed so far; None where the kernel does not say."""
        try:
            raw = self._held.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
            told = _TCP_INFO.unpack(raw)
        except (OSError, AttributeError, struct.error):
            return None
        return Traffic(told[_BYTES_RECEIVED], told[_BYTES_ACKED], told[_LAST_DATA_RECEIVED])

    def hang_up(self) -> None:
        """End the connection for both sides, at once."""
        with contextlib.suppress(OSError):
            self._held.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Forget it; it stays open if others hold it."""
        self._held.close()


def of(scope: Any) -> Wire | None:
    """The connection behind an ASGI ``scope``; None where it cannot be found. ``release`` it."""
    client, server = scope.get("client"), scope.get("server")
    if not client or not server:
        return None
    peer = (str(client[0]), int(client[1]))
    for number in _open_files():
        with _looked_at(number) as seen:
            found = seen is not None and _peer(seen) == peer and _own_port(seen) == int(server[1])
        if found and (wire := _held(number, peer)) is not None:
            return wire
    return None


class Caller(NamedTuple):
    """Somebody who is connected: the number of the connection, the other end of it, and what has passed."""

    number: int
    peer: tuple[str, int]
    traffic: Traffic


def callers(port: int) -> Iterator[Caller]:
    """Everybody who is connected to our ``port``."""
    for number in _open_files():
        with _looked_at(number) as seen:
            if seen is None or _own_port(seen) != port:
                continue
            peer, traffic = _peer(seen), Wire(seen).traffic()
        if peer is not None and traffic is not None:
            yield Caller(number, peer, traffic)


def hang_up(caller: Caller) -> None:
    """End the connection of ``caller``, unless it has ended meanwhile."""
    wire = _held(caller.number, caller.peer)
    if wire is not None:
        wire.hang_up()
        wire.release()


def _held(number: int, peer: tuple[str, int]) -> Wire | None:
    # Not socket.dup(), which would take the server's own socket out of non-blocking mode.
    try:
        copy = os.dup(number)
    except OSError:
        return None
    try:
        held = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return None
    if _peer(held) != peer:  # closed meanwhile, and its number given to another one
        held.close()
        return None
    return Wire(held)


def give_up_on_readers_after(seconds: int, port: int) -> None:
    """Let the kernel end connections to our ``port`` whose client takes nothing of what waits for it so long.

    Set on the socket that listens, from which each connection has it.
    """
    for number in _open_files():
        with _looked_at(number) as seen, contextlib.suppress(OSError):
            if (
                seen is not None
                and seen.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                and _own_port(seen) == port
            ):
                seen.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, seconds * 1000)


def _open_files() -> list[int]:
    try:
        return sorted((int(entry.name) for entry in _OPEN_FILES.iterdir()), reverse=True)  # newest first, mostly
    except OSError:
        return []


@contextlib.contextmanager
def _looked_at(number: int) -> Iterator[socket.socket | None]:
    """The TCP socket with this file number, left as it is; None if it is something else or gone."""
    try:
        seen = socket.socket(fileno=number)
    except OSError:
        yield None
        return
    try:
        yield seen if seen.family in (socket.AF_INET, socket.AF_INET6) and seen.type == socket.SOCK_STREAM else None
    finally:
        seen.detach()


def _peer(seen: socket.socket) -> tuple[str, int] | None:
    try:
        return seen.getpeername()[:2]
    except OSError:
        return None


def _own_port(seen: socket.socket) -> int:
    try:
        return seen.getsockname()[1]
    except OSError:
        return 0
