"""What somebody copied of a session opens nothing once it is over: cookie, tab, tokens, notes, steps."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import httpx
import pyotp
import pytest

from clinic_app.core import context, crypto, routes
from clinic_app.models.accounts import Role
from clinic_app.services.accounts import sessions, two_factor
from tests import factories
from tests.browser.serving import bound
from tests.browser.sockets import HYDRATE, ROOT_STATE, Tab, run, session
from tests.db.tools import at_once
from tests.security.attack import ALPHA, BRAVO, RECORDS, STAFF, Target, marks_in, visitor
from tests.security.test_before_handlers import CHANGING

pytestmark = pytest.mark.slow

STATE = f"{ROOT_STATE}.clinic_app___ui___"
LIST, ACCOUNT = f"{STATE}patients___state____patient_list_state", f"{STATE}account___state____account_state"
ACCOUNTS = f"{STATE}staff_accounts___state____staff_accounts_state"
OPEN_PAGE = f"{ROOT_STATE}.reflex___state____on_load_internal_state.on_load_internal"
API, PATIENTS = "/api/v1/auth", "/api/v1/patients/"
NEW = "violet harbour mends lantern"
DESK_PAGES = (
    routes.RECEPTION, routes.REGISTRATION, routes.PROFILE, routes.AUDIT_TRAIL, routes.STAFF_ACCOUNTS, routes.ACCOUNT,
    routes.CONFIRM, routes.PATIENTS,
)  # fmt: skip
PATIENT_PAGES = (routes.PORTAL,)
DOORS = {
    routes.STAFF_SIGN_IN, routes.PORTAL_SIGN_IN, routes.ACTIVATE, routes.FORGOT, routes.LINK_STRENGTH,
    routes.PASSKEY_CHALLENGE, routes.SELF_REGISTRATION, routes.SELF_REGISTRATION_AGAIN, routes.CONFIRM_REGISTRATION,
}  # fmt: skip
SIGN_INS = {routes.STAFF_SIGN_IN, routes.PORTAL_SIGN_IN}
PATIENCE = 10.0  # seconds; what is expected takes far less, but a busy machine is no failure
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def attacked(behind: Target) -> Target:
    """What stands behind the edge, which refuses the handshake of all but those who are signed in."""
    return behind


@dataclass(frozen=True)
class Copied:
    """What a thief has of somebody who is still signed in, and ``own``: the session its owner works in."""

    attacked: Target
    account_id: int
    patient: bool
    cookie: str
    own: str
    access: str
    refresh: str

    @property
    def pages(self) -> tuple[str, ...]:
        return PATIENT_PAGES if self.patient else DESK_PAGES

    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}


def _copy(attacked: Target, username: str, password: str, *, patient: bool) -> Copied:
    with visitor(attacked.server) as http:
        tokens = http.post(f"{API}/login/", json={"username": username, "password": password}).json()
    (account_id,) = attacked.server.sql("SELECT id FROM accounts WHERE username = ?", username)[0]
    attacked.secrets.extend(tokens.values())
    cookies = attacked.sign_in(username), attacked.sign_in(username)
    return Copied(attacked, account_id, patient, *cookies, tokens["access"], tokens["refresh"])


def of_staff(attacked: Target) -> Copied:
    """Of a receptionist nobody else is."""
    username = f"copied{next(_numbers)}"
    with bound(attacked.server):
        factories.make_staff(Role.RECEPTIONIST, username, f"Copied {STAFF}")
    return _copy(attacked, username, factories.PASSWORD, patient=False)


def of_patient(attacked: Target) -> Copied:
    """Of the first patient."""
    return _copy(attacked, f"portal.{ALPHA}@example.org", factories.OWN_PASSWORD, patient=True)


# --- how a session ends ---------------------------------------------------------------------------


def _post(copied: Copied, path: str, cookie: str, **form: str) -> httpx.Response:
    with visitor(copied.attacked.server) as http:
        return http.post(path, data=form, headers={"Cookie": session(cookie)})


def sign_out(copied: Copied) -> None:
    assert _post(copied, routes.SIGN_OUT, copied.cookie).status_code == 303
    with visitor(copied.attacked.server) as http:
        assert http.post(f"{API}/logout/", headers=copied.bearer()).status_code == 200


def sign_out_everywhere(copied: Copied) -> None:
    assert _post(copied, routes.SIGN_OUT_EVERYWHERE, copied.own).status_code == 303


def change_password(copied: Copied) -> None:
    typed = {"current_password": factories.PASSWORD, "new_password": NEW, "confirm_password": NEW}
    assert "clinic_session" in _post(copied, routes.CHANGE_PASSWORD, copied.own, **typed).cookies


async def _as_administrator(copied: Copied, *events: tuple[str, object]) -> None:
    async with Tab(copied.attacked.server.url, cookie=session(copied.attacked.sign_in("admin"))) as tab:
        for name, payload in (("load", {}), ("open", {"account_id": copied.account_id}), *events):
            await tab.send(f"{ACCOUNTS}.{name}", payload, path=routes.STAFF_ACCOUNTS)
        await tab.settled()


def _shown(copied: Copied) -> dict[str, object]:
    """The account as the administrator's page shows it: its actions carry that."""
    columns = "role, is_active, totp_enabled_at IS NOT NULL, password_changed_at"
    found = copied.attacked.server.sql(f"SELECT {columns} FROM accounts WHERE id = ?", copied.account_id)
    role, active, two_factor, since = found[0]
    return {"account_id": copied.account_id, "drawn": f"{role}-{active}{two_factor}-{re.sub('[^0-9]', '', since)}"}


