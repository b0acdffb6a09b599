"""The one way to write a handler, and the one way from a handler to a use case."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import reflex as rx
from reflex.istate.proxy import StateProxy

from clinic_app.core import context, logs
from clinic_app.core.errors import ClinicError, ErrorKind, ReauthenticationRequired, Unexpected
from clinic_app.services.access import Permission
from clinic_app.services.accounts import sessions
from clinic_app.ui.session import guard, identity
from clinic_app.ui.session.guard import PUBLIC

Answer = TypeVar("Answer")


class Asking:
    """Mixed into states: the one way from a handler to a use case."""

    async def _ask(self, use_case: Callable[..., Answer], *args: Any, touch: bool = True, **kwargs: Any) -> Answer:
        """Call ``use_case(actor, …)`` off the event loop, as whoever the session says it is at this moment."""
        token_hash, request = identity.session_hash(self), identity.request_of(self)

        def work() -> Answer:
            with context.use(request):
                return use_case(sessions.resolve(token_hash, touch=touch), *args, **kwargs)

        return await asyncio.to_thread(work)

    def _fail(self, error: ClinicError) -> Any:
        """Show ``error`` and end the loading state. May return an event."""
        raise NotImplementedError


def _known(error: Exception, handler: str) -> ClinicError:
    return error if isinstance(error, ClinicError) else Unexpected(logs.failure(error, handler))


async def _tell(state: Any, error: Exception, handler: str) -> Any:
    request = identity.request_of(state)
    with context.use(request):
        told = _known(error, handler)
    if isinstance(state, StateProxy):  # a background handler may write under its lock only
        async with state:
            answer = state._fail(told)
    else:
        answer = state._fail(told)
    if isinstance(told, ReauthenticationRequired):
        return guard.confirm_first(state)
    if told.kind == ErrorKind.UNAUTHENTICATED:
        return guard.way_out(state, await identity.actor_of(state, touch=False))
    return answer


def safe(handler: Any) -> Any:
    """A handler never raises: browser and server would disagree about the state from then on.

    Errors of ours are shown by ``_fail``; of others the page gets a reference and the log what failed where,
    without values. ``CancelledError`` passes, so that superseded handlers and closed tabs end.
    """
    name = handler.__qualname__
    if inspect.isasyncgenfunction(handler):

        @functools.wraps(handler)
        async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                async with contextlib.aclosing(handler(self, *args, **kwargs)) as events:
                    async for event in events:
                        yield event
            except Exception as error:  # noqa: BLE001
                if (answer := await _tell(self, error, name)) is not None:
                    yield answer

    else:

        @functools.wraps(handler)
        async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return await handler(self, *args, **kwargs)
            except Exception as error:  # noqa: BLE001
                return await _tell(self, error, name)

    return wrapped


def handler(who: Permission | Literal["public"], *, background: bool = False, supersedes: bool = False) -> Any:
    """Make a method of a state an event handler, for holders of the permission ``who`` or for ``PUBLIC``.

    The only way to write one: what is not made by it is refused. The method is ``async``, parses every argument
    (any client sends what it likes) and may raise: errors are shown by the state's ``_fail``. ``background`` runs
    beside other events, ``supersedes`` ends the run before.
    """

    def decorate(method: Any) -> Any:
        guarded = guard.public(safe(method)) if who == PUBLIC else guard.require(Permission(who))(safe(method))
        return rx.event(guarded, background=background or None, supersedes=supersedes)

    return decorate


def text(value: Any, longest: int = 1000) -> str:
    """A handler's argument as text: clients send what they like."""
    return value[:longest] if isinstance(value, str) else ""


def fields(form: Any, names: tuple[str, ...]) -> dict[str, str]:
    """The fields of a submitted form that were asked for, as text; others are dropped."""
    return {name: text(form.get(name)) for name in names if name in form} if isinstance(form, dict) else {}
