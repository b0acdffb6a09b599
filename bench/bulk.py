"""Does a run of portal accounts hurt other desks? ``python bench/bulk.py``

In one process, without a server, SQLite: registrations without a portal account one after the other, and portal
accounts created at a desk, each alone and beside a run. Prints milliseconds, median and p95, and the ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bed  # noqa: F401  the settings

from clinic_app.core import context, db
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import Role
from clinic_app.services.portal.bulk_choice import Chosen
from clinic_app.services.portal.bulk_runs import report_run, start_run, stop_run, work_on
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.provisioning import create_portal_account
from clinic_app.services.rates import rates
from tests import conftest, factories


def _times(seconds: float, work: Callable[[], Any]) -> list[float]:
    taken, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


def _say(name: str, alone: list[float], beside: list[float]) -> None:
    def both(taken: list[float]) -> tuple[float, float]:
        return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]

    (p50, p95), (median, high) = both(alone), both(beside)
    figures = f"alone {p50:7.1f} {p95:7.1f}  beside {median:7.1f} {high:7.1f}"
    print(f"{name:<24} {figures}  ratio {median / p50:.2f} {high / p95:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    seconds = parser.parse_args().seconds
    os.environ["CLINIC_BCRYPT_COST"] = "12"  # as in production: what the tests import is quicker
    get_settings.cache_clear()
    rates().spend = lambda *_: None  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        url, _ = conftest._new_database("sqlite", Path(folder))
        engine = db.make_engine(url)
        db.bind(engine)
        admin, desk = factories.make_staff(Role.ADMIN), factories.make_staff()
        for number in range(400):
            factories.make_patient(desk, email=f"bulk{number}@example.org")
        numbers = iter(range(10**6))

        def register() -> None:
            factories.make_patient(desk)

        def create() -> None:
            done = factories.make_patient(desk)
            request = PortalAccountRequest(f"desk{next(numbers)}@example.org")
            create_portal_account(desk, done.patient.id, request)

        alone = _times(seconds, register), _times(seconds, create)
        run = start_run(admin, Chosen())

        def work() -> None:
            with context.use(context.RequestContext("cli")):
                work_on(run)

        thread = threading.Thread(target=work)
        thread.start()
        begun = time.monotonic()
        beside = _times(seconds, register), _times(seconds, create)
        rate = report_run(admin, run).created / (time.monotonic() - begun)
        stop_run(admin, run)
        thread.join()
        _say("register", alone[0], beside[0])
        _say("create portal account", alone[1], beside[1])
        print(f"accounts a second meanwhile: {rate:.1f}")
        engine.dispose()


if __name__ == "__main__":
    main()
