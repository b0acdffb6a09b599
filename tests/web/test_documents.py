"""Who gets a page of scripts, a socket, or a way to the plain page that comes first."""

from __future__ import annotations

import datetime as dt
import gzip
import json

import httpx
import pytest
from sqlalchemy import update
from starlette.requests import Request
from starlette.responses import Response

from clinic_app.core import cookies, crypto, db, encryption, routes
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import LOGIN_SESSIONS
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions, signing_in, staff
from clinic_app.web import documents, shell, way_back
from clinic_app.web.app import create_web
from clinic_app.web.open_sockets import OpenSockets
from tests import factories

PLACES = ["/", "/patients", "/patients/LMC000001", "/account/confirm", "/patient-portal"]


@pytest.fixture
def desk(tmp_path, settings, database):
    """The layer around an application that only says that it was asked."""
    client = tmp_path / "build" / "client"
    client.mkdir(parents=True)
    (client / "index.html").write_text("<html><head><script>1</script></head><body><p>built</p></body></html>")
    (client / "look.css").write_text("x")
    settings.setenv("REFLEX_WEB_WORKDIR", str(tmp_path))
    get_settings.cache_clear()
    shell._html.cache_clear()

    async def inner(scope, receive, send):
        await Response("inner")(scope, receive, send)

    yield httpx.AsyncClient(
        transport=httpx.ASGITransport(app=documents.before_session(inner, OpenSockets())), base_url="http://desk"
    )
    shell._html.cache_clear()


@pytest.fixture
def tokens(database):
    """The session token of somebody of each kind."""
    admin, desk = factories.make_staff("ADMIN"), factories.make_staff(username="grace")
    made = staff.create_staff_with_temporary_password(admin, "mercy", "Mercy Akinyi", "CLINICIAN")
    own = factories.make_patient(desk, portal_email="own@example.org")
    factories.own_password(own)
    fresh = factories.make_patient(desk, portal_email="fresh@example.org")
    people = {
        "staff": (signing_in.STAFF_DOOR, "grace", factories.PASSWORD),
        "new staff": (signing_in.STAFF_DOOR, "mercy", made.credentials.temporary_password),
        "patient": (signing_in.PATIENT_DOOR, "own@example.org", factories.OWN_PASSWORD),
        "new patient": (signing_in.PATIENT_DOOR, "fresh@example.org", fresh.credentials.temporary_password),
    }
    return {who: signing_in.sign_in(*given).token for who, given in people.items()} | {"nobody": "", "junk": "x" * 43}


def end(token: str, **values) -> None:
    """Alter the session behind ``token``."""
    with db.transaction() as session:
        where = LOGIN_SESSIONS.c.token_hash == crypto.digest(token)
        session.execute(update(LOGIN_SESSIONS).where(where).values(**values))


async def ask(desk, path: str, token: str = "", **headers: str):
    """One request for a document, as a browser with this session asks."""
    cookie = {"cookie": f"{cookies.session_name()}={token}"} if token else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await desk.get(path, headers={**cookie, **named})


def where(answer) -> str:
    """Where an answer leads; the page's heading where it is one."""
    if answer.status_code == 303:
        return answer.headers["location"]
    return f"{answer.status_code} {answer.text.partition('<h1>')[2].partition('</h1>')[0]}"


# --- who gets what -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "path", "expected"),
    [
        *[("nobody", path, "/login") for path in PLACES[:-1]],
        ("nobody", "/patient-portal", "/patient-portal/login"),
        ("junk", "/patients", "/login"),
        ("junk", "/patient-portal", "/patient-portal/login"),
        ("staff", "/", "200 Reception"),
        ("staff", "/patients", "200 Patients"),
        ("staff", "/patients/", "200 Patients"),
        ("staff", "/patients/new", "200 Patient registration"),
        ("staff", "/patients/LMC000001", "200 Patient profile"),
        ("staff", "/patients/lmc 1", "200 Patient profile"),
        ("staff", "/account/confirm", "200 Confirm it is you"),
        ("staff", "/admin/audit", "200 Audit trail"),  # whose it is, the page says
        ("staff", "/patient-portal", "/"),
        ("patient", "/patient-portal", "200 My record"),
        ("patient", "/patients/LMC000001", "/patient-portal"),
        ("patient", "/", "/patient-portal"),
        *[("new staff", path, routes.STAFF_PASSWORD) for path in PLACES],
        *[("new patient", path, routes.PORTAL_PASSWORD) for path in PLACES],
        *[
            (who, path, "404 Page not found")
            for who in ("nobody", "staff")
            for path in ("/no/such", "/patient-portal/x")
        ],
        ("nobody", "/assets/gone.js", "404 Page not found"),
        ("nobody", "/index.html", "404 Page not found"),
    ],
)
async def test_who_gets_which_document(desk, tokens, who, path, expected):
    answer = await ask(desk, path, tokens[who])
    assert where(answer) == expected
    assert ("built" in answer.text) == expected.startswith("200")


