"""Does a stranger, or somebody signed in, slow down or lock out the desk? ``python bench/siege.py``

For each attack of ``bench/attacks.py`` a server as in production on this machine, served as ``serve`` does (SQLite, one
worker; with ``--postgres`` PostgreSQL, Redis and two workers), rate limits and bcrypt as in production. Measured are
sixteen desks at one address, each on a connection that it keeps, which search through the API, twenty times a second
altogether and no desk more often than its limits allow: idle, and while the attack goes on. Then: do desks still get in
with the right password, how much memory the server took, how many rows the attack left. Prints a table for
docs/security.md. An attack that was not answered as often as it takes to be one is *not shown*, which is no success.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import itertools
import json
import os
import resource
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import redis
import sqlalchemy as sa
from attacks import DESK, DIALOGS, HELD, PATIENCE, WORK, what
from bed import ROOT
from desk import TERMS

from clinic_app.core import context, crypto, db, routes
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS, SIGN_IN_LIMITS, Account, Role
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.models.patients import PATIENTS
from clinic_app.services import access
from clinic_app.services.accounts import sessions, staff, tokens
from tests import factories
from tests.browser.serving import DEMO_PASSWORD, Server

POSTGRES = os.environ.get("CLINIC_TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("CLINIC_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
DESKS = [f"desk{number}" for number in range(16)]
EVERY = 0.8  # seconds between two searches of one desk: 75 a minute, of 100 that it may
COST = 12  # of bcrypt, as in production
LONGER = 5  # times as long until an attack is not shown
FILES = 16_384  # what serve asks the system for
#: The goals: of the search, at most so many times idle or so many milliseconds; of memory, in MiB.
TIMES, MILLISECONDS, MEMORY = 2.0, 100.0, 50.0
OF_A_PATIENT = 2  # rows of each table that a registration leaves, at most
#: Left by an administrator who has been turned off; must stay nothing.
LATE = "accounts made by somebody turned off"
RECORDED = "rows about what was shown"


@dataclass(frozen=True)
class Rule:
    """What an attack must have done to count, and what else must hold."""

    rows: int  # it may leave in all tables together in one run
    least: int = 50  # answers, else it is not shown
    must: tuple[tuple[str, int], ...] = ()  # and at least so many of these, by how the answer begins
    never: tuple[str, ...] = ()  # beginnings of answers that must not come
    seconds: float = 0  # if it takes longer than the others
    hops: int = 0  # proxies in front
    mail: bool = False  # a mail server is set up, which does not answer
    also: Callable[[dict[str, int]], str] = lambda _: ""  # what is wrong besides

    def missing(self, answers: Counter[str]) -> str:
        """Why this is no attack yet; empty where it is one."""
        if answers.total() < self.least:
            return f"{answers.total()} answers"
        for name, least in self.must:
            if (came := sum(many for one, many in answers.items() if one.startswith(name))) < least:
                return f"{came} × {name}"
        return ""


def _read_unseen(answers: dict[str, int]) -> str:
    shown = answers.get("patients shown", 0)
    return "" if answers.get(RECORDED, 0) >= shown else f"{shown} patients shown, fewer rows"


def _list_limit(answers: dict[str, int]) -> str:
    pages = answers.get("200 to pages", 0) + answers.get("200 to searches", 0)
    return "" if pages <= 300 else f"{pages} pages of the register read"


_FAULT = ("500", "502")
RULES: dict[str, Rule] = {
    "1": Rule(1500, 10, never=_FAULT),
    "2": Rule(10, HELD, must=(("opened", HELD),), never=_FAULT),
    "2b": Rule(10, HELD, must=(("opened", HELD),)),
    "3": Rule(500, never=_FAULT),
    "4": Rule(2000, 200, never=_FAULT, hops=1),
    "4b": Rule(2000, 200, never=_FAULT),
    "5": Rule(10, 40, never=_FAULT),
    "6": Rule(200, 200, must=(("events", 200), ("sockets", 1))),
    "7": Rule(700, 200, must=(("200 to pages", 1), ("429", 1)), never=_FAULT, also=_list_limit),
    "8": Rule(300, DIALOGS, must=(("patients shown", DIALOGS),), also=_read_unseen),
    "9": Rule(30, 200, never=_FAULT),
    "10": Rule(500, 200, must=(("429", 100),), never=_FAULT),
    "11": Rule(600, 1, seconds=8, must=(("accounts made before", 1), ("401", 1)), never=_FAULT,
               also=lambda answers: f"{answers[LATE]} {LATE}" if answers.get(LATE) else ""),
    "12": Rule(1500, 16, must=(("200", 16),), never=("4", "5")),
    "14": Rule(10, never=_FAULT),
    "18": Rule(30, 200, never=("101", *_FAULT)),
    "19": Rule(300, never=_FAULT),
    "20": Rule(300, never=_FAULT, mail=True),
    "21": Rule(300, 40, never=_FAULT),
    "22": Rule(300, 50, must=(("429", 1),), never=_FAULT),
    "flood": Rule(5000, 500, seconds=20, never=_FAULT),
}  # fmt: skip
assert set(RULES) == set(WORK)


# --- the clinic ---------------------------------------------------------------------------------------------------


class Clinic:
    """The served clinic, and what is asked of it from outside of the attack."""

    def __init__(self, server: Server, engine: sa.Engine) -> None:
        self.server, self.engine = server, engine
        self._names = itertools.count(1)

    def people(self) -> None:
        """Sixteen desks and two programs; they and the demo's staff have the demo password."""
        hashed = _hashed()
        with db.transaction() as writing:
            writing.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.role != Role.PATIENT).values(password_hash=hashed))
            known = writing.execute(sa.select(Account).where(ACCOUNTS.c.username == "receptionist")).scalar_one()
            kept = known.model_dump(exclude={"id", "username"})
            writing.add_all([Account(**kept, username=name) for name in (*DESKS, "program", "insider")])

    def administrator(self) -> tuple[int, str]:
        """Somebody to be turned off."""
        with db.transaction() as writing:
            known = writing.execute(sa.select(Account).where(ACCOUNTS.c.username == "admin")).scalar_one()
            name = f"leaver{next(self._names)}"
            leaver = Account(**known.model_dump(exclude={"id", "username"}), username=name)
            writing.add(leaver)
            writing.flush()
            return leaver.id or 0, name

    def newcomers(self, count: int) -> list[str]:
        """Register patients, as the desk does; their patient IDs."""
        with db.reading() as reading:
            known = reading.execute(sa.select(Account).where(ACCOUNTS.c.username == "receptionist")).scalar_one()
            actor = access.Actor("account", known.id, Role.RECEPTIONIST, known.full_name, known.username)
        made = []
        for _ in range(count):
            mark = secrets.token_hex(6)
            email, name = f"{mark}@example.org", "".join(chr(97 + int(sign, 16)) for sign in mark)
            data = {"first_name": name.title(), "national_id": mark, "email": email, "phone": ""}
            made.append(factories.make_patient(actor, **data).patient.patient_id)
        return made

    def token(self, username: str) -> str:
        """The session of somebody who has just signed in at a desk."""
        with context.use(context.RequestContext("page", DESK, "siege")), db.transaction() as writing:
            account = writing.execute(sa.select(Account).where(ACCOUNTS.c.username == username)).scalar_one()
            return sessions.open_session(writing, account)[0]

    def access(self, username: str) -> str:
        """A token of the API for somebody who has just signed in."""
        with context.use(context.RequestContext("api", DESK, "siege")), db.transaction() as writing:
            account = writing.execute(sa.select(Account).where(ACCOUNTS.c.username == username)).scalar_one()
            _, opened = sessions.open_session(writing, account, kind=tokens.KIND)
            return tokens._access(account.id or 0, opened.id or 0, account.role, opened.expires_at)

    def at_desk(self) -> dict[str, str]:
        """Headers of the clinic's own address, which the proxy adds where there is one."""
        return {"Origin": self.server.url, "X-Forwarded-For": DESK}

    def forgive(self) -> None:
        """Every run begins with no wrong tries."""
        with db.transaction() as writing:
            writing.execute(sa.delete(SIGN_IN_LIMITS))

    def count(self, table: Any, *where: Any) -> int:
        """Rows of a table."""
        with self.engine.connect() as line:
            return line.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one()

    def audited(self, username: str) -> int:
        """Events of one person."""
        who = sa.select(ACCOUNTS.c.id).where(ACCOUNTS.c.username == username).scalar_subquery()
        return self.count(AUDIT_EVENTS, AUDIT_EVENTS.c.actor_id == who)

    def rows(self) -> Counter[str]:
        """How many rows each table has, without the desks' own events."""
        names = [name for name in sa.inspect(self.engine).get_table_names() if not name.startswith("patients_search")]
        found = Counter({name: self.count(sa.table(name)) for name in names})
        found["audit_events"] -= sum(self.audited(name) for name in DESKS)
        return found

    def _processes(self) -> Iterator[tuple[int, list[str]]]:
        assert self.server._process is not None
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.server._process.pid:  # its session
                    yield int(stat.parent.name), fields

    def memory(self) -> float:
        """MiB of the server's processes."""
        return sum(int(fields[21]) for _, fields in self._processes()) * resource.getpagesize() / 2**20

    def worked(self) -> dict[int, int]:
        """Process → its processor ticks."""
        return {pid: int(fields[11]) + int(fields[12]) for pid, fields in self._processes()}

    def sign_in(self, desk: httpx.Client, username: str) -> bool:
        """Whether somebody at a desk gets in with the right password."""
        form = {"username": username, "password": DEMO_PASSWORD}
        with contextlib.suppress(httpx.TransportError):
            return desk.post(routes.STAFF_SIGN_IN, data=form).status_code == 303
        return False


