"""The one way to write a handler, and the one way from a handler to a use case."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal, TypeVar

import reflex as rx
from reflex.istate.proxy import StateProxy

from clinic_app.core import context, logs, metrics, outage, sealing
from clinic_app.core.errors import ClinicError, DatabaseAway, ErrorKind, ReauthenticationRequired
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.services.accounts import sessions
from clinic_app.services.accounts.errors import IssuedMeanwhile
from clinic_app.ui.session import drawn, guard, identity, live_updates, presses
from clinic_app.ui.session.guard import PUBLIC
from clinic_app.ui.session.tabs import tabs, while_connected

Answer = TypeVar("Answer")
#: How often a page tries to get fresh credentials, where other lines and tabs get some at the same moment.
RACES = 4


def tab_of(state: Any) -> str:
    """What the names of this tab's search boxes begin with."""
    return f"{state.router.session.client_token}/"


class Asking:
    """Mixed into states: the one way from a handler to a use case."""

    async def _ask(
        self, use_case: Callable[..., Answer], *args: Any, touch: bool = True, press: str | None = None, **kwargs: Any
    ) -> Answer:
        """Call ``use_case(actor, …)`` off the event loop, as whoever the session says it is at this moment.

        A use case that changes something gets the ``press`` it is asked for with (``press_of``), and counts once:
        where that was carried out before, ``AlreadyDone`` is raised, and shown like any other error.
        """
        token_hash, request = identity.session_hash(self), identity.request_of(self)
        request = dataclasses.replace(request, intent=presses.intent_of(press or ""))

        def work() -> Answer:
            with context.use(request):
                actor = sessions.resolve(token_hash, touch=touch)
                return intents.once(actor, lambda: use_case(actor, *args, **kwargs))

        done = await asyncio.to_thread(work)
        if press:
            await presses.answer(self, press, "done")
        return done

    async def _if_it_can(self, step: Awaitable[Answer]) -> Answer | None:
        """What ``step`` returns, once something has been done: None where the database is lost meanwhile.

        What was done, and the password that only this answer holds, is shown all the same.
        """
        try:
            return await step
        except Exception as error:
            if not outage.database_is_away(error):
                raise
            logs.failure(error, "after a press")
            return None

    async def _fresh(self, reissue: Callable[..., Answer], done: intents.Done) -> Answer:
        """Fresh credentials by ``reissue`` in place of those of a press that were lost on the way.

        Only for a page that is there to read them: where its line has gone, another one may show the former by now, so
        ``NoSocket`` is raised and nothing is issued. Raises what ``reissue`` raises.
        """
        for again in range(RACES):
            if not tabs.connected(self):
                raise sealing.NoSocket
            try:
                return await self._ask(reissue, done.intent, done.had)
            except IssuedMeanwhile:
                if again == RACES - 1:
                    raise
        raise AssertionError

    def _box(self) -> str:
        """The name of this state's search box in this tab, for ``list_patients``."""
        return f"{tab_of(self)}{type(self).__name__}"

    def _fail(self, error: ClinicError) -> Any:
        """Show ``error`` and end the loading state. May return an event."""
        raise NotImplementedError

    def _rest(self) -> None:
        """End the loading state: nothing is under way any more."""

    def _meant(self, given: Any) -> Any:
        """What a handler ``about`` something gets of what the client sent: the id of a thing the page may be about.

        Raises where the page, as the state and the event know it, is not about that.
        """
        raise NotImplementedError


def _known(error: Exception, handler: str) -> ClinicError:
    return error if isinstance(error, ClinicError) else outage.told(error, logs.failure(error, handler))


async def _tell(state: Any, error: Exception, handler: str) -> Any:
    request = identity.request_of(state)
    if isinstance(error, sealing.NoSocket):  # the line has gone in between
        await presses.leave_unanswered(state)
        state._rest()
        return None
    with context.use(request):
        told = _known(error, handler)
    if isinstance(told, intents.AlreadyDone) and not isinstance(state, StateProxy):
        state._rest()
        try:
            return await presses.show(state, told.done)
        except sealing.NoSocket:
            await presses.stay_silent(state)
            return None
        except Exception as again:  # noqa: BLE001  the outcome could not be shown, and that is told
            with context.use(request):
                told = _known(again, handler)
    if isinstance(told, drawn.AnotherPatient):  # nothing was begun that would have to end
        await drawn.say(state, told.detail)
        return None
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