def _asked(copied: Copied, what: str) -> list[tuple[str, object]]:
    """The question, and yes."""
    ask = {"account_id": copied.account_id, "what": what}
    return [("ask", ask), ("answer", {**_shown(copied), "what": what})]


def reset_password(copied: Copied) -> None:
    run(_as_administrator(copied, *_asked(copied, "reset")))


def change_role(copied: Copied) -> None:
    run(_as_administrator(copied, ("change_role", {**_shown(copied), "form": {"role": "CLINICIAN"}})))


def turn_off(copied: Copied) -> None:
    run(_as_administrator(copied, *_asked(copied, "disable")))


def turn_off_portal(copied: Copied) -> None:
    """And on again: what was open before stays shut."""
    target = copied.attacked
    desk = {"username": "second", "password": factories.PASSWORD}
    with visitor(target.server) as http:
        access = http.post(f"{API}/login/", json=desk).json()["access"]
        for switch in ("disable-portal", "enable-portal"):
            path = f"{PATIENTS}{target.alpha.patient.id}/{switch}/"
            assert http.post(path, headers={"Authorization": f"Bearer {access}"}).status_code == 200


ENDINGS: dict[str, tuple[Callable[[Target], Copied], Callable[[Copied], None]]] = {
    "signed out": (of_staff, sign_out),
    "signed out everywhere": (of_staff, sign_out_everywhere),
    "password changed": (of_staff, change_password),
    "password reset": (of_staff, reset_password),
    "role changed": (of_staff, change_role),
    "turned off": (of_staff, turn_off),
    "patient signed out": (of_patient, sign_out),
    "patient signed out everywhere": (of_patient, sign_out_everywhere),
    "patient turned off": (of_patient, turn_off_portal),
}


# --- what is left of it ---------------------------------------------------------------------------


async def _open(tab: Tab, page: str, patient_id: str) -> None:
    """What a browser sends when it opens ``page`` in this tab."""
    query = {"patient_id": patient_id} if page == routes.PROFILE else {}
    at = {"pathname": page, "asPath": page.replace("[patient_id]", patient_id), "query": query}
    for name in (HYDRATE, OPEN_PAGE):
        await tab.send_raw({"name": name, "payload": {}, "router_data": at})
    await tab.settled()


def _ways_out(tab: Tab) -> list[str]:
    """Where the tab was sent so far."""
    events = [event for message in tab.messages for event in json.loads(message).get("events") or ()]
    return [event["payload"]["path"] for event in events if event["name"] == "_redirect"]


async def _sent_away(tab: Tab) -> None:
    async with asyncio.timeout(PATIENCE):
        while not _ways_out(tab):
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Over:
    """A session after its end: what was copied of it, the name of its tab, and what that tab got since."""

    copied: Copied
    tab: str
    before: str
    unasked: tuple[str, list[str]]  # what the open list was sent of itself, and where to
    asked: tuple[str, list[str]]  # the same after it tried to open every page


async def _end(copied: Copied, end: Callable[[Copied], None]) -> Over:
    target, patient_id = copied.attacked, copied.attacked.bravo.patient.patient_id
    unasked: tuple[str, list[str]] = ("", [])
    async with Tab(target.server.url, cookie=session(copied.cookie)) as tab:
        for page in copied.pages:
            await _open(tab, page, patient_id)
        before = tab.text()
        tab.messages.clear()
        await asyncio.to_thread(end, copied)
        ended = len(tab.messages)
        if not copied.patient:  # a patient's page watches nothing
            await asyncio.to_thread(_change_something, target)
            await _sent_away(tab)
            unasked = "".join(tab.messages[ended:]), _ways_out(tab)
        tab.messages.clear()
        for page in copied.pages:
            await _open(tab, page, patient_id)
        return Over(copied, tab.token, before, unasked, (tab.text(), _ways_out(tab)))


