"""The page a patient card is printed from: who gets it, what it says, and that a scan finds the record."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest
from fastapi import Request

from clinic_app.core import cookies, db, routes
from clinic_app.models.accounts import Account
from clinic_app.services.accounts import sessions
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.search import list_patients
from clinic_app.web import app, way_back
from tests import factories, scanner
from tests.db import tools


async def _get(actor, patient_id: str) -> httpx.Response:
    """The page as ``actor``'s browser gets it."""
    cookie = {}
    if actor is not None:
        with db.transaction() as session:
            account = session.get(Account, actor.account_id)
            assert account is not None
            token, _ = sessions.open_session(session, account)
        cookie = {cookies.session_name(): token}
    transport = httpx.ASGITransport(app=app.create_web())
    async with httpx.AsyncClient(transport=transport, base_url="http://desk", cookies=cookie) as http:
        return await http.get(routes.patient_card(patient_id))


async def test_it_says_who_it_is_and_a_scan_of_its_code_finds_that_record_alone(people):
    first = factories.make_patient(people.receptionist, first_name="<b>Amina</b>", date_of_birth="14/3/1988").patient
    factories.make_patient(people.receptionist, first_name="Another")
    before = tools.last_seq()
    answer = await _get(people.clinician, first.patient_id)
    assert answer.status_code == 200
    assert "<b>Amina" not in answer.text
    assert f'<h2 dir="auto">{first.name}</h2>' in unescape(answer.text)
    assert "<p>Born <bdi>14 Mar 1988</bdi></p>" in answer.text
    assert f'<p class="pid"><bdi>{first.patient_id}</bdi></p>' in answer.text
    picture = unescape(re.findall(r'<img class="qr" src="([^"]+)"', answer.text)[0])
    scanned = scanner.read(picture)
    assert scanned == first.patient_id
    assert [one.id for one in list_patients(people.receptionist, PatientQuery(term=scanned)).items] == [first.id]
    looks = tools.trail("PATIENT_VIEWED", after=before)
    assert [(row["actor_id"], row["resource_id"]) for row in looks] == [(people.clinician.account_id, first.id)]


async def test_nobody_is_led_to_sign_in_and_a_patient_gets_nobodys_not_even_their_own(people):
    number = tools.raw("SELECT patient_id FROM patients WHERE id = :id", id=people.patient.patient_id)[0][0]
    answer = await _get(None, number)
    assert (answer.status_code, answer.headers["location"]) == (303, routes.STAFF_SIGN_IN)
    kept = Request({"type": "http", "headers": [(b"cookie", answer.headers["set-cookie"].encode())]})
    assert way_back.page_for(kept, people.receptionist) == routes.patient_card(number)
    answer = await _get(people.patient, number)
    assert answer.status_code == 403
    assert "Only staff can see patients." in answer.text
    assert tools.trail()[-1]["action"] == "ACCESS_DENIED"


@pytest.mark.parametrize("number", ["LMC999999", "new", "x" * 500, "%00", "é", "..", "LMC 1"])
async def test_without_such_a_patient_it_says_so_and_leaves_no_look(people, number):
    before = tools.last_seq()
    answer = await _get(people.receptionist, number)
    assert answer.status_code == 404
    if number != "..":  # the client itself makes another address of it
        assert "No patient has this number." in answer.text
    assert tools.trail("PATIENT_VIEWED", after=before) == []
