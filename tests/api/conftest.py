"""The API alone, over ASGI, as a client sees it at ``/api``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from clinic_app.api import health
from clinic_app.api.app import create_api
from clinic_app.core import context
from clinic_app.services import rates
from clinic_app.services.access import Actor
from clinic_app.services.accounts import tokens
from tests import factories

BASE = "http://testserver"


def served() -> Any:
    """The API mounted as the server mounts it, each request in a context of its own."""
    web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    web.include_router(health.router)
    web.mount("/api", create_api())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        token = context._current.set(None)
        try:
            await web(scope, receive, send)
        finally:
            context._current.reset(token)

    return app


@pytest.fixture(scope="session")
def asgi() -> Any:
    return served()


@pytest.fixture(autouse=True)
def _fresh_rates() -> None:
    rates.rates.cache_clear()


@pytest.fixture
async def api(asgi: Any, database: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    transport = httpx.ASGITransport(app=asgi, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


def bearer(actor: Actor) -> dict[str, str]:
    """The header that makes a request ``actor``'s."""
    password = factories.OWN_PASSWORD if actor.patient_id else factories.PASSWORD
    return {"authorization": f"Bearer {tokens.issue_tokens(actor.username, password).access}"}


@pytest.fixture
def as_(people: factories.People) -> Callable[[str], dict[str, str]]:
    """``as_("admin")``: the header of one of ``people``."""
    kept: dict[str, dict[str, str]] = {"anonymous": {}}

    def header(who: str) -> dict[str, str]:
        if who not in kept:
            kept[who] = bearer(getattr(people, who))
        return kept[who]

    return header


@pytest.fixture
async def client(asgi: Any, own_database: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token, on a database with real commits: for what happens at the same time."""
    transport = httpx.ASGITransport(app=asgi, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


@pytest.fixture
def desk(own_database: Any) -> Actor:
    """A receptionist there."""
    return factories.make_staff()
