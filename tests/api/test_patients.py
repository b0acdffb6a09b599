"""Patients over the API: lists, search, reading, editing, verifying."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from clinic_app.core import db
from clinic_app.models.patients import PATIENTS, Patient
from clinic_app.services.patients.forms import PATIENT_FIELDS, Kind
from tests import factories
from tests.db.tools import TRAIL, dump, trail

P = "/api/v1/patients/"


@pytest.fixture
def desk(as_):
    return as_("receptionist")


@pytest.fixture
def five(people):
    return [
        factories.make_patient(people.receptionist, first_name=f"Zz{letter}", last_name="Listed").patient
        for letter in "ABCDE"
    ]


async def test_pages(api, desk, five, settings):
    settings.setenv("CLINIC_PUBLIC_URL", "https://desk.example.org")
    header = desk
    seen, address = [], f"{P}?search=listed&page_size=2"
    from clinic_app.core.settings import get_settings

    get_settings.cache_clear()
    from tests.api.conftest import bearer

    header = bearer(factories.make_staff())
    previous = None
    for number in (1, 2, 3):
        answer = await api.get(address, headers=header)
        assert answer.status_code == 200
        found = answer.json()
        assert set(found) == {"count", "next", "previous", "results"}
        assert found["count"] == 5
        seen += [row["id"] for row in found["results"]]
        assert (found["previous"] is None) == (number == 1)
        if found["next"] is None:
            break
        assert found["next"].startswith("https://desk.example.org/api/v1/patients/?")
        asked = parse_qs(urlsplit(found["next"]).query)
        assert asked == {"search": ["listed"], "page": [str(number + 1)], "page_size": ["2"]}
        address, previous = found["next"].removeprefix("https://desk.example.org"), address
    assert seen == [patient.id for patient in reversed(five)]  # all match alike: the newest first
    assert previous
    too_far = await api.get(f"{P}?search=listed&page_size=2&page=4", headers=header)
    assert too_far.status_code == 404


@pytest.mark.asvs("14.2.6", "15.3.1")
async def test_a_row_of_a_list(api, desk, five):
    row = (await api.get(f"{P}?search=zza", headers=desk)).json()["results"][0]
    assert row == {
        "id": five[0].id,
        "patient_id": five[0].patient_id,
        "name": "ZzA Listed",
        "first_name": "ZzA",
        "last_name": "Listed",
        "date_of_birth": "1988-03-14",
        "date_of_birth_estimated": False,
        "gender": "FEMALE",
        "phone": "0712445901",
        "email": None,
        "portal_enabled": False,
        "portal_status": "none",
        "verification_status": "VERIFIED",
        "created_at": row["created_at"],
    }
    assert row["created_at"].endswith("Z")


async def test_ordering(api, desk, five):
    found = (await api.get(f"{P}?search=listed&ordering=-patient_id", headers=desk)).json()["results"]
    assert [row["id"] for row in found] == [patient.id for patient in reversed(five)]


@pytest.mark.parametrize("wrong", ["page_size=101", "page=0", "page=x"])
async def test_a_wrong_figure_in_the_address_is_refused_though_the_body_has_a_right_one(api, desk, wrong):
    body = {"q": "zzb", "page": 1, "page_size": 1}
    answer = await api.post(f"{P}search/?{wrong}", json=body, headers=desk)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [wrong.partition("=")[0]])


async def test_search_by_address_and_by_body(api, desk, five):
    by_address = (await api.get(f"{P}search/?q=zzb", headers=desk)).json()
    by_body = (await api.post(f"{P}search/", json={"q": "zzb"}, headers=desk)).json()
    assert [row["id"] for row in by_address["results"]] == [row["id"] for row in by_body["results"]] == [five[1].id]


@pytest.mark.asvs("14.2.1")
async def test_a_posted_term_is_in_no_address(api, desk, five):
    first = (await api.post(f"{P}search/", json={"q": "listed", "page_size": 2}, headers=desk)).json()
    assert "listed" not in first["next"]
    second = await api.post(
        urlsplit(first["next"])._replace(scheme="", netloc="").geturl(), json={"q": "listed"}, headers=desk
    )
    assert [row["id"] for row in second.json()["results"]] == [five[2].id, five[1].id]


async def test_the_term_is_in_no_log(api, desk, five, capfd):
    await api.get(f"{P}search/?q=Zzcanary", headers=desk)
    assert "canary" not in "".join(capfd.readouterr()).lower()


@pytest.mark.asvs("15.3.1", "8.2.3")
async def test_one_patient_whole(api, desk, people):
    done = factories.make_patient(people.receptionist, phone="+44 20 7946 0018", portal_email="w@example.org").patient
    found = (await api.get(f"{P}{done.id}/", headers=desk)).json()
    assert found["phone"] == "+442079460018"  # another country: international
    assert found["next_of_kin_phone"] == "0722910448"
    assert found["portal_enabled"] is True
    assert found["portal_status"] == "temporary"
    assert found["portal_username"] == "w@example.org"
    assert found["registered_by"] == "Grace Wanjiru"
    assert found["version"] == 1
    assert set(found) >= {
        "id", "patient_id", "first_name", "last_name", "date_of_birth", "gender", "phone", "email", "national_id",
        "address", "next_of_kin_name", "next_of_kin_phone", "portal_enabled", "is_active", "verification_status",
        "created_at", "updated_at", "registered_by",
    }  # fmt: skip
    by_number = (await api.get(f"{P}{done.patient_id}/", headers=desk)).json()
    assert by_number == found


async def test_looking_is_recorded(api, desk, people, five):
    await api.get(f"{P}{five[0].id}/", headers=desk)
    last = trail("PATIENT_VIEWED")[-1]
    assert (last["resource_id"], last["actor_id"]) == (five[0].id, people.receptionist.account_id)


async def test_patch(api, desk, five):
    answer = await api.patch(f"{P}{five[0].id}/", json={"phone": "0723456789", "version": 1}, headers=desk)
    assert answer.status_code == 200
    assert answer.json()["phone"] == "0723456789"
    assert answer.json()["version"] == 2
    assert answer.json()["first_name"] == "ZzA"


async def test_patch_of_an_older_version(api, desk, five):
    await api.patch(f"{P}{five[0].id}/", json={"phone": "0723456789"}, headers=desk)
    answer = await api.patch(f"{P}{five[0].id}/", json={"phone": "0712345678", "version": 1}, headers=desk)
    assert answer.status_code == 409
    assert answer.json()["success"] is False
    assert answer.json()["detail"].startswith("Somebody else changed this record")


@pytest.mark.parametrize(
    "body", [{"first_name": ""}, {"first_name": None}, {"email": "x"}, {"role": 1}, {"create_portal_account": True},
             {"version": "1"}, {"version": True}, {"version": 0}, {"is_active": False}],
)  # fmt: skip
async def test_patch_refused(api, desk, five, body):
    before = dump(without=("login_sessions", "refresh_tokens", *TRAIL))
    answer = await api.patch(f"{P}{five[0].id}/", json=body, headers=desk)
    assert answer.status_code == 400
    assert answer.json()["errors"]
    assert dump(without=("login_sessions", "refresh_tokens", *TRAIL)) == before


async def _whole(api, desk, five, **changes):
    """The object as GET gives it, sent back with ``changes``."""
    read = (await api.get(f"{P}{five[0].id}/", headers=desk)).json()
    return read, await api.patch(f"{P}{five[0].id}/", json={**read, **changes}, headers=desk)


async def test_the_whole_object_may_be_sent_back(api, desk, five):
    read, answer = await _whole(api, desk, five)
    assert answer.status_code == 200, answer.text
    assert answer.json() == read  # nothing changed: not even the version
    read, answer = await _whole(api, desk, five, phone="0723456789", address="12 Lake Road")
    assert answer.status_code == 200, answer.text
    assert {name: value for name, value in answer.json().items() if value != read[name]} == {
        "phone": "0723456789",
        "address": "12 Lake Road",
        "version": 2,
        "updated_at": answer.json()["updated_at"],
    }


async def test_what_cannot_be_changed_is_named(api, desk, five):
    before = dump(without=("login_sessions", "refresh_tokens"))
    wrong = {"patient_id": "LMC999999", "portal_enabled": True, "created_at": "2020-01-01T00:00:00Z"}
    _, answer = await _whole(api, desk, five, **wrong, phone="0723456789")
    assert answer.status_code == 400
    assert answer.json()["errors"] == {name: f"{name} cannot be changed." for name in wrong}
    _, answer = await _whole(api, desk, five, name="Somebody Else", email="x", nonsense=1)
    assert set(answer.json()["errors"]) == {"name", "email", "nonsense"}
    assert answer.json()["errors"]["nonsense"] == "nonsense is not a known field."
    after = dump(without=("login_sessions", "refresh_tokens"))
    assert after["patients"] == before["patients"]


async def test_the_whole_object_of_an_older_version_is_a_conflict(api, desk, five):
    read = (await api.get(f"{P}{five[0].id}/", headers=desk)).json()
    await api.patch(f"{P}{five[0].id}/", json={"phone": "0723456789"}, headers=desk)
    answer = await api.patch(f"{P}{five[0].id}/", json={**read, "address": "12 Lake Road"}, headers=desk)
    assert answer.status_code == 409


async def test_what_is_on_record_and_no_rule_would_take_today_may_be_sent_back(api, desk, five):
    with db.transaction() as session:
        session.execute(
            sa.update(Patient).where(PATIENTS.c.id == five[0].id).values(national_id="N/A", preferred_language="xx")
        )
    _, answer = await _whole(api, desk, five, phone="0723456789")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["national_id"], answer.json()["preferred_language"]) == ("N/A", "xx")
    answer = await api.patch(f"{P}{five[0].id}/", json={"national_id": "n / a"}, headers=desk)
    assert answer.json()["errors"] == {"national_id": "Leave National ID empty if there is none."}


async def test_an_external_id_is_kept_shown_found_and_unique(api, desk, five):
    answer = await api.patch(f"{P}{five[0].id}/", json={"external_id": " OPD/2019-0041 "}, headers=desk)
    assert answer.json()["external_id"] == "OPD/2019-0041"
    found = (await api.get(f"{P}?search=opd20190041", headers=desk)).json()
    assert [row["id"] for row in found["results"]] == [five[0].id]
    body = {"first_name": "Other", "last_name": "Person", "external_id": "OPD/2019-0041"}
    for answer in (
        await api.post(P, json=body, headers=desk),
        await api.patch(f"{P}{five[1].id}/", json={"external_id": "OPD/2019-0041"}, headers=desk),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"] == "A patient with these details already exists."
        assert answer.json()["detail"] == "Another patient has this external ID."
    for _ in range(2):  # several may have none
        assert (await api.post(P, json={**body, "external_id": ""}, headers=desk)).status_code == 201


# --- verifying ------------------------------------------------------------------------------------


@pytest.fixture
def waiting(five):
    with db.transaction() as session:
        session.execute(
            sa.update(Patient).where(PATIENTS.c.id.in_([five[2].id, five[0].id])).values(verification_status="PENDING")
        )
    return [five[0], five[2]]


async def test_the_queue(api, desk, waiting):
    found = (await api.get(f"{P}pending-verification/", headers=desk)).json()
    assert [row["id"] for row in found["results"]] == [patient.id for patient in waiting]
    assert found["count"] == 2
    person = factories.registered_themselves()
    (*_, row) = (await api.get(f"{P}pending-verification/", headers=desk)).json()["results"]
    assert (row["id"], row["patient_id"], row["name"]) == (person, None, "Esther Wangari")


async def test_verify(api, desk, waiting, people):
    answer = await api.post(f"{P}{waiting[0].id}/verify/", headers=desk)
    assert answer.status_code == 200
    assert answer.json()["patient"]["verification_status"] == "VERIFIED"
    found = (await api.get(f"{P}pending-verification/", headers=desk)).json()
    assert [row["id"] for row in found["results"]] == [waiting[1].id]
    assert [(row["resource_id"], row["actor_id"]) for row in trail("PATIENT_VERIFIED")] == [
        (waiting[0].id, people.receptionist.account_id)
    ]
    again = await api.post(f"{P}{waiting[0].id}/verify/", headers=desk)
    assert again.status_code == 200
    assert len(trail("PATIENT_VERIFIED")) == 1


async def test_those_left_out_are_not_counted(api, desk, five):
    with db.transaction() as session:
        session.execute(sa.update(Patient).where(PATIENTS.c.id == five[0].id).values(is_active=False))
    everybody = (await api.get(P, headers=desk)).json()
    assert everybody["count"] == len(everybody["results"])
    assert five[0].id not in [row["id"] for row in everybody["results"]]


@pytest.mark.parametrize("term", ["%", "_", "/", "100%", "z_a"])
async def test_signs_of_patterns_are_found_as_they_stand(api, desk, five, term):
    assert (await api.get(f"{P}search/", params={"q": term}, headers=desk)).json()["count"] == 0


async def test_every_field_that_is_described_is_kept_and_answered(api, desk):
    sent = {name: field.example for name, field in PATIENT_FIELDS.items()}
    made = (await api.post(P, json=sent, headers=desk)).json()["patient"]
    assert {name: made[name] for name in sent} == sent
    found = (await api.get(f"{P}{made['id']}/", headers=desk)).json()
    assert found == made
    other = {
        name: next(one for one in field.choices() if one != field.example)
        if field.kind is Kind.CHOICE
        else {Kind.DATE: "1991-02", Kind.PHONE: "0733100200", Kind.EMAIL: "o@example.org", Kind.TICK: False}.get(
            field.kind, f"O {name}"
        )
        for name, field in PATIENT_FIELDS.items()
    }
    changed = (await api.patch(f"{P}{made['id']}/", json=other, headers=desk)).json()
    assert {name: changed[name] for name in other} == other
    assert trail("PATIENT_UPDATED")[-1]["metadata"]["fields"] == sorted(set(other) - {"single_name"})


async def test_messages_are_allowed_unless_refused_and_no_answer_is_none(api, desk):
    made = (await api.post(P, json={"first_name": "Zzmsg", "last_name": "A"}, headers=desk)).json()["patient"]
    assert (made["email_allowed"], made["sms_allowed"]) == (True, True)
    path = f"{P}{made['id']}/"
    refused = (await api.patch(path, json={"sms_allowed": False}, headers=desk)).json()
    assert (refused["email_allowed"], refused["sms_allowed"]) == (True, False)
    for nothing in (None, "", "on", 1):  # least of all is it a yes
        answer = await api.patch(path, json={"sms_allowed": nothing}, headers=desk)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["sms_allowed"]), nothing
    assert (await api.get(path, headers=desk)).json()["sms_allowed"] is False


# --- partial birth dates, people with one name ----------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ({"date_of_birth": "1990-01-15"}, ("1990-01-15", False)),
        ({"date_of_birth": "1990-01"}, ("1990-01", False)),
        ({"date_of_birth": "1990"}, ("1990", False)),
        ({"date_of_birth": "1990", "date_of_birth_estimated": False}, ("1990", False)),
        ({"date_of_birth": "1990", "date_of_birth_estimated": True}, ("1990", True)),
        ({"date_of_birth": "1990-01", "date_of_birth_estimated": True}, ("1990-01", True)),
        ({"date_of_birth": "about 1990"}, ("1990", True)),
        ({"date_of_birth": "Mar 1960"}, ("1960-03", False)),
        ({"date_of_birth": None, "date_of_birth_estimated": False}, (None, False)),
        ({"date_of_birth_estimated": False}, (None, False)),
        ({}, (None, False)),
    ],
)
async def test_a_birth_date_holds_as_much_as_is_known(api, desk, sent, answered):
    made = await api.post(P, json={"first_name": "Zzpart", "last_name": "Born", **sent}, headers=desk)
    assert made.status_code == 201
    patient = made.json()["patient"]
    seen = (await api.get(f"{P}{patient['id']}/", headers=desk)).json()
    listed = (await api.post(f"{P}search/", json={"q": "zzpart"}, headers=desk)).json()["results"][0]
    for shown in (patient, seen, listed):
        assert (shown["date_of_birth"], shown["date_of_birth_estimated"]) == answered
    back = {name: seen[name] for name in ("date_of_birth", "date_of_birth_estimated", "last_name", "single_name")}
    same = await api.patch(f"{P}{patient['id']}/", json=back, headers=desk)
    assert (same.status_code, same.json()["version"]) == (200, 1)  # what was read, sent back, changes nothing


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"date_of_birth": "1990-01-15", "date_of_birth_estimated": True}, "date_of_birth"),
        ({"date_of_birth": "about 1990", "date_of_birth_estimated": False}, "date_of_birth"),
        ({"date_of_birth": "1990-13"}, "date_of_birth"),
        ({"date_of_birth": "35"}, "date_of_birth"),
        ({"date_of_birth": 1990}, "date_of_birth"),
        ({"date_of_birth": "1990", "date_of_birth_estimated": "true"}, "date_of_birth_estimated"),
        ({"date_of_birth_estimated": True}, "date_of_birth_estimated"),
        ({"date_of_birth_precision": "YEAR"}, "date_of_birth_precision"),
        ({"single_name": "on"}, "single_name"),
        ({"single_name": 1}, "single_name"),
        ({"single_name": True}, "last_name"),
        ({"last_name": ""}, "last_name"),
        ({"last_name": None}, "last_name"),
        ({"last_name": "", "single_name": False}, "last_name"),
    ],
)
async def test_what_does_not_fit_together_is_refused_by_field(api, desk, five, sent, field):
    whole = {"first_name": "Zzpart", "last_name": "Born", **sent}
    for answer in (
        await api.post(P, json=whole, headers=desk),
        await api.patch(f"{P}{five[0].id}/", json=whole, headers=desk),
    ):
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == [field]


async def test_somebody_with_one_name(api, desk):
    alone = await api.post(P, json={"first_name": "Suharto"}, headers=desk)
    assert alone.json()["detail"] == "Last name is required."
    made = await api.post(P, json={"first_name": "Suharto", "single_name": True}, headers=desk)
    assert made.status_code == 201
    patient = made.json()["patient"]
    assert [patient[name] for name in ("name", "first_name", "last_name", "single_name")] == [
        *("Suharto", "Suharto", ""),
        True,
    ]
    path = f"{P}{patient['id']}/"
    refused = await api.patch(path, json={"single_name": False}, headers=desk)
    assert (refused.status_code, refused.json()["errors"]) == (400, {"last_name": "Last name is required."})
    named = (await api.patch(path, json={"last_name": "Sastro"}, headers=desk)).json()
    assert (named["name"], named["single_name"]) == ("Suharto Sastro", False)
    again = (await api.patch(path, json={"single_name": True}, headers=desk)).json()
    assert (again["name"], again["last_name"], again["single_name"]) == ("Suharto", "", True)
