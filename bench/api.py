"""The API against its peer, the same job in Django: requests a second, in turn, as ratios.

    python bench/api.py [--peer ../shared/peer] [--patients 10000] [--clients 1,8] [--server api|whole]

Needs Debian's wrk. The peer's virtual environment and data, and ours, are made below --work the first time.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime as dt
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "demo-clinic-passphrase"
SCENARIOS = "get_one,list_p1,register,register_portal,create_portal"


def options() -> argparse.Namespace:
    """What to measure, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, default=ROOT.parent / "shared" / "peer", help="where the peer is")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "clinic-bench")
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--clients", default="1,8")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", default=SCENARIOS, help=f"of: {SCENARIOS}, search_name, login, ...; none for none")
    parser.add_argument("--server", choices=["api", "whole"], default="api", help="the API alone, or all of the clinic")
    parser.add_argument("--no-mixed", action="store_true", help="leave out registering beside portal creation")
    parser.add_argument("--profile", action="store_true", help="only say where the time of one request goes")
    return parser.parse_args()


# --- the two servers ------------------------------------------------------------------------------


def wait_for(url: str, seconds: float = 60) -> None:
    """Return when ``url`` answers at all."""
    until = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > until:
                raise SystemExit(f"{url} does not answer") from None
            time.sleep(0.1)


@contextlib.contextmanager
def running(command: list[str], env: dict[str, str], url: str, log: Path) -> Iterator[None]:
    """A server for as long as the block lasts."""
    with log.open("w") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, cwd=ROOT, start_new_session=True)
        try:
            wait_for(url)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def our_environment(work: Path, patients: int, port: int) -> dict[str, str]:
    """Settings of our side: SQLite, equal hash cost, no rate limits."""
    return os.environ | {
        "CLINIC_MODE": "demo",
        "CLINIC_DATA_DIR": str(work / f"ours-{patients}"),
        "CLINIC_API_RATE_FACTOR": "0",
        "CLINIC_PORT": str(port),
        "CLINIC_LOG_LEVEL": "ERROR",
        "PYTHONPATH": str(ROOT),
    }


def load_ours(rows: Path) -> None:
    """Fill the database of the environment with the peer's patients. Runs in a process of its own."""
    from sqlalchemy import delete, insert, update

    from clinic_app.core import bootstrap, clock, crypto, db, migrations
    from clinic_app.models.accounts import ACCOUNTS
    from clinic_app.models.duplicates import WAITING_COMPARISONS
    from clinic_app.models.patients import COUNTERS, PATIENTS, Patient
    from clinic_app.services.patients import national_ids, phones, rebuilding
    from clinic_app.services.patients.repository import keys_for_finding

    migrations.upgrade()
    bootstrap.start()
    now, hashed = clock.now(), crypto.hash_password(PASSWORD)
    names = [column.name for column in PATIENTS.columns]
    with rows.open(newline="") as source, db.transaction() as session:
        rebuilding.take_away(session)
        batch: list[dict[str, Any]] = []
        accounts: list[dict[str, Any]] = []
        for row in csv.DictReader(source):
            try:
                phone = phones.phone(row["phone"])
            except ValueError:
                phone = None
            at = dt.datetime.fromisoformat(row["created_at"]).replace(tzinfo=dt.UTC)
            patient = Patient(
                id=int(row["id"]),
                patient_id=row["patient_id"],
                first_name=row["first_name"],
                last_name=row["last_name"],
                date_of_birth=dt.date.fromisoformat(row["date_of_birth"]),
                gender=row["gender"],
                phone=phone,
                email=row["email"] or None,
                national_id=row["national_id"] or None,
                address=row["address"],
                portal_enabled=row["portal_enabled"] == "True",
                name_key="",
                search_names="",
                search_keys="",
                created_at=at,
                updated_at=at,
            )
            patient.national_id_key = national_ids.key(patient.national_id)
            keys_for_finding(patient, [patient.email] if patient.portal_enabled and patient.email else [])
            batch.append({name: getattr(patient, name) for name in names})
            if patient.portal_enabled and patient.email:
                accounts.append(
                    {
                        "username": patient.email,
                        "full_name": f"{patient.first_name} {patient.last_name}",
                        "role": "PATIENT",
                        "patient_id": patient.id,
                        "password_hash": "!",
                        "password_temporary": False,
                        "password_changed_at": now,
                        "temporary_failures": 0,
                        "is_active": True,
                        "created_at": now,
                        "updated_at": now,
                    }
                )
            if len(batch) == 5000:
                session.execute(insert(PATIENTS), batch)
                batch = []
        if batch:
            session.execute(insert(PATIENTS), batch)
        session.execute(insert(ACCOUNTS), accounts)
        last = int(row["id"])
        session.execute(update(COUNTERS).where(COUNTERS.c.name == "patient_id").values(value=last))
        desk = {"username": "receptionist", "full_name": "Grace Wanjiru", "role": "RECEPTIONIST", "patient_id": None}
        desk |= {"password_hash": hashed, "password_temporary": False, "password_changed_at": now}
        desk |= {"temporary_failures": 0, "is_active": True, "created_at": now, "updated_at": now}
        session.execute(insert(ACCOUNTS), [desk])
        rebuilding.make(session)  # what people are found by, and doubles
        session.execute(delete(WAITING_COMPARISONS))


