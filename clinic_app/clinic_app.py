"""Composition root: pages, API, guard and watcher put together. Nothing is decided here."""

import contextlib
import functools

import reflex as rx
from starlette.routing import Mount

from clinic_app.api import health
from clinic_app.api.app import create_api
from clinic_app.core import bootstrap, context, logs
from clinic_app.services.accounts.housekeeping import tidying
from clinic_app.services.audit.anchor import anchoring
from clinic_app.ui.account import page as account
from clinic_app.ui.audit_trail import page as audit_trail
from clinic_app.ui.confirm import page as confirm
from clinic_app.ui.dead_ends import page as dead_ends
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit.theme import STYLESHEETS, head_components
from clinic_app.ui.own_record import page as own_record
from clinic_app.ui.patients import page as patients
from clinic_app.ui.profile import page as profile
from clinic_app.ui.reception import page as reception
from clinic_app.ui.registration import page as registration
from clinic_app.ui.session import live_updates
from clinic_app.ui.session.guard import SessionGuard
from clinic_app.ui.signing_in import page as signing_in
from clinic_app.ui.staff_accounts import page as staff_accounts
from clinic_app.web.app import create_web
from clinic_app.web.middleware import harden


def on_backend_error(exception: Exception) -> rx.event.EventSpec | None:
    """The last resort: an error in a handler that ``safe`` does not wrap is logged without values, and shown."""
    with context.use(context.RequestContext("page")):
        return ShellState.show_failure(logs.failure(exception, "uncaught"))  # pyright: ignore[reportReturnType]


def on_frontend_error(exception: Exception) -> None:
    """Its text comes from the browser, so it is not logged."""


@contextlib.asynccontextmanager
async def watch_changes():
    """One watcher per worker: open lists wait for it."""
    logs.last_resort()  # here, and so in processes that serve, not in those that only import this
    async with live_updates.changes.run():
        yield


@contextlib.asynccontextmanager
async def anchor_audit_trail():
    """The end of the trail is noted outside the database, again and again."""
    async with anchoring():
        yield


@contextlib.asynccontextmanager
async def tidy_up():
    """Expired rows are removed every hour."""
    async with tidying():
        yield


bootstrap.start()
app = rx.App(
    html_lang="en",
    stylesheets=STYLESHEETS,
    head_components=head_components(),
    backend_exception_handler=on_backend_error,
    frontend_exception_handler=on_frontend_error,
    api_transformer=[create_web(health.router), functools.partial(harden, api=Mount("/api", app=create_api()))],
)
app.add_middleware(SessionGuard())
app.register_lifespan_task(watch_changes)
app.register_lifespan_task(anchor_audit_trail)
app.register_lifespan_task(tidy_up)

SCREENS = (
    signing_in,
    reception,
    patients,
    registration,
    profile,
    audit_trail,
    staff_accounts,
    account,
    confirm,
    own_record,
    dead_ends,
)
for screen in SCREENS:
    screen.add(app)