@contextlib.contextmanager
def _counted(name: str, *, timed: bool) -> Iterator[None]:
    """Count an event of a page under its handler's name, how it ended, and how long it took."""
    began, outcome = time.perf_counter(), "done"
    try:
        yield
    except ClinicError as error:
        outcome = "refused"
        metrics.count(metrics.REFUSALS, "desk", str(error.kind))
        raise
    except Exception:
        outcome = "failed"
        raise
    except BaseException:  # superseded, or the tab is closed
        outcome = "ended"
        raise
    finally:
        metrics.count(metrics.DESK_EVENTS, name, outcome)
        if timed:
            metrics.observe(metrics.DESK_EVENT_SECONDS, time.perf_counter() - began, name)


def safe(handler: Any, *, timed: bool = True) -> Any:
    """A handler never raises: browser and server would disagree about the state from then on.

    Errors of ours are shown by ``_fail``; of others the page gets a reference and the log what failed where,
    without values. ``CancelledError`` passes, so that superseded handlers and closed tabs end.
    """
    name = handler.__qualname__
    if inspect.isasyncgenfunction(handler):

        @functools.wraps(handler)
        async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                with _counted(name, timed=timed):
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
                with _counted(name, timed=timed):
                    return await handler(self, *args, **kwargs)
            except Exception as error:  # noqa: BLE001
                return await _tell(self, error, name)

    return wrapped


def _outlasting(method: Any) -> Any:
    """Let a loop go on after the database was away: its page says so meanwhile, and not any more once it is back."""
    if not inspect.isasyncgenfunction(method):
        return method
    name = method.__qualname__

    @functools.wraps(method)
    async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        said = ""
        while True:
            try:
                async with contextlib.aclosing(method(self, *args, **kwargs)) as events:
                    async for event in events:
                        yield event
                return
            except Exception as error:
                if not (isinstance(error, DatabaseAway) or outage.database_is_away(error)):
                    raise
                with context.use(identity.request_of(self)):
                    said = _known(error, name).detail
            async with self:
                if not getattr(self, "failure", said):
                    self.failure = said
            await live_updates.back(self)
            async with self:
                if getattr(self, "failure", "") == said:
                    self.failure = ""

    return wrapped


def _pressed(method: Any) -> Any:
    """Tell the browser that the press a handler came with is over, however it ended."""

    signature = inspect.signature(method)

    async def over(self: Any, args: Any, kwargs: Any) -> None:
        given = list(signature.bind(self, *args, **kwargs).arguments.values())[1:]
        await presses.answer(self, presses.press_of(given[-1] if given else ""), "refused")

    if inspect.isasyncgenfunction(method):

        @functools.wraps(method)
        async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            async with contextlib.aclosing(method(self, *args, **kwargs)) as events:
                async for event in events:
                    yield event
            await over(self, args, kwargs)

    else:

        @functools.wraps(method)
        async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            answer = await method(self, *args, **kwargs)
            await over(self, args, kwargs)
            return answer

    setattr(wrapped, PRESSED, True)
    return wrapped


PRESSED = "__clinic_pressed__"


def handler(
    who: Permission | Literal["public"],
    *,
    about: str = "",
    changes: bool = False,
    background: bool = False,
    supersedes: bool = False,
) -> Any:
    """Make a method of a state an event handler, for holders of the permission ``who`` or for ``PUBLIC``.

    The only way to write one: what is not made by it is refused. The method is ``async``, parses every argument
    (any client sends what it likes) and may raise: errors are shown by the state's ``_fail``. ``supersedes`` ends
    the tab's run before. ``background`` runs beside other events, and does so too: a tab has one at most of each,
    which ends with its connection.

    ``about`` names the first argument of a method that acts on one thing: the id it was drawn for. It is parsed by
    the state's ``_meant``, and the method acts on that, never on what the state holds. ``changes``: it changes
    something, and its last argument is the press, or the form that holds it.
    """

    def decorate(method: Any) -> Any:
        if about:
            method = drawn.drawn_for(method, about)
        if background:
            method = while_connected(_outlasting(method))
        told = safe(method, timed=not background)
        told = _pressed(told) if changes else told
        guarded = guard.public(told) if who == PUBLIC else guard.require(Permission(who))(told)
        return rx.event(guarded, background=background or None, supersedes=supersedes or background)

    return decorate


def text(value: Any, longest: int = 1000) -> str:
    """A handler's argument as text: clients send what they like."""
    return value[:longest] if isinstance(value, str) else ""


def fields(form: Any, names: tuple[str, ...]) -> dict[str, str]:
    """The fields of a submitted form that were asked for, as text; others are dropped."""
    return {name: text(form.get(name)) for name in names if name in form} if isinstance(form, dict) else {}
