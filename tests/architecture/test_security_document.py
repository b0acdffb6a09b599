"""docs/security.md says what the program does: its figures, its requirements and the tests that hold them."""

from __future__ import annotations

import datetime as dt
import importlib.util
import math
import re
import sys
from pathlib import Path

import pytest

import rxconfig
from clinic_app.core import budget, crypto, paging
from clinic_app.core.settings import Settings
from clinic_app.models.accounts import Role
from clinic_app.services import access, challenges, idempotency, rates
from clinic_app.services.accounts import (
    blocklist,
    drafts,
    flash,
    guessability,
    known_devices,
    one_time_codes,
    passkey_ceremonies,
    passkeys,
    passwords,
    sessions,
    sign_in_throttle,
    signing_in,
    tokens,
    views,
)
from clinic_app.services.audit import anchor, authorization
from clinic_app.services.audit import refusals as refusal_counts
from clinic_app.services.notifications import links
from clinic_app.services.patients import self_registration
from clinic_app.services.portal import forgotten, handing_over
from clinic_app.web import event_budget, event_socket, open_sockets, own_account, refusals
from clinic_app.web import forgotten as forgotten_page

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def _tool():
    spec = importlib.util.spec_from_file_location("asvs_tool", ROOT / "tools" / "asvs.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


asvs = _tool()


def rows(heading: str) -> dict[str, str]:
    """First cell → second cell of the table below a heading."""
    _, _, rest = DOCUMENT.partition(f"\n## {heading}\n")
    lines = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cell[0]: cell[1] for cell in cells}


