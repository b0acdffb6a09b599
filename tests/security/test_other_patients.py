"""A signed-in patient and the ids of somebody else: every answer is the one for an id that nobody has."""

from __future__ import annotations

import json
import re
from collections import Counter
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute

from clinic_app.api.app import create_api
from clinic_app.api.endpoint import Route
from clinic_app.core import routes
from clinic_app.services import access
from clinic_app.services.access import Permission
from clinic_app.services.audit.refusals import EACH
from tests import factories
from tests.browser.sockets import ROOT_STATE, SHOWN, Tab, session
from tests.security.attack import ALPHA, BRAVO, RECORDS, STAFF, Target, marks_in, visitor
from tests.security.handlers import Handler, registry
from tests.security.test_before_handlers import CHANGING

MISSING = 999_999
PATIENT = f"portal.{ALPHA}@example.org"
#: Ways to write an id that might be taken for somebody's.
ODD = (
    -1, 0, 10**30, 2.0, True, None, "", "-2", "+2", "2.0", "0x2", "2e0", "٢", "２", "②", "LMC٠٠٠٠٠٢", "lmc000002",
    " LMC000002", "LMC000002\x00", "LMC%30%30%30%30%30%32", "LMC______", "*", "%", "' OR 1=1 --",
    [2], ["LMC000002"], {"patient_id": "LMC000002"}, {"$ne": 0},
)  # fmt: skip
#: About one's own session and password alone.
APART = {
    routes.SIGN_OUT, routes.SIGN_OUT_EVERYWHERE, routes.STAFF_SIGN_IN, routes.PORTAL_SIGN_IN, routes.SIGN_IN_CODE,
    routes.SIGN_IN_RECOVERY, routes.PASSPHRASE, routes.REAUTHENTICATE, routes.CHANGE_PASSWORD, routes.STAFF_PASSWORD,
    routes.PORTAL_PASSWORD, routes.PORTAL_OWN_PASSWORD, routes.PORTAL_SESSION_END, routes.ACTIVATE, routes.FORGOT,
    routes.LINK_STRENGTH,
}  # fmt: skip


def _ids(attacked: Target) -> list[object]:
    """The second patient's, the first one's own, and those that are none; ``MISSING`` first."""
    both = attacked.bravo.patient, attacked.alpha.patient
    return [MISSING, *[key for one in both for key in (one.id, str(one.id), one.patient_id)], *ODD]


def _in_address(key: object) -> str:
    text = key if isinstance(key, str) else json.dumps(key)
    return quote(text, safe="") or "%20"


# --- the API --------------------------------------------------------------------------------------

STAFF_ROUTES = [
    (method, f"/api{route.path_format}", route.need.permission)
    for route in create_api().router.routes
    if isinstance(route, Route) and route.need is not None and route.need.permission is not None
    for method in sorted(route.methods)
    if route.need.permission not in access.PERMISSIONS["PATIENT"]
]


@pytest.fixture(scope="module")
def bearer(attacked: Target) -> dict[str, str]:
    """The first patient, at the API."""
    with visitor(attacked.server) as http:
        form = {"username": PATIENT, "password": factories.OWN_PASSWORD}
        access_token = http.post("/api/v1/auth/login/", json=form).json()["access"]
    attacked.secrets.append(access_token)
    return {"Authorization": f"Bearer {access_token}"}


def test_every_route_that_names_a_patient_is_tried():
    named = [path for _, path, _ in STAFF_ROUTES if "{id}" in path]
    of_all = [r.path_format for r in create_api().router.routes if isinstance(r, APIRoute) and "{id}" in r.path_format]
    assert len(named) == len(of_all) >= 7


@pytest.mark.parametrize(("method", "path", "permission"), STAFF_ROUTES, ids=lambda value: str(value))
def test_the_api_answers_a_patient_the_same_for_every_id_and_records_each_refusal(
    attacked, bearer, method, path, permission
):
    seen = len(attacked.refusals())
    ids = _ids(attacked) if "{id}" in path else _ids(attacked)[:7]
    answers = set()
    with visitor(attacked.server) as http:
        for key in ids:
            body = {"patient_ids": [key], "q": key, "patient_id": key, "id": key, "portal_email": PATIENT}
            answer = http.request(
                method,
                path.replace("{id}", _in_address(key)),
                params=None if "{id}" in path else {"search": str(key), "patient_id": str(key)},
                headers=bearer,
                json=body if method in {"POST", "PATCH"} else None,
            )
            answers.add((answer.status_code, answer.headers["content-type"], answer.content))
    assert len(answers) == 1, answers
    ((status, _, content),) = answers
    assert (status, set(json.loads(content))) == (403, {"detail"})
    assert marks_in(content.decode(), ALPHA, BRAVO, STAFF) == set()
    made = attacked.refusals()[seen:]
    assert {note[:3] for note in made} == {("PATIENT", "denied", str(permission))}
    assert sum(note.count for note in made) == len(ids)


