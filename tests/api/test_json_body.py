"""What strangers may send: refused with words, quickly, never 500."""

from __future__ import annotations

import json
import time

import pytest

JSON = {"content-type": "application/json"}
VALID = {"first_name": "A", "last_name": "B"}
MIB = 1024 * 1024


def sent(**changes) -> bytes:
    return json.dumps({**VALID, **changes}).encode()


BODIES = {
    "empty": b"",
    "no JSON": b"{",
    "a comment": b'{"first_name": "A" /* x */}',
    "list": b"[]",
    "string": b'"x"',
    "null": b"null",
    "5,000 brackets": b"[" * 5000 + b"]" * 5000,
    "5,000 objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "nested in a field": b'{"first_name": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "NUL in a name": sent(first_name="A\0B"),
    "raw NUL": b'{"first_name": "A\0"}',
    "lone surrogate": sent(first_name="\ud800"),
    "not UTF-8": b'{"first_name": "\xff"}',
    "UTF-16": json.dumps(VALID).encode("utf-16"),
    "a field twice": b'{"first_name": "A", "first_name": "B", "last_name": "C"}',
    "twice further in": b'{"first_name": {"a": 1, "a": 2}, "last_name": "C"}',
    "NaN": b'{"first_name": NaN}',
    "Infinity": b'{"first_name": -Infinity}',
    "too large a number": b'{"first_name": 1e999, "last_name": "B"}',
    "thousands of digits": b'{"first_name": ' + b"9" * 10000 + b"}",
    "number for text": sent(first_name=1),
    "list for text": sent(last_name=["x"]),
    "object for text": sent(phone={"x": 1}),
    "text for boolean": sent(create_portal_account="yes"),
    "number for boolean": sent(create_portal_account=1),
    "role": sent(role="ADMIN"),
    "id": sent(id=1),
    "patient_id": sent(patient_id="LMC000001"),
    "portal_enabled": sent(portal_enabled=True),
    "an odd name of a field": sent(**{"\ud800\0<script>": 1}),
    "10,000 fields": json.dumps({f"f{i}": 1 for i in range(10_000)}).encode(),
    "a megabyte in a field": sent(first_name="x" * (MIB - 100)),
    "more marks than a letter has": sent(first_name="a" + "\u0301" * 5),
}


@pytest.mark.parametrize("path", ["/api/v1/patients/", "/api/v1/patients/1/create-portal/", "/api/v1/auth/login/"])
async def test_refused_with_words(api, as_, path):
    for name, body in BODIES.items():
        started = time.process_time()
        answer = await api.post(path, content=body, headers={**as_("receptionist"), **JSON})
        assert time.process_time() - started < 2, name
        assert answer.status_code == 400, (name, answer.text)
        assert answer.json()["detail"], name
        assert "pydantic" not in answer.text, name
        assert "Traceback" not in answer.text, name


@pytest.mark.asvs("15.3.3")
@pytest.mark.parametrize("name", ["role", "id", "patient_id", "portal_enabled", "is_active", "allow_everything"])
async def test_an_unknown_field_is_named(api, as_, name):
    answer = await api.post("/api/v1/patients/", content=sent(**{name: 1}), headers={**as_("receptionist"), **JSON})
    assert answer.json()["errors"] == {name: f"{name} is not a known field."}
    assert answer.json()["error"] == "Validation failed"


@pytest.mark.asvs("5.2.1")
@pytest.mark.parametrize("header", [{}, {"content-length": str(MIB + 1)}])
async def test_more_than_a_megabyte(api, as_, header):
    async def parts():
        for _ in range(17):
            yield b"x" * (MIB // 16)

    answer = await api.post("/api/v1/patients/", content=parts(), headers={**as_("receptionist"), **JSON, **header})
    assert answer.status_code == 413
    assert answer.json() == {
        "success": False,
        "error": "Request too large",
        "detail": "A request may hold at most 1024 KiB.",
    }


async def test_a_byte_order_mark_in_front_does_not_count(api, as_):
    headers = {**as_("receptionist"), **JSON}
    answer = await api.post("/api/v1/patients/", content=b"\xef\xbb\xbf" + sent(), headers=headers)
    assert answer.status_code == 201
    number = answer.json()["patient"]["id"]
    answer = await api.post(f"/api/v1/patients/{number}/verify/", content=b"\xef\xbb\xbf", headers=headers)
    assert answer.status_code == 200
    answer = await api.post("/api/v1/patients/", content=b"\xef\xbb\xbf\xef\xbb\xbf" + sent(), headers=headers)
    assert answer.status_code == 400


async def test_an_empty_ordering_is_the_default(api, as_):
    for name in ("Zed", "Abel", "Mary"):
        await api.post("/api/v1/patients/", content=sent(first_name=name), headers={**as_("receptionist"), **JSON})
    answer = await api.get("/api/v1/patients/?ordering=", headers=as_("receptionist"))
    assert answer.status_code == 200
    assert answer.json() == (await api.get("/api/v1/patients/", headers=as_("receptionist"))).json()


@pytest.mark.asvs("4.1.1", "2.2.2")
@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=latin-1"],
)
async def test_another_content_type(api, as_, kind):
    answer = await api.post("/api/v1/patients/", content=sent(), headers={**as_("receptionist"), "content-type": kind})
    assert answer.status_code == 415
    assert answer.json()["detail"] == "Send JSON, with the header Content-Type: application/json."


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", 'application/json;charset="UTF-8"']
)
async def test_ways_to_say_json(api, as_, kind):
    answer = await api.post("/api/v1/patients/", content=sent(), headers={**as_("receptionist"), "content-type": kind})
    assert answer.status_code == 201


async def test_who_is_asked_before_what(api, as_):
    """403 and 401 come before the body is looked at."""
    for headers, status in ((as_("clinician"), 403), ({}, 401)):
        answer = await api.post("/api/v1/patients/", content=b"[" * 5000, headers={**headers, "content-type": "text/x"})
        assert answer.status_code == status


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=x", "page=", "page=1.5", "page=99999999999999999999", "page_size=101", "page_size=0",
     "ordering=password", "serach=x", "page=1&page=2", "search=" + "x" * 201],
)  # fmt: skip
async def test_parameters(api, as_, query):
    answer = await api.get(f"/api/v1/patients/?{query}", headers=as_("receptionist"))
    assert answer.status_code == 400
    assert answer.json()["error"] == "Validation failed"
    assert answer.json()["errors"]


@pytest.mark.parametrize(
    "key", ["0", "-1", "999999", "99999999999999999999", "LMC999999", "x" * 300, "%00", "1%20", "é", "1.0", "٣"]
)
async def test_no_such_patient(api, as_, key):
    answer = await api.get(f"/api/v1/patients/{key}/", headers=as_("receptionist"))
    assert answer.status_code == 404
    assert answer.json() == {"detail": "No patient has this number."}
