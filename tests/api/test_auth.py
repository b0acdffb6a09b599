"""Signing in over the API: tokens, what forges them, what ends them."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import warnings
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
import time_machine

from clinic_app.core import crypto, db
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS, LOGIN_SESSIONS, REFRESH_TOKENS, Account, LoginSession
from clinic_app.models.audit import AUDIT_EVENTS, AuditEvent
from clinic_app.services.accounts import tokens
from clinic_app.services.portal.provisioning import turn_off_portal
from tests import factories

NOW = dt.datetime(2026, 6, 18, 9, 0, tzinfo=dt.UTC)
PATIENTS = "/api/v1/patients/"


async def sign_in(api, username: str, password: str = factories.PASSWORD):
    return await api.post("/api/v1/auth/login/", json={"username": username, "password": password})


async def pair(api, username: str) -> dict[str, str]:
    return (await sign_in(api, username)).json()


async def status(api, access: str) -> int:
    return (await api.get(PATIENTS, headers={"authorization": f"Bearer {access}"})).status_code


def events(action: str) -> int:
    with db.reading() as session:
        return session.execute(
            sa.select(sa.func.count()).select_from(AuditEvent).where(AUDIT_EVENTS.c.action == action)
        ).scalar_one()


async def test_staff(api, people):
    answer = await sign_in(api, people.clinician.username)
    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh"}
    assert await status(api, answer.json()["access"]) == 200
    claims = jwt.decode(answer.json()["access"], options={"verify_signature": False})
    assert set(claims) == {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "role"}
    assert claims["exp"] - claims["iat"] == 900


async def test_a_patient_may_sign_in_but_has_no_rights_on_staff_routes(api, people):
    answer = await sign_in(api, people.patient.username, factories.OWN_PASSWORD)
    assert answer.status_code == 200
    header = {"authorization": f"Bearer {answer.json()['access']}"}
    existing = await api.get(f"{PATIENTS}{people.patient.patient_id}/", headers=header)
    missing = await api.get(f"{PATIENTS}999999/", headers=header)
    assert existing.status_code == missing.status_code == 403
    assert existing.content == missing.content


@pytest.mark.parametrize("who", ["unknown", "wrong", "off"])
async def test_one_answer_for_every_refusal(api, people, who):
    username, password = {
        "unknown": ("nobody", "x" * 20),
        "wrong": (people.receptionist.username, "x" * 20),
        "off": (people.clinician.username, factories.PASSWORD),
    }[who]
    if who == "off":
        with db.transaction() as session:
            session.execute(sa.update(Account).where(ACCOUNTS.c.username == username).values(is_active=False))
    answer = await sign_in(api, username, password)
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Incorrect username or password."}
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.asvs("6.3.8")
async def test_exactly_one_hash_whoever_asks(api, people, monkeypatch):
    """Also for the door: that a name is a patient's must not show in the time."""
    checks = []
    real = crypto.verify_password
    monkeypatch.setattr(crypto, "verify_password", lambda *args, **more: checks.append(1) or real(*args, **more))
    for username in ("nobody", people.receptionist.username, people.patient.username):
        checks.clear()
        await sign_in(api, username, "wrong " * 4)
        assert len(checks) == 1


async def test_too_many_attempts(api, people):
    for _ in range(6):
        answer = await sign_in(api, people.receptionist.username, "wrong " * 4)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["detail"].startswith("Too many attempts. Please try again in ")


async def test_a_temporary_password_opens_nothing(api, people):
    done = factories.make_patient(people.receptionist, portal_email="temp@example.org")
    answer = await sign_in(api, "temp@example.org", done.credentials.temporary_password)
    assert answer.status_code == 403
    assert answer.json() == {"detail": "Choose a password of your own first."}
    with db.reading() as session:
        still_open = session.execute(
            sa.select(sa.func.count())
            .select_from(LoginSession)
            .join(Account)
            .where(ACCOUNTS.c.username == "temp@example.org", LOGIN_SESSIONS.c.ended_at.is_(None))
        ).scalar_one()
    assert still_open == 0