def _change_something(target: Target) -> None:
    """What wakes every open list: another desk edits a record."""
    with visitor(target.server) as http:
        desk = {"username": "second", "password": factories.PASSWORD}
        access = http.post(f"{API}/login/", json=desk).json()["access"]
        change = {"address": f"{next(_numbers)} {BRAVO} Road"}
        path, headers = f"{PATIENTS}{target.bravo.patient.id}/", {"Authorization": f"Bearer {access}"}
        assert http.patch(path, json=change, headers=headers).status_code == 200


@pytest.fixture(scope="module", params=ENDINGS, ids=str)
def over(request: pytest.FixtureRequest, attacked: Target) -> Over:
    """A session that was copied while it was open, and has ended by one of its ways."""
    copy, end = ENDINGS[request.param]
    return run(_end(copy(attacked), end))


def test_before_the_end_its_pages_were_full(over):
    """The control of the tests below."""
    wanted = {ALPHA} if over.copied.patient else {ALPHA, BRAVO, STAFF}
    assert marks_in(over.before, ALPHA, BRAVO, STAFF) >= wanted


def test_an_open_tab_is_sent_away_and_shown_nothing_more(over):
    if not over.copied.patient:
        words, ways = over.unasked
        assert marks_in(words, ALPHA, BRAVO, STAFF) == set()
        assert set(ways) == {routes.STAFF_SIGN_IN}
    words, ways = over.asked
    assert marks_in(words, ALPHA, BRAVO, STAFF) == set()
    assert len(ways) >= len(over.copied.pages)
    assert set(ways) <= SIGN_INS


@pytest.mark.parametrize("same_tab", [True, False], ids=["tab and cookie copied", "cookie copied"])
async def test_the_cookie_opens_no_page_on_another_machine(over, same_tab):
    target = over.copied.attacked
    tab_name = over.tab if same_tab else ""
    async with Tab(target.server.url, tab_name, session(over.copied.cookie)) as tab:
        assert tab.new_token == ""
        for page in (*DESK_PAGES, *PATIENT_PAGES):
            tab.messages.clear()
            await _open(tab, page, target.bravo.patient.patient_id)
            assert marks_in(tab.text(), ALPHA, BRAVO, STAFF) == set(), page
            assert set(_ways_out(tab)) <= SIGN_INS, page
            assert _ways_out(tab), page


def test_the_cookie_posts_nothing(over):
    server = over.copied.attacked.server
    apart = (*RECORDS, "flash_notes", "sign_in_limits")
    before = server.dump(apart)
    cookie = {"Cookie": session(over.copied.cookie)}
    form = {"password": factories.PASSWORD, "current_password": factories.PASSWORD, "code": "000000"}
    form |= {"new_password": NEW, "confirm_password": NEW}
    with visitor(server) as http:
        for method, path in CHANGING:
            if path in DOORS:  # which ask for no cookie
                continue
            answer = http.request(method, path, data=form, headers=cookie)
            if path == routes.PORTAL_CONTACT:  # the sign-in page, which keeps what was typed
                assert answer.status_code in (200, 303), path
                assert answer.status_code == 303 or 'id="sign-in"' in answer.text, path
            else:
                assert answer.status_code in (303, 400, 401), path
            assert not answer.cookies.get("clinic_session"), path
            assert marks_in(answer.text, ALPHA, BRAVO, STAFF) == set(), path
            if answer.status_code == 303:
                where = answer.headers["location"]
                if path == routes.REAUTHENTICATE:  # sent twice it leads on to the page, which asks who one is
                    where = http.get(where, headers=cookie).headers["location"]
                assert where in SIGN_INS, path
        assert http.get(routes.SESSION_ALIVE, headers=cookie).status_code == 401
        assert http.get(routes.TWO_FACTOR, headers=cookie).headers["location"] in SIGN_INS
    assert server.dump(apart) == before


def test_the_tokens_open_nothing(over):
    with visitor(over.copied.attacked.server) as http:
        for method, path in (
            ("GET", PATIENTS),
            ("GET", f"{PATIENTS}1/"),
            ("POST", f"{API}/logout/"),
            ("POST", PATIENTS),
        ):
            answer = http.request(method, path, headers=over.copied.bearer())
            assert (answer.status_code, set(answer.json())) == (401, {"detail"}), path
        for _ in range(2):
            assert http.post(f"{API}/refresh/", json={"refresh": over.copied.refresh}).status_code == 401


