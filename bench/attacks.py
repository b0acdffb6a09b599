"""The attacks of ``bench/siege.py``, each by its number: a process of its own, of the lowest priority.

``python bench/attacks.py ROW`` reads a ``Target`` on standard input and attacks the loopback for so many seconds. A
line twice a second, and one at the end, says what it was answered so far: whoever is killed has told.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import resource
import selectors
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from desk import DIALOG, LIST, TERMS

from clinic_app.core import routes
from tests.browser.sockets import HYDRATE, Tab

MOST = 20_000  # requests, connections or events of one attack
PATIENCE = 20  # seconds for one answer
DESK, STRANGER = "127.0.0.1", "127.0.0.2"  # all of 127.0.0.0/8 is this machine
HELD = 1200  # connections
EVENTS = 12_000  # on one socket
DIALOGS = 40
MARKS = "a" + "\u0301" * 60_000 + "\u0316" * 60_000
SIGNS = ("p4ssw0rd@8({[<3691!|7$5+%2" * 4)[:87]


@dataclass
class Target:
    """What the attacker knows, and what it was answered."""

    port: int
    seconds: float
    cookie: str  # of a receptionist who is not at a desk that is measured
    access: str  # an API token of the same
    admin: str  # an API token of an administrator, who is turned off while the attack goes on
    password: str  # of everybody here
    patients: list[str]  # their patient IDs
    without: list[str]  # those who may be given portal accounts
    host: str = DESK
    until: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)

    def over(self) -> bool:
        """Whether time or number is up."""
        return time.time() > self.until or self.answers.total() >= MOST

    def ask(self, line: Any, method: str, path: str, body: bytes | None = None,
            *, source: str = STRANGER, mark: str = "", **headers: str) -> Any:  # fmt: skip
        """One request; the connection to go on with."""
        line = line or http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE, source_address=(source, 0))
        plain = {"Origin": f"http://localhost:{self.port}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        try:
            line.request(method, path, body, plain)
            answer = line.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            line.close()
            self.answers[type(error).__name__] += 1
            time.sleep(0.01)
            return None
        self.answers[f"{answer.status}{mark}"] += 1
        return line

    def json(self, line: Any, path: str, sent: dict[str, Any], method: str = "POST", **more: str) -> Any:
        """Send an object."""
        body = json.dumps(sent, ensure_ascii=False).encode()
        return self.ask(line, method, path, body, Content_Type="application/json", **more)

    def sign_in(self, line: Any, username: str, password: str, **more: str) -> Any:
        """Post the staff's form."""
        body = urlencode({"username": username, "password": password}).encode()
        kind = "application/x-www-form-urlencoded"
        # as a browser that has been there before: without any cookie the form is not looked at
        return self.ask(line, "POST", routes.STAFF_SIGN_IN, body, Content_Type=kind, Cookie="seen=1", **more)

    def bearer(self) -> dict[str, Any]:
        """The headers of the receptionist."""
        return {"Authorization": f"Bearer {self.access}"}

    def own(self) -> str:
        """The receptionist's Cookie header."""
        return f"clinic_session={self.cookie}"


def together(many: int, target: Target, once: Callable[[Any, int], Any], every: float = 0.0) -> None:
    """``once(connection, number)`` by ``many`` threads again and again, each every so many seconds."""
    numbers = itertools.count()

    def go(first: float) -> None:
        time.sleep(first)
        line = None
        while not target.over():
            begun = time.monotonic()
            line = once(line, next(numbers))
            time.sleep(max(0.0, every - (time.monotonic() - begun)))

    threads = [threading.Thread(target=go, args=(every * one / many,), daemon=True) for one in range(many)]
    for one in threads:
        one.start()
    while any(one.is_alive() for one in threads) and time.time() < target.until + 1:
        time.sleep(0.05)


def somewhere(number: int) -> str:
    """Another address of this machine each time."""
    return f"127.{18 + number // 65_536 % 2}.{number // 256 % 256}.{number % 254 + 1}"


# --- strangers ----------------------------------------------------------------------------------------------------


def row_1(target: Target) -> None:
    """240 kB of stacked marks as a username, a password and a search term"""

    def once(line: Any, number: int) -> Any:
        if number % 3 == 2:
            return target.json(line, "/api/v1/patients/search/", {"q": MARKS}, **target.bearer())
        sent = {"username": MARKS, "password": "x"} if number % 3 else {"username": "x", "password": MARKS}
        return target.json(line, "/api/v1/auth/login/", sent)

    together(4, target, once)


