"""The plain pages beside *My record*: whom they are for, and what becomes of everybody else."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
import time_machine

from clinic_app.core import cookies, crypto, routes
from clinic_app.models.accounts import Role
from clinic_app.services import access
from clinic_app.services.accounts import flash, sessions, staff
from clinic_app.services.patients.profile import view_patient
from tests import factories
from tests.db import tools
from tests.web.conftest import Shown, patient_signed_in, sign_in

PAGES = {
    routes.PORTAL_CONTACT: "Correct my contact details",
    routes.PORTAL_VIEWS: "Who has viewed your record",
    routes.PORTAL_OWN_PASSWORD: "Change password",
    routes.PORTAL_SESSIONS: "Where you are signed in",
    routes.PORTAL_DOWNLOAD: "Download my record",
}
POSTED = [routes.PORTAL_CONTACT, routes.PORTAL_OWN_PASSWORD, routes.PORTAL_SESSION_END, routes.PORTAL_DOWNLOAD]
NEW = "herons over quiet wetlands"


@pytest.fixture
def desk(database):
    return factories.make_staff(username="desk")


@pytest.fixture
def time_machine_at_noon():
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as traveller:
        yield traveller


def note(answer: httpx.Response) -> dict:
    """What the next page says once."""
    return flash.pop_note(crypto.digest(answer.cookies.get(cookies.flash_name()) or ""))


# --- whom they are for ----------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "title"), PAGES.items())
async def test_a_patient_gets_each_page_and_it_ends_with_the_session(browser, desk, path, title):
    await patient_signed_in(browser, desk, "amina@example.org")
    answer = await browser.get(path)
    page = Shown(answer)
    assert (page.status, page.title) == (200, f"{title} · Lakeside Medical Centre")
    assert answer.headers["cache-control"] == "no-store"
    assert (page.the("sign-out")["action"], page.the("sign-out")["data-sign-in"]) == (
        routes.SIGN_OUT,
        routes.PORTAL_SIGN_IN,
    )
    scripts = [one["src"] for one in page.all("script")]
    assert scripts.index("/connection.js") < scripts.index("/idle.js")
    assert [one["href"] for one in page.all("a") if one.get("class") == "crumb"] == [routes.PORTAL]


@pytest.mark.parametrize("path", PAGES)
async def test_nobody_is_led_to_sign_in_and_back_afterwards(browser, desk, path):
    made = factories.make_patient(desk, portal_email="amina@example.org")
    factories.own_password(made)
    answer = await browser.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL_SIGN_IN)
    answer = await sign_in(browser, "amina@example.org", factories.OWN_PASSWORD, routes.PORTAL_SIGN_IN)
    assert answer.headers["location"] == path


@pytest.mark.parametrize("path", [*PAGES, *POSTED])
async def test_staff_and_a_temporary_password_are_sent_to_where_they_belong(browser, new_browser, desk, path):
    await sign_in(browser, "desk", factories.PASSWORD)
    assert (await browser.get(path if path in PAGES else routes.PORTAL_SESSIONS)).headers["location"] == "/"
    made = factories.make_patient(desk, portal_email="first@example.org")
    async with new_browser() as other:
        await sign_in(other, "first@example.org", made.credentials.temporary_password, routes.PORTAL_SIGN_IN)
        answers = [await other.post(path, data=_passwords())] if path in POSTED else []
        answers += [await other.get(path)] if path in PAGES else []
        assert {(one.status_code, one.headers["location"]) for one in answers} == {(303, routes.PORTAL_PASSWORD)}
    assert tools.raw("SELECT password_temporary FROM accounts WHERE username = 'first@example.org'") == [(True,)]


@pytest.mark.parametrize("path", POSTED)
async def test_what_staff_post_there_changes_nothing(browser, desk, path):
    await sign_in(browser, "desk", factories.PASSWORD)
    before = tools.dump(without=(*tools.TRAIL, "login_sessions"))
    form = {"password": factories.PASSWORD, "current_password": factories.PASSWORD, "new_password": NEW}
    answer = await browser.post(path, data={**form, "confirm_password": NEW, "session": "1"})
    assert answer.status_code in (303, 403)
    assert tools.dump(without=(*tools.TRAIL, "login_sessions")) == before
    if answer.status_code == 403:
        assert "This page is not for your account." in answer.text
        assert tools.trail()[-1]["metadata"] == {"permission": "own:record"}
    assert (await browser.get(routes.SESSION_ALIVE)).status_code == 200


@pytest.mark.parametrize("path", POSTED)
async def test_a_post_without_a_session_leads_to_sign_in(browser, database, path):
    answer = await browser.post(path, data={"password": "x"})
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL_SIGN_IN)


@pytest.mark.parametrize("path", PAGES)
async def test_a_first_visit_weighs_little(browser, desk, path):
    """On a phone: the page, and every file that it names and that *My record* has not brought already."""
    await patient_signed_in(browser, desk, "amina@example.org")
    html = (await browser.get(path)).text
    assets = Path(__file__).resolve().parents[2] / "assets"
    named = set(re.findall(r'(?:href|src)="(/[\w./-]+\.(?:css|js|ico|woff2))"', html))
    sizes = {"page": len(gzip.compress(html.encode(), 9))}
    for name in named - {"/connection.js", "/idle.js"}:  # of every page
        content = (assets / name.lstrip("/")).read_bytes()
        sizes[name] = min(len(content), len(gzip.compress(content, 9)))
    assert sum(sizes.values()) <= 40_000, sizes


# --- who has viewed it ----------------------------------------------------------------------------


async def test_looks_stand_under_their_day_runs_as_one_line_and_older_ones_behind_a_button(
    time_machine_at_noon, browser, desk, monkeypatch
):
    monkeypatch.setattr("clinic_app.services.portal.own_record.ON_A_PAGE", 4)
    made = await patient_signed_in(browser, desk, "amina@example.org")
    doctor = factories.make_staff(Role.CLINICIAN, name="Peter <i>Kamau")
    for _ in range(3):
        view_patient(doctor, made.patient.id)
        time_machine_at_noon.shift(60)
    view_patient(desk, made.patient.id)
    page = Shown(await browser.get(routes.PORTAL_VIEWS))
    assert "<i>" not in page.html
    words = re.sub(r"\s+", " ", page.words)
    assert "Today" in words
    assert "Peter <i>Kamau, clinician, opened your record, 3 times12:00 to 12:02" in words
    (older,) = [one["href"] for one in page.all("a") if one["href"].startswith(routes.PORTAL_VIEWS)]
    assert re.fullmatch(r"/patient-portal/views/\d+", older)
    page = Shown(await browser.get(older))
    words = re.sub(r"\s+", " ", page.words)
    assert "registered you and gave you this sign-in" in words
    assert "opened your record" not in words
    assert [one["href"] for one in page.all("a") if "views" in one["href"]] == [routes.PORTAL_VIEWS]


@pytest.mark.parametrize("number", ["0", "x", "-1", "9" * 19, "٢", "%00", "1e3"])
async def test_what_is_no_number_leads_to_the_latest(browser, desk, number):
    await patient_signed_in(browser, desk, "amina@example.org")
    answer = await browser.get(f"{routes.PORTAL_VIEWS}/{number}")
    assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL_VIEWS)


# --- own password ---------------------------------------------------------------------------------


def _passwords(new: str = NEW, again: str = NEW, current: str = factories.OWN_PASSWORD) -> dict[str, str]:
    return {"current_password": current, "new_password": new, "confirm_password": again}


async def test_a_new_password_opens_this_browser_and_ends_the_others(browser, new_browser, desk):
    await patient_signed_in(browser, desk, "amina@example.org")
    async with new_browser() as other:
        await sign_in(other, "amina@example.org", factories.OWN_PASSWORD, routes.PORTAL_SIGN_IN)
        answer = await browser.post(routes.PORTAL_OWN_PASSWORD, data=_passwords())
        assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL)
        assert note(answer)["notice"].startswith("Your password has been changed.")
        assert (await browser.get(routes.SESSION_ALIVE)).status_code == 200
        assert (await other.get(routes.SESSION_ALIVE)).status_code == 401
        page = Shown(await other.get(routes.PORTAL_SIGN_IN))
        assert "Your password was changed. Sign in with the new one." in page.words


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        (_passwords(current=""), "current_password", "Current password is required."),
        (_passwords(current="wrong one"), "current_password", "password"),
        (_passwords("too short", "too short"), "new_password", "6 more characters needed."),
        (_passwords(again="something else"), "confirm_password", "The two passwords are not the same."),
        (_passwords(factories.OWN_PASSWORD, factories.OWN_PASSWORD), "new_password", "different from your current one"),
    ],
)
async def test_a_mistake_is_said_at_its_field_and_no_password_comes_back(browser, desk, given, field, words):
    await patient_signed_in(browser, desk, "amina@example.org")
    page = Shown(await browser.post(routes.PORTAL_OWN_PASSWORD, data=given))
    assert (page.status, page.title) == (400, "Error: Change password · Lakeside Medical Centre")
    assert page.the(field)["aria-invalid"] == "true"
    assert words in page.words
    for typed in given.values():
        assert not typed or typed not in page.html
    assert (await browser.get(routes.SESSION_ALIVE)).status_code == 200


async def test_a_passphrase_is_suggested_without_scripts(browser, desk):
    await patient_signed_in(browser, desk, "amina@example.org")
    page = Shown(await browser.post(routes.PORTAL_OWN_PASSWORD, data={"do": "suggest"}))
    offered = page.the("new_password")["value"]
    assert (page.status, page.the("confirm_password")["value"], page.the("current_password")["value"]) == (
        200,
        offered,
        "",
    )
    answer = await browser.post(routes.PORTAL_OWN_PASSWORD, data=_passwords(offered, offered))
    assert answer.headers["location"] == routes.PORTAL


async def test_too_many_wrong_ones_are_told_to_wait(browser, desk):
    await patient_signed_in(browser, desk, "amina@example.org")
    for _ in range(5):
        await browser.post(routes.PORTAL_OWN_PASSWORD, data=_passwords(current="wrong one"))
    answer = await browser.post(routes.PORTAL_OWN_PASSWORD, data=_passwords())
    assert (answer.status_code, "Too many attempts." in answer.text) == (429, True)
    assert int(answer.headers["retry-after"]) > 0


# --- where one is signed in -----------------------------------------------------------------------


async def test_another_device_is_signed_out_from_the_list(browser, new_browser, desk):
    made = await patient_signed_in(browser, desk, "amina@example.org")
    tools.write("UPDATE login_sessions SET ended_at = created_at WHERE id < (SELECT max(id) FROM login_sessions)")
    own = sessions.resolve(crypto.digest(browser.cookies[cookies.session_name()]))
    async with new_browser() as other:
        await sign_in(other, "amina@example.org", factories.OWN_PASSWORD, routes.PORTAL_SIGN_IN)
        page = Shown(await browser.get(routes.PORTAL_SESSIONS))
        assert page.words.count("This device") == 1
        (shown,) = [one["value"] for one in page.all("input") if one["name"] == "session"]
        answer = await browser.post(routes.PORTAL_SESSION_END, data={"session": shown})
        assert (answer.status_code, answer.headers["location"]) == (303, routes.PORTAL_SESSIONS)
        page = Shown(await browser.get(routes.PORTAL_SESSIONS))
        assert "A browser is signed out." in page.words
        assert "is signed out." not in Shown(await browser.get(routes.PORTAL_SESSIONS)).words
        assert (await other.get(routes.SESSION_ALIVE)).status_code == 401
    again = await browser.post(routes.PORTAL_SESSION_END, data={"session": shown})
    assert again.headers["location"] == routes.PORTAL_SESSIONS
    assert "This session has already ended." in Shown(await browser.get(routes.PORTAL_SESSIONS)).words
    answer = await browser.post(routes.PORTAL_SESSION_END, data={"session": str(own.session_id)})
    assert (await browser.get(answer.headers["location"])).headers["location"] == routes.PORTAL_SIGN_IN
    assert made.patient.id


@pytest.mark.parametrize("given", ["", "0", "x", "1" * 30, "-1", "٢"])
async def test_nobody_elses_session_is_ended(browser, desk, given):
    await patient_signed_in(browser, desk, "amina@example.org")
    staff_session = (await _open_staff_session()).session_id
    for one in (given, str(staff_session)):
        answer = await browser.post(routes.PORTAL_SESSION_END, data={"session": one})
        assert answer.status_code == 303
        assert note(answer)["message"] == "This session has already ended."
    assert tools.raw("SELECT ended_at FROM login_sessions WHERE id = :id", id=staff_session) == [(None,)]


async def _open_staff_session() -> access.Actor:
    from clinic_app.core import db
    from clinic_app.models.accounts import Account

    account_id = staff.create_staff(access.SYSTEM, "other.person", "Other Person", "CLINICIAN", factories.PASSWORD)
    with db.transaction() as session:
        account = session.get(Account, account_id)
        assert account is not None
        token, _ = sessions.open_session(session, account)
    return sessions.resolve(crypto.digest(token))


# --- taking it home -------------------------------------------------------------------------------


async def test_json_for_another_clinics_computer(browser, desk):
    made = await patient_signed_in(
        browser, desk, "amina@example.org", first_name='Zawadi "<b>', date_of_birth="Mar 1960", national_id="2784 99"
    )
    answer = await browser.post(routes.PORTAL_DOWNLOAD, data={"as": "json", "password": factories.OWN_PASSWORD})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="my-record.json"'
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert (found["format"], found["version"], found["clinic"]["name"]) == (
        "clinic-own-record",
        1,
        "Lakeside Medical Centre",
    )
    assert found["patient"]["patient_id"] == made.patient.patient_id
    assert found["patient"]["first_name"] == 'Zawadi "<b>'
    assert (found["patient"]["date_of_birth"], found["patient"]["phone"]) == ("1960-03", "+254712445901")
    assert found["sign_in"] == {"username": "amina@example.org"}
    assert found["viewed_by"][-1] == {
        "at": found["viewed_by"][-1]["at"],
        "who": "Grace Wanjiru, reception",
        "did": "registered you and gave you this sign-in",
    }
    for secret in ("2784 99", "desk", "203.0.113", "hash", "session"):
        assert secret not in answer.text


async def test_a_page_to_read_or_print_that_needs_nothing_else(browser, desk):
    await patient_signed_in(browser, desk, "amina@example.org", first_name="<b>Zawadi", address="Plot 5\nKisumu")
    answer = await browser.post(routes.PORTAL_DOWNLOAD, data={"as": "page", "password": factories.OWN_PASSWORD})
    assert answer.headers["content-disposition"] == 'attachment; filename="my-record.html"'
    page = Shown(answer)
    assert (page.all("script"), page.all("link"), page.all("img"), page.all("b")[0:0]) == ([], [], [], [])
    assert "<b>Zawadi" in page.words
    assert "Plot 5\nKisumu" in page.words
    assert "Today" not in page.words  # it is read on another day too


@pytest.mark.parametrize("given", ["", " ", "wrong one", "x" * 3000])
async def test_without_the_password_there_is_no_file_and_the_choice_stays(browser, desk, given):
    await patient_signed_in(browser, desk, "amina@example.org")
    answer = await browser.post(routes.PORTAL_DOWNLOAD, data={"as": "json", "password": given})
    page = Shown(answer)
    assert (page.status, page.title) == (400, "Error: Download my record · Lakeside Medical Centre")
    assert (page.the("password")["aria-invalid"], page.the("password")["value"]) == ("true", "")
    assert ("checked" in page.the("as-json"), "checked" in page.the("as-page")) == (True, False)
    assert "content-disposition" not in answer.headers
    assert tools.trail("OWN_RECORD_DOWNLOADED") == []
