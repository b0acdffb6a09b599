"""What reaches the server before any handler: origins, sizes, closed addresses, forged forms."""

from __future__ import annotations

import importlib
import pkgutil
import re

import aiohttp
import httpx
import pytest

from clinic_app import web
from clinic_app.core import routes
from tests.browser.sockets import Tab, session
from tests.security.attack import ALPHA

OFF = ("/_upload", "/_upload/x", "/ping", "/_health", "/_all_routes", "/auth-codespace", "/_event", "/_event/")


def _changing() -> list[tuple[str, str]]:
    """``(method, path)`` of everything the pages' own routers take that may change something."""
    found = set()
    for module in pkgutil.iter_modules(web.__path__, "clinic_app.web."):
        router = getattr(importlib.import_module(module.name), "router", None)
        for route in getattr(router, "routes", ()):
            path = re.sub(r"\{[^}]*\}", "registration", route.path)
            found |= {(method, path) for method in route.methods - {"GET", "HEAD"}}
    return sorted(found)


CHANGING = _changing()


async def _opens(url: str, headers: list[tuple[str, str]], path: str = "/_event/") -> bool:
    """Whether the server shakes hands over ``path``."""
    target = f"{url.replace('http', 'ws')}{path}?EIO=4&transport=websocket&token=x"
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(target, headers=headers) as socket:
                return (await socket.receive(5)).type == aiohttp.WSMsgType.TEXT
        except aiohttp.WSServerHandshakeError as error:
            assert error.status in (403, 404)
            return False


async def test_the_sockets_own_origin_opens_it(attacked):
    """The control of the tests below."""
    own = [("Origin", attacked.server.url), ("Cookie", session(_kept_session(attacked)))]
    assert await _opens(attacked.server.url, own)


@pytest.mark.asvs("4.4.2")
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "http://localhost", "http://localhost:1", "https://localhost:{port}",
     "http://localhost:{port}.evil.example", "http://evil.example/?http://localhost:{port}", None, "two"],
)  # fmt: skip
async def test_a_foreign_or_missing_origin_is_refused(attacked, origin):
    own = attacked.server.url
    if origin is None:
        headers = []
    elif origin == "two":
        headers = [("Origin", own), ("Origin", "https://evil.example")]
    else:
        headers = [("Origin", origin.format(port=attacked.server.port))]
    assert not await _opens(own, [*headers, ("Cookie", session(_kept_session(attacked)))])


async def test_other_paths_are_no_sockets(attacked):
    for path in ("/", "/_upload", "/patients", "/_eventx/", "/socket.io/"):
        own = [("Origin", attacked.server.url), ("Cookie", session(_kept_session(attacked)))]
        assert not await _opens(attacked.server.url, own, path)


async def test_a_message_of_70_kib_closes_the_socket_and_one_of_60_does_not(attacked):
    name = "reflex___state____state.clinic_app___ui___frame___state____shell_state.show_failure"
    async with Tab(attacked.server.url, cookie=session(_kept_session(attacked))) as tab:
        await tab.send(name, {"reference": "x" * 60 * 1024})
        await tab.settled()
        assert tab.connected()
        await tab.send(name, {"reference": "x" * 70 * 1024})
        with pytest.raises(TimeoutError):
            await tab.settled(2)
        assert not tab.connected()


@pytest.mark.asvs("13.4.5", "4.1.4")
@pytest.mark.parametrize("path", OFF)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS"])
def test_reflexs_own_endpoints_are_not_there(attacked, path, method):
    answer = httpx.request(method, attacked.server.url + path, content=b"x", headers={"Origin": attacked.server.url})
    assert answer.status_code == 404


FORGED = [
    {},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "{own}", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "{own}", "Sec-Fetch-Site": "same-site"},
    {"Origin": "{own}", "Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Referer": "{own}/login"},
]


