"""Whatever browsers post to: only pages of ours can, and each route says who."""

from __future__ import annotations

import importlib
import pkgutil
import re

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from clinic_app import web
from clinic_app.core import routes
from clinic_app.web import app, requests

#: Routes that do not ask who is signed in, because nobody is yet or any more.
NOBODY_YET = {
    ("POST", path)
    for path in (
        routes.STAFF_SIGN_IN,
        routes.PORTAL_SIGN_IN,
        routes.SIGN_IN_CODE,
        routes.SIGN_IN_RECOVERY,
        routes.SIGN_OUT,
        routes.ACTIVATE,
        routes.FORGOT,
        routes.LINK_STRENGTH,
        routes.SELF_REGISTRATION,
        routes.SELF_REGISTRATION_AGAIN,
        routes.CONFIRM_REGISTRATION,
    )
} | {
    (method, path)
    for method in ("GET", "HEAD")
    for path in (
        routes.ACTIVATE,
        routes.SHORT_ACTIVATE,
        routes.FORGOT,
        routes.SELF_REGISTRATION,
        routes.SELF_REGISTRATION_DONE,
        routes.CONFIRM_REGISTRATION,
    )
}
#: What is read of these is a cookie.
NO_BODY = {routes.SIGN_OUT, routes.SELF_REGISTRATION_AGAIN}
OUR_PAGE = {"Sec-Fetch-Site": "same-origin"}


def _routers() -> list[APIRouter]:
    modules = [importlib.import_module(one.name) for one in pkgutil.iter_modules(web.__path__, "clinic_app.web.")]
    return [found for module in modules for found in vars(module).values() if isinstance(found, APIRouter)]


ROUTES = [route for router in _routers() for route in router.routes]
CHANGING = sorted(
    (method, re.sub(r"\{[^}]*\}", "registration", route.path))
    for route in ROUTES
    if isinstance(route, APIRoute)
    for method in route.methods
    if requests.changes(route)
)


def test_every_router_is_served():
    assert {id(router) for router in _routers()} == {id(router) for router in app.ROUTERS}


def test_every_route_that_may_change_something_checks_where_the_request_came_from():
    assert len(CHANGING) > 10
    assert [route for route in ROUTES if not isinstance(route, requests.Route)] == []


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_route_without_the_check_is_not_served(method):
    careless = APIRouter()
    getattr(careless, method)("/auth/careless")(lambda: None)
    with pytest.raises(RuntimeError, match=r"^/auth/careless does not check that a page of ours sent the request\.$"):
        app.create_web(careless)


def test_a_socket_without_the_check_is_not_served():
    careless = APIRouter()

    @careless.websocket("/auth/careless")
    async def talk(_):
        pass

    with pytest.raises(RuntimeError, match="^/auth/careless does not check"):
        app.create_web(careless)


def test_a_route_that_only_reads_needs_no_check():
    reading = APIRouter()
    reading.get("/harmless")(lambda: None)
    app.create_web(reading)


@pytest.mark.parametrize(("method", "path"), CHANGING)
@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_nothing_is_read_of_what_another_page_sent(method, path, headers, monkeypatch):
    """Neither the session nor the body: the check comes first."""

    def never(*_, **__):
        raise AssertionError("the request was looked at")

    monkeypatch.setattr(requests.sessions, "resolve", never)
    monkeypatch.setattr(requests.Request, "body", never)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app.create_web()), base_url="http://desk") as http:
        answer = await http.request(method, path, headers=headers, content=b"x=1")
        assert (answer.status_code, answer.text) == (403, requests.FORBIDDEN)
        if path not in NO_BODY:  # the control: a page of ours gets that far
            with pytest.raises(AssertionError, match="^the request was looked at$"):
                await http.request(method, path, headers=OUR_PAGE, content=b"x=1")


def test_every_route_says_who_may_use_it():
    """It takes whoever asks or acts as a parameter, so that the use case can demand a permission of them."""
    known = {requests.who_asks, requests.who_acts}
    silent = {
        (method, route.path)
        for route in ROUTES
        if not known & {needed.call for needed in route.dependant.dependencies}
        for method in route.methods
    }
    assert silent == NOBODY_YET


def test_no_route_takes_anything_from_the_query():
    """Addresses are logged by others, and a link could fill it in."""
    asked = {
        (route.path, field.name)
        for route in ROUTES
        for part in (route.dependant, *route.dependant.dependencies)
        for field in (*part.query_params, *part.body_params)
    }
    assert asked == set()
