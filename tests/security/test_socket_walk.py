"""Every handler the server knows, and names it should not know, fired over a real socket by everybody.

Whoever may not gets no personal data, changes nothing, and leaves a trace; whoever may cannot break it with junk.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from clinic_app.core import crypto
from clinic_app.services import access
from clinic_app.services.access import Permission
from clinic_app.services.audit import chain
from tests.browser.serving import bound
from tests.browser.sockets import HYDRATE, ROOT_STATE, Tab, session
from tests.security.attack import ALPHA, BRAVO, RECORDS, SEARCHED, STAFF, Target, marks_in
from tests.security.handlers import Handler, registry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def attacked(behind: Target) -> Target:
    """What stands behind the edge, which refuses the handshake of all but those who are signed in."""
    return behind


EVERYBODY = (ALPHA, BRAVO, STAFF)
STATE = f"{ROOT_STATE}.clinic_app___ui___"
LIST, DIALOG = f"{STATE}patients___state____patient_list_state", f"{STATE}portal_dialog___state____portal_dialog_state"
PROFILE, REGISTRATION = f"{STATE}profile___state____profile_state", f"{STATE}registration___state____registration_state"
SHELL = f"{STATE}frame___state____shell_state"
NESTED: Any = "x"
for _ in range(60):
    NESTED = [NESTED, {"a": NESTED}] if len(json.dumps(NESTED)) < 20_000 else [NESTED]
JUNK: tuple[Any, ...] = (None, -1, 10**30, True, "", "\x00\u202e", "x" * 30_000, [], [[1]], {"a": {"b": 1}}, NESTED)
#: Names no state of ours has a handler of, but somebody might try: helpers, and what Python and Reflex bring.
TRIED = (
    "setvar _wipe _show _fail _ask _refresh _succeed _blank _empty __init__ reset get_state dict _get_root_state"
    " set_open set_password set_rows set_who set_term"
).split()


def _form() -> dict[str, str]:
    return {"first_name": "Smuggled", "last_name": "In", "email": "smuggled@example.org", "phone": "0712 345 678"}


def _wellformed(handler: Handler, patient_id: str) -> dict[str, Any]:
    """Arguments that would do something."""
    known: dict[str, Any] = {
        "patient_id": patient_id,
        "form": _form(),
        "term": SEARCHED,
        "section": "contact",
        "name": "email",
        "value": "smuggled@example.org",
        "email": "smuggled@example.org",
        "phone": "0712 345 678",
        "key": "patient_id",
        "by": 1,
        "turn": 0,
        "wanted": True,
        "permission": "portal:manage",
        "reference": "abc123",
        "var_name": "rows",
    }
    return {name: known.get(name, 1) for name in handler.arguments}


def _payloads(handler: Handler, patient_id: str) -> list[dict[str, Any]]:
    whole = _wellformed(handler, patient_id)
    spoilt = [{**whole, name: junk} for name in handler.arguments for junk in JUNK]
    return [whole, {}, {**whole, "evil": 1}, *spoilt]


def _names_tried() -> list[str]:
    known = registry()
    names = [f"{state}.{name}" for state in known.variables for name in TRIED]
    names += [f"{state}.set_{name}" for state, variables in known.variables.items() for name in variables[:4]]
    return [*names, "no.such.state", "", f"{ROOT_STATE}.clinic_app", "_redirect", "_call_function"]


async def _fill(tab: Tab, patient_id: str) -> None:
    """What a receptionist's tab holds in the middle of the work: a list, a record, an open form and dialog."""
    at = {"path": f"/patients/{patient_id}"}
    page = {"pathname": "/patients/[patient_id]", "asPath": at["path"], "query": {"patient_id": patient_id}}
    for name, payload in (
        (f"{SHELL}.enter", {}),
        (f"{LIST}.load", {}),
        (f"{PROFILE}.load", {}),
        (f"{PROFILE}.edit", {"patient_id": patient_id, "section": "contact"}),
        (f"{DIALOG}.ask_for", {"patient_id": patient_id}),
    ):
        await tab.send_raw({"name": name, "payload": payload, "router_data": page})
        await tab.settled()
    assert marks_in(tab.text(), ALPHA, BRAVO, STAFF) == {ALPHA, BRAVO, STAFF}, "the tab was not filled"


