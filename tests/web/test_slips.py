"""The page of slips: who gets it, what it says, once, and that it is kept nowhere."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from clinic_app.core import cookies, crypto, db, routes
from clinic_app.models.accounts import Account
from clinic_app.services.accounts import sessions
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.portal.bulk_choice import Chosen
from clinic_app.services.portal.bulk_runs import start_run, work_on
from clinic_app.web import app
from tests import factories, scanner
from tests.db import tools


async def _post(actor, path: str = routes.PORTAL_SLIPS, **form: str) -> httpx.Response:
    """The answer as ``actor``'s browser gets it."""
    cookie = {}
    if actor is not None:
        with db.transaction() as session:
            account = session.get(Account, actor.account_id)
            assert account is not None
            token, _ = sessions.open_session(session, account)
        cookie = {cookies.session_name(): token}
    transport = httpx.ASGITransport(app=app.create_web())
    async with httpx.AsyncClient(transport=transport, base_url="http://desk", cookies=cookie) as http:
        return await http.post(path, data=form, headers={"Sec-Fetch-Site": "same-origin"})


@pytest.fixture
def run(people, monkeypatch):
    monkeypatch.setattr(crypto, "HASH_THREADS", 1)
    factories.make_patient(people.admin, email="slip@example.org", first_name="<b>Amina</b>")
    started = start_run(people.admin, Chosen())
    work_on(started)
    return str(started)


async def test_it_says_what_opens_the_account_and_is_shown_once(people, run):
    form = {"run_id": run, "which": "all", "intent": "cd" * 16}
    answer = await _post(people.admin, **form)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "<b>Amina" not in answer.text
    page = unescape(answer.text)
    password = "".join(re.findall(r"<span>(\w{4})</span>", page))
    assert len(password) == crypto.TEMPORARY_LENGTH
    assert sign_in(PATIENT_DOOR, "slip@example.org", password)
    picture = re.findall(r'<img class="qr" src="([^"]+)"', page)[0]
    assert scanner.read(picture).endswith(routes.PORTAL_SIGN_IN)
    assert "Use it before <bdi>" in page
    again = await _post(people.admin, **form)
    assert again.status_code == 409
    assert "These slips were made before, and are shown once." in again.text
    assert "slip@example.org" not in again.text
    later = await _post(people.admin, run_id=run, which="all", intent="ef" * 16)
    assert "Nobody is left to print a slip for." in later.text


@pytest.mark.parametrize("who", ["receptionist", "clinician", "patient", None])
async def test_others_get_none(people, run, who):
    answer = await _post(getattr(people, who) if who else None, run_id=run, which="all")
    assert answer.status_code == (403 if who else 303)
    assert "slip@example.org" not in answer.text
    assert tools.trail("PORTAL_PASSWORD_RESET") == []


async def test_junk_makes_none(people, run):
    for form in ({}, {"run_id": "junk", "which": "all"}, {"run_id": str(10**30)}, {"run_id": "-1", "intent": "x"}):
        answer = await _post(people.admin, **form)
        assert "Nobody is left to print a slip for." in answer.text
    assert tools.trail("PORTAL_PASSWORD_RESET") == []


async def test_the_report_comes_as_a_file_to_administrators_alone(people, run):
    for who, status in ((people.admin, 200), (people.receptionist, 403), (people.patient, 403), (None, 303)):
        answer = await _post(who, path=routes.PORTAL_REPORT, run_id=run)
        assert answer.status_code == status
        assert ("slip@example.org" in answer.text) is (status == 200)
    assert len(tools.trail("PORTAL_BULK_REPORT_EXPORTED")) == 1
    for junk in ({}, {"run_id": "junk"}, {"run_id": str(10**30)}):
        assert (await _post(people.admin, path=routes.PORTAL_REPORT, **junk)).status_code == 404