@contextlib.contextmanager
def both(asked: argparse.Namespace) -> Iterator[dict[str, str]]:
    """Peer and ours, loaded with the same patients; name → address."""
    asked.work.mkdir(parents=True, exist_ok=True)
    peer_port, our_port = 4290, 4291
    peer_env = os.environ | {"PEER_DATA": str(asked.work / "peer"), "PEER_HASHER": "bcrypt12"}
    run = str(asked.peer.resolve() / "django" / "run.sh")
    subprocess.run([run, str(asked.patients)], env=peer_env | {"LOAD_ONLY": "1"}, check=True)
    env = our_environment(asked.work, asked.patients, our_port)
    if not Path(env["CLINIC_DATA_DIR"], "clinic.sqlite3").exists():
        rows = asked.work / f"rows-{asked.patients}.csv"
        python = str(asked.work / "peer" / "venv" / "bin" / "python")
        generator = asked.peer.resolve() / "bench" / "gen.py"
        subprocess.run([python, str(generator), str(asked.patients), str(rows)], check=True)
        subprocess.run([sys.executable, __file__, "--load", str(rows)], env=env, check=True, cwd=ROOT)
    factory = "bench.api_server:create" if asked.server == "api" else "clinic_app.asgi:create"
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--port", str(our_port)]
    urls = {"peer": f"http://127.0.0.1:{peer_port}", "ours": f"http://127.0.0.1:{our_port}"}
    with (
        running([run, str(asked.patients), str(peer_port)], peer_env, urls["peer"] + "/", asked.work / "peer.log"),
        running([*command, "--log-level", "warning", factory], env, urls["ours"] + "/healthz", asked.work / "ours.log"),
    ):
        yield urls


#: Of the peer's script: who is registered, by what names, and with which list of values.
_LIKE_EACH_OTHER = """"first_name":"Amina'..k..'","last_name":"Wanjiku","""
_DIFFERENT = (
    """"first_name":"'..vals[math.random(#vals/2)]..'","last_name":"'..vals[#vals/2+math.random(#vals/2)]..'","""
)
_SAME, _ANEW = "seed=rng.randrange(10**6)", "seed=time.time_ns() // 1000 % 10**9"
_NO_NAMES, _NAMES = (
    '"register": (reg % "", [])',
    '"register": (reg % "", [r[2] for r in sample] + [r[4] for r in sample])',
)


def script(asked: argparse.Namespace) -> Path:
    """The peer's script, but whoever is registered has a name of the register's: in the original all are called nearly
    the same and have nearly the same national ID, and so would be held as likely one person. And each run registers
    others: the original begins its dice anew."""
    text = (asked.peer.resolve() / "bench" / "apibench.py").read_text()
    for before, after in ((_LIKE_EACH_OTHER, _DIFFERENT), (_NO_NAMES, _NAMES), (_SAME, _ANEW)):
        if before not in text:
            raise SystemExit("The peer's bench/apibench.py is not the one that this was written for.")
        text = text.replace(before, after)
    found = asked.work / "apibench.py"
    found.write_text(text)
    return found


# --- registering while others create portals ------------------------------------------------------


