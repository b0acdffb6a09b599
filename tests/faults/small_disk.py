"""The server on a disk that is full while a file says so: what SQLite says then is what it says on a real one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def create() -> Any:
    """As ``clinic_app.asgi.create``; while the file ``FULL`` names is there, the database takes no further page."""
    from sqlalchemy import event

    from clinic_app import asgi
    from clinic_app.core import bootstrap

    full = Path(os.environ["FULL"])
    engine = bootstrap.start()

    @event.listens_for(engine, "checkout")
    def _checkout(dbapi: Any, *_: Any) -> None:
        pages = dbapi.execute("PRAGMA page_count").fetchone()[0]
        dbapi.execute(f"PRAGMA max_page_count={pages if full.exists() else 1_000_000}")

    return asgi.create()