def minutes(length: dt.timedelta) -> int:
    return int(length.total_seconds() // 60)


def hours(name: str) -> str:
    count = default(name)
    return f"{count} hour{'' if count == 1 else 's'}"


def default(name: str):
    return Settings.model_fields[name].default


def bounds(name: str) -> tuple[int, int]:
    found = Settings.model_fields[name].metadata
    return (
        next(each.ge for each in found if hasattr(each, "ge")),
        next(each.le for each in found if hasattr(each, "le")),
    )


def figures() -> dict[str, str]:
    """The table as the program would write it."""
    window = f"in {minutes(sign_in_throttle.WINDOW)} minutes"
    low, high = bounds("temporary_password_hours")
    return {
        "password hash": f"bcrypt, cost {default('bcrypt_cost')}, of a keyed SHA-384; at least 10 in production",
        "chosen password, at least": f"{passwords.SHORTEST} characters",
        "chosen password, at most": f"{passwords.LONGEST} characters",
        "common passwords refused": f"{len(blocklist._listed()):,}",
        "temporary password": f"{crypto.TEMPORARY_LENGTH} of {len(crypto.UNAMBIGUOUS)} symbols",
        "temporary password, life": f"{default('temporary_password_hours')} hours ({low} to {high})",
        "temporary password handed over by post, life": f"{handing_over.BY_POST // dt.timedelta(hours=1)} hours",
        "temporary password, wrong tries": str(signing_in.TEMPORARY_TRIES),
        "temporary password, on the screen": f"{views.SHOWN_MINUTES} minutes",
        "wrong passwords for one account": f"{sign_in_throttle.PER_ACCOUNT} {window}",
        "wrong passwords for one account from one address": f"{sign_in_throttle.PER_ACCOUNT_AND_ADDRESS} {window}",
        "wrong passwords from one address, or one IPv6 /64": f"{sign_in_throttle.PER_ADDRESS} {window}",
        "wrong passwords from one IPv6 /48": f"{sign_in_throttle.PER_NETWORK} {window}",
        "wrong passwords altogether": f"{sign_in_throttle.ALTOGETHER} {window}",
        "waiting after that": f"1 to {sign_in_throttle.LONGEST_WAIT_MINUTES} minutes, doubling",
        "held up before that, from half of a limit that many share": (
            f"up to {sign_in_throttle.LONGEST_DELAY:g} seconds"
        ),
        "wrong passwords in a row until strangers are refused": str(sign_in_throttle.HARD_STOP),
        "wrong passwords from a browser that signed in before": f"{sign_in_throttle.PER_DEVICE} {window}",
        "such a browser is known": f"{known_devices.LIFE.days} days, {known_devices.AT_MOST} for each account",
        "wrong passwords when confirming, for each session": f"{sign_in_throttle.PER_SESSION} {window}",
        "authentication code": f"{one_time_codes.DIGITS} digits, {one_time_codes.STEP} seconds, once",
        "recovery codes": f"{one_time_codes.CODES_AT_ONCE}, once each",
        "wrong codes for one account, browser or session": f"{sign_in_throttle.CODES_PER_ACCOUNT} {window}",
        "time and tries for the code at sign-in": (
            f"{minutes(signing_in.SECOND_STEP)} minutes, {signing_in.SECOND_STEP_TRIES} tries"
        ),
        "passkeys of one account": str(passkeys.AT_MOST),
        "what a passkey signs": (
            f"{len(crypto.new_token()) * 6 // 8 * 8} random bits, once, "
            f"within {minutes(passkey_ceremonies.LIFE)} minutes"
        ),
        "session of staff, idle": f"{default('staff_idle_minutes')} minutes",
        "session of staff, in any case": hours("staff_session_hours"),
        "session of a patient, idle": f"{default('patient_idle_minutes')} minutes",
        "session of a patient, in any case": hours("patient_session_hours"),
        "sessions of one account": str(sessions.AT_MOST),
        "sessions of one account in the API": str(sessions.API_AT_MOST),
        "code of a one-time link": f"{links.LENGTH} of {len(links.SYMBOLS)} symbols, once",
        "link of an invitation": "as long as a temporary password",
        "link for a forgotten password": (
            f"{int(forgotten.LIFE.total_seconds()) // 3600} hours; "
            + " and ".join(map(str, forgotten.AT_MOST.values()))
            + " for one account in an hour and a day"
        ),
        "passwords tried with one link": f"{sign_in_throttle.PER_LINK} {window}",
        "links asked for from one address, or one IPv6 /64": f"{sign_in_throttle.ASKS_PER_ADDRESS} {window}",
        "links asked for from one IPv6 /48": f"{sign_in_throttle.ASKS_PER_NETWORK} {window}",
        "links asked for altogether": f"{sign_in_throttle.ASKS_ALTOGETHER} {window}",
        "self-registrations from one address, or one IPv6 /64": f"{sign_in_throttle.ASKS_PER_ADDRESS} {window}",
        "self-registrations from one IPv6 /48": f"{sign_in_throttle.ASKS_PER_NETWORK} {window}",
        "self-registrations altogether": f"{sign_in_throttle.ASKS_ALTOGETHER} {window}",
        "challenge of a self-registration": f"once, within {minutes(challenges.LIFE)} minutes",
        "link that confirms a self-registration": (
            f"{minutes(self_registration.LIFE) // 60} hours; "
            + " and ".join(map(str, self_registration.AT_MOST.values()))
            + " to one address in an hour and a day"
        ),
        "answer to somebody who asks for a link": f"after {forgotten_page.PACE:g} second",
        "fresh proof": f"{minutes(authorization.FRESH)} minutes",
        "session token": f"{len(crypto.new_token()) * 6 // 8 * 8} bits, kept as SHA-256",
        "API access token": (
            f"{tokens.ALGORITHM}, {minutes(tokens.ACCESS_LIFE)} minutes, its session looked up each time"
        ),
        "API calls of one account": rates.FIGURES["any"],
        "registrations of one account": rates.FIGURES["register"],
        "searches of one account": rates.FIGURES["search"],
        "answers to one account while it types": rates.FIGURES["typing"],
        "pages of the register to one account": f"{default('list_pages_per_hour')}/hour",
        "portal accounts by one account": rates.FIGURES["portal"],
        "corrections of one's own contact details": rates.FIGURES["own contact"],
        "links to confirm another email of one's own": rates.FIGURES["own email"],
        "downloads of one's own record": rates.FIGURES["own download"],
        "passwords judged for one account": (
            f"{guessability.A_SECOND} a second, {guessability.AT_ONCE} at once, in one worker"
        ),
        "passwords judged without a session": (
            f"{guessability.ADDRESS_A_SECOND} a second for one address; {guessability.STRANGERS_A_SECOND} altogether, "
            f"{guessability.STRANGERS_AT_ONCE} at once, in one worker"
        ),
        "refusals of one session that leave an event each": f"{refusal_counts.EACH} of one permission in a minute",
        "addresses whose refusals are counted apart": f"{refusal_counts.SOURCES} in a minute",
        "counts of refusals that a crash loses": f"those of {refusal_counts.EVERY:g} seconds",
        "repeated request remembered": f"{minutes(idempotency.LIFE) // 60} hours",
        "half-filled form kept": f"{minutes(drafts.LIFE) // 60} hours, encrypted",
        "half-filled forms of one account": (
            f"{drafts.KEPT_AT_MOST}, of {drafts.LONGEST:,} characters; "
            f"saved {own_account.DRAFTS_PER_SECOND} times a second"
        ),
        "page state after a page is closed": f"{rxconfig.config.redis_token_expiration} seconds",
        "events of one page": (
            f"{default('events_per_second')} a second, {default('events_per_second') * budget.AT_ONCE} at once; "
            f"all pages of a session {'twice' if event_budget.PAGES == 2 else event_budget.PAGES} that"
        ),
        "events of one session handed on": f"{default('events_per_second') * event_budget.FASTER:g} a second",
        "no new line after a flood": f"{open_sockets.REST:g} seconds",
        "message on the event socket": f"{event_socket.SOCKET_LIMIT // 1024} KiB",
        "body of a request": f"{refusals.BODY_LIMIT // 1024} KiB, whole within {default('body_seconds')} seconds",
        "requests of one address in work": f"{default('requests_per_address')} in one worker",
        "open pages": f"{default('tabs_per_session')} of one session, {default('tabs_per_address')} at one address",
        "rows of one page of a list": str(paging.PAGE_SIZE_AT_MOST),
        "note of a refused form": f"{int(flash.LIFE.total_seconds())} seconds",
        "anchor of the audit trail": f"{minutes(anchor.EVERY)} minutes or {anchor.EVENTS} events",
    }


@pytest.mark.asvs("6.1.1", "7.1.1", "7.1.2")
def test_every_figure_is_the_programs():
    assert rows("Figures") == figures()


@pytest.mark.asvs("6.2.4", "6.2.12")
def test_the_figures_are_those_that_were_decided():
    """NIST SP 800-63B-4 and ASVS 5.0: what they ask for is met with room to spare."""
    assert default("bcrypt_cost") >= 10
    assert passwords.SHORTEST >= 15
    assert passwords.LONGEST >= 64
    assert len(blocklist._listed()) >= 3000  # every one of them long enough to be chosen: test_blocklist
    assert crypto.TEMPORARY_LENGTH * math.log2(len(crypto.UNAMBIGUOUS)) >= 64
    assert sign_in_throttle.HARD_STOP <= 100
    assert default("staff_idle_minutes") <= 60
    assert default("staff_session_hours") <= 24
    assert one_time_codes.STEP <= 30


@pytest.mark.asvs("8.1.1", "8.1.2")
def test_who_may_do_what_is_written_as_it_is():
    _, _, rest = DOCUMENT.partition("\n## Who may do what\n")
    lines = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    roles = (Role.ADMIN, Role.RECEPTIONIST, Role.CLINICIAN, Role.PATIENT)
    written = {line.split("`")[1]: [cell.strip() for cell in line.strip("|").split("|")[1:]] for line in lines}
    assert written == {
        str(one): ["yes" if one in access.PERMISSIONS[role] else "no" for role in roles] for one in access.Permission
    }


# --- the table of requirements ------------------------------------------------------------------------------------


def test_the_table_of_requirements_is_current():
    assert asvs.insert(DOCUMENT) == DOCUMENT, "run `make docs`"


def test_every_requirement_of_levels_one_and_two_has_a_test_or_a_reason():
    marked = asvs.marked()
    bare = [each.id for each in asvs.catalogue() if each.level < 3 and not marked.get(each.id) and not each.reason]
    assert bare == []


def test_ten_requirements_of_level_three_are_met():
    marked = asvs.marked()
    met = [each.id for each in asvs.catalogue() if each.level == 3 and marked.get(each.id)]
    assert len(met) >= 10, met


def test_every_marker_names_a_requirement_of_the_catalogue():
    assert set(asvs.marked()) <= {each.id for each in asvs.catalogue()}


@pytest.mark.parametrize("each", asvs.catalogue(), ids=lambda each: each.id)
def test_a_requirement_is_written_as_one(each):
    assert re.fullmatch(r"\d+\.\d+\.\d+", each.id)
    assert each.level in (1, 2, 3)
    assert each.text[0].isupper()
    assert not each.text.endswith(".")
    assert "|" not in each.text + each.reason
    assert not each.reason or each.reason.endswith(".")


def test_links_in_the_document_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", DOCUMENT):
        assert target.startswith("https://") or (ROOT / "docs" / target).exists(), target
    for name in re.findall(r"`((?:clinic_app|tests|tools)/[^`*:]+?\.[a-z]+)`", DOCUMENT):
        assert (ROOT / name).exists(), name
