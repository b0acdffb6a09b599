"""A PostgreSQL that is there and says nothing is given up after some seconds, unless the address says otherwise."""

from __future__ import annotations

import socket
import time

import pytest
from sqlalchemy.exc import OperationalError

from clinic_app.core import db, outage


def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql+psycopg://clinic@127.0.0.1:{silent.getsockname()[1]}/clinic"
        engine, begun = db.make_engine(f"{address}?connect_timeout=2"), time.monotonic()
        with pytest.raises(OperationalError) as given_up:
            engine.connect()
        assert time.monotonic() - begun < 4
        assert outage.database_is_away(given_up.value)
        asked = {}
        engine = db.make_engine(address)
        monkeypatch.setattr(engine.dialect, "connect", lambda *_, **given: asked.update(given) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.connect()
        assert (asked["connect_timeout"], asked["tcp_user_timeout"]) == (5, 10_000)
