"""Does a run of portal accounts hurt other desks? ``python bench/bulk.py``

In one process, without a server, SQLite: registrations without a portal account one after the other, and portal
accounts created at a desk, each alone and beside a run, by turns. Prints how many times as long it takes beside a run,
of the median and of p95: the median of the rounds, and all of them.
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
from clinic_app.services.portal.bulk_runs import continue_run, report_run, start_run, stop_run, work_on
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.provisioning import create_portal_account
from clinic_app.services.rates import rates
from tests import conftest, factories

FEWEST = 5  # times, however long they take


def _times(seconds: float, work: Callable[[], Any]) -> list[float]:
    taken, until = [], time.monotonic() + seconds
    while len(taken) < FEWEST or time.monotonic() < until:
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


def _say(name: str, alone: list[list[float]], beside: list[list[float]]) -> None:
    """Each round's ratio, alone to beside, of the median and of p95; and the median of those."""

    def both(taken: list[float]) -> tuple[float, float]:
        return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]

    pairs = [(both(one), both(other)) for one, other in zip(alone, beside, strict=True)]
    for which, words in enumerate(("median", "p95")):
        ratios = sorted(other[which] / one[which] for one, other in pairs)
        figures = f"alone {statistics.median(one[which] for one, _ in pairs):7.1f} ms"
        spread = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{name:<24} {words:<7} {figures}  beside × {statistics.median(ratios):.2f}  ({spread})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    seconds: float = given.seconds
    os.environ["CLINIC_BCRYPT_COST"] = "12"  # as in production: what the tests import is quicker
    get_settings.cache_clear()
    rates().spend = lambda *_: None  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        url, _ = conftest._new_database("sqlite", Path(folder))
        engine = db.make_engine(url)
        db.bind(engine)
        admin, desk = factories.make_staff(Role.ADMIN), factories.make_staff()
        for number in range(600):
            factories.make_patient(desk, email=f"bulk{number}@example.org")
        numbers = iter(range(10**6))

        def register() -> None:
            factories.make_patient(desk)

        def create() -> None:
            done = factories.make_patient(desk)
            request = PortalAccountRequest(f"desk{next(numbers)}@example.org")
            create_portal_account(desk, done.patient.id, request)

        run = start_run(admin, Chosen())
        stop_run(admin, run)

        def work() -> None:
            with context.use(context.RequestContext("cli")):
                work_on(run)

        alone: dict[str, list[list[float]]] = {"register": [], "create portal account": []}
        beside: dict[str, list[list[float]]] = {name: [] for name in alone}
        works, ran = {"register": register, "create portal account": create}, 0.0
        for _ in range(given.rounds):
            for name, one in works.items():
                alone[name].append(_times(seconds, one))
            continue_run(admin, run)
            thread = threading.Thread(target=work)
            thread.start()
            begun = time.monotonic()
            for name, one in works.items():
                beside[name].append(_times(seconds, one))
            ran += time.monotonic() - begun
            stop_run(admin, run)
            thread.join()
        for name in works:
            _say(name, alone[name], beside[name])
        print(f"accounts a second meanwhile: {report_run(admin, run).created / ran:.1f}")
        engine.dispose()


if __name__ == "__main__":
    main()