@pytest.mark.parametrize("planted", ["no session of anybody's", "patient"])
async def test_two_different_cookies_of_one_name_are_no_session_to_pages_and_forms(desk, tokens, browser, planted):
    name, mine, other = cookies.session_name(), tokens["staff"], tokens.get(planted, "abc")
    for first, second in ((mine, other), (other, mine)):
        sent = f"{name}={first}; tracker=1; {name}={second}"
        assert (await desk.get("/patients", headers={"cookie": sent})).status_code == 303
        assert (await browser.get("/auth/session", headers={"cookie": sent})).status_code == 401
    sent = f"{name}={mine}; {name}={mine}"
    assert (await browser.get("/auth/session", headers={"cookie": sent})).json()["held"] is False


async def test_who_has_to_set_up_a_second_factor_does_that_first(desk, tokens, settings):
    settings.setenv("CLINIC_REQUIRE_TWO_FACTOR", "staff")
    get_settings.cache_clear()
    for path in PLACES:
        assert where(await ask(desk, path, tokens["staff"])) == routes.TWO_FACTOR
    assert not await documents.may_connect(crypto.digest(tokens["staff"]))


@pytest.mark.parametrize("path", ["/patients", "/patient-portal", "/patients/LMC000001"])
async def test_while_nobody_can_say_who_asks_nobody_is_sent_away(desk, tokens, monkeypatch, path):
    def away(*_, **__):
        raise OSError("the database is away")

    monkeypatch.setattr(documents.sessions, "resolve", away)
    answer = await ask(desk, path, tokens["staff"])
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "built" not in answer.text
    assert "set-cookie" not in answer.headers
    assert not await documents.may_connect(crypto.digest(tokens["staff"]))
    assert (await ask(desk, "/no/such")).status_code == 404, "what needs no session needs no database"


async def test_asking_for_a_document_is_no_activity_and_one_look_at_the_sessions(desk, tokens, monkeypatch):
    begun = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    end(tokens["staff"], last_seen_at=begun)
    asked = []
    resolve = sessions.resolve
    monkeypatch.setattr(documents.sessions, "resolve", lambda *a, **k: asked.append(k) or resolve(*a, **k))
    await ask(desk, "/patients", tokens["staff"])
    assert asked == [{"touch": False}]
    await desk.get("/look.css")
    assert len(asked) == 1, "files are the same for everybody"


async def test_files_and_what_may_change_something_pass(desk):
    assert (await desk.get("/look.css")).text == "inner"
    assert (await desk.post("/patients")).text == "inner"
    assert (await desk.head("/patients")).status_code == 303


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/login/", "/login"),
        ("/patient-portal/login//", "/patient-portal/login"),
        ("/patients/LMC000001/card/", "/patients/LMC000001/card"),
        ("http://desk//login/", "404 Page not found"),
        ("/auth/logout/", "404 Page not found"),
        ("/auth/logout", "404 Page not found"),  # only ever posted to
        ("/auth/audit-export", "404 Page not found"),
        ("/api", "404 Page not found"),
    ],
)
async def test_what_is_behind_the_plain_pages_is_reached_by_none_of_their_addresses(desk, path, expected):
    """Reflex is mounted behind them, and answers with its own page what they do not take."""

    async def reflex(scope, receive, send):
        await Response("built")(scope, receive, send)

    web = create_web()
    web.mount("", reflex)
    around = documents.before_session(web, OpenSockets())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=around), base_url="http://desk") as browser:
        for method in ("GET", "HEAD"):
            answer = await browser.request(method, path)
            assert "built" not in answer.text
            assert answer.status_code == (404 if expected.startswith("404") else 303)
        assert where(await browser.get(path)) == expected


# --- the way back -------------------------------------------------------------------------------------


def actor(token: str) -> Actor:
    """Who is behind a token."""
    return sessions.resolve(crypto.digest(token), touch=False)


def bringing(value: str) -> Request:
    """A request with this way back."""
    return Request({"type": "http", "headers": [(b"cookie", f"{cookies.way_back_name()}={value}".encode())]})


def kept(answer) -> str:
    """The way back that an answer has a browser keep."""
    line = next((one for one in answer.headers.get_list("set-cookie") if one.startswith(cookies.way_back_name())), "")
    assert not line or ("HttpOnly" in line and "SameSite=strict" in line and "Max-Age=1800" in line)
    return line.partition("=")[2].partition(";")[0].strip('"')