@functools.cache
def _hashed() -> str:
    return crypto.hash_password(DEMO_PASSWORD, cost=COST)


class Ground:
    """Where servers get their databases: SQLite's are copies of a file, PostgreSQL's of a database."""

    def __init__(self, folder: Path, *, postgres: bool) -> None:
        self._folder, self.postgres, self._number = folder, postgres, itertools.count()
        self._name = f"clinic_siege_{secrets.token_hex(4)}"
        self._admin = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT") if postgres else None
        self._redis = _free_redis() if postgres else ""

    def _statement(self, statement: str) -> None:
        assert self._admin is not None
        with self._admin.connect() as line:
            line.exec_driver_sql(statement)

    def _settings(self, hops: int, database: str) -> dict[str, str]:
        settings = {"CLINIC_BCRYPT_COST": str(COST), "CLINIC_LOG_LEVEL": "ERROR", "CLINIC_API_RATE_FACTOR": "1"}
        settings["CLINIC_TRUSTED_PROXY_HOPS"] = str(hops)
        if self.postgres:
            url = sa.make_url(POSTGRES).set(database=database).render_as_string(hide_password=False)
            settings |= {"CLINIC_DATABASE_URL": url, "CLINIC_REDIS_URL": self._redis, "CLINIC_WORKERS": "2"}
        return settings

    def _make_model(self, server: Server) -> None:
        model = f"{self._name}_model"
        self._statement(f'CREATE DATABASE "{model}"')
        url = sa.make_url(POSTGRES).set(database=model).render_as_string(hide_password=False)
        before, server.env = server.env, {**server.env, "CLINIC_DATABASE_URL": url}
        for command in ("build", "migrate", "demo"):
            server.run(command)
        server.env = before

    @contextlib.contextmanager
    def server(self, hops: int) -> Iterator[Server]:
        """A server with the demo clinic, not started yet."""
        number = next(self._number)
        folder, name = self._folder / str(number), f"{self._name}_{number}"
        folder.mkdir()
        server = Server(folder, **self._settings(hops, name))
        try:
            served = server.env
            server.env = {**served, "CLINIC_API_RATE_FACTOR": "0", "CLINIC_BCRYPT_COST": "4"}  # of invented people
            if not self.postgres:
                server.prepare()
            else:
                if not number:
                    self._make_model(server)
                self._statement(f'CREATE DATABASE "{name}" TEMPLATE "{self._name}_model"')
            server.env = served
            yield server
        finally:
            server.stop()
            if self.postgres:
                redis.Redis.from_url(self._redis).flushdb()

    def close(self) -> None:
        """Remove the databases."""
        if self._admin is not None:
            for number in (*range(next(self._number)), "model"):
                self._statement(f'DROP DATABASE IF EXISTS "{self._name}_{number}" WITH (FORCE)')
            self._admin.dispose()