# --- who may not ------------------------------------------------------------------------------------

#: Volatile, or written by the attempt itself.
APART = (*RECORDS, "login_sessions", "flash_notes")


async def _walk(tab: Tab, patient_id: str, refused: Any, forbidden: tuple[str, ...]) -> list[str]:
    """Fire everything that ``refused`` names; returns what gave something away."""
    leaks: list[str] = []
    for handler in registry().ours:
        if not refused(handler):
            continue
        tab.messages.clear()
        for payload in _payloads(handler, patient_id):
            await tab.send(handler.name, payload, path=f"/patients/{patient_id}")
        await tab.settled()
        if found := marks_in(tab.text(), *forbidden):
            leaks.append(f"{handler.where}: {sorted(found)}")
    tab.messages.clear()
    for name in _names_tried():
        await tab.send(name, {"var_name": "rows", "value": []})
    await tab.settled(30)
    if found := marks_in(tab.text(), *forbidden):
        leaks.append(f"names nobody marked: {sorted(found)}")
    return leaks


def _needs_somebody(handler: Handler) -> bool:
    return handler.mark != "public"


def _beyond(role: str, *, temporary: bool = False):
    """Whether a handler asks for more than ``role`` holds."""
    held = {Permission.OWN_PASSWORD, Permission.OWN_SESSION} if temporary else access.PERMISSIONS[role]
    return lambda handler: handler.mark is None or (handler.mark != "public" and Permission(handler.mark) not in held)


@pytest.mark.asvs("8.2.1", "8.3.1")
@pytest.mark.parametrize("cookie", ["", "clinic_session=", "clinic_session=guess", 'clinic_session="\'; --"'])
async def test_nobody_gets_nothing_and_changes_nothing(attacked, cookie):
    before = attacked.server.dump(APART)
    async with Tab(attacked.server.url, cookie=cookie) as tab:
        leaks = await _walk(tab, attacked.bravo.patient.patient_id, _needs_somebody, EVERYBODY)
    assert leaks == []
    assert attacked.server.dump(APART) == before


@pytest.mark.asvs("4.4.4", "7.4.1")
@pytest.mark.parametrize("state", ["disabled", "ended", "idle", "absolute", "another clinic's"])
async def test_a_session_that_is_over_opens_nothing_even_in_a_tab_full_of_data(attacked, state):
    username = "disabled" if state == "disabled" else "second"
    token, patient_id = attacked.sign_in(username), attacked.bravo.patient.patient_id
    digest = crypto.digest(token)
    async with Tab(attacked.server.url, cookie=session(token)) as tab:
        await _fill(tab, patient_id)
        change = {
            "disabled": "UPDATE accounts SET is_active = false WHERE username = 'disabled'",
            "ended": f"UPDATE login_sessions SET ended_at = created_at WHERE token_hash = '{digest}'",
            "idle": f"UPDATE login_sessions SET last_seen_at = '2020-01-01 00:00:00' WHERE token_hash = '{digest}'",
            "absolute": f"UPDATE login_sessions SET expires_at = '2020-01-01 00:00:00' WHERE token_hash = '{digest}'",
            "another clinic's": f"DELETE FROM login_sessions WHERE token_hash = '{digest}'",
        }[state]
        attacked.server.sql(change)
        before = attacked.server.dump(APART)
        leaks = await _walk(tab, patient_id, _needs_somebody, EVERYBODY)
    if state == "disabled":
        attacked.server.sql("UPDATE accounts SET is_active = true WHERE username = 'disabled'")
        before["accounts"] = attacked.server.dump(APART)["accounts"]
    assert leaks == []
    assert attacked.server.dump(APART) == before