def test_the_forms_of_the_pages_are_among_those_tried():
    known = {
        routes.STAFF_SIGN_IN,
        routes.PORTAL_SIGN_IN,
        routes.SIGN_OUT,
        routes.STAFF_PASSWORD,
        routes.PORTAL_PASSWORD,
        routes.ACTIVATE,
        routes.FORGOT,
        routes.LINK_STRENGTH,
    }
    assert known | {routes.PASSWORD_STRENGTH, routes.SESSION_TOUCH} <= {path for _, path in CHANGING}


@pytest.mark.asvs("3.5.1", "3.5.2")
@pytest.mark.parametrize(("method", "path"), CHANGING)
@pytest.mark.parametrize(
    "headers", FORGED, ids=[" ".join(f"{k}={v}" for k, v in one.items()) or "none" for one in FORGED]
)
def test_a_post_that_no_page_of_ours_sent_is_refused(attacked, method, path, headers):
    url = attacked.server.url
    cookie = {"Cookie": session(_kept_session(attacked))}
    given = {name: value.format(own=url) for name, value in headers.items()}
    form = {"username": "second", "password": "x"}
    answer = httpx.request(method, url + path, data=form, headers={**given, **cookie})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert httpx.get(url + routes.SESSION_ALIVE, headers=cookie).status_code == 200  # still signed in


_kept: dict[str, str] = {}


def _kept_session(attacked) -> str:
    if "token" not in _kept:
        _kept["token"] = attacked.sign_in("second")
    return _kept["token"]


@pytest.mark.parametrize("headers", [{"Origin": "{own}"}, {"Sec-Fetch-Site": "same-origin"}])
def test_our_own_pages_may_post(attacked, headers):
    url = attacked.server.url
    given = {name: value.format(own=url) for name, value in headers.items()}
    cookie = {"Cookie": session(attacked.sign_in("second"))}
    assert httpx.post(url + routes.SESSION_TOUCH, headers={**given, **cookie}).status_code == 200
    answer = httpx.post(url + routes.SIGN_OUT, headers={**given, **cookie})
    assert answer.status_code == 303
    assert httpx.get(url + routes.SESSION_ALIVE, headers=cookie).status_code == 401


@pytest.mark.asvs("3.5.3")
@pytest.mark.parametrize("path", sorted({path for method, path in CHANGING if method == "POST"}))
def test_links_and_images_cannot_do_what_posts_do(attacked, path):
    cookie = {"Cookie": session(_kept_session(attacked))}
    told = httpx.get(attacked.server.url + path, headers=cookie)
    if path in (routes.ACTIVATE, routes.FORGOT, routes.CONFIRM_EMAIL, routes.PASSKEY_ADD):  # pages with a form
        assert told.status_code == 200
    elif path.startswith(routes.SELF_REGISTRATION):  # is switched off
        assert told.status_code == 404
    elif path.startswith(f"{routes.PASSKEYS}/"):  # the page that asks whether to remove one, which is not there
        assert (told.status_code, told.headers["location"]) == (303, routes.PASSKEYS)
    elif path.startswith("/auth/") or path in (routes.PORTAL_EMAIL, routes.PORTAL_SESSION_END):
        assert told.status_code in (404, 405)
    else:  # a page of its own, for somebody who has not signed in
        assert (told.status_code, told.headers["location"]) == (303, routes.RECEPTION)
    assert httpx.get(attacked.server.url + routes.SESSION_ALIVE, headers=cookie).status_code == 200


def test_pages_themselves_hold_no_data_and_may_not_be_framed(attacked):
    cookie = {"Cookie": session(attacked.sign_in("receptionist"))}
    for path in ("/", "/patients", f"/patients/{attacked.bravo.patient.patient_id}"):
        answer = httpx.get(attacked.server.url + path, headers=cookie)
        assert ALPHA not in answer.text.lower()
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        scripts = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
        assert "unsafe" not in scripts
        assert "no-store" in answer.headers["cache-control"] or "no-cache" in answer.headers["cache-control"]
