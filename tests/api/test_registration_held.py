"""A patient who is likely there already holds a registration by the API, until it is said that it is somebody else."""

from __future__ import annotations

import pytest

from tests.api.test_contract import DOE
from tests.db import tools

PATH = "/api/v1/patients/"


@pytest.fixture
def desk(as_):
    return as_("receptionist")


async def _registered(api, desk, **changes):
    answer = await api.post(PATH, json={**DOE, **changes}, headers=desk)
    assert answer.status_code == 201, answer.text
    return answer.json()["patient"]


async def test_the_answer_names_the_record_and_says_why(api, desk):
    there = await _registered(api, desk)
    seq, before = tools.last_seq(), tools.number("SELECT count(*) FROM patients")
    answer = await api.post(PATH, json={**DOE, "last_name": "Doo"}, headers=desk)
    assert answer.status_code == 409
    found = answer.json()
    assert found["success"] is False
    assert found["error"] == "A patient with these details already exists."
    assert there["patient_id"] in found["detail"]
    (candidate,) = found["candidates"]
    assert (candidate["id"], candidate["patient_id"], candidate["name"]) == (
        there["id"],
        there["patient_id"],
        "John Doe",
    )
    assert candidate["grade"] in ("certain", "likely")
    assert 0.3 <= candidate["score"] <= 1
    assert {"First name", "Date of birth", "Phone"} <= set(candidate["reasons"])
    assert tools.number("SELECT count(*) FROM patients") == before
    told = [row for row in tools.trail() if row["seq"] > seq]
    assert [row["action"] for row in told] == ["PATIENT_LISTED", "PATIENT_CREATE_FAILED"]
    assert told[0]["metadata"] == {"kind": "possible_duplicates", "page": 1, "count": 1}
    assert told[1]["metadata"]["reason"] == "possible_duplicate"


async def test_allow_duplicate_registers_and_is_recorded(api, desk):
    there = await _registered(api, desk)
    await _registered(api, desk, allow_duplicate=True)
    assert tools.trail("PATIENT_CREATED")[-1]["metadata"]["registered_anyway"] == [there["patient_id"]]
    answer = await api.post(PATH, json={**DOE, "allow_duplicate": False}, headers=desk)
    assert answer.status_code == 409
    assert len(answer.json()["candidates"]) == 2
    answer = await api.post(PATH, json={**DOE, "allow_duplicate": "true"}, headers=desk)
    assert answer.json()["errors"] == {"allow_duplicate": "allow_duplicate must be true or false."}


@pytest.mark.parametrize(
    ("taken", "error"),
    [
        ({"national_id": "2345 6789"}, "A patient with this national ID already exists."),
        ({"external_id": "OPD 1"}, "A patient with these details already exists."),
        (
            {"create_portal_account": True, "portal_email": "john@example.com"},
            "A portal account with this email already exists.",
        ),
    ],
    ids=["national ID", "external ID", "portal email"],
)
async def test_a_value_that_is_taken_is_said_before(api, desk, taken, error):
    await _registered(api, desk, **taken)
    answer = await api.post(PATH, json={**DOE, **taken}, headers=desk)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_the_same_key_registers_once_it_is_decided(api, desk):
    await _registered(api, desk)
    before = tools.number("SELECT count(*) FROM patients")
    keyed = {**desk, "Idempotency-Key": "held-once-0001"}
    assert (await api.post(PATH, json=DOE, headers=keyed)).status_code == 409
    assert (await api.post(PATH, json=DOE, headers=keyed)).status_code == 409
    keyed = {**desk, "Idempotency-Key": "held-once-0002"}
    body = {**DOE, "allow_duplicate": True}
    first, again = [await api.post(PATH, json=body, headers=keyed) for _ in range(2)]
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert tools.number("SELECT count(*) FROM patients") == before + 1


async def test_somebody_elses_twin_is_registered(api, desk):
    await _registered(api, desk)
    await _registered(api, desk, first_name="Mercy", gender="FEMALE")