# --- the event socket -----------------------------------------------------------------------------


def _beyond_a_patient(handler: Handler) -> bool:
    return handler.mark != "public" and (
        handler.mark is None or Permission(handler.mark) not in access.PERMISSIONS["PATIENT"]
    )


def _told(tab: Tab) -> list[str]:
    """What arrived, without what Reflex repeats of the address and without the fences."""
    told = []
    for message in tab.messages:
        found = json.loads(message)
        delta = {name: values for name, values in (found.get("delta") or {}).items() if name != ROOT_STATE}
        delta.pop(SHOWN.rpartition(".")[0], None)
        if delta or found.get("events"):
            told.append(json.dumps([delta, found.get("events")], sort_keys=True))
    return sorted(told)


async def test_the_socket_answers_a_patient_the_same_for_every_id_and_records_each_refusal(attacked):
    handlers = [one for one in registry().ours if _beyond_a_patient(one)]
    assert len(handlers) > 40
    bravo, wanted = attacked.bravo.patient, Counter(str(one.mark or Permission.OWN_SESSION) for one in handlers)
    async with Tab(attacked.server.url, cookie=session(attacked.sign_in(PATIENT))) as tab:
        answers: dict[str, list[str]] = {}
        # once more than is compared: a tab is sent what it holds by then, of nobody, with its first answers
        others = (bravo.id, bravo.patient_id, "٢", 10**30, {"patient_id": bravo.patient_id})
        for key in (MISSING, MISSING, *others):
            tab.messages.clear()
            seen = len(attacked.refusals())
            at = f"/patients/{key}"
            for handler in handlers:
                payload = dict.fromkeys(handler.arguments, key)
                await tab.send(handler.name, payload, path=at, query={"patient_id": key, "id": key})
            await tab.settled(60)
            assert marks_in(tab.text(), BRAVO, STAFF) == set(), key
            made = attacked.refusals()[seen:]
            assert {note[:2] for note in made} == {("PATIENT", "denied")}
            assert sum(note.count for note in made) == wanted.total(), key
            each = Counter(note.permission for note in made if not note.counted)
            assert each <= wanted, key
            if not answers:  # the first: what is counted of a session in a minute is what goes beyond this
                assert each >= Counter({permission: min(EACH, count) for permission, count in wanted.items()})
            answers[repr(key)] = _told(tab)
    assert len(answers[repr(MISSING)]) > 0
    first = Counter(answers[repr(MISSING)])
    for key, told in answers.items():
        assert (Counter(told) - first, first - Counter(told)) == (Counter(), Counter()), key


# --- what the pages post to -----------------------------------------------------------------------


def test_what_the_pages_post_to_answers_a_patient_the_same_for_every_id(attacked):
    apart = (*RECORDS, "login_sessions")
    before = attacked.server.dump(apart)
    headers = {"Cookie": session(attacked.sign_in(PATIENT))}
    keys = ("LMC999999", attacked.bravo.patient.patient_id, attacked.alpha.patient.patient_id)
    drafts = [("PUT", routes.DRAFT.replace("{form}", f"profile-{{id}}-{part}")) for part in ("contact", "details")]
    with visitor(attacked.server) as http:
        for method, path in [*CHANGING, ("GET", routes.TWO_FACTOR), *drafts]:
            if path in APART:
                continue
            answers = set()
            for key in keys:
                form = {"patient": key, "patient_id": key, "id": key, "username": f"portal.{BRAVO}@example.org"}
                answer = http.request(method, path.replace("{id}", key), data=form, headers=headers)
                said = re.sub(rb'"seconds": ?[\d.]+', b"", answer.content)  # until the session ends, which comes nearer
                answers.add((answer.status_code, answer.headers.get("location"), said))
                assert marks_in(answer.text, BRAVO, STAFF) == set(), path
            assert len(answers) == 1, (path, answers)
    assert attacked.server.dump(apart) == before
