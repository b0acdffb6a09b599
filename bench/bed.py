"""What the benches of the whole server begin with: the program, and the keys of the server that is measured."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
for _name, _value in {
    "CLINIC_MODE": "test",
    "CLINIC_PEPPER": "p" * 40,
    "CLINIC_AUDIT_KEY": "a" * 40,
    "CLINIC_TOKEN_KEY": "t" * 40,
}.items():
    os.environ.setdefault(_name, _value)

if TYPE_CHECKING:
    from tests.browser.serving import Server


@contextlib.contextmanager
def clinic(**settings: str) -> Iterator[Server]:
    """A server with the demo patients, not started yet; stopped at the end."""
    from tests.browser.serving import Server

    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), CLINIC_LOG_LEVEL="WARNING", **settings)
        server.prepare()
        try:
            yield server
        finally:
            server.stop()
