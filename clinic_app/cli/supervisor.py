"""The process above the workers: one that dies is replaced, the next time after a longer wait, and the others serve on.

The server's own way (granian 2.8) is to end everything with the first worker that dies, or with the second death within
seconds. Run as a program with granian's arguments, so that the options of a production server stand in one place.
"""

from __future__ import annotations

import time
from typing import Any

from granian import cli
from granian.server.mp import MPServer

from clinic_app.core import logs

#: Exit code of a worker that says in words why it cannot start: see asgi.py.
REFUSED = 2
#: Seconds before a place is filled again: at once after the first death, and not more often than twice a minute.
WAITS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
#: A worker that has lived so many seconds was well: its next death is a first one.
WELL = 60.0


class Deaths:
    """How often the worker at each place has died in a row."""

    def __init__(self) -> None:
        self._in_a_row: dict[int, int] = {}

    def wait_after(self, place: int, lived: float) -> float:
        """Seconds until the place of a worker that ``lived`` so long is filled again."""
        count = 0 if lived >= WELL else self._in_a_row.get(place, 0)
        self._in_a_row[place] = count + 1
        return WAITS[min(count, len(WAITS) - 1)]


class Supervisor(MPServer):
    """granian's server with another answer to the death of a worker."""

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        logs.configure("WARNING")
        deaths, due = Deaths(), dict[int, float]()
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(max(0.0, min(due.values()) - time.monotonic()) if due else None)
            self.main_loop_interrupt.clear()  # before looking: what comes meanwhile sets it again
            if self.interrupt_signal:
                return
            while self.interrupt_children:
                place = self.interrupt_children.pop()
                worker = self.wrks[place]
                worker.join()
                code = worker.inner.exitcode
                if code == REFUSED and not any(one.is_alive() for one in self.wrks):
                    self.interrupt_children.append(place)  # the exit code tells of it
                    return
                wait = deaths.wait_after(place, time.monotonic() - worker.birth)
                due[place] = time.monotonic() + wait
                logs.get("server").error("worker_ended", worker=place + 1, code=code, seconds=wait)
            if self.reload_signal:
                due.clear()
                self._reload(spawn_target, target_loader)
            ready = [place for place, at in due.items() if at <= time.monotonic()]
            for place in ready:
                del due[place]
            self._respawn_workers(ready, spawn_target, target_loader)


def main() -> None:
    """granian's command with this supervisor."""
    cli.Server = Supervisor  # type: ignore[misc]  what its command makes, and a test holds that it does
    cli.entrypoint()


if __name__ == "__main__":
    main()
