"""Possible duplicates among very many: how long a look takes, whom it finds, and how many new people it holds.

    python bench/duplicates.py [--patients 1000000] [--database postgresql+psycopg://…] [--looks 2000]

The patients are the peer's (``--peer``; ``--python`` is one with numpy and Faker, as the peer's own). Half of the looks
are for people who are there, as somebody else would type them: slips in names, names changed over, a digit of the birth
date, day and month swapped, no phone. The other half are for people nobody knows. Filled once below ``--work``.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
#: People nobody knows: the generator's, with other numbers.
_SEED_OF_OTHERS = 1907
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def options() -> argparse.Namespace:
    """What to measure, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--looks", type=int, default=2000)
    parser.add_argument("--peer", type=Path, default=ROOT.parent / "shared" / "peer", help="where the peer is")
    parser.add_argument("--python", default=sys.executable, help="a Python with numpy and Faker")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "clinic-bench")
    parser.add_argument("--database", default="", help="a PostgreSQL database that may be emptied; else SQLite")
    return parser.parse_args()


def generated(asked: argparse.Namespace, count: int, seed: int) -> Path:
    """A file of invented people."""
    file = asked.work / f"people-{count}-{seed}.csv"
    if not file.exists():
        code = (
            "import csv, sys; sys.path.insert(0, sys.argv[1]); import gen\n"
            "w = csv.writer(open(sys.argv[3] + '.part', 'w', newline='')); w.writerow(gen.COLS)\n"
            "w.writerows(gen.rows(int(sys.argv[2]), int(sys.argv[4])))"
        )
        generator = str(asked.peer.resolve() / "bench")
        subprocess.run([asked.python, "-c", code, generator, str(count), str(file), str(seed)], check=True)
        file.with_name(file.name + ".part").rename(file)
    return file


def people(file: Path) -> Iterator[dict[str, Any]]:
    """Its rows, as columns of the table of patients."""
    from clinic_app.core.folding import folded

    with file.open(newline="") as source:
        for row in csv.DictReader(source):
            at = dt.datetime.fromisoformat(row["created_at"]).replace(tzinfo=dt.UTC)
            phone = row["phone"]
            yield {
                "id": int(row["id"]),
                "patient_id": row["patient_id"],
                "first_name": row["first_name"],
                "last_name": row["last_name"],
                "single_name": False,
                "date_of_birth": dt.date.fromisoformat(row["date_of_birth"]),
                "date_of_birth_precision": "DAY",
                "gender": row["gender"],
                "phone": f"+254{phone[1:]}" if phone else None,
                "email": row["email"] or None,
                "national_id": row["national_id"] or None,
                "national_id_key": row["national_id"] or None,
                "address": row["address"],
                "email_allowed": True,
                "sms_allowed": True,
                "portal_enabled": False,
                "is_active": True,
                "verification_status": "VERIFIED",
                "name_key": folded(f"{row['first_name']} {row['last_name']}")[:210],
                "search_names": "",
                "search_keys": "",
                "created_at": at,
                "updated_at": at,
                "version": 1,
            }


def fill(file: Path) -> None:
    """Put the people of ``file`` into the database of the environment, with what they are found by."""
    from sqlalchemy import insert, update

    from clinic_app.core import db
    from clinic_app.models.patients import COUNTERS, PATIENTS
    from clinic_app.services.patients import name_parts
    from clinic_app.services.patients.duplicates import index

    started, count, batch = time.monotonic(), 0, []
    with db.transaction() as session:
        for person in people(file):
            batch.append(person)
            count += 1
            if len(batch) == 5000:
                session.execute(insert(PATIENTS), batch)
                batch = []
        if batch:
            session.execute(insert(PATIENTS), batch)
        session.execute(update(COUNTERS).where(COUNTERS.c.name == "patient_id").values(value=count))
    print(f"{count:,} patients in {time.monotonic() - started:.0f} s", flush=True)
    for what, work in (("parts of names", name_parts.rebuild), ("keys", index.rebuild)):
        started = time.monotonic()
        with db.transaction() as session:
            work(session)
        print(f"{what} in {time.monotonic() - started:.0f} s", flush=True)
    with db.transaction() as session:
        session.connection().exec_driver_sql("ANALYZE")