@pytest.mark.asvs("8.2.1", "16.3.3")
@pytest.mark.parametrize(
    ("username", "role", "temporary", "forbidden"),
    [
        ("clinician", "CLINICIAN", False, (ALPHA, BRAVO)),
        ("receptionist", "RECEPTIONIST", False, (ALPHA, BRAVO)),
        ("admin", "ADMIN", False, (ALPHA, BRAVO)),
        (f"portal.{ALPHA}@example.org", "PATIENT", False, EVERYBODY),
        ("newcomer@example.org", "PATIENT", True, EVERYBODY),
    ],
    ids=["clinician", "receptionist", "admin", "patient", "temporary password"],
)
async def test_whoever_lacks_a_permission_is_refused_and_that_is_recorded(
    attacked, username, role, temporary, forbidden
):
    before, seen = attacked.server.dump(APART), len(attacked.refusals())
    refused = _beyond(role, temporary=temporary)
    async with Tab(attacked.server.url, cookie=session(attacked.sign_in(username))) as tab:
        leaks = await _walk(tab, attacked.bravo.patient.patient_id, refused, forbidden)
    assert leaks == []
    assert attacked.server.dump(APART) == before
    notes = attacked.refusals()[seen:]
    assert {note[:2] for note in notes} == {(role, "denied")}
    asked = {note.permission for note in notes if not note.counted}
    wanted = {handler.mark for handler in registry().ours if refused(handler) and handler.mark}
    assert asked == wanted | {"own:session"}  # what nobody marked is recorded under the least there is


@pytest.mark.asvs("8.3.2")
async def test_a_role_taken_away_counts_from_the_next_event_on(attacked):
    token, patient_id = attacked.sign_in("demoted"), attacked.bravo.patient.patient_id
    async with Tab(attacked.server.url, cookie=session(token)) as tab:
        await _fill(tab, patient_id)
        attacked.server.sql("UPDATE accounts SET role = 'CLINICIAN' WHERE username = 'demoted'")
        before = attacked.server.dump(APART)
        leaks = await _walk(tab, patient_id, _beyond("CLINICIAN"), (ALPHA, BRAVO))
        assert leaks == []
        assert attacked.server.dump(APART) == before
    attacked.server.sql("UPDATE accounts SET role = 'RECEPTIONIST' WHERE username = 'demoted'")


@pytest.mark.asvs("8.2.2")
async def test_a_patient_is_sent_their_own_record_and_never_anothers(attacked):
    cookie = session(attacked.sign_in(f"portal.{ALPHA}@example.org"))
    known, bravo = registry(), attacked.bravo.patient
    allowed = [one for one in known.ours if not _beyond("PATIENT")(one)]
    assert any("own_record" in one.name for one in allowed)
    before = attacked.server.dump(APART)
    async with Tab(attacked.server.url, cookie=cookie) as tab:
        for handler in allowed:
            for payload in _payloads(handler, bravo.patient_id):
                more = {"patient_id": bravo.patient_id, "id": bravo.id}
                await tab.send(handler.name, payload, path=f"/patients/{bravo.patient_id}", query=more)
            await tab.settled()
        await tab.send(HYDRATE)
        await tab.settled()
        assert ALPHA in tab.text().lower(), "the patient should see their own record"
        assert marks_in(tab.text(), BRAVO) == set()
    assert attacked.server.dump(APART) == before


# --- tabs: the token in the address proves nothing ---------------------------------------------------


@pytest.mark.asvs("4.4.3", "7.2.1")
@pytest.mark.parametrize("thief", ["nobody", "patient", "clinician", "same account, another session"])
async def test_a_stolen_tab_token_brings_nothing(attacked, thief):
    owner, patient_id = attacked.sign_in("second"), attacked.bravo.patient.patient_id
    async with Tab(attacked.server.url, cookie=session(owner)) as tab:
        await _fill(tab, patient_id)
        stolen = tab.token
    who = {"patient": f"portal.{ALPHA}@example.org", "clinician": "clinician"}.get(thief, "second")
    cookie = "" if thief == "nobody" else session(attacked.sign_in(who))
    async with Tab(attacked.server.url, stolen, cookie) as tab:
        assert tab.new_token == ""
        await tab.send(HYDRATE)
        await tab.settled()
        drawn = {"patient_id": patient_id, "section": "contact", "version": 1}
        at = {"path": f"/patients/{patient_id}", "query": {"patient_id": patient_id}}
        await tab.send(f"{PROFILE}.save", {**drawn, "form": _form()}, **at)
        await tab.send(f"{DIALOG}.submit", {"patient_id": patient_id, "form": _form()}, **at)
        await tab.settled()
        assert marks_in(tab.text(), *EVERYBODY) == set()
    assert attacked.server.sql("SELECT 1 FROM patients WHERE email = 'smuggled@example.org'") == []
    assert attacked.server.sql("SELECT 1 FROM accounts WHERE username = 'smuggled@example.org'") == []


