"""Starting a program while other threads of this process fork.

A process that is forked just then inherits the pipe by which ``Popen`` is told that its program runs, and keeps it
open as long as it lives: ``Popen`` would wait for the end of a worker. So no fork happens meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

_alone = threading.Lock()
os.register_at_fork(before=_alone.acquire, after_in_parent=_alone.release, after_in_child=_alone.release)


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """``subprocess.Popen``, which any thread may call. For commands of our own, without ``preexec_fn``."""
    with _alone:
        started: Any = subprocess.Popen(command, **options)  # noqa: S603  never of anybody else's words
    return started