def _free_redis() -> str:
    """A database of Redis with nothing in it."""
    used: Any = redis.Redis.from_url(REDIS).info("keyspace")
    free = next(number for number in range(9, -1, -1) if f"db{number}" not in used)
    return f"{REDIS.rpartition('/')[0]}/{free}"


@contextlib.contextmanager
def served(ground: Ground, hops: int, *, mail: bool = False) -> Iterator[Clinic]:
    """A clinic for as long as the block lasts."""
    with ground.server(hops) as server:
        server.env |= {"CLINIC_SMTP_HOST": "127.0.0.1", "CLINIC_SMTP_PORT": "9"} if mail else {}
        engine = db.make_engine(server.database_url)
        db.bind(engine)
        os.environ["CLINIC_PORT"] = str(server.port)  # tokens say whose they are
        get_settings.cache_clear()
        try:
            clinic = Clinic(server, engine)
            clinic.people()
            server.start()
            yield clinic
        finally:
            server.stop()
            db.use(None)
            engine.dispose()


# --- measuring ----------------------------------------------------------------------------------------------------


@dataclass
class Searches:
    """Milliseconds of each search, and what came in place of an answer."""

    taken: list[float] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)

    def add(self, more: Searches) -> None:
        """Those of some more time."""
        self.taken += more.taken
        self.lost += more.lost

    @property
    def p95(self) -> float:
        """Of all; one that was not answered counts as half a minute."""
        taken = sorted([*self.taken, *[30_000.0] * self.lost.total()])
        return taken[min(len(taken) - 1, int(0.95 * len(taken)))]


