"""How fast do patients come in from a file? ``python bench/import.py`` (``--rows``, ``--register``, ``--url``)

Invented patients with names as in Kenya: a register is filled from one file, then another file is imported into it by
the command itself, with everything that is done for each row: its rules, the look for the same person, what people are
found by, and its event in the audit trail. Prints rows a second, how long is computed for each, and the memory
at its highest; then the same for a dry run of some rows, which names everybody who may be the same.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FIRST = (
    "Amina Peter Grace Wanjiku Otieno Zacharia Halima Moses Joyce Brian Faith Kevin Mercy Dennis Esther Samuel Ruth "
    "John Mary James Jane Paul Lucy David Ann Joseph Alice Daniel Rose George"
).split()
_LAST = (
    "Kamau Odhiambo Njoroge Mwangi Okemwa Yusuf Barasa Omar Ouko Wafula Cheruiyot Kiprop Achieng Wambui Nyambura Mutua "
    "Musyoka Kariuki Ochieng Maina Kibet Koech Chebet Auma Were Juma Hassan Ali Abdi"
).split()
_PARTS = "ka ma ro ti wa ndi nge li so mu be to ra ku".split()
_COLUMNS = (
    "external_id first_name last_name date_of_birth gender phone email national_id address next_of_kin_name "
    "next_of_kin_phone"
).split()


def write(path: Path, count: int, seed: int) -> None:
    """A file of ``count`` invented patients: the same for the same ``seed``."""
    chance = random.Random(seed)

    def name(common: list[str]) -> str:
        if chance.random() < 0.6:
            return chance.choice(common)
        return "".join(chance.choice(_PARTS) for _ in range(3)).capitalize()

    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for number in range(count):
            first, last = name(_FIRST), name(_LAST)
            if chance.random() < 0.45:
                first += " " + name(_FIRST)
            born = f"{chance.randint(1930, 2022)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
            phone = f"07{chance.randrange(10**8):08d}" if chance.random() < 0.93 else ""
            email = f"{first}.{last}{seed}.{number}@example.org".replace(" ", "").lower()
            national = str(chance.randrange(10**7, 4 * 10**7)) if chance.random() < 0.62 else ""
            rows.writerow(
                [
                    f"B{seed}-{number}",
                    first,
                    last,
                    born,
                    chance.choice(["MALE", "FEMALE"]),
                    phone,
                    email if chance.random() < 0.3 else "",
                    national,
                    "12 Lake Road, Kisumu",
                    f"{name(_FIRST)} {last}",
                    f"07{chance.randrange(10**8):08d}",
                ]
            )


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(environment: dict[str, str], *arguments: str) -> tuple[float, dict[str, object]]:
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "clinic_app", *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout.splitlines()[-1]) if "--json" in arguments else {}
    return time.perf_counter() - begun, told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="in the file that is measured")
    parser.add_argument("--register", type=int, default=0, help="patients that are there before")
    parser.add_argument("--dry", type=int, default=1_000, help="rows of the dry run")
    parser.add_argument("--url", default="", help="of a PostgreSQL database that is empty; else SQLite")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CLINIC_MODE": "test", "CLINIC_DATA_DIR": f"{folder}/data"}
        if asked.url:
            environment["CLINIC_DATABASE_URL"] = asked.url
        _run(environment, "migrate")
        if asked.register:
            write(Path(folder, "register.csv"), asked.register, 1)
            took, _ = _run(environment, "import", f"{folder}/register.csv", "--allow-duplicates", "--json")
            print(f"register of {asked.register:,} filled in {took:.0f} s: {asked.register / took:,.0f} rows a second")
        start, _ = _run(environment, "import", "--help")
        write(Path(folder, "rows.csv"), asked.rows, 2)
        before = _processor()
        took, told = _run(environment, "import", f"{folder}/rows.csv", "--json")
        computing = _processor() - before
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{asked.rows:,} rows, {told['imported']:,} in, in {took:.1f} s (start {start:.1f} s)")
        print(f"  {asked.rows / took:,.0f} rows a second, {asked.rows / (took - start):,.0f} without the start")
        print(f"  {computing / asked.rows * 1e6:,.0f} microseconds of computing a row, in two processes")
        print(f"  memory at its highest {memory:.0f} MiB")
        write(Path(folder, "dry.csv"), asked.dry, 3)
        took, _ = _run(
            environment, "import", f"{folder}/dry.csv", "--dry-run", "--report", f"{folder}/o.jsonl", "--json"
        )
        print(f"dry run: {asked.dry / (took - start):,.0f} rows a second")
        _run(environment, "audit", "verify")


if __name__ == "__main__":
    main()
