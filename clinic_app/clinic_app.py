"""Composition root: pages, API, guard and watcher put together. Nothing is decided here."""

import contextlib
import functools

import reflex as rx
from fastapi import FastAPI
from starlette.routing import Mount

from clinic_app.api import browser, downloads, health, own_account, two_factor
from clinic_app.api.app import create_api
from clinic_app.api.edge import harden
from clinic_app.components.theme import STYLESHEETS, head_components
from clinic_app.core import bootstrap, context, logs
from clinic_app.pages import (
    account,
    audit_trail,
    dead_ends,
    own_record,
    patients,
    profile,
    reception,
    registration,
    signing_in,
    staff_accounts,
)
from clinic_app.services.accounts.housekeeping import tidying
from clinic_app.services.audit.anchor import anchoring
from clinic_app.states import live
from clinic_app.states.guard import SessionGuard
from clinic_app.states.shell import ShellState


def on_backend_error(exception: Exception) -> rx.event.EventSpec | None:
    """The net below ``safe``: an error in a handler nobody wrapped is logged without values, and shown."""
    with context.use(context.RequestContext("page")):
        return ShellState.show_failure(logs.failure(exception, "uncaught"))  # pyright: ignore[reportReturnType]


def on_frontend_error(exception: Exception) -> None:
    """Its text comes from the browser, so it is not logged."""


@contextlib.asynccontextmanager
async def watch_changes():
    """One watcher a worker: open lists sleep on it."""
    logs.last_resort()  # here, and so in processes that serve, not in those that only import this
    async with live.changes.run():
        yield


@contextlib.asynccontextmanager
async def anchor_audit_trail():
    """The end of the trail is noted outside the database, again and again."""
    async with anchoring():
        yield


@contextlib.asynccontextmanager
async def tidy_up():
    """What nobody needs any more is removed, now and then."""
    async with tidying():
        yield


bootstrap.start()
web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
web.include_router(browser.router)
web.include_router(own_account.router)
web.include_router(two_factor.router)
web.include_router(downloads.router)
web.include_router(health.router)

app = rx.App(
    html_lang="en",
    stylesheets=STYLESHEETS,
    head_components=head_components(),
    backend_exception_handler=on_backend_error,
    frontend_exception_handler=on_frontend_error,
    api_transformer=[web, functools.partial(harden, api=Mount("/api", app=create_api()))],
)
app.add_middleware(SessionGuard())
app.register_lifespan_task(watch_changes)
app.register_lifespan_task(anchor_audit_trail)
app.register_lifespan_task(tidy_up)
for page in (
    account,
    audit_trail,
    profile,
    registration,
    patients,
    reception,
    signing_in,
    staff_accounts,
    own_record,
    dead_ends,
):
    page.add(app)
