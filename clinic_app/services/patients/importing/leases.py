"""Which process works on an import: it says so again and again, and one that was killed is noticed at once."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import socket

#: Longer than a batch takes, on a busy machine too.
LEASE = dt.timedelta(seconds=60)


def new() -> str:
    """Of this process, for one piece of work."""
    return f"{secrets.token_hex(8)} {os.getpid()} {socket.gethostname()[:80]}"


def dead(lease: str | None) -> bool:
    """Whether the process that holds it was on this machine and is not there any more."""
    if not lease:
        return True
    _, pid, host = lease.split(" ", 2)
    if host != socket.gethostname()[:80] or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
