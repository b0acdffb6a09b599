"""The process above the workers: one that dies is replaced, the next time after a longer wait, and the others serve on.
The continuous copy of the database runs beside them.

The server's own way (granian 2.8) is to end everything with the first worker that dies, or with the second death within
seconds. Run as a program with granian's arguments, so that the options of a production server stand in one place.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from granian import cli
from granian.server.mp import MPServer

from clinic_app.cli import copying
from clinic_app.cli.errors import UNEXPECTED, say
from clinic_app.cli.respawn import Deaths
from clinic_app.core import data_lock, keys, logs, metrics
from clinic_app.core.settings import Settings, get_settings

#: Exit code of a worker that says in words why it cannot start: see asgi.py.
REFUSED = 2
#: Seconds for the server before to end: its workers and its last copy.
PATIENCE = 20.0


class Supervisor(MPServer):
    """granian's server with another answer to the death of a worker, and workers that end when it dies."""

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:
        return super()._spawn_worker(idx, target, partial(_ended_with, os.getpid(), callback_loader))

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
                _tell(code)
            if self.reload_signal:
                due.clear()
                self._reload(spawn_target, target_loader)
            ready = [place for place, at in due.items() if at <= time.monotonic()]
            for place in ready:
                del due[place]
            self._respawn_workers(ready, spawn_target, target_loader)


def _ended_with(supervisor: int, load: Callable[[], Any]) -> Any:
    """What ``load`` returns, in a worker that is told to end when its supervisor is gone, whatever ended that.

    Else it would serve on beside the next server. Linux has a signal for it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # what the supervisor does at them would end nothing here
        signal.signal(number, signal.SIG_DFL)  # until the worker serves, and has its own answer
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal sends it to both, and the supervisor replaces it
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != supervisor:
            raise SystemExit(1)
    return load()


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """One server for an SQLite database: two would not know of each other's pages, and destroy each other's copy."""
    with contextlib.ExitStack() as stack:
        if settings.database.startswith("sqlite"):
            try:
                stack.enter_context(data_lock.the_server(keys.prepare_data_dir(settings), PATIENCE))
            except data_lock.InUse:
                say(f"A server of this clinic works with {settings.data_dir} already: stop it first.")
                raise SystemExit(UNEXPECTED) from None
            except OSError as error:  # a disk that takes no new file: reading goes on
                logs.failure(error, "server")
        yield


def _tell(code: int | None) -> None:
    """Count a worker's end. Whatever is wrong with that: the server goes on."""
    try:
        metrics.count(metrics.WORKERS_ENDED, str(code))
        metrics.leave(holds=False)
    except Exception as error:  # noqa: BLE001
        logs.failure(error, "metrics")


#: In memory where there is such a place: figures go on being told while the disk is full.
_MEMORY = Path("/dev/shm")  # noqa: S108  the folder in it is made new, and this user's alone


@contextlib.contextmanager
def _folder_for_figures() -> Iterator[None]:
    """Where workers leave their figures for each other, for as long as the server runs."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="clinic-metrics-", dir=place, ignore_cleanup_errors=True) as folder:
        os.environ[metrics.FOLDER] = folder
        yield


def main() -> None:
    """granian's command with this supervisor."""
    cli.Server = Supervisor  # type: ignore[misc]  what its command makes, and a test holds that it does
    settings = get_settings()
    with (
        only_one(settings),
        _folder_for_figures() if settings.metrics_token else contextlib.nullcontext(),
        copying.beside(settings),  # ended after the workers, so that their last change is in it
    ):
        cli.entrypoint()


if __name__ == "__main__":
    main()