def searching(clinic: Clinic, desks: dict[str, str], seconds: float) -> Searches:
    """All desks at once, each every ``EVERY`` seconds."""
    found, begun = Searches(), time.monotonic()

    def desk(number: int, access: str) -> None:
        headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json", "X-Forwarded-For": DESK}
        line, terms = http.client.HTTPConnection(DESK, clinic.server.port, timeout=30), itertools.cycle(TERMS)
        due = begun + EVERY * number / len(desks)
        while due < begun + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due + EVERY, time.monotonic())
            body = json.dumps({"q": next(terms), "page_size": 20})
            sent = time.monotonic()
            try:
                line.request("POST", "/api/v1/patients/search/", body, headers)
                answer = line.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                line.close()
                found.lost[type(error).__name__] += 1
                continue
            if answer.status == 200:
                found.taken.append((time.monotonic() - sent) * 1000)
            else:
                found.lost[str(answer.status)] += 1
        line.close()

    threads = [threading.Thread(target=desk, args=(number, access)) for number, access in enumerate(desks.values())]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return found


class Attacker:
    """A process that attacks, and the last it told."""

    def __init__(self, row: str, told: dict[str, Any]) -> None:
        self.answers: dict[str, int] = {}
        self._begun = threading.Event()
        command = [sys.executable, str(ROOT / "bench" / "attacks.py"), row]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        threading.Thread(target=self._listen, daemon=True).start()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told))
        self._process.stdin.close()
        self._begun.wait(120)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):  # half a line of one that was killed
                self.answers = json.loads(line)
            self._begun.set()

    def end(self) -> dict[str, int]:
        """Have it end; what it was answered."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        time.sleep(0.1)
        return dict(self.answers)


@contextlib.contextmanager
def meanwhile(clinic: Clinic, row: str, leaver: int) -> Iterator[Counter[str]]:
    """What the clinic does while it is attacked, and what came of it."""
    over, found = threading.Event(), Counter[str]()
    portal = ACCOUNTS.c.role == Role.PATIENT
    left: list[int] = []

    def go() -> None:
        if row == "6":
            while not over.wait(0.5):
                clinic.newcomers(1)
                found["patients registered"] += 1
        if row == "11":
            before = clinic.count(ACCOUNTS, portal)
            begun = time.monotonic()
            while clinic.count(ACCOUNTS, portal) < before + 3 and time.monotonic() < begun + 30 and not over.is_set():
                time.sleep(0.05)
            staff.disable_staff(access.SYSTEM, leaver)
            left.append(clinic.count(ACCOUNTS, portal))
            found["accounts made before"] = left[0] - before

    work = threading.Thread(target=go)
    work.start()
    try:
        yield found
    finally:
        over.set()
        work.join()
        if left:
            found[LATE] = clinic.count(ACCOUNTS, portal) - left[0]


@dataclass
class Run:
    """What was measured once."""

    idle: float
    under: float
    locked_out: int
    memory: float
    grown: Counter[str]
    answers: Counter[str]
    lost: Counter[str]


@dataclass
class Row:
    """One line of the table."""

    row: str
    runs: list[Run]

    def median(self, name: str) -> float:
        """Of all runs."""
        return statistics.median(getattr(run, name) for run in self.runs)

    @property
    def goal(self) -> float:
        """Milliseconds."""
        return max(TIMES * self.median("idle"), MILLISECONDS)

    @property
    def answers(self) -> Counter[str]:
        """Of all runs."""
        return sum((run.answers for run in self.runs), Counter())

    def not_shown(self) -> str:
        """Why this says nothing, if it says nothing."""
        return next((missing for run in self.runs if (missing := RULES[self.row].missing(run.answers))), "")

    def wrong(self) -> list[str]:
        """What does not hold, in words."""
        rule, found = RULES[self.row], []
        if self.median("under") > self.goal:
            found.append("slow")
        if any(run.locked_out for run in self.runs):
            found.append("locked out")
        if (memory := max(run.memory for run in self.runs)) >= MEMORY:
            found.append(f"{memory:.0f} MiB")
        if (rows := max(run.grown.total() for run in self.runs)) > rule.rows:
            found.append(f"{rows} rows, of {rule.rows}")
        found += [f"answered {one}" for one in self.answers if one.startswith(rule.never or ("never",))]
        return found + sorted({text for run in self.runs if (text := rule.also(run.answers))})

    @property
    def holds(self) -> bool:
        """Whether it was shown, and all goals are met."""
        return not self.not_shown() and not self.wrong()

    def __str__(self) -> str:
        """A line of the table, in Markdown."""
        grown = max((run.grown for run in self.runs), key=Counter.total)
        shown, wrong = self.not_shown(), self.wrong()
        verdict = f"not shown: {shown}" if shown else f"**no**: {', '.join(wrong)}" if wrong else "yes"
        lost = sum((run.lost for run in self.runs), Counter())
        cells = [
            self.row, what(self.row), f"{self.median('idle'):.0f}", f"{self.median('under'):.0f}", f"{self.goal:.0f}",
            str(max(run.locked_out for run in self.runs)), f"{max(run.memory for run in self.runs):.0f}",
            _several(grown, 3) or "none", _several(self.answers, 4) or "none", verdict,
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |" + (f" searches lost: {_several(lost, 4)}" if lost else "")


HEAD = """\
| | what is done | idle p95, ms | under attack | goal | locked out | MiB more | rows more | answers | holds |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def _several(found: Counter[str], most: int) -> str:
    return ", ".join(f"{many:,} × {name}" for name, many in found.most_common(most))


