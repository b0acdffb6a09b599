"""The mail server takes connections and says nothing: pages and programs do not wait for it, and no message is lost."""

from __future__ import annotations

import contextlib
import selectors
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller

from clinic_app.core import routes
from tests.browser.serving import Server, free_port
from tests.counterparts import Mailbox
from tests.faults.conftest import serving
from tests.faults.instances import until
from tests.faults.test_once import program_of

REGISTRATIONS, RESETS = 20, 10


class Silent:
    """A mail server that hangs."""

    def __init__(self, port: int) -> None:
        self.taken = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self._open = [self._listener]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._listener, selectors.EVENT_READ)
            while not self._over.is_set():
                for _ in waiting.select(0.1):
                    self._open.append(self._listener.accept()[0])
                    self.taken += 1

    def end(self) -> None:
        """It is gone, with all of its connections."""
        self._over.set()
        self._thread.join()
        for one in self._open:
            one.close()


@pytest.fixture
def mailing(tmp_path: Path) -> Iterator[tuple[Server, Mailbox, Silent]]:
    """A clinic whose mail server hangs, and the one that will stand there later."""
    box = Mailbox(free_port())
    made, silent = serving(tmp_path, **box.settings), Silent(box.port)
    with contextlib.ExitStack() as stack:
        stack.callback(silent.end)
        made.start()
        stack.callback(made.stop)
        yield made, box, silent


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nobody_waits_for_a_mail_server_that_says_nothing_and_no_message_is_lost(
    mailing: tuple[Server, Mailbox, Silent], counters: dict[str, Any]
) -> None:
    server, box, silent = mailing
    program, statuses, seconds = program_of(server), Counter[int](), list[float]()
    addresses = [f"hangs{number}@example.org" for number in range(REGISTRATIONS)]
    with httpx.Client(base_url=server.url, timeout=60, headers={"Sec-Fetch-Site": "same-origin"}) as http:

        def send(path: str, **more: Any) -> None:
            begun = time.monotonic()
            statuses[http.post(path, **more).status_code] += 1
            seconds.append(time.monotonic() - begun)

        for address in addresses:
            person = {"first_name": "Hangs", "last_name": "Fault", "allow_duplicate": True}
            person |= {"create_portal_account": True, "portal_email": address}
            send("/api/v1/patients/", json=person, headers=program)
        until(lambda: silent.taken > 0, 30, "a message on its way")
        for address in addresses[:RESETS]:
            send(routes.FORGOT, data={"username": address, "email": address})
    before = dict(server.sql("SELECT kind, count(*) FROM outbox_messages WHERE state = 'QUEUED' GROUP BY kind"))
    silent.end()
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:

        def all_sent() -> bool:
            server.sql(
                "UPDATE outbox_messages SET due_at = created_at WHERE state = 'QUEUED'"
            )  # pauses are its own test's
            return server.sql("SELECT count(*) FROM outbox_messages WHERE state = 'QUEUED'") == [(0,)]

        took = until(all_sent, 150, "all messages")
    finally:
        controller.stop()
    ends = dict(server.sql("SELECT state, count(*) FROM outbox_messages GROUP BY state"))
    arrived = Counter(str(message["Message-ID"]) for message in box.messages)
    counters.update(
        answered={str(status): count for status, count in statuses.items()},
        median=round(statistics.median(seconds), 2),
        slowest=round(max(seconds), 2),
        queued=before,
        ends=ends,
        arrived=len(arrived),
        twice=sum(count > 1 for count in arrived.values()),
        **{"seconds until all were sent": round(took, 1)},
    )
    assert set(statuses) <= {200, 201, 303}
    assert max(seconds) < 10  # the mail server is waited for longer, by whoever sends
    assert (before["INVITATION"], before["FORGOT_PASSWORD"]) == (REGISTRATIONS, RESETS)
    assert set(ends) == {"SENT"}
    assert ends["SENT"] == len(arrived) == REGISTRATIONS + RESETS
    assert counters["twice"] == 0
