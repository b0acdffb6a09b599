"""What the benches of the whole server begin with: the program, and the keys of the server that is measured."""

from __future__ import annotations

import contextlib
import json
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


def _keys_of(data: Path) -> None:
    """Have this process use the keys of a filled clinic, so that it may open sessions there."""
    for name, value in json.loads((data / "keys.json").read_text()).items():
        os.environ[f"CLINIC_{name}".upper()] = value


@contextlib.contextmanager
def clinic(filled: Path | None = None, **settings: str) -> Iterator[Server]:
    """A server with the demo patients, or the clinic in a data directory, not started yet; stopped at the end."""
    if filled is not None:
        _keys_of(filled)
        settings |= {"CLINIC_DATA_DIR": str(filled)}
        settings.setdefault("CLINIC_DATABASE_URL", f"sqlite:///{filled / 'clinic.sqlite3'}")
    from tests.browser.serving import Server

    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), CLINIC_LOG_LEVEL="WARNING", **settings)
        server.prepare() if filled is None else server.run("build")
        try:
            yield server
        finally:
            server.stop()