class Client:
    """One connection that stays open."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=120)
        self.token = self.post("/api/v1/auth/login/", username="receptionist", password=PASSWORD)[1]["access"]

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        """Status and answer."""
        headers = {"content-type": "application/json"}
        if hasattr(self, "token"):
            headers["authorization"] = f"Bearer {self.token}"
        self.connection.request("POST", path, json.dumps(body), headers)
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())


def _until(stop: threading.Event, client: Client, body: Callable[[int], dict[str, Any]], kept: list[Any]) -> None:
    count = 0
    while not stop.is_set():
        started = time.perf_counter()
        status, _ = client.post("/api/v1/patients/", **body(count))
        kept.append((status, (time.perf_counter() - started) * 1000))
        count += 1


def mixed(url: str, seconds: int, desks: int) -> tuple[list[Any], list[Any]]:
    """``desks`` clients register plainly while two create portals, all without pause: (status, ms) of each request."""
    stop, mark = threading.Event(), time.time_ns()
    plain: list[Any] = []
    portal: list[Any] = []

    def simple(n: int) -> Callable[[int], dict[str, Any]]:
        return lambda i: {"first_name": f"Amina{mark}", "last_name": f"Plain {n} {i}", "gender": "FEMALE"}

    def with_portal(n: int) -> Callable[[int], dict[str, Any]]:
        return lambda i: {
            **simple(n)(i),
            "create_portal_account": True,
            "portal_email": f"m{mark}x{n}x{i}@example.com",
        }

    threads = [threading.Thread(target=_until, args=(stop, Client(url), simple(n), plain)) for n in range(desks)]
    threads += [
        threading.Thread(target=_until, args=(stop, Client(url), with_portal(desks + n), portal)) for n in range(2)
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return plain, portal


def show_mixed(urls: dict[str, str], seconds: int) -> None:
    """Print the percentiles of both."""
    for desks in (1, 8):
        for name, url in urls.items():
            plain, portal = mixed(url, seconds, desks)
            times = sorted(ms for status, ms in plain if status == 201)
            bad = sum(status != 201 for status, _ in plain + portal)
            p50, p95 = statistics.median(times), times[min(len(times) - 1, int(len(times) * 0.95))]
            print(
                f"mixed: {desks} desk(s) + 2 creating portals | {name}: {len(times)} plain in {seconds} s, "
                f"p50 {p50:.1f} p95 {p95:.1f} max {times[-1]:.1f} ms; "
                f"{len(portal) / seconds:.1f} portals/s; failed {bad}",
                flush=True,
            )


# --- where the time goes --------------------------------------------------------------------------


def profile(asked: argparse.Namespace) -> None:
    """Time one request's parts in this process, without a network: medians in microseconds."""
    os.environ.update(our_environment(asked.work, asked.patients, 4291))
    import asyncio
    import cProfile
    import pstats

    import httpx

    from bench import api_server

    async def measure() -> None:
        app = api_server.create()
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            body = {"username": "receptionist", "password": PASSWORD}
            token = (await client.post("/api/v1/auth/login/", json=body)).json()["access"]
            client.headers["authorization"] = f"Bearer {token}"
            for name, method, path in (
                ("nothing (healthz)", "GET", "/healthz"),
                ("refused (no such page)", "GET", "/api/v1/nothing/"),
                ("retrieve", "GET", "/api/v1/patients/7/"),
                ("list", "GET", "/api/v1/patients/"),
                ("register", "POST", "/api/v1/patients/"),
            ):
                times = []
                for i in range(400):
                    body = {"first_name": f"P{time.time_ns()}", "last_name": f"Q{i}"} if method == "POST" else None
                    started = time.perf_counter()
                    await client.request(method, path, json=body)
                    times.append((time.perf_counter() - started) * 1e6)
                print(f"{name:24s} median {statistics.median(times):7.0f} us", flush=True)

    asyncio.run(measure())
    from clinic_app.api import endpoint

    profiler, real = cProfile.Profile(), endpoint.Call._serve

    def profiled(self: Any, *args: Any) -> Any:
        profiler.enable()
        try:
            return real(self, *args)
        finally:
            profiler.disable()

    endpoint.Call._serve = profiled  # type: ignore[method-assign]
    asyncio.run(measure())
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)


def main() -> None:
    """Measure and print."""
    if len(sys.argv) == 3 and sys.argv[1] == "--load":
        load_ours(Path(sys.argv[2]))
        return
    asked = options()
    if asked.profile:
        sys.path.insert(0, str(ROOT))
        profile(asked)
        return
    with both(asked) as urls:
        if asked.only != "none":
            command = [
                str(asked.work / "peer" / "venv" / "bin" / "python"),
                str(script(asked)),
                *[f"{name}={url}" for name, url in urls.items()],
                *["--n", str(asked.patients), "--clients", asked.clients, "--only", asked.only],
                *["--secs", str(asked.seconds), "--reps", str(asked.repetitions)],
            ]
            subprocess.run(command, env=os.environ | {"PYTHONPATH": str(asked.peer.resolve() / "bench")}, check=True)
        if not asked.no_mixed:
            show_mixed(urls, max(5, asked.seconds))


if __name__ == "__main__":
    main()
