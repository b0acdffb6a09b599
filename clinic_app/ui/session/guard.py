"""Who may fire which event: a mark on every handler, and a gate that refuses what has no mark.

Any client can send any event with any payload, so a page that hides a button guards nothing. Three layers:
``require`` around each handler, ``SessionGuard`` before every event, and the service that checks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any

import reflex as rx
from reflex.istate.proxy import StateProxy
from reflex.middleware import Middleware
from reflex.state import StateUpdate
from reflex_base.event import Event
from reflex_base.registry import RegistrationContext

from clinic_app.core import context, logs, routes
from clinic_app.services import access
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import places
from clinic_app.services.audit.authorization import note_or_count_refusal
from clinic_app.ui.session import identity

MARK = "__clinic_permission__"
PUBLIC = "public"
_NAMESPACE = "/_event"
_log = logs.get("guard")

_STATE = "reflex___state____state"
#: Of what Reflex itself fires, that which is answered with all that the tab's state holds.
WHOLE = frozenset({f"{_STATE}.hydrate", f"{_STATE}.hydrate_and_load"})
#: What Reflex itself fires. ``setvar`` is not among them.
FRAMEWORK_EVENTS = WHOLE | frozenset(
    {
        f"{_STATE}.set_is_hydrated",
        f"{_STATE}.reflex___state____on_load_internal_state.on_load_internal",
        f"{_STATE}.reflex___state____on_load_internal_state.set_is_hydrated",
        f"{_STATE}.reflex___state____update_vars_internal_state.update_vars_internal",
        f"{_STATE}.reflex___state____frontend_event_exception_state.handle_frontend_exception",
    }
)


def confirm_first(state: Any) -> Any:
    """To *Confirm it is you*, and back to this page."""
    return rx.redirect(routes.confirm(str(state.router.url.path or "")))


def way_out(state: Any, actor: Actor) -> Any:
    """Where somebody goes who may not be here: to sign in, to what they must do first, or to their own side."""
    path = str(state.router.url.path or "")
    return rx.redirect(places.start(actor) if actor.kind == "account" else places.sign_in_page(path), replace=True)


class Refusal(rx.State):
    """Whose a page is that somebody may not open: said in its place, until another page is entered."""

    words: str = ""


async def _say(state: Any, words: str) -> None:
    if isinstance(state, StateProxy):  # a background handler may write under its lock only
        async with state:
            (await state.get_state(Refusal)).words = words
    else:
        (await state.get_state(Refusal)).words = words


async def _refuse(state: Any, actor: Actor, permission: Permission) -> Any:
    """Leave a trace of what somebody signed in was refused, and show them where to go or why not."""
    if actor.kind == "account":
        request = identity.request_of(state)

        def note() -> None:
            with context.use(request):
                note_or_count_refusal(actor, str(permission))

        await asyncio.to_thread(note)
    if actor.is_staff and permission in access.REFUSALS and not actor.held_back:
        await _say(state, access.REFUSALS[permission])
        return None
    return way_out(state, actor)


def require(permission: Permission) -> Callable[[Any], Any]:
    """Let the handler run only for somebody who holds ``permission`` at this moment.

    Part of ``handler``, also for loaders and background handlers. A handler must be ``async``:
    a plain one would keep every other client waiting.
    """

    def decorate(handler: Any) -> Any:
        if inspect.isasyncgenfunction(handler):

            @functools.wraps(handler)
            async def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
                actor = await identity.actor_of(self)
                if not actor.can(permission):
                    yield await _refuse(self, actor, permission)
                    return
                async with contextlib.aclosing(handler(self, *args, **kwargs)) as events:
                    async for event in events:
                        yield event

        elif inspect.iscoroutinefunction(handler):

            @functools.wraps(handler)
            async def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
                actor = await identity.actor_of(self)
                if not actor.can(permission):
                    return await _refuse(self, actor, permission)
                return await handler(self, *args, **kwargs)

        else:
            raise TypeError(f"{handler.__qualname__} must be async")
        setattr(guarded, MARK, permission)
        return guarded

    return decorate


def public(handler: Any) -> Any:
    """Mark a handler anybody may fire, such as the loader of a sign-in page."""
    if not (inspect.isasyncgenfunction(handler) or inspect.iscoroutinefunction(handler)):
        raise TypeError(f"{handler.__qualname__} must be async")
    setattr(handler, MARK, PUBLIC)
    return handler


async def _hang_up(app: Any, state: Any) -> None:
    """End the connection below the event protocol: a page that is told to leave by the protocol never comes back."""
    with contextlib.suppress(Exception):  # it may be gone already
        server, session = app.sio, state.router.session.session_id
        await server.eio.disconnect(server.manager.eio_sid_from_sid(session, _NAMESPACE))


class SessionBinding(rx.State):
    """Ties a tab's state to the browser session that filled it. The tab's own token proves nothing."""

    _bound_to: str = ""


class SessionGuard(Middleware):
    """Runs before every event: what nobody marked is refused, and nobody inherits another session's state."""

    async def preprocess(self, app: Any, state: Any, event: Event) -> StateUpdate | None:
        """None lets the event through; a ``StateUpdate`` cancels it.

        While nobody can say who is behind the tab, it keeps what it holds, and its connection ends: the browser
        asks to be let in again until that can be told, and hydrates then.
        """
        try:
            return await self._judge(state, event)
        except Exception as error:  # noqa: BLE001  whatever keeps us from knowing
            logs.failure(error, "guard")
            await _hang_up(app, state)
            return StateUpdate()

    async def _judge(self, state: Any, event: Event) -> StateUpdate | None:
        over = event.name in WHOLE and (await identity.actor_of(state, touch=False)).kind != "account"
        await self._bind(state, over=over)
        if event.name in FRAMEWORK_EVENTS:
            return None
        registered = RegistrationContext.get().event_handlers.get(event.name)
        mark = getattr(registered.handler.fn, MARK, None) if registered else None
        if mark == PUBLIC:
            return None
        actor = await identity.actor_of(state, touch=False)
        if mark is not None and actor.kind == "account":
            return None  # `require` asks for the permission itself
        if mark is None:
            # The name only: a payload may hold anything.
            _log.warning("event_without_permission", handler=event.name[-80:])
            if actor.kind == "account":
                await _refuse(state, actor, Permission.OWN_SESSION)
            return StateUpdate()
        return StateUpdate(events=Event.from_event_type([way_out(state, actor)]))

    async def _bind(self, state: Any, *, over: bool) -> None:
        key = identity.session_hash(state)
        binding = await state.get_state(SessionBinding)
        if over or binding._bound_to != key:
            root = state._get_root_state()
            if binding._bound_to:  # the session is over, or the tab's token came with another: start from nothing
                root.reset()
            binding = await state.get_state(SessionBinding)
            binding._bound_to = key

    async def postprocess(self, app: Any, state: Any, event: Event, update: StateUpdate) -> StateUpdate:  # noqa: ARG002
        """Nothing to add."""
        return update
