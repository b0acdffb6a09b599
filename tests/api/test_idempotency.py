"""A POST with an Idempotency-Key happens once: repeated, at the same time, after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt

import psycopg
import pytest
import sqlalchemy as sa
import time_machine
from sqlalchemy.exc import OperationalError

from clinic_app.core import db
from clinic_app.core.errors import DatabaseAway, Unavailable
from clinic_app.models.api import IDEMPOTENCY_KEYS, IdempotencyKey
from clinic_app.services import idempotency
from clinic_app.services.portal import provisioning
from tests import factories
from tests.api.conftest import bearer
from tests.db.tools import dump, number

pytestmark = pytest.mark.both_databases  # a key is kept by a statement that each of them writes in its own way
P = "/api/v1/patients/"
BODY = {"first_name": "Once", "last_name": "Only", "create_portal_account": True, "portal_email": "once@example.org"}


@pytest.fixture
def desk(as_):
    return as_("receptionist")


def keyed(header: dict[str, str], key: str = "k-1") -> dict[str, str]:
    return {**header, "idempotency-key": key}


def patients(name: str = "Once") -> int:
    return number("SELECT count(*) FROM patients WHERE first_name = :name", name=name)


async def test_repeated_without_the_password(api, desk):
    first = await api.post(P, json=BODY, headers=keyed(desk))
    again = await api.post(P, json=BODY, headers=keyed(desk))
    assert (first.status_code, again.status_code) == (201, 201)
    assert patients() == 1
    expected = first.json()
    assert expected["portal_credentials"]["temporary_password"]
    expected["portal_credentials"] |= {"temporary_password": None, "already_issued": True}
    assert again.json() == expected


@pytest.mark.asvs("6.4.1")
async def test_the_password_is_nowhere(api, desk):
    password = (await api.post(P, json=BODY, headers=keyed(desk))).json()["portal_credentials"]["temporary_password"]
    with db.reading() as session:
        kept = session.execute(sa.select(IDEMPOTENCY_KEYS)).all()
    assert kept
    assert password not in str(kept)


async def test_the_order_of_fields_does_not_matter(api, desk):
    await api.post(P, json=BODY, headers=keyed(desk))
    again = await api.post(P, json=dict(reversed(BODY.items())), headers=keyed(desk))
    assert again.status_code == 201
    assert patients() == 1


async def test_another_body(api, desk):
    await api.post(P, json=BODY, headers=keyed(desk))
    answer = await api.post(P, json={**BODY, "last_name": "Other"}, headers=keyed(desk))
    assert answer.status_code == 422
    assert answer.json() == {
        "success": False,
        "error": "Idempotency-Key already used",
        "detail": "This key was already sent with a different request. Use a new key for each new request.",
    }
    assert patients() == 1


async def test_keys_are_an_accounts_and_a_routes_own(api, desk, as_, people):
    body = {"first_name": "Once", "last_name": "Only"}
    assert (await api.post(P, json=body, headers=keyed(desk))).status_code == 201
    assert (await api.post(P, json=body, headers=keyed(as_("admin")))).status_code == 201
    assert patients() == 2
    one, two = (factories.make_patient(people.receptionist).patient for _ in range(2))
    for patient in (one, two):
        answer = await api.post(f"{P}{patient.id}/verify/", headers=keyed(desk))
        assert answer.json()["patient"]["id"] == patient.id


async def test_what_failed_may_be_tried_again(api, desk):
    wrong = await api.post(P, json={"first_name": "Once"}, headers=keyed(desk))
    assert wrong.status_code == 400
    right = await api.post(P, json=BODY, headers=keyed(desk))
    assert right.status_code == 201


@pytest.mark.asvs("14.2.7")
async def test_forgotten_after_a_day(api, people, desk):
    body = {"first_name": "Once", "last_name": "Only"}
    start = dt.datetime.now(dt.UTC)
    await api.post(P, json=body, headers=keyed(desk))
    with time_machine.travel(start + dt.timedelta(hours=24, seconds=5)):
        assert (await api.post(P, json=body, headers=keyed(bearer(people.receptionist)))).status_code == 201
    assert patients() == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é"])
async def test_keys_that_are_none(api, desk, key):
    answer = await api.post(P, json=BODY, headers={**desk, "idempotency-key": key.encode()})
    assert answer.status_code == 400
    assert patients() == 0


async def test_create_portal_reset_and_change_username(api, desk, people):
    patient = factories.make_patient(people.receptionist).patient
    for path, body in (
        ("create-portal", {"email": "k@example.org"}),
        ("reset-portal-password", None),
        ("change-portal-username", {"email": "l@example.org"}),
    ):
        first = await api.post(f"{P}{patient.id}/{path}/", json=body, headers=keyed(desk))
        again = await api.post(f"{P}{patient.id}/{path}/", json=body, headers=keyed(desk))
        assert first.json()["credentials"]["temporary_password"]
        assert again.json()["credentials"]["temporary_password"] is None
        assert again.json()["credentials"]["already_issued"] is True
        assert first.json()["credentials"]["temporary_password"] not in str(dump())
        assert {**again.json()["credentials"], "temporary_password": ""} == {
            **first.json()["credentials"],
            "temporary_password": "",
            "already_issued": True,
        }
    for action in ("PORTAL_PASSWORD_RESET", "PORTAL_USERNAME_CHANGED"):
        assert number("SELECT count(*) FROM audit_events WHERE action = :action", action=action) == 1


# --- when something dies in between ---------------------------------------------------------------


def started(ago: dt.timedelta) -> None:
    """Put the start of every request in the past."""
    with db.transaction() as session:
        then = dt.datetime.now(dt.UTC) - ago
        session.execute(sa.update(IdempotencyKey).values(started_at=then))


async def test_killed_after_the_work(api, desk, monkeypatch):
    """The work is marked in its own transaction: it is not done again, though its answer is lost."""
    monkeypatch.setattr(idempotency, "_keep", lambda *_: None)
    monkeypatch.setattr(idempotency, "PATIENCE", 0.05)
    body = {"first_name": "Once", "last_name": "Only"}
    assert (await api.post(P, json=body, headers=keyed(desk))).status_code == 201
    answer = await api.post(P, json=body, headers=keyed(desk))
    assert answer.status_code == 409
    assert answer.json()["error"] == "Already done"
    started(dt.timedelta(minutes=5))
    assert (await api.post(P, json=body, headers=keyed(desk))).status_code == 409
    assert patients() == 1


async def test_killed_before_the_work(api, desk, monkeypatch):
    """Without the mark nothing was done: after a while another try may begin."""

    def killed(*_):
        raise SystemExit

    monkeypatch.setattr(idempotency, "_release", lambda *_: None)
    monkeypatch.setattr(idempotency, "PATIENCE", 0.05)
    body = {"first_name": "Once", "last_name": "Only"}
    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "_working_on", killed)
        with pytest.raises(SystemExit):
            idempotency.once(factories.access.ANONYMOUS, P, "k-1", body, lambda: (200, {}))
    assert patients() == 0
    with pytest.raises(idempotency.KeyInProgress):
        idempotency.once(factories.access.ANONYMOUS, P, "k-1", body, lambda: (200, {}))
    started(dt.timedelta(minutes=5))
    assert idempotency.once(factories.access.ANONYMOUS, P, "k-1", body, lambda: (200, {"a": 1})) == (200, {"a": 1})


async def test_done_though_its_commit_failed_the_next_try_is_told_at_once(api, desk, monkeypatch):
    """The COMMIT was kept and nobody said so: nobody works under the key any more who could bring an answer."""
    body, real = {"first_name": "Once", "last_name": "Only"}, idempotency._working_on

    @contextlib.contextmanager
    def unsaid(mine):
        with real(mine):
            yield
        raise OperationalError("", {}, psycopg.OperationalError())

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "_working_on", unsaid)
        assert (await api.post(P, json=body, headers=keyed(desk))).status_code == 503
    monkeypatch.setattr(idempotency.time, "sleep", pytest.fail)
    answer = await api.post(P, json=body, headers=keyed(desk))
    assert (answer.status_code, answer.json()["error"], patients()) == (409, "Already done", 1)


async def test_a_key_is_free_again_once_the_database_is_back(api, desk, monkeypatch):
    """The work failed because the database went away, and so could not be said to have failed."""
    release, away = idempotency._release, iter((True, True, False))

    def sometimes(mine):
        if next(away):
            raise OperationalError("", {}, psycopg.OperationalError())
        release(mine)

    def lost():
        raise DatabaseAway

    monkeypatch.setattr(idempotency, "_release", sometimes)
    monkeypatch.setattr(idempotency, "AGAIN", 0.01)
    monkeypatch.setattr(idempotency.threading, "Thread", Now)
    with pytest.raises(DatabaseAway):
        idempotency.once(factories.access.ANONYMOUS, P, "k-1", {}, lost)
    assert not idempotency._unreleased
    assert idempotency.once(factories.access.ANONYMOUS, P, "k-1", {}, lambda: (200, {"a": 1})) == (200, {"a": 1})


async def test_a_reservation_that_was_kept_without_an_answer_is_given_back(api, desk, monkeypatch):
    """Its COMMIT arrived and the connection broke: nobody would work under the key for minutes."""
    reserved = idempotency._reserved

    def lost(*given):
        reserved(*given)
        raise OperationalError("", {}, psycopg.OperationalError())

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "_reserved", lost)
        with pytest.raises(OperationalError):
            idempotency.once(factories.access.ANONYMOUS, P, "k-1", {}, lambda: (200, {}))
    assert idempotency.once(factories.access.ANONYMOUS, P, "k-1", {}, lambda: (200, {"a": 1})) == (200, {"a": 1})


class Now:
    """A thread that runs at once, in the one transaction of the test."""

    def __init__(self, target, **_: object) -> None:
        self.start = target


async def test_a_late_first_try_cannot_add_to_a_second(api, people, monkeypatch):
    """Taken over while it still worked: its transaction finds out and is rolled back."""
    from clinic_app.services.patients.forms import PatientRegistration
    from clinic_app.services.patients.registration import register_patient

    form = PatientRegistration.parse({"first_name": "Once", "last_name": "Only"})

    def late():
        started(dt.timedelta(minutes=5))
        idempotency.once(people.receptionist, P, "k-1", {}, second)
        register_patient(people.receptionist, form)
        return 201, {"who": "first"}

    def second():
        register_patient(people.receptionist, form)
        return 201, {"who": "second"}

    with pytest.raises(idempotency.KeyInProgress):
        idempotency.once(people.receptionist, P, "k-1", {}, late)
    assert patients() == 1
    assert idempotency.once(people.receptionist, P, "k-1", {}, late) == (201, {"who": "second"})


async def test_busy_is_no_answer_to_keep(api, desk, monkeypatch, people):
    patient = factories.make_patient(people.receptionist).patient
    path, body = f"{P}{patient.id}/create-portal/", {"email": "k@example.org"}

    def busy(*_, **__):
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(provisioning, "prepare_credentials", busy)
        answer = await api.post(path, json=body, headers=keyed(desk))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
    assert (await api.post(path, json=body, headers=keyed(desk))).status_code == 201


# --- at the same time -----------------------------------------------------------------------------


@pytest.mark.asvs("2.3.4")
@pytest.mark.races
@pytest.mark.parametrize("portal", [False, True])
async def test_eight_at_once(asgi, own_database, portal):
    import httpx

    header = keyed(bearer(factories.make_staff()))
    body = BODY if portal else {"first_name": "Once", "last_name": "Only"}
    transport = httpx.ASGITransport(app=asgi, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answers = await asyncio.gather(*[client.post(P, json=body, headers=header) for _ in range(8)])
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.json()["patient"]["id"] for answer in answers}) == 1
    assert patients() == 1
    if portal:
        passwords = [answer.json()["portal_credentials"]["temporary_password"] for answer in answers]
        assert sum(password is not None for password in passwords) == 1