def once(clinic: Clinic, row: str, seconds: float, desks: dict[str, str], known: dict[str, httpx.Client]) -> Run:
    """Idle, and under attack."""
    clinic.forgive()
    number, leaver = clinic.administrator()
    told = {
        "port": clinic.server.port, "seconds": LONGER * (seconds + 30), "cookie": clinic.token("insider"),
        "access": clinic.access("insider"), "admin": clinic.access(leaver), "password": DEMO_PASSWORD,
        "without": clinic.newcomers(20) if row == "11" else [],
        "patients": clinic.newcomers(DIALOGS) if row == "8" else [],
    }  # fmt: skip
    searching(clinic, desks, 1.5)  # warm up
    ticks = clinic.worked()
    idle = searching(clinic, desks, min(seconds, 8))
    if (busy := sum(more - ticks.get(pid, 0) > 5 for pid, more in clinic.worked().items())) < int(
        clinic.server.env.get("CLINIC_WORKERS", "1")
    ):
        raise SystemExit(f"Only {busy} workers answered the desks.")
    rows, memory, insider, patients = clinic.rows(), clinic.memory(), clinic.audited("insider"), clinic.count(PATIENTS)
    with meanwhile(clinic, row, number) as done:
        attacker = Attacker(row, told)
        time.sleep(0.5)
        under = searching(clinic, desks, seconds)
        for _ in range(LONGER - 1):  # one that gets little of a busy machine's time has more of it
            if not RULES[row].missing(Counter(attacker.answers) + done):
                break
            under.add(searching(clinic, desks, seconds))
        answers = Counter(attacker.end())
    answers.update(done)
    if row == "8":
        answers[RECORDED] = clinic.audited("insider") - insider
    grown = clinic.rows() - rows
    grown -= Counter(
        {name: OF_A_PATIENT * (clinic.count(PATIENTS) - patients) for name in grown}
    )  # the desk's own work
    locked = sum(not clinic.sign_in(desk, who) for who, desk in known.items())
    return Run(idle.p95, under.p95, locked, clinic.memory() - memory, grown, answers, under.lost)


