"""A clinic under attack: people with recognisable details, and every way in that the walk tries."""

from __future__ import annotations

import functools
import html
import json
import operator
import pickle
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NamedTuple

import httpx

from clinic_app.models.accounts import Role
from clinic_app.services.patients.views import Registered
from tests import factories
from tests.browser.serving import Server, bound
from tests.browser.sockets import ROOT_STATE

#: Parts of everything personal about the first patient, about the second, and of the staff's names.
ALPHA, BRAVO, STAFF = "alphaq", "bravoq", "staffq"
SEARCHED = "kanariasearch"
#: Settings of a server at which thousands of events are tried: the budget is not what is tested.
ROOM = {"CLINIC_EVENTS_PER_SECOND": "10000"}
#: Tables in which a refused attempt is recorded: what it writes there is no change.
RECORDS = ("audit_events", "audit_head", "refusal_counts")
#: The states that pages fire events at, by what they hold.
STATES = f"{ROOT_STATE}.clinic_app___ui___"
REGISTER = f"{STATES}registration___state____registration_state"
LIST = f"{STATES}patients___state____patient_list_state"
BAR = f"{STATES}frame___state____search_state"
DIALOG = f"{STATES}portal_dialog___state____portal_dialog_state"
PROFILE = f"{STATES}profile___state____profile_state"
ACCOUNTS = f"{STATES}staff_accounts___state____staff_accounts_state"
AUDIT = f"{STATES}audit_trail___state____audit_trail_state"


def personal(marker: str, digits: str) -> dict[str, str]:
    """A registration each of whose values holds ``marker``, or these digits."""
    return {
        "first_name": f"Kanaria{marker}",
        "last_name": f"Last{marker}",
        "date_of_birth": "14/3/1988",
        "gender": "FEMALE",
        "phone": f"0712 {digits}",
        "email": f"mail.{marker}@example.org",
        "national_id": f"NAT-{marker}",
        "address": f"1 {marker} Road",
        "next_of_kin_name": f"Kin {marker}",
        "next_of_kin_phone": f"0722 {digits}",
    }


def marks_in(text: str, *markers: str) -> set[str]:
    """Which of ``markers`` ``text`` gives away; phone numbers count for their owner."""
    plain = text.lower().replace(" ", "")
    digits = {ALPHA: ("712410001", "722410001"), BRAVO: ("712420002", "722420002")}
    return {one for one in markers if one in plain or any(number in plain for number in digits.get(one, ()))}


def visitor(server: Server) -> httpx.Client:
    """A client on a page of ours that keeps connections, but no cookie it is given. For any thread."""
    forgetful = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.Client(base_url=server.url, headers={"Origin": server.url}, cookies=forgetful, timeout=30)


def said(answer: httpx.Response) -> str:
    """The sentence of the red note on a plain page; empty where there is none."""
    found = re.search(r'<div class="note bad" role="alert">.*?<p>(?:<bdi>)?(.*?)(?:</bdi>)?</p>', answer.text, re.S)
    return html.unescape(found[1]) if found else ""


class Refusal(NamedTuple):
    """What one event of the trail says of refusals: of one, or of ``count`` that were counted."""

    role: str
    outcome: str
    permission: str
    count: int
    counted: bool


@dataclass
class Target:
    """The server, its people, and a session cookie for each kind of caller."""

    server: Server
    alpha: Registered
    bravo: Registered
    secrets: list[str] = field(default_factory=list)  # what no log may hold

    def sign_in(self, username: str) -> str:
        """A fresh session of somebody, as the value of its cookie."""
        with bound(self.server):
            token = self.server.open_session(username)
        self.secrets.append(token)
        return token

    def look(self, what: str) -> Any:
        """Into the server, where it has a window: ``tests.security.looking_in``; into all of its workers together."""
        told = dict[str, Any]()
        until = time.monotonic() + 30
        while len(told) < int(self.server.env.get("CLINIC_WORKERS", "1")):
            assert time.monotonic() < until, "one worker never answers"
            answer = httpx.get(f"{self.server.url}/looking-in/{what}", timeout=30)
            told[answer.headers["x-worker"]] = pickle.loads(answer.content)
        first, *others = told.values()
        return functools.reduce(operator.or_ if isinstance(first, dict) else operator.add, others, first)

    def refusals(self) -> list[Refusal]:
        """All in the audit trail, oldest first, with those that the server has only counted so far."""
        self.look("refusals")
        told = [(*row[:2], json.loads(row[3])) for row in self.server.audit("ACCESS_DENIED")]
        return [
            Refusal(role, outcome, more["permission"], more.get("count", 1), "count" in more)
            for role, outcome, more in told
        ]


@contextmanager
def target(server: Server) -> Iterator[Target]:
    """Fill and serve a clinic for attacking."""
    server.prepare(people=False)
    with bound(server):
        for role in (Role.ADMIN, Role.RECEPTIONIST, Role.CLINICIAN):
            factories.make_staff(role, role.lower(), f"{role.title()} {STAFF}")
        factories.make_staff(Role.RECEPTIONIST, "disabled", f"Disabled {STAFF}")
        factories.make_staff(Role.RECEPTIONIST, "demoted", f"Demoted {STAFF}")
        desk = factories.make_staff(Role.RECEPTIONIST, "second", f"Second {STAFF}")
        alpha = factories.make_patient(desk, **personal(ALPHA, "410001"), portal_email=f"portal.{ALPHA}@example.org")
        bravo = factories.make_patient(desk, **personal(BRAVO, "420002"), portal_email=f"portal.{BRAVO}@example.org")
        new = factories.make_patient(desk, first_name="Newcomer", portal_email="newcomer@example.org")
        without = factories.make_patient(desk, first_name="Without")
        assert alpha.credentials is not None
        assert bravo.credentials is not None
        assert new.credentials is not None
        assert without.credentials is None
        factories.own_password(alpha)
        factories.own_password(bravo)
    server.start()
    passwords = [one.credentials.temporary_password for one in (alpha, bravo, new)]
    yield Target(server, alpha, bravo, [*passwords, factories.PASSWORD, factories.OWN_PASSWORD])
    server.stop()
