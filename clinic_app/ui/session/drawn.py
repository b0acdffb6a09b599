"""What an action was drawn for, and what belongs to a page that has been left.

Between a press and its reply the server's state may already be about somebody else, and the screen may still be about
somebody the state has left. So an action carries the id it was drawn for, and a page keeps nothing once it is left.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import Any, Protocol

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.errors import Conflict

MARK = "__clinic_drawn_for__"
#: So much is read of the stamp that an action carries.
STAMP = 100


class AnotherPatient(Conflict):
    """The page, or the dialog, is not about the patient any more for whom the button was drawn."""

    code = "another_patient"
    title = "Another patient"
    detail = "This page shows another patient now. Nothing was changed."


class Misdirected(rx.State):
    """Why an action did nothing: said at the top of the page it came to, until the next one or another page."""

    words: str = ""


async def say(state: Any, words: str) -> None:
    """Say so, or take it back."""
    (await state.get_state(Misdirected)).words = words


class Page(Protocol):
    """A state that keeps what is about one page."""

    def _leave(self, path: str) -> None:
        """Let go of everything that does not belong to the page ``path``."""


def drawn_for(method: Any, name: str) -> Any:
    """Let ``method`` run only with an id its state vouches for: its first argument, called ``name``.

    The state's ``_meant`` parses what the client sent and raises where that is not what the page is about.
    """
    signature = inspect.signature(method)
    if list(signature.parameters)[1:2] != [name]:
        raise TypeError(f"{method.__qualname__} must take {name} first: what it was drawn for")

    async def bound(self: Any, args: Any, kwargs: Any) -> inspect.BoundArguments:
        found = signature.bind(self, *args, **kwargs)
        found.arguments[name] = self._meant(found.arguments[name])
        await say(self, "")
        return found

    if inspect.isasyncgenfunction(method):

        @functools.wraps(method)
        async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            call = await bound(self, args, kwargs)
            async with contextlib.aclosing(method(*call.args, **call.kwargs)) as events:
                async for event in events:
                    yield event

    else:

        @functools.wraps(method)
        async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            call = await bound(self, args, kwargs)
            return await method(*call.args, **call.kwargs)

    setattr(wrapped, MARK, name)
    return wrapped


def path_of(state: Any) -> str:
    """The page an event came from."""
    return str(state.router.url.path or "").rstrip("/") or routes.RECEPTION


_keepers: list[type[Page]] = []


def keeps_a_page(state: Any) -> Any:
    """Mark a state that keeps what is about one page: ``enter_page`` makes it let go."""
    _keepers.append(state)
    return state


async def enter_page(state: rx.State) -> None:
    """Whoever opens a page has left the one before: nothing of that stays in the tab."""
    await say(state, "")
    path = path_of(state)
    for one in _keepers:
        (await state.get_state(one))._leave(path)  # type: ignore[arg-type]