def _held(target: Target, said: bytes) -> None:
    """Keep ``HELD`` connections that have said no more than this; those that end are opened again."""
    with selectors.DefaultSelector() as waiting:
        while not target.over():
            if len(waiting.get_map()) < HELD:
                try:
                    line = socket.create_connection((target.host, target.port), 5, (STRANGER, 0))
                    line.sendall(said)
                    line.setblocking(False)
                    waiting.register(line, selectors.EVENT_READ)
                    target.answers["opened"] += 1
                except OSError as error:
                    target.answers[type(error).__name__] += 1
                    time.sleep(0.02)
            for key, _ in waiting.select(0 if len(waiting.get_map()) < HELD else 0.05):
                told = b""
                with contextlib.suppress(OSError):
                    told = key.fileobj.recv(4096)  # type: ignore[union-attr]
                target.answers[told[9:12].decode("ascii", "replace") or "ended without a word"] += 1
                waiting.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]


def row_2(target: Target) -> None:
    """1,200 connections that announce a megabyte and send one byte of it"""
    head = f"POST {routes.STAFF_SIGN_IN} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\nContent-Length: 1000000\r\n"
    _held(target, f"{head}Origin: http://localhost:{target.port}\r\n\r\nx".encode())


def row_2b(target: Target) -> None:
    """1,200 connections that say nothing"""
    _held(target, b"")


def row_3(target: Target) -> None:
    """Wrong passwords for the desk's own account, from twenty addresses"""

    def once(line: Any, n: int) -> Any:
        return target.sign_in(line, "receptionist", f"wrong {n}", source=f"127.0.0.{n % 20 + 2}")

    together(20, target, once, 1)


def row_4(target: Target) -> None:
    """Each try from another address of one IPv6 /64, with another name"""

    def once(line: Any, n: int) -> Any:
        return target.sign_in(line, f"robot{n}", "wrong", X_Forwarded_For=f"2001:db8:1:1::{n % 65_000:x}")

    together(8, target, once, 0.05)


def row_4b(target: Target) -> None:
    """Wrong names and passwords from the clinic's own address"""
    together(8, target, lambda line, n: target.sign_in(line, f"robot{n}", "wrong", source=DESK), 0.05)


def row_9(target: Target) -> None:
    """Addresses that ask who is there, by nobody"""
    paths = (routes.TWO_FACTOR, routes.SESSION_ALIVE, "/api/v1/patients/", "/api/v1/audit/", "/patients")
    together(8, target, lambda line, n: target.ask(line, "GET", paths[n % 5]))


def row_10(target: Target) -> None:
    """New names from an address that is blocked already"""
    together(8, target, lambda line, n: target.sign_in(line, f"name{n}", "wrong"))