async def test_the_owner_finds_the_tab_as_it_was(attacked):
    """The control of the test above: what is not given to a thief is given to the owner."""
    owner = attacked.sign_in("second")
    async with Tab(attacked.server.url, cookie=session(owner)) as tab:
        await _fill(tab, attacked.bravo.patient.patient_id)
        token = tab.token
    async with Tab(attacked.server.url, token, session(owner)) as tab:
        await tab.send(HYDRATE)
        await tab.settled()
        assert marks_in(tab.text(), *EVERYBODY) == set(EVERYBODY)


async def test_a_token_stolen_from_an_open_tab_names_another_one(attacked):
    owner = attacked.sign_in("second")
    async with Tab(attacked.server.url, cookie=session(owner)) as tab:
        await _fill(tab, attacked.bravo.patient.patient_id)
        async with Tab(attacked.server.url, tab.token) as thief:
            await thief.send(HYDRATE)
            await thief.settled()
            assert thief.new_token not in ("", tab.token)
            assert marks_in(thief.text(), *EVERYBODY) == set()
        tab.messages.clear()
        await tab.send(HYDRATE)
        await tab.settled()
        assert marks_in(tab.text(), *EVERYBODY) == set(EVERYBODY)


async def test_an_anonymous_tab_begins_with_nothing_personal(attacked):
    async with Tab(attacked.server.url) as tab:
        await tab.send(HYDRATE)
        await tab.settled()
        first = json.loads(next(message for message in tab.messages if '"delta"' in message))
    assert marks_in(json.dumps(first), *EVERYBODY) == set()
    words: set[str] = set()

    def gather(value: Any) -> None:
        if isinstance(value, str):
            words.add(value)
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            gather(part)

    for state, variables in first["delta"].items():
        if "clinic_app" in state:
            gather(variables)
    unknown = {word for word in words if word not in {"", "loading", "name", "none", "0%", "UNKNOWN"}}
    assert not {word for word in unknown if re.search(r"@|\d{3}|LMC", word)}, unknown
    assert all(len(word) < 40 for word in unknown), unknown


# --- identity cannot be forged -------------------------------------------------------------------------


async def test_what_a_page_says_about_its_own_headers_is_not_believed(attacked):
    token = attacked.sign_in("second")
    forged = {"headers": {"cookie": session(crypto.digest(token))}, "ip": "6.6.6.6", "token": "x", "sid": "y"}
    async with Tab(attacked.server.url) as tab:
        for name in (f"{SHELL}.enter", f"{LIST}.load", f"{LIST}.search"):
            await tab.send(name, {"term": ""} if name.endswith("search") else {}, **forged)
        await tab.settled()
        assert marks_in(tab.text(), *EVERYBODY) == set()


@pytest.mark.parametrize("form", ["{hash}", '"{hash}"', "{token}x", "{token}="])
async def test_the_hash_of_a_token_is_not_a_token(attacked, form):
    token = attacked.sign_in("second")
    cookie = session(form.format(hash=crypto.digest(token), token=token))
    async with Tab(attacked.server.url, cookie=cookie) as tab:
        await tab.send(f"{LIST}.load")
        await tab.settled()
        assert marks_in(tab.text(), *EVERYBODY) == set()


async def test_a_forged_address_does_not_reach_the_audit_trail(attacked):
    cookie = (
        f"clinic_address=6.6.6.6; {session(attacked.sign_in(f'portal.{ALPHA}@example.org'))}; clinic_address=7.7.7.7"
    )
    async with Tab(attacked.server.url, cookie=cookie) as tab:
        await tab.send(f"{LIST}.load")
        await tab.settled()
    (address,) = attacked.server.sql("SELECT address FROM audit_events ORDER BY seq DESC LIMIT 1")[0]
    assert address == "127.0.0.1"