def _slip(word: str, chance: random.Random) -> str:
    """``word`` with a letter wrong, missing, twice, or changed over with the next."""
    if len(word) < 3:
        return word
    at, how = chance.randrange(1, len(word)), chance.randrange(4)
    if how == 0:
        return word[:at] + chance.choice(_LETTERS) + word[at + 1 :]
    if how == 1:
        return word[:at] + word[at + 1 :]
    if how == 2:
        return word[:at] + word[at - 1] + word[at:]
    return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]


def as_typed_again(person: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The same person, as another desk would write them down: one to three things are not the same."""
    again = {**person, "national_id": None, "email": None}
    if chance.random() < 0.5:
        again["phone"] = None
    for how in chance.sample(range(5), chance.choice((1, 1, 1, 2, 2, 3))):
        if how in (0, 1):
            field = ("first_name", "last_name")[how]
            again[field] = _slip(again[field], chance)
        elif how == 2:
            again["first_name"], again["last_name"] = again["last_name"], again["first_name"]
        elif how == 3:
            born = again["date_of_birth"]
            again["date_of_birth"] = born.replace(day=chance.randrange(1, 29))
        else:
            born = again["date_of_birth"]
            if born.day <= 12:
                again["date_of_birth"] = born.replace(month=born.day, day=born.month)
    return again


def measure(asked: argparse.Namespace) -> None:
    """Print how long looks take, whom they find and whom they hold."""
    from types import SimpleNamespace

    from clinic_app.core import db
    from clinic_app.services.patients.duplicates import Comparable, likely_matches

    chance = random.Random(7)
    known = [
        (person["id"], as_typed_again(person, chance))
        for person in people(generated(asked, asked.patients, 7))
        if chance.random() < asked.looks / asked.patients
    ]
    unknown = [(0, person) for person in people(generated(asked, asked.looks, _SEED_OF_OTHERS))]
    for _, person in unknown:
        person["national_id"] = person["email"] = None
    for title, group in (("there already", known), ("new", unknown)):
        times, first, five, strong, held = [], 0, 0, 0, 0
        worked = time.thread_time()
        for key, person in group:
            who = Comparable.of(SimpleNamespace(**person))
            with db.reading() as session:
                started = time.perf_counter()
                found = likely_matches(session, who)
                times.append((time.perf_counter() - started) * 1000)
            first += bool(found) and found[0].id == key
            five += any(one.id == key for one in found)
            strong += any(one.id == key and one.grade.strong for one in found)
            held += any(one.grade.strong and one.id != key for one in found)
        worked = (time.thread_time() - worked) / len(group) * 1000
        times = sorted(times[len(times) // 10 :])
        p50, p95, p99 = (times[int(len(times) * part)] for part in (0.5, 0.95, 0.99))
        n = len(group) / 100
        print(
            f"{title}: {len(group):,} looks, p50 {p50:.2f} ms, p95 {p95:.2f} ms, p99 {p99:.2f} ms, "
            f"CPU {worked:.2f} ms; "
            f"first {first / n:.1f} %, among five {five / n:.1f} %, strong {strong / n:.1f} %, "
            f"held by somebody else {held / n:.2f} %",
            flush=True,
        )


if __name__ == "__main__":
    asked = options()
    asked.work.mkdir(parents=True, exist_ok=True)
    folder = asked.work / f"duplicates-{asked.patients}"
    os.environ |= {"CLINIC_MODE": "test", "CLINIC_DATA_DIR": str(folder)}
    os.environ |= {"CLINIC_PEPPER": "p" * 40, "CLINIC_AUDIT_KEY": "a" * 40, "CLINIC_TOKEN_KEY": "t" * 40}
    if asked.database:
        os.environ["CLINIC_DATABASE_URL"] = asked.database
    from clinic_app.core import bootstrap, db, migrations

    migrations.upgrade()
    bootstrap.start()
    with db.reading() as there:
        empty = there.connection().exec_driver_sql("SELECT 1 FROM match_keys LIMIT 1").first() is None
    if empty:
        fill(generated(asked, asked.patients, 7))
    measure(asked)