def row_18(target: Target) -> None:
    """Handshakes of the event socket, by nobody"""
    hand: dict[str, Any] = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    hand["Sec_WebSocket_Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    path = "/_event/?EIO=4&transport=websocket&token="
    together(8, target, lambda line, n: target.ask(line, "GET", f"{path}{n:032x}", **hand))


def row_flood(target: Target) -> None:
    """50 sign-ins a second, each with another name from another address"""

    def once(_: Any, n: int) -> None:
        line = target.sign_in(None, f"flood{n}", "wrong", source=somewhere(n))
        if line is not None:
            line.close()

    together(200, target, once, 4.0)


# --- people who are signed in, at the desks' own address ----------------------------------------------------------


def row_5(target: Target) -> None:
    """The meter of password strength, 40 at once, with 87 crafted bytes"""
    own: dict[str, Any] = {"Cookie": target.own(), "source": DESK}
    together(40, target, lambda line, _: target.json(line, routes.PASSWORD_STRENGTH, {"password": SIGNS}, **own))


def _tabs(target: Target, use: Callable[[Any], Any]) -> None:
    """One tab after the other, each used until it is over or ended."""

    async def go() -> None:
        async with Tab(f"http://localhost:{target.port}", cookie=target.own()) as tab:
            tab.on("too_much", lambda: target.answers.update(["told: too much"]))
            target.answers["sockets"] += 1
            await use(tab)
            while not target.over() and tab.connected():
                tab.messages.clear()
                await asyncio.sleep(0.02)
            if not tab.connected():
                target.answers["sockets ended"] += 1

    while not target.over():
        try:
            asyncio.run(go())
        except Exception as error:
            target.answers[f"sockets refused ({type(error).__name__})"] += 1
        time.sleep(0.1)


def row_6(target: Target) -> None:
    """12,000 events on one socket, each of which begins to watch for changes; patients are registered meanwhile"""

    async def use(tab: Any) -> None:
        for number in range(EVENTS):
            if target.over() or not tab.connected():
                return
            await tab.send(f"{LIST}.watch", {}, path="/patients")
            target.answers["events"] += 1
            if number % 50 == 0:
                await asyncio.sleep(0)

    _tabs(target, use)


def row_7(target: Target) -> None:
    """List pages of a hundred and searches, as fast as they come"""

    def once(line: Any, number: int) -> Any:
        inside: dict[str, Any] = {"source": DESK, **target.bearer()}
        if number % 2:
            path = f"/api/v1/patients/?page_size=100&search={TERMS[number % 10]}"
            return target.ask(line, "GET", path, mark=" to searches", **inside)
        return target.ask(line, "GET", "/api/v1/patients/?page_size=100", mark=" to pages", **inside)

    together(8, target, once)


def row_8(target: Target) -> None:
    """The portal dialog of 40 patients, one after the other, again and again"""
    seen: set[str] = set()

    async def use(tab: Any) -> None:
        await tab.send(HYDRATE)
        await tab.settled(PATIENCE)
        for number in itertools.cycle(target.patients[:DIALOGS]):
            if target.over() or not tab.connected():
                return
            tab.messages.clear()
            await tab.send(f"{DIALOG}.ask_for", {"patient_id": number}, path="/patients")
            target.answers["events"] += 1
            await tab.settled(PATIENCE)
            if f'"for_patient_rx_state_":"{number}"' in tab.text().replace(" ", "") and number not in seen:
                seen.add(number)
                target.answers["patients shown"] += 1

    _tabs(target, use)


def row_11(target: Target) -> None:
    """Portal accounts in bulk by an administrator who is turned off meanwhile"""
    headers = {"Authorization": f"Bearer {target.admin}", "source": DESK}

    def once(line: Any, _: int) -> Any:
        return target.json(line, "/api/v1/patients/bulk-create-portal/", {"patient_ids": target.without}, **headers)

    together(4, target, once, 0.2)


def row_12(target: Target) -> None:
    """Eight sign-ins at once with the right password"""
    sent = {"username": "program", "password": target.password}
    together(8, target, lambda line, _: target.json(line, "/api/v1/auth/login/", sent, source=DESK))


def row_14(target: Target) -> None:
    """Half-filled forms of patients there are not, 80 kB each"""
    own = {"Cookie": target.own(), "source": DESK}
    fields = {f"f{one}": "x" * 2000 for one in range(40)}

    def once(line: Any, n: int) -> Any:
        path = f"/auth/draft/profile-LMC{n + 100_000}-contact"
        return target.json(line, path, {"instance": f"{n:032x}", "fields": fields}, "PUT", **own)

    together(4, target, once)


def _form(target: Target, line: Any, path: str, fields: dict[str, str]) -> Any:
    """A form of ours, as a page sends it, by nobody."""
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "clinic_probe=1"}
    return target.ask(line, "POST", path, urlencode(fields).encode(), **sent)


def row_19(target: Target) -> None:
    """Codes of links that there are not, with a password to be hashed"""

    def once(line: Any, n: int) -> Any:
        password = {"new_password": f"violet harbour {n}", "confirm_password": f"violet harbour {n}"}
        return _form(target, line, routes.ACTIVATE, {"code": f"{n:012d}", **password})

    together(8, target, once)


def row_20(target: Target) -> None:
    """Forgotten passwords of everybody there may be"""
    together(8, target, lambda line, n: _form(target, line, routes.FORGOT, {"email": f"name{n}@example.org"}))


def row_21(target: Target) -> None:
    """The meter of password strength of links, 40 at once, with 87 crafted bytes"""
    sent = {"password": SIGNS}
    together(40, target, lambda line, n: target.json(line, routes.LINK_STRENGTH, {"code": f"{n:012d}", **sent}))


def row_22(target: Target) -> None:
    """Passkeys that nobody has, asked for without end"""
    together(8, target, lambda line, _: target.json(line, routes.PASSKEY_CHALLENGE, {}))


WORK: dict[str, Callable[[Target], None]] = {
    name.removeprefix("row_"): work for name, work in list(globals().items()) if name.startswith("row_")
}


def what(row: str) -> str:
    """The attack in words."""
    return (WORK[row].__doc__ or "").strip()


def main() -> None:
    """Run one attack in this process."""
    os.nice(19)
    most = min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    target = Target(**json.loads(sys.stdin.read()))
    if target.host != DESK:
        raise SystemExit("This attacks the loopback only.")
    work = WORK[sys.argv[1]]
    target.until = time.time() + target.seconds
    signal.signal(signal.SIGTERM, lambda *_: setattr(target, "until", 0.0))
    told = threading.Lock()

    def tell() -> None:
        with told:
            print(json.dumps(dict(target.answers)), flush=True)

    def tell_again() -> None:
        while True:
            time.sleep(0.5)
            tell()

    tell()
    threading.Thread(target=tell_again, daemon=True).start()
    work(target)
    tell()
    os._exit(0)  # threads that still wait for an answer need not


if __name__ == "__main__":
    main()