@pytest.mark.parametrize(
    "body", [{}, {"username": "a"}, {"username": 1, "password": "b"}, {"username": "", "password": ""}]
)
async def test_what_is_missing_is_said_by_field(api, body):
    answer = await api.post("/api/v1/auth/login/", json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"]


# --- refreshing -----------------------------------------------------------------------------------


async def test_refresh_rotates(api, people):
    first = await pair(api, people.receptionist.username)
    second = await api.post("/api/v1/auth/refresh/", json={"refresh": first["refresh"]})
    assert second.status_code == 200
    assert set(second.json()) == {"access", "refresh"}
    assert second.json()["refresh"] != first["refresh"]
    assert await status(api, second.json()["access"]) == 200


async def test_a_reused_refresh_token_ends_the_family(api, people):
    first = await pair(api, people.receptionist.username)
    second = (await api.post("/api/v1/auth/refresh/", json={"refresh": first["refresh"]})).json()
    again = await api.post("/api/v1/auth/refresh/", json={"refresh": first["refresh"]})
    assert again.status_code == 401
    assert await status(api, second["access"]) == 401
    assert (await api.post("/api/v1/auth/refresh/", json={"refresh": second["refresh"]})).status_code == 401
    assert events("TOKEN_REUSED") == 1


@pytest.mark.asvs("7.2.2")
async def test_only_the_hash_is_kept(api, people):
    made = await pair(api, people.receptionist.username)
    with db.reading() as session:
        kept = session.execute(sa.select(REFRESH_TOKENS.c.token_hash)).scalars().all()
    assert crypto.digest(made["refresh"]) in kept
    assert made["refresh"] not in kept


async def test_refreshing_ends_with_the_session(api, people):
    with time_machine.travel(NOW, tick=False) as clock:
        made = await pair(api, people.receptionist.username)
        clock.shift(dt.timedelta(minutes=15, seconds=1))  # idle
        assert (await api.post("/api/v1/auth/refresh/", json={"refresh": made["refresh"]})).status_code == 401


async def test_the_absolute_end(api, people):
    with time_machine.travel(NOW, tick=False) as clock:
        made = await pair(api, people.receptionist.username)
        for _ in range(12 * 6 - 1):
            clock.shift(dt.timedelta(minutes=10))
            answer = await api.post("/api/v1/auth/refresh/", json={"refresh": made["refresh"]})
            assert answer.status_code == 200
            made = answer.json()
        clock.shift(dt.timedelta(minutes=10, seconds=1))
        assert (await api.post("/api/v1/auth/refresh/", json={"refresh": made["refresh"]})).status_code == 401
        assert await status(api, made["access"]) == 401


@pytest.mark.parametrize("sent", ["", "x", "\ud800", "é" * 50, "x" * 5000, None, 1, ["x"]])
async def test_no_refresh_token_of_ours(api, sent):
    answer = await api.post(
        "/api/v1/auth/refresh/",
        content=json.dumps({"refresh": sent}),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code in (400, 401)
    assert answer.json()["detail"]


# --- what ends an access token --------------------------------------------------------------------


@pytest.mark.asvs("7.4.1")
async def test_signing_out_ends_it_at_once(api, people):
    made = await pair(api, people.receptionist.username)
    header = {"authorization": f"Bearer {made['access']}"}
    assert (await api.post("/api/v1/auth/logout/", headers=header)).status_code == 200
    assert await status(api, made["access"]) == 401
    assert (await api.post("/api/v1/auth/refresh/", json={"refresh": made["refresh"]})).status_code == 401
    assert (await api.post("/api/v1/auth/logout/", headers=header)).status_code == 401


@pytest.mark.asvs("7.4.2", "8.3.2")
@pytest.mark.parametrize("change", [{"is_active": False}, {"role": "CLINICIAN"}])
async def test_turned_off_or_another_role(api, people, change):
    made = await pair(api, people.receptionist.username)
    assert await status(api, made["access"]) == 200
    with db.transaction() as session:
        session.execute(sa.update(Account).where(ACCOUNTS.c.id == people.receptionist.account_id).values(**change))
    assert await status(api, made["access"]) == 401
    assert (await api.post("/api/v1/auth/refresh/", json={"refresh": made["refresh"]})).status_code == 401


async def test_a_patient_turned_off(api, people):
    made = (await sign_in(api, people.patient.username, factories.OWN_PASSWORD)).json()
    turn_off_portal(people.receptionist, people.patient.patient_id)
    header = {"authorization": f"Bearer {made['access']}"}
    assert (await api.get(PATIENTS, headers=header)).status_code == 401


async def test_idle(api, people):
    with time_machine.travel(NOW, tick=False) as clock:
        made = await pair(api, people.receptionist.username)
        clock.shift(dt.timedelta(minutes=14))
        assert await status(api, made["access"]) == 200
        clock.shift(dt.timedelta(minutes=1, seconds=1))
        assert await status(api, made["access"]) == 401  # the token's own end
        renewed = await api.post("/api/v1/auth/refresh/", json={"refresh": made["refresh"]})
        assert renewed.status_code == 200  # active a minute ago
        clock.shift(dt.timedelta(minutes=14, seconds=59))
        assert await status(api, renewed.json()["access"]) == 200


# --- forged ---------------------------------------------------------------------------------------


def forged(access: str, refresh: str) -> dict[str, str]:
    """Each way to make a token that must not be believed."""
    claims = jwt.decode(access, options={"verify_signature": False})
    key, header = tokens.signing_key(), {"typ": "at+jwt"}

    def made(changes: dict[str, Any] | None = None, without: str = "", headers: Any = None, **signing: Any) -> str:
        wanted = {name: value for name, value in {**claims, **(changes or {})}.items() if name != without}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of keys too short for SHA-512
            return jwt.encode(
                wanted,
                signing.get("key", key),
                signing.get("algorithm", "HS256"),
                headers={**header, **(headers or {})},
            )

    def part(data: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    head, body, signature = access.split(".")
    now = int(claims["iat"])
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare_bit = alphabet[alphabet.index(signature[-1]) ^ 1]  # 256 bits leave two over in the last sign
    return {
        "alg none": f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{body}.",
        "alg None with signature": f"{part({'alg': 'None', 'typ': 'at+jwt'})}.{body}.{signature}",
        "another algorithm": made(algorithm="HS512"),
        "another key": made(key=b"x" * 32),
        "the underived key": made(key=b"t" * 40),
        "a key of its own": made(headers={"jwk": {"kty": "oct", "k": "eA"}}, key=b"x" * 32),
        "kid path": made(headers={"kid": "../../../../dev/null"}, key=b"\0" * 32),
        "wrong audience": made({"aud": "somebody-else"}),
        "audience among others": made({"aud": ["clinic-api", "other"]}),
        "wrong issuer": made({"iss": "https://evil.example"}),
        "expired": made({"iat": now - 2000, "exp": now - 1000}),
        "not yet issued": made({"iat": now + 3600, "exp": now + 4500}),
        "another typ": made(headers={"typ": "JWT"}),
        "no typ": made(headers={"typ": None}),
        "tampered body": f"{head}.{part({**claims, 'sub': '1'})}.{signature}",
        "tampered signature": f"{head}.{body}.{signature[:-4]}AAAA",
        "no signature": f"{head}.{body}.",
        "padded": f"{access}=",
        "padded twice": f"{access}==",
        "padded inside": f"{head}=.{body}.{signature}",
        "a spare bit": f"{head}.{body}.{signature[:-1]}{spare_bit}",
        "a sign that is read over": f"{head}.{body}.{signature[:9]}*{signature[9:]}",
        "the other alphabet": f"{head}.{body}.{signature.replace('-', '+').replace('_', '/')}+",
        "somebody else's session": made({"sub": str(int(claims["sub"]) + 1)}),
        "no such session": made({"sid": "999999"}),
        "session as number": made({"sid": int(claims["sid"])}) + "x",
        "session not a number": made({"sid": "1 OR 1=1"}),
        "session too large": made({"sid": "9" * 30}),
        "another role": made({"role": "CLINICIAN"}),
        "refresh as access": refresh,
        **{f"no {name}": made(without=name) for name in claims},
        "nothing": "",
        "words": "let me in",
        "too long": "a" * 3000,
        "not ASCII": "é.è.ê".encode().decode("latin-1"),
    }


@pytest.mark.asvs("9.1.1", "9.1.2", "9.1.3", "9.2.1", "9.2.2", "9.2.3")
async def test_forged_tokens_open_nothing(api, people):
    made = await pair(api, people.admin.username)
    assert await status(api, made["access"]) == 200
    wrong = forged(made["access"], made["refresh"])
    assert len(wrong) > 30
    for name, token in wrong.items():
        answer = await api.get(PATIENTS, headers={"authorization": f"Bearer {token}".encode("latin-1")})
        assert answer.status_code == 401, name
        assert set(answer.json()) == {"detail"}, name


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", "Token x", "Bearer a b"])
async def test_no_bearer_token(api, header):
    assert (await api.get(PATIENTS, headers={"authorization": header})).status_code == 401


@pytest.mark.asvs("9.2.2")
async def test_a_page_session_is_no_api_session(api, people):
    """A token that names a browser's session is refused, though it is open."""
    made = await pair(api, people.admin.username)
    claims = jwt.decode(made["access"], options={"verify_signature": False})
    with db.transaction() as session:
        session.execute(sa.update(LoginSession).where(LOGIN_SESSIONS.c.id == int(claims["sid"])).values(kind="page"))
    assert await status(api, made["access"]) == 401


@pytest.mark.asvs("9.1.3")
async def test_the_issuer_is_this_clinic(api, people, settings):
    made = await pair(api, people.admin.username)
    settings.setenv("CLINIC_PUBLIC_URL", "https://other.example.org")
    get_settings.cache_clear()
    assert await status(api, made["access"]) == 401


async def test_tokens_are_in_no_log(api, people, capfd):
    made = await pair(api, people.admin.username)
    await api.get(PATIENTS, headers={"authorization": f"Bearer {made['access']}x"})
    await asyncio.sleep(0)
    said = "".join(capfd.readouterr())
    assert made["access"] not in said
    assert made["refresh"] not in said