def measure(ground: Ground, row: str, seconds: float, runs: int) -> Row:
    """A server, and ``runs`` times idle and under attack."""
    rule = RULES[row]
    with served(ground, rule.hops, mail=rule.mail) as clinic, contextlib.ExitStack() as stack:
        browser = functools.partial(httpx.Client, base_url=clinic.server.url, headers=clinic.at_desk(), timeout=60)
        known = {who: stack.enter_context(browser()) for who in ("receptionist", "clinician")}
        for who, desk in known.items():
            if not clinic.sign_in(desk, who):
                raise SystemExit(f"{who} cannot sign in before the attack")
        desks = {who: clinic.access(who) for who in DESKS}
        return Row(row, [once(clinic, row, max(seconds, rule.seconds), desks, known) for _ in range(runs)])


def main() -> None:
    """Serve, attack, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", default=",".join(RULES), help="attacks, by number; or flood")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--seconds", type=float, default=8, help="of each attack; the flood takes 20 at least")
    options.add_argument("--postgres", action="store_true", help="PostgreSQL, Redis and two workers")
    given = options.parse_args()
    wanted = given.rows.split(",")
    if unknown := set(wanted) - set(RULES):
        options.error(f"unknown rows: {', '.join(sorted(unknown))}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing stays behind
    print(HEAD, flush=True)
    held = True
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder), postgres=given.postgres)
        try:
            for row in wanted:
                found = measure(ground, row, given.seconds, given.runs)
                print(found, flush=True)
                held = held and found.holds
        finally:
            ground.close()
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
