"""A PostgreSQL that is there and says nothing is given up after some seconds, unless the address says otherwise."""

from __future__ import annotations

import socket
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from clinic_app.core import db, outage, silence


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


@pytest.mark.parametrize("own_database", ["postgres"], indirect=True)
def test_whoever_waits_for_a_server_that_hangs_is_told_and_a_slow_one_is_left_alone(own_database, monkeypatch):
    """Its kernel answers for it, so no timeout of TCP ends."""
    monkeypatch.setattr(silence, "LONG", 0.3)
    monkeypatch.setattr(silence, "EVERY", 0.1)
    there = dict.fromkeys((True, False), 0)
    monkeypatch.setattr(silence, "answers", lambda _: there.update({alive: there[alive] + 1}) or alive)
    engine = db.make_engine(own_database.url.render_as_string(hide_password=False))
    with engine.connect() as connection:
        alive = True
        connection.execute(sa.text("SELECT pg_sleep(1)"))
        assert there[True] > 0  # it was asked after, and left alone
        alive = False
        begun = time.monotonic()
        with pytest.raises(OperationalError) as cut:
            connection.execute(sa.text("SELECT pg_sleep(20)"))
        assert time.monotonic() - begun < 5
        assert outage.database_is_away(cut.value)
    with engine.connect() as connection:  # another one
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1
    engine.dispose()


@pytest.mark.parametrize("own_database", ["postgres"], indirect=True)
def test_a_server_answers_when_it_accepts_another_connection_or_refuses_it(own_database):
    engine = db.make_engine(own_database.url.render_as_string(hide_password=False))
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert silence.answers(driver)
        assert silence.answers(Named(driver, dbname="there_is_no_such_database"))
        with socket.create_server(("127.0.0.1", 0)) as hangs:
            assert not silence.answers(Named(driver, host="127.0.0.1", port=hangs.getsockname()[1]))
    engine.dispose()


class Named:
    """A connection of another address."""

    def __init__(self, driver, **other) -> None:
        info = driver.info
        self.info = self
        self.host, self.port = other.pop("host", info.host), other.pop("port", info.port)
        self.password = info.password
        self.get_parameters = lambda: {**info.get_parameters(), **other}