@pytest.mark.parametrize(
    ("path", "staff_goes", "patient_goes"),
    [
        ("/patients/LMC000001", "/patients/LMC000001", ""),
        ("/patients", "/patients", ""),
        ("/patient-portal", "", "/patient-portal"),
        ("/account/confirm", "", ""),
    ],
)
async def test_the_way_back_leads_to_pages_of_ones_own_side(desk, tokens, path, staff_goes, patient_goes):
    value = kept(await ask(desk, path))
    assert "LMC000001" not in value
    assert way_back.page_for(bringing(value), actor(tokens["staff"])) == staff_goes
    assert way_back.page_for(bringing(value), actor(tokens["patient"])) == patient_goes


async def test_nobody_else_is_led_to_where_a_session_ended(desk, tokens):
    end(tokens["staff"], ended_at=dt.datetime.now(dt.UTC))
    value = kept(await ask(desk, "/patients/LMC000001", tokens["staff"]))
    again = signing_in.sign_in(signing_in.STAFF_DOOR, "grace", factories.PASSWORD).actor
    assert way_back.page_for(bringing(value), again) == "/patients/LMC000001"
    assert way_back.page_for(bringing(value), factories.make_staff(username="somebody.else")) == ""


@pytest.mark.parametrize("address", [routes.SIGN_OUT, routes.SIGN_OUT_EVERYWHERE])
async def test_nobody_else_is_led_to_where_somebody_signed_out(tokens, desk, address):
    """Back, after *Sign out*, asks for the last page without any session."""
    web = httpx.AsyncClient(transport=httpx.ASGITransport(app=create_web()), base_url="http://localhost:3000")
    mine, ours = f"{cookies.session_name()}={tokens['staff']}", {"sec-fetch-site": "same-origin"}
    left = kept(await web.post(address, headers={"cookie": mine, **ours}))
    assert way_back.page_for(bringing(left), actor(tokens["patient"])) == ""
    value = kept(await ask(desk, "/patients/LMC000001", cookie=f"{cookies.way_back_name()}={left}"))
    again = signing_in.sign_in(signing_in.STAFF_DOOR, "grace", factories.PASSWORD).actor
    assert way_back.page_for(bringing(left), again) == ""
    assert way_back.page_for(bringing(value), again) == "/patients/LMC000001"
    assert way_back.page_for(bringing(value), factories.make_staff(username="somebody.else")) == ""


async def test_a_way_back_that_is_none_of_ours_leads_nowhere(desk, tokens):
    who = actor(tokens["staff"])
    good = kept(await ask(desk, "/patients"))
    assert way_back.page_for(bringing(good), who) == "/patients"
    for value in ("", "x", good[:-2], good[:-4] + "AAAA", "B" + good[1:], good * 20, "https://evil.example"):
        assert way_back.page_for(bringing(value), who) == "", value

    def sealed(*given) -> str:
        return encryption.encrypt(json.dumps(given), "way back", "cookie").rstrip("=")

    later = int(dt.datetime.now(dt.UTC).timestamp()) + 60
    assert way_back.page_for(bringing(sealed("/patients", 0, later)), who) == "/patients"
    assert way_back.page_for(bringing(sealed("/patients", 0, later - 61)), who) == ""
    for path in (
        "https://evil.example",
        "//evil.example",
        "/patients/../x",
        "/auth/logout",
        "/patient-portal",
        "",
        None,
        1,
    ):
        assert way_back.page_for(bringing(sealed(path, 0, later)), who) == "", path
    assert way_back.page_for(bringing(sealed("/patients")), who) == ""
    elsewhere = encryption.encrypt(json.dumps(["/patients", 0, later]), "draft", "cookie")
    assert way_back.page_for(bringing(elsewhere), who) == ""


async def test_only_a_page_one_may_come_back_to_is_kept(desk):
    for path in ("/account/confirm", "/no/such", "/patients/" + "x" * 300):
        assert kept(await ask(desk, path)) == ""


