"""Possible duplicates, merging and undoing it, by the API."""

from __future__ import annotations

from tests import factories


def _two(people):
    same = {"first_name": "Zacharia", "last_name": "Okemwa", "phone": "0712 777 888", "date_of_birth": "3/4/1975"}
    return [factories.make_patient(people.receptionist, **same).patient for _ in range(2)]


async def test_two_records_become_one_and_two_again(api, as_, people):
    first, second = _two(people)
    headers = as_("receptionist")
    found = (await api.get(f"/api/v1/patients/{second.id}/duplicates/", headers=headers)).json()
    assert [one["patient"]["patient_id"] for one in found["results"]] == [first.patient_id]
    assert found["count"] == 1
    assert found["results"][0]["grade"] in ("certain", "likely", "possible")
    assert found["results"][0]["reasons"]
    body = {"into": first.patient_id, "values": {"national_id": second.national_id}}
    done = await api.post(f"/api/v1/patients/{second.patient_id}/merge/", headers=headers, json=body)
    assert done.status_code == 200, done.text
    answer = done.json()
    assert (answer["success"], answer["merged"]) == (True, second.patient_id)
    assert answer["patient"]["national_id"] == second.national_id
    gone = (await api.get(f"/api/v1/patients/{second.id}/", headers=headers)).json()
    assert (gone["is_active"], gone["merged_into"]) == (False, first.patient_id)
    refused = await api.patch(f"/api/v1/patients/{second.id}/", headers=headers, json={"address": "x"})
    assert refused.status_code == 409
    assert refused.json() == {
        "success": False,
        "error": "Merged into another record",
        "detail": f"{second.patient_id} was merged into {first.patient_id}. Open that record instead.",
        "merged_into": first.patient_id,
    }
    back = (await api.post(f"/api/v1/patients/{second.id}/undo-merge/", headers=headers)).json()
    assert (back["patient"]["merged_into"], back["patient"]["is_active"]) == (None, True)
    assert back["survivor"]["national_id"] == first.national_id
    assert back["not_restored"] == []
    again = await api.post(f"/api/v1/patients/{second.id}/undo-merge/", headers=headers)
    assert (again.status_code, again.json()["error"]) == (409, "Nothing to undo")


async def test_not_a_duplicate_and_taking_it_back(api, as_, people):
    first, second = _two(people)
    headers, path = as_("receptionist"), f"/api/v1/patients/{first.id}/not-a-duplicate/"
    said = await api.post(path, headers=headers, json={"other": second.patient_id})
    assert (said.status_code, said.json()) == (200, {"success": True, "message": "Not a duplicate"})
    found = (await api.get(f"/api/v1/patients/{first.id}/duplicates/", headers=headers)).json()
    assert found == {"count": 0, "results": []}
    back = await api.post(path, headers=headers, json={"other": second.id, "undo": True})
    assert back.json()["message"] == "Possible duplicates again"
    found = (await api.get(f"/api/v1/patients/{first.id}/duplicates/", headers=headers)).json()
    assert found["count"] == 1


async def test_what_cannot_be_merged_is_refused_by_its_field(api, as_, people, subtests):
    first, _ = _two(people)
    headers, path = as_("receptionist"), f"/api/v1/patients/{first.id}/merge/"
    wrong = {
        "into": ({}, {"into": first.patient_id}, {"into": True}, {"into": [1]}),
        "values": ({"into": "LMC000001", "values": []},),
        "portal_username": ({"into": "LMC000001", "portal_username": 5},),
    }
    for field, bodies in wrong.items():
        for body in bodies:
            with subtests.test(field=field, body=body):
                answer = await api.post(path, headers=headers, json=body)
                assert answer.status_code == 400, answer.text
                assert list(answer.json()["errors"]) == [field]
    missing = await api.post(path, headers=headers, json={"into": "LMC999999"})
    assert missing.status_code == 404