@pytest.mark.asvs("15.3.3")
async def test_a_client_cannot_write_variables(attacked):
    async with Tab(attacked.server.url, cookie=session(attacked.sign_in("clinician"))) as tab:
        await tab.send(f"{SHELL}.enter")
        await tab.settled()
        given = {
            f"{SHELL}.who": {"may_register": True},
            f"{DIALOG}.for_patient": "LMC000002",
            f"{LIST}.term": "written",
        }
        both = {**given, **{f"{name}_rx_state_": value for name, value in given.items()}}
        internal = f"{ROOT_STATE}.reflex___state____update_vars_internal_state.update_vars_internal"
        await tab.send(internal, {"vars": both})
        await tab.send(f"{ROOT_STATE}.hydrate_and_load", {"vars": both})
        for name, value in given.items():
            state, _, variable = name.rpartition(".")
            await tab.send(f"{state}.setvar", {"var_name": variable, "value": value})
        await tab.settled()
        tab.messages.clear()
        await tab.send(HYDRATE)
        await tab.settled()
        seen = json.loads(next(message for message in tab.messages if '"delta"' in message))["delta"]
        assert seen[SHELL]["who_rx_state_"]["may_register"] is False
        assert seen[DIALOG]["for_patient_rx_state_"] == ""
        assert seen[LIST]["term_rx_state_"] == ""


# --- who may, but sends junk -----------------------------------------------------------------------------


@pytest.mark.asvs("2.2.2", "15.3.5")
async def test_junk_from_the_desk_breaks_nothing(attacked):
    """A receptionist's own tab, full of data, and everything a page would never send."""
    before = attacked.server.dump(APART)
    seen = len(attacked.server.log_text())
    bravo = attacked.bravo.patient
    known = registry()
    async with Tab(attacked.server.url, cookie=session(attacked.sign_in("receptionist"))) as tab:
        await _fill(tab, bravo.patient_id)
        for handler in known.ours:
            if _beyond("RECEPTIONIST")(handler) or handler.name.endswith((".expire", ".watch")):
                continue
            for name in handler.arguments or ("",):
                for junk in JUNK:
                    payload = {name: junk} if name else {"unasked": junk}
                    await tab.send(
                        handler.name, {**_junk_for_the_rest(handler), **payload}, path=f"/patients/{bravo.patient_id}"
                    )
            await tab.settled(60)
        log = attacked.server.log_text()[seen:]
        assert '"handler": "uncaught"' not in log
        for raw in (None, 1, BRAVO, "{" + BRAVO, [BRAVO], {}, {"name": 1}, {"name": BRAVO}, [NESTED]):
            await tab.send_raw(raw)
        for payload in (BRAVO, [BRAVO], 1):
            await tab.send_raw({"name": f"{LIST}.load", "payload": payload})
        await tab.settled()
        assert tab.connected()
        tab.messages.clear()
        await tab.send(f"{LIST}.search", {"term": ""})
        await tab.settled()
        assert marks_in(tab.text(), ALPHA, BRAVO) == {ALPHA, BRAVO}, "the tab works on"
    after = attacked.server.dump(APART)
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"accounts"}, changed  # a reset is something a receptionist may do
    with bound(attacked.server):
        assert chain.verify().ok


def _junk_for_the_rest(handler: Handler) -> dict[str, Any]:
    return dict.fromkeys(handler.arguments)


@pytest.mark.asvs("14.2.1")
async def test_searching_leaves_no_term_anywhere_but_in_the_tab(attacked):
    async with Tab(attacked.server.url, cookie=session(attacked.sign_in("receptionist"))) as tab:
        await tab.send(f"{LIST}.search", {"term": SEARCHED})
        await tab.settled()
        assert SEARCHED in tab.text()
    assert SEARCHED not in json.dumps(attacked.server.dump(), default=str)
    assert SEARCHED not in attacked.server.log_text()


def test_after_all_this_the_log_holds_nothing_personal(attacked):
    """Last in this file on purpose; at the level DEBUG."""
    log = attacked.server.log_text()
    assert len(log.splitlines()) > 50
    assert marks_in(log, *EVERYBODY, SEARCHED) == set()
    assert [secret for secret in attacked.secrets if secret in log] == []
    assert [crypto.digest(secret) for secret in attacked.secrets if crypto.digest(secret) in log] == []
    lines = [line for line in log.splitlines() if line and not line.startswith("{")]
    assert lines == []
