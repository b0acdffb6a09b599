"""Composition root: pages, API, guard and watcher put together. Nothing is decided here."""

import contextlib
import functools

import reflex as rx
from reflex.app import default_error_boundary
from reflex_base.event.context import EventContext
from starlette.routing import Mount

from clinic_app.api import health, metrics
from clinic_app.api.app import create_api
from clinic_app.core import bootstrap, context, log_ration, logs, outage, periodic
from clinic_app.core.budget import AT_ONCE, Budgets
from clinic_app.core.metrics import leaving
from clinic_app.core.settings import get_settings
from clinic_app.core.state_store import state_store
from clinic_app.services.accounts.housekeeping import tidying
from clinic_app.services.audit import refusals
from clinic_app.services.audit.anchor import anchoring
from clinic_app.services.audit.checkpoints import checkpointing
from clinic_app.services.notifications import delivery
from clinic_app.services.patients import name_parts, pair_finding, typed_searches
from clinic_app.services.patients.importing import work as importing_work
from clinic_app.services.portal import bulk_runs, reminders
from clinic_app.ui.account import page as account
from clinic_app.ui.audit_trail import page as audit_trail
from clinic_app.ui.bulk import page as bulk
from clinic_app.ui.confirm import page as confirm
from clinic_app.ui.dead_ends import page as dead_ends
from clinic_app.ui.duplicates import page as duplicates
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.importing import page as importing
from clinic_app.ui.kit.theme import STYLESHEETS, head_components
from clinic_app.ui.own_record import page as own_record
from clinic_app.ui.patients import page as patients
from clinic_app.ui.pending import page as pending
from clinic_app.ui.profile import page as profile
from clinic_app.ui.reception import page as reception
from clinic_app.ui.registration import page as registration
from clinic_app.ui.session import live_updates, state_locks
from clinic_app.ui.session.guard import SessionGuard
from clinic_app.ui.session.tabs import tabs
from clinic_app.ui.staff_accounts import page as staff_accounts
from clinic_app.ui.work_list import page as work_list
from clinic_app.web import connections
from clinic_app.web.app import create_web
from clinic_app.web.documents import before_session
from clinic_app.web.middleware import harden
from clinic_app.web.open_sockets import OpenSockets


def on_backend_error(exception: Exception) -> rx.event.EventSpec | None:
    """The last resort: an error in a handler that ``safe`` does not wrap is logged without values, and shown.

    Showing it is an event, which may fail as the one before did: so not where page state cannot be reached, and to one
    page not again within seconds.
    """
    if outage.redis_is_away(exception):
        state_store().lost()  # it ends every line, and pages say so themselves
        return None
    with context.use(context.RequestContext("page")):
        reference = logs.failure(exception, "uncaught")
    told = told_failures.of(EventContext.get().token).take()
    return ShellState.show_failure(reference) if told else None  # pyright: ignore[reportReturnType]


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
async def sign_audit_trail():
    """A checkpoint of the audit trail is signed every day."""
    async with checkpointing():
        yield


@contextlib.asynccontextmanager
async def tidy_up():
    """Rows past their time are removed, again and again."""
    async with tidying():
        yield


@contextlib.asynccontextmanager
async def watch_state_store():
    """Whether what pages hold can be reached."""
    async with state_store().watching():
        yield


@contextlib.asynccontextmanager
async def watch_sockets():
    """A socket ends with the session it was opened under."""
    async with sockets.watching():
        yield


@contextlib.asynccontextmanager
async def watch_connections():
    """An address that opens more connections than it may loses some."""
    async with connections.watching():
        yield


@contextlib.asynccontextmanager
async def watch_log():
    """What the log leaves out is counted there."""
    async with periodic.running(logs.tell_what_was_left_out, log_ration.MINUTE, failed="lines_left_out_failed"):
        yield


@contextlib.asynccontextmanager
async def leave_figures():
    """What this worker has counted is there for whichever is asked."""
    async with leaving():
        yield


@contextlib.asynccontextmanager
async def record_searches():
    """Terms that are left standing go into the trail."""
    async with typed_searches.recording():
        yield


@contextlib.asynccontextmanager
async def add_up_names():
    """Names that were registered and changed are added to their counts."""
    async with name_parts.adding_up():
        yield


@contextlib.asynccontextmanager
async def record_refusals():
    """Refusals that are counted go into the trail, a minute at a time."""
    async with refusals.recording():
        yield


@contextlib.asynccontextmanager
async def send_messages():
    """What the outbox holds is sent."""
    async with delivery.sending():
        yield


@contextlib.asynccontextmanager
async def remind_people():
    """Whoever has not used a link that ends soon is reminded, once."""
    async with reminders.reminding():
        yield


@contextlib.asynccontextmanager
async def create_in_bulk():
    """A run of portal accounts goes on, whoever started it and wherever."""
    async with bulk_runs.working():
        yield


@contextlib.asynccontextmanager
async def find_pairs():
    """New and changed records are compared with all others."""
    async with pair_finding.finding():
        yield


@contextlib.asynccontextmanager
async def take_in_patients():
    """A file is checked, or its patients are taken in, whoever began it and wherever."""
    async with importing_work.working():
        yield


@contextlib.asynccontextmanager
async def watch_tabs():
    """What runs for a tab, and what is kept of it, ends with it."""
    async with tabs.watching(app):
        yield


bootstrap.start()
sockets = OpenSockets()
told_failures = Budgets(lambda: 1 / AT_ONCE)  # by tab: one, and another after five seconds
app = rx.App(
    html_lang="en",
    stylesheets=STYLESHEETS,
    head_components=head_components(),
    app_wraps={(55, "ErrorBoundary"): lambda _stateful: default_error_boundary()},  # connection.js says the rest
    toaster=None,
    backend_exception_handler=on_backend_error,
    frontend_exception_handler=on_frontend_error,
    api_transformer=[
        create_web(health.router, *([metrics.router] if get_settings().metrics_token else [])),
        functools.partial(before_session, sockets=sockets),
        functools.partial(harden, api=Mount("/api", app=create_api())),
    ],
)
state_locks.leave_none_behind(app.state_manager)
app.add_middleware(SessionGuard())
app.register_lifespan_task(watch_changes)
app.register_lifespan_task(anchor_audit_trail)
app.register_lifespan_task(sign_audit_trail)
app.register_lifespan_task(tidy_up)
app.register_lifespan_task(watch_state_store)
app.register_lifespan_task(watch_sockets)
app.register_lifespan_task(watch_connections)
app.register_lifespan_task(watch_log)
app.register_lifespan_task(leave_figures)
app.register_lifespan_task(record_searches)
app.register_lifespan_task(add_up_names)
app.register_lifespan_task(record_refusals)
app.register_lifespan_task(send_messages)
app.register_lifespan_task(remind_people)
app.register_lifespan_task(create_in_bulk)
app.register_lifespan_task(find_pairs)
app.register_lifespan_task(take_in_patients)
app.register_lifespan_task(watch_tabs)

SCREENS = (
    reception,
    patients,
    registration,
    pending,
    work_list,
    duplicates,
    profile,
    audit_trail,
    staff_accounts,
    bulk,
    importing,
    account,
    confirm,
    own_record,
    dead_ends,
)
for screen in SCREENS:
    screen.add(app)
