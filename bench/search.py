"""How long does finding take, and how does it grow? ``python bench/search.py --patients 10000 100000 1000000``

Fills a clinic of each size with the invented people of ``demo --patients`` (or takes one that is filled: ``--data``),
asks each kind of question of the service many times, one after the other, and prints p50 and p95: milliseconds by the
clock, and of processor time, which a busy machine does not change as much. PostgreSQL: ``--url`` of an empty database
for each size. Without the API's own time, the trail and the network.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import bed  # noqa: F401  the program, and its settings

ROUNDS = 3
DAYS = ("15/1/1990", "3 Apr 1985", "1979-11-02")


def _slip(name: str) -> str:
    return name[:2] + name[3:] if len(name) > 5 else f"{name}a"


def _questions(some: list[Any], pages: int) -> dict[str, list[dict[str, Any]]]:
    """Kind → what is asked."""
    terms = {
        "part of a name": ["wanj", "wanjiku", "achieng", "kam", "oti", "zawadi", *[row.last_name for row in some]],
        "one or two letters": ["w", "wa", "k", "am", "zu", "ng", "o", "ch"],
        "inside a name": ["anjik", "hieng", "ambo", "tieno"],
        "two parts": [f"{row.first_name} {row.last_name[:4]}" for row in some],
        "end of a phone number": [row.phone[-6:] for row in some],
        "four digits": [row.phone[-4:] for row in some],
        "a phone number": [f"0{row.phone[4:]}" for row in some],
        "patient ID": [row.patient_id for row in some],
        "national ID": [row.national_id for row in some],
        "a name with a slip": [_slip(row.last_name) for row in some],
        "a birth date": list(DAYS),
    }
    asked = {name: [{"term": term} for term in wanted] for name, wanted in terms.items()}
    depths = sorted({max(1, pages * part // 10) for part in range(11)})
    return {
        "first page": [{}] * len(some),
        "a page by number": [{"page": page} for page in depths],
        "next, at any depth": [{"page": 2, "after": row.id} for row in some],
        **asked,
    }


def measure(patients: int) -> None:
    """Ask, and print a table."""
    import sqlalchemy as sa

    from clinic_app.core import bootstrap, db
    from clinic_app.services.patients import search, search_terms
    from clinic_app.services.patients.forms import PatientQuery

    bootstrap.start()
    with db.reading() as session:
        wanted = "WHERE phone IS NOT NULL AND national_id IS NOT NULL AND id % :step = 7 LIMIT 40"
        statement = f"SELECT id, patient_id, first_name, last_name, phone, national_id FROM patients {wanted}"
        some = list(session.execute(sa.text(statement), {"step": max(11, patients // 120)}).all())
    print(f"{patients:,} patients\n| question | p50 / p95 ms | of processor time |\n| --- | --- | --- |")
    for name, questions in _questions(some, patients // 20).items():
        taken: list[tuple[float, float]] = []
        for given in questions:
            query = PatientQuery(**given)
            for _ in range(ROUNDS):
                clock, processor = time.perf_counter(), time.process_time()
                search._page(query, search_terms.parse(query.term))
                taken.append(((time.perf_counter() - clock) * 1e3, (time.process_time() - processor) * 1e3))
        by_clock, by_processor = (sorted(one[kind] for one in taken) for kind in (0, 1))
        p95 = int(0.95 * (len(taken) - 1))
        middle = statistics.median(by_clock), statistics.median(by_processor)
        print(
            f"| {name} | {middle[0]:.1f} / {by_clock[p95]:.1f} | {middle[1]:.1f} / {by_processor[p95]:.1f} |",
            flush=True,
        )


def main() -> None:
    """Fill and measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--data", type=Path, help="a data directory that `demo --patients` has filled")
    parser.add_argument("--url", nargs="*", default=[], help="of an empty PostgreSQL database, one for each size")
    given = parser.parse_args()
    os.environ["CLINIC_MODE"] = "demo"
    for place, patients in enumerate(given.patients):
        if (pid := os.fork()) == 0:  # a process each: settings and statements are kept in it
            _one(patients, given.data, given.url[place] if given.url else "")
            os._exit(0)
        os.waitpid(pid, 0)


def _one(patients: int, data: Path | None, url: str) -> None:
    from clinic_app.cli import database, demo_data

    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"CLINIC_DATA_DIR": str(data or folder), "CLINIC_DATABASE_URL": url}
        if data is None:
            database.migrate()
            began = time.perf_counter()
            demo_data.seed(patients)
            print(f"filled in {time.perf_counter() - began:.0f} s")
        measure(patients)


if __name__ == "__main__":
    main()
