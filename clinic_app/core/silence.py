"""Connections to a PostgreSQL that has fallen silent are cut: neither an answer nor an end would come by itself.

A machine without power is noticed by TCP (`core.database_url`). One that hangs is not: its kernel still answers, so
whoever waits for a statement would wait until it goes on, long after another server has taken over.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any

from sqlalchemy import Engine, event

from clinic_app.core import logs

#: Seconds a statement may take until its server is asked whether it is there at all, and that it has to say so.
LONG, PATIENCE = 4.0, 3
EVERY = 1.0


class Watch:
    """Over all connections of this process to PostgreSQL. A statement may take as long as it likes, as long as the
    server it runs on still answers a new connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, Any] = {}  # psycopg's connections, by their number in this process
        self._busy: dict[int, float] = {}  # since when they wait for an answer
        self._thread: threading.Thread | None = None

    def over(self, engine: Engine) -> None:
        """Watch every connection that ``engine`` opens, for as long as it is open."""

        @event.listens_for(engine, "connect")
        def _connected(driver: Any, _: Any) -> None:
            with self._lock:
                self._open[id(driver)] = driver
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="silence", daemon=True)
                    self._thread.start()

        def closed(driver: Any, *_: Any) -> None:
            with self._lock:
                self._open.pop(id(driver), None)
                self._busy.pop(id(driver), None)

        event.listen(engine, "close", closed)
        event.listen(engine, "close_detached", closed)

    def _run(self) -> None:
        while True:
            time.sleep(EVERY)
            with self._lock:
                if not self._open:
                    self._thread = None
                    return
            try:
                self._look()
            except Exception as error:  # noqa: BLE001  whatever it is, the next look may go well
                logs.failure(error, "silence")

    def _look(self) -> None:
        from psycopg.pq import TransactionStatus

        now, suspects = time.monotonic(), dict[tuple[str, int], Any]()
        with self._lock:
            for key, driver in self._open.items():
                if driver.closed or driver.pgconn.transaction_status != TransactionStatus.ACTIVE:
                    self._busy.pop(key, None)
                elif now - self._busy.setdefault(key, now) >= LONG:
                    suspects[_server(driver)] = driver
        for server, driver in suspects.items():
            if answers(driver):
                continue
            with self._lock:  # those that nobody uses now, too: the next one would wait as long
                silent = [one for one in self._open.values() if not one.closed and _server(one) == server]
                for one in silent:
                    _cut(one)
                self._busy.clear()
            logs.get("database").warning("database_silent")


def _server(driver: Any) -> tuple[str, int]:
    return driver.info.host, driver.info.port


def answers(driver: Any) -> bool:
    """Whether the server of this connection says anything to another one: a refusal is an answer."""
    import psycopg

    given = {**driver.info.get_parameters(), "target_session_attrs": "any", "connect_timeout": PATIENCE}
    given |= {"host": driver.info.host, "port": driver.info.port, "password": driver.info.password}
    try:
        psycopg.connect(**given).close()
    except psycopg.errors.ConnectionTimeout:
        return False
    except psycopg.Error:
        return True
    return True


def _cut(driver: Any) -> None:
    """Let whoever waits for it wait no longer. The connection is theirs: only its line ends here."""
    with socket.socket(fileno=os.dup(driver.pgconn.socket)) as line:
        line.shutdown(socket.SHUT_RDWR)


watch = Watch()
