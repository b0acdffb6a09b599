"""Over HTTP, at the same time, with real commits: exactly one wins, the others are told so, nobody gets a 500."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests import factories
from tests.api.conftest import bearer
from tests.db.tools import number

pytestmark = pytest.mark.races
P = "/api/v1/patients/"


async def at_once(client, paths_and_bodies, headers):
    return await asyncio.gather(*[client.post(path, json=body, headers=headers) for path, body in paths_and_bodies])


async def test_one_email_for_eight_registrations(client, desk):
    body = {"first_name": "Race", "create_portal_account": True, "portal_email": "race@example.org"}
    wanted = [(P, {**body, "last_name": f"N{letter}"}) for letter in "ABCDEFGH"]
    answers = await at_once(client, wanted, bearer(desk))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 400: 7}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {
        "A portal account with this email already exists."
    }
    assert number("SELECT count(*) FROM patients") == 1


async def test_one_patient_for_eight_accounts(client, desk):
    patient = factories.make_patient(desk).patient
    wanted = [(f"{P}{patient.id}/create-portal/", {"email": f"{letter}@example.org"}) for letter in "abcdefgh"]
    answers = await at_once(client, wanted, bearer(desk))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 400: 7}
    winner = next(answer.json()["credentials"]["username"] for answer in answers if answer.status_code == 201)
    for answer in answers:
        if answer.status_code == 400:
            assert answer.json()["error"] == "Portal account already exists"
            assert answer.json()["existing_username"] == winner


async def test_one_email_for_eight_patients(client, desk):
    patients = [factories.make_patient(desk).patient for _ in range(8)]
    wanted = [(f"{P}{patient.id}/create-portal/", {"email": "same@example.org"}) for patient in patients]
    answers = await at_once(client, wanted, bearer(desk))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 400: 7}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"Email already in use"}
    assert number("SELECT count(*) FROM patients WHERE portal_enabled") == 1


async def test_one_new_username_for_eight_accounts(client, desk):
    made = [factories.make_patient(desk, portal_email=f"{letter}@example.org").patient for letter in "abcdefgh"]
    wanted = [(f"{P}{patient.id}/change-portal-username/", {"email": "same@example.org"}) for patient in made]
    answers = await at_once(client, wanted, bearer(desk))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"Email already in use"}
    assert number("SELECT count(*) FROM former_usernames") == 1


async def test_one_national_id(client, desk):
    wanted = [(P, {"first_name": "Race", "last_name": f"N{i}", "national_id": "12 34-56"}) for i in range(8)]
    answers = await at_once(client, wanted, bearer(desk))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 400: 7}


async def test_numbers_are_given_out_once_and_without_gaps(client, desk):
    wanted = [(P, {"first_name": "Race", "last_name": f"N{i}"}) for i in range(40)]
    answers = await at_once(client, wanted, bearer(desk))
    given = sorted(answer.json()["patient"]["patient_id"] for answer in answers)
    assert given == [f"LMC{n:06d}" for n in range(1, 41)]


async def test_one_refresh_token_used_by_eight(client, desk):
    body = {"username": desk.username, "password": factories.PASSWORD}
    made = (await client.post("/api/v1/auth/login/", json=body)).json()
    wanted = [("/api/v1/auth/refresh/", {"refresh": made["refresh"]})] * 8
    answers = await at_once(client, wanted, {})
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 7}
    # a token used twice has been copied: whoever won has to sign in again too
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    later = await client.get(P, headers={"authorization": f"Bearer {winner['access']}"})
    assert later.status_code == 401


async def test_one_edit_of_a_version(client, desk):
    patient = factories.make_patient(desk).patient
    headers = bearer(desk)
    answers = await asyncio.gather(
        *[
            client.patch(f"{P}{patient.id}/", json={"address": f"Road {i}", "version": 1}, headers=headers)
            for i in range(8)
        ]
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