# --- used once ------------------------------------------------------------------------------------


def test_of_eight_who_use_one_refresh_token_one_gets_the_next_and_it_opens_nothing_either(attacked):
    copied = of_staff(attacked)
    with visitor(attacked.server) as http:
        ask = partial(http.post, f"{API}/refresh/", json={"refresh": copied.refresh})
        answers = at_once(*[ask] * 8)
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
        (made,) = [answer.json() for answer in answers if answer.status_code == 200]
        attacked.secrets.extend(made.values())
        for access in (copied.access, made["access"]):
            assert http.get(PATIENTS, headers={"Authorization": f"Bearer {access}"}).status_code == 401
        assert http.post(f"{API}/refresh/", json={"refresh": made["refresh"]}).status_code == 401
        alive = http.get(routes.SESSION_ALIVE, headers={"Cookie": session(copied.cookie)})
        assert alive.status_code == 200  # the pages are another session
    notes = attacked.server.sql("SELECT 1 FROM audit_events WHERE action = 'TOKEN_REUSED'")
    assert len(notes) >= 1


async def _said_at_account(attacked: Target, cookie: str, flash: str) -> str:
    """What the account page says to whoever brings this note's cookie."""
    async with Tab(attacked.server.url, cookie=f"{session(cookie)}; clinic_flash={flash}") as tab:
        await tab.send(f"{ACCOUNT}.load", path=routes.ACCOUNT)
        await tab.settled()
        deltas = [json.loads(message).get("delta") or {} for message in tab.messages]
    return "".join(str(delta.get(ACCOUNT, {}).get("errors_rx_state_") or "") for delta in deltas)


async def test_the_note_of_a_refused_form_is_told_once(attacked):
    copied = of_staff(attacked)
    form = {"current_password": "a guess", "new_password": NEW, "confirm_password": NEW}
    flash = _post(copied, routes.CHANGE_PASSWORD, copied.cookie, **form).cookies["clinic_flash"]
    said = await asyncio.gather(*[_said_at_account(attacked, copied.cookie, flash) for _ in range(4)])
    assert len([one for one in said if "This is not your password." in one]) == 1
    assert "not your password" not in await _said_at_account(attacked, copied.cookie, crypto.digest(flash))


def test_the_cookie_between_password_and_code_opens_one_session(attacked):
    username = f"copied{next(_numbers)}"
    with bound(attacked.server):
        factories.make_staff(Role.RECEPTIONIST, username)
        actor = sessions.resolve(crypto.digest(attacked.sign_in(username)))
        with context.use(context.RequestContext("page", "127.0.0.1", "tests")):
            two_factor.begin_two_factor(actor)
            setup = two_factor.show_two_factor(actor)
            assert setup is not None
            recovery = two_factor.confirm_two_factor(actor, pyotp.TOTP(setup.secret.replace(" ", "")).now())
    with visitor(attacked.server) as http:
        form = {"username": username, "password": factories.PASSWORD}
        step = http.post(routes.STAFF_SIGN_IN, data=form).cookies["clinic_step"]
        cookie = {"Cookie": f"clinic_step={step}"}
        answers = at_once(*[partial(http.post, routes.SIGN_IN_CODE, data={"code": recovery[0]}, headers=cookie)] * 4)
        opened = [answer.cookies["clinic_session"] for answer in answers if "clinic_session" in answer.cookies]
        assert len(opened) == 1
        again = http.post(routes.SIGN_IN_CODE, data={"code": recovery[1]}, headers=cookie)
        assert (again.status_code, again.cookies.get("clinic_session")) == (400, None)
        assert "Please sign in again." in again.text
        assert http.get(routes.SESSION_ALIVE, headers={"Cookie": f"clinic_session={step}"}).status_code == 401
    attacked.secrets.extend([step, *opened, *recovery])


async def test_after_confirming_the_cookie_of_before_opens_nothing(attacked):
    copied = of_staff(attacked)
    fresh = _post(copied, routes.REAUTHENTICATE, copied.cookie, password=factories.PASSWORD).cookies["clinic_session"]
    attacked.secrets.append(fresh)
    seen = {}
    for cookie in (copied.cookie, fresh):
        async with Tab(attacked.server.url, cookie=session(cookie)) as tab:
            await _open(tab, routes.PATIENTS, "")
            seen[cookie] = marks_in(tab.text(), ALPHA, BRAVO, STAFF)
    assert seen == {copied.cookie: set(), fresh: {ALPHA, BRAVO, STAFF}}