# --- links from elsewhere -----------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_link_from_elsewhere_is_loaded_again_once(desk, tokens, site):
    first = await ask(desk, "/patients/LMC000001", sec_fetch_site=site)
    assert first.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/patients/LMC000001">' in first.text
    assert '<a href="/patients/LMC000001">' in first.text
    assert "built" not in first.text
    line = first.headers["set-cookie"]
    assert line.startswith(f"{cookies.AGAIN}=1;")
    assert "Path=/patients/LMC000001;" in line
    again = f"{cookies.AGAIN}=1"
    # the browser's second request: with our cookies, or without any
    signed_in = await desk.get(
        "/patients/LMC000001", headers={"cookie": f"{again}; {cookies.session_name()}={tokens['staff']}"}
    )
    assert where(signed_in) == "200 Patient profile"
    assert "Max-Age=0" in signed_in.headers["set-cookie"]
    stranger = await desk.get("/patients/LMC000001", headers={"cookie": again, "sec-fetch-site": site})
    assert where(stranger) == "/login"


@pytest.mark.parametrize("site", ["same-origin", "none", ""])
async def test_whoever_types_an_address_is_asked_to_sign_in_at_once(desk, site):
    assert where(await ask(desk, "/patients", sec_fetch_site=site)) == "/login"


@pytest.mark.parametrize(
    "path", ["/patients/%22%3E%3Cscript%3E", "/patients/a%0d%0aset-cookie:%20x=y", "/patients/a;b=c"]
)
async def test_an_address_means_nothing_on_the_page_that_loads_itself_again(desk, path):
    answer = await ask(desk, path, sec_fetch_site="cross-site")
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert "x=y" not in answer.text
    (line,) = answer.headers.get_list("set-cookie")
    assert line.startswith(f"{cookies.AGAIN}=1;")
    assert "b=c" not in line


# --- the shell ----------------------------------------------------------------------------------------


async def test_the_page_says_whose_it_is_and_whom_to_call_before_scripts_come(desk, tokens, settings):
    settings.setenv("CLINIC_NAME", "Lake & <b>Side</b>")
    settings.setenv("CLINIC_TELEPHONE", "020 712 3456")
    get_settings.cache_clear()
    for who, path in (("staff", "/patients"), ("patient", "/patient-portal"), ("staff", "/account/confirm")):
        answer = await ask(desk, path, tokens[who])
        assert "Lake &amp; &lt;b&gt;Side&lt;/b&gt;" in answer.text
        assert "<b>" not in answer.text
        assert "020 712 3456" in answer.text
        assert answer.text.count("<h1>") == 1
        assert answer.text.count("<clinic-shell") == answer.text.count("</clinic-shell>") == 1
        assert " id=" not in answer.text.partition("<clinic-shell")[2].partition("</clinic-shell>")[0]
        assert " style=" not in answer.text


async def test_a_page_is_sent_compressed_to_whom_that_suits(desk, tokens):
    plain = await ask(desk, "/patients", tokens["staff"], accept_encoding="identity")
    assert "content-encoding" not in plain.headers
    packed = await ask(desk, "/patients", tokens["staff"], accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert len(gzip.compress(plain.content)) < len(plain.content)


# --- sockets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "may"),
    [
        ("nobody", False),
        ("junk", False),
        ("new staff", False),
        ("new patient", False),
        ("staff", True),
        ("patient", True),
    ],
)
async def test_who_may_connect(tokens, who, may):
    assert await documents.may_connect(crypto.digest(tokens[who]) if tokens[who] else "") is may


@pytest.mark.parametrize(
    "ended",
    [{"ended_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, {"expires_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)},
     {"last_seen_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}],
    ids=["ended", "absolute", "idle"],
)  # fmt: skip
async def test_a_session_that_is_over_connects_nobody_and_is_told_apart(tokens, ended):
    mine, other = crypto.digest(tokens["staff"]), crypto.digest(tokens["patient"])
    assert sessions.over_among({mine, other}) == set()
    assert 0 < sessions.seconds_left(mine) <= 15 * 60
    end(tokens["staff"], **ended)
    assert not await documents.may_connect(mine)
    assert sessions.over_among({mine, other, "none"}) == {mine, "none"}
    assert sessions.seconds_left(mine) is None
    assert sessions.owner_of(mine) > 0
    assert sessions.owner_of("none") == 0


@pytest.mark.parametrize(
    ("who", "reached"), [("nobody", False), ("junk", False), ("new staff", False), ("staff", True)]
)
async def test_a_refused_handshake_reaches_nothing_that_could_keep_a_state(desk, tokens, who, reached):
    seen, sent = [], []

    async def inner(scope, receive, send):
        seen.append(scope)

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    cookie = f"{cookies.session_name()}={crypto.digest(tokens[who])}".encode()
    scope = {"type": "websocket", "path": "/_event", "headers": [(b"cookie", cookie)]}
    await documents.before_session(inner, OpenSockets())(scope, receive, send)
    assert bool(seen) is reached
    assert sent == ([] if reached else [{"type": "websocket.close", "code": 1008}])
