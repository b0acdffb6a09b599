"""States without a browser: a tab's tree, signed in or not, and its handlers called by ``.fn``."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import reflex as rx

from clinic_app.core import crypto, db, sealing
from clinic_app.models.accounts import Account
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions
from clinic_app.ui.session import live_updates


class Desk:
    """One tab. ``await desk.fire(State.handler, …)`` returns what the handler yielded or returned."""

    def __init__(self) -> None:
        self.root = rx.State(_reflex_internal_init=True)  # type: ignore[call-arg]
        self.token_hash = ""
        self._sockets = contextlib.ExitStack()
        self.at("/")

    def at(self, path: str, **query: str) -> None:
        """Where the tab is."""
        cookie = f"clinic_session={self.token_hash}; clinic_address=203.0.113.7"
        data = {"headers": {"cookie": cookie, "user_agent": "pytest"}, "pathname": path, "asPath": path, "query": query}
        self.root.router_data = {}
        self.root.router_data = self.root._update_router_vars(data, {})  # type: ignore[attr-defined]

    def sign_in(self, actor: Actor) -> None:
        """The tab belongs to ``actor`` from now on."""
        with db.transaction() as session:
            account = session.get(Account, actor.account_id)
            assert account is not None
            token, _ = sessions.open_session(session, account)
        self.token_hash = crypto.digest(token)
        self._sockets.enter_context(sealing.holding(token))  # as while its connection is open
        self.at("/")

    def end_session(self) -> None:
        """What the idle limit does."""
        with db.transaction() as session:
            sessions.end_one(session, self.token_hash, "idle")

    def state(self, cls: Any) -> Any:
        """The tab's part ``cls``."""
        path = cls.get_full_name().split(".")[1:]
        return self.root.get_substate([self.root.get_name(), *path])

    async def fire(self, handler: Any, *arguments: Any) -> list[Any]:
        """Call a handler as an event would."""
        cls, name = handler.fn.__qualname__.split(".")[-2:] if hasattr(handler, "fn") else ("", "")
        state = next(one for one in self._all() if type(one).__name__ == cls)
        result = handler.fn(state, *arguments)
        assert name
        if inspect.isasyncgen(result):
            return [one async for one in result]
        return [await result]

    def _all(self) -> list[Any]:
        found, todo = [], [self.root]
        while todo:
            found.append(todo.pop())
            todo += found[-1].substates.values()
        return found


def events(given: list[Any]) -> list[str]:
    """Names of what was returned: ``_redirect /login``, ``_set_focus phone``."""
    names = []
    for one in given:
        if one is None:
            continue
        arguments = {str(key): str(value) for key, value in getattr(one, "args", ())}
        where = arguments.get("path") or arguments.get("ref") or ""
        names.append(f"{one.handler.fn.__qualname__.rpartition('.')[2]} {where}".strip().replace('"', ""))
    return names


@pytest.fixture
def desk(database: Any) -> Desk:
    """A tab nobody is signed in at."""
    return Desk()


@pytest.fixture
def tab(desk: Desk, people: Any) -> Desk:
    """A receptionist's tab."""
    desk.sign_in(people.receptionist)
    return desk


Fire = Callable[..., Any]


async def _nothing(*_: object) -> None:
    """Holds nothing."""


@pytest.fixture
def news(monkeypatch):
    """A loop wakes once, and then the session is over. A background handler writes under its state's lock."""

    async def once(*_: object):
        yield 1

    monkeypatch.setattr(live_updates, "news", once)
    monkeypatch.setattr(rx.State, "__aenter__", _nothing, raising=False)
    monkeypatch.setattr(rx.State, "__aexit__", _nothing, raising=False)
