"""The tabs connected to this worker: what runs for one ends with its connection, and what is kept of it soon after.

Page state is kept for a minute after the last sign of life (``redis_token_expiration``), so that a lost line changes
nothing and nothing stays behind, not even when a worker is killed. A worker gives that sign for the tabs it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import reflex as rx
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import BaseStateToken
from reflex_base.config import get_config

from clinic_app.core import cookies, periodic
from clinic_app.services.accounts import sessions
from clinic_app.ui.session.admission import only_events

EVERY = 1.0  # seconds between looks at the tabs that have left
SIGNS = 4  # of life, in the time that state is kept


def _socket_of(state: Any) -> str:
    return str(state.router.session.session_id or "")


class Tabs:
    """Of one worker. Does nothing until ``watching`` has been entered, as in commands and tests without a server."""

    def __init__(self) -> None:
        self._app: Any = None
        self._running: dict[str, set[asyncio.Task[Any]]] = defaultdict(set)
        self._left: dict[str, tuple[str, float]] = {}  # tab → hash of its session, until when it is kept
        self._sign_at = 0.0

    # --- what runs for a tab -------------------------------------------------------------------------

    @contextlib.contextmanager
    def running(self, state: Any) -> Iterator[bool]:
        """This task runs for the tab of ``state``, and is cancelled when its connection ends; False: it has."""
        socket, task = _socket_of(state), asyncio.current_task()
        if task is None or not self.connected(state):
            yield False
            return
        self._running[socket].add(task)
        try:
            yield True
        finally:
            self._running[socket].discard(task)
            if not self._running[socket]:
                del self._running[socket]

    def connected(self, state: Any) -> bool:
        """Whether the connection is open, as far as can be told here, by which the event of ``state`` came."""
        return self._app is None or _socket_of(state) in self._namespace.sid_to_token

    # --- what is kept of a tab -----------------------------------------------------------------------

    @property
    def _namespace(self) -> Any:
        return self._app.event_namespace

    @contextlib.asynccontextmanager
    async def watching(self, app: rx.App) -> AsyncIterator[None]:
        """Watch the tabs of ``app`` for as long as the block lasts: a lifespan task of each worker."""
        self._app = app
        namespace, gone, handle = self._namespace, self._namespace.on_disconnect, self._namespace.on_event

        def on_disconnect(sid: str) -> Any:
            self._part(sid)
            return gone(sid)

        namespace.on_disconnect, namespace.on_event = on_disconnect, only_events(handle)
        try:
            async with periodic.running(self._look, EVERY, failed="tab_watch_failed"):
                yield
        finally:
            namespace.on_disconnect, namespace.on_event = gone, handle
            self._app = None

    def _part(self, sid: str) -> None:
        for task in self._running.pop(sid, ()):
            task.cancel()
        token = self._namespace.sid_to_token.get(sid)
        headers = self._namespace._static_router_data.get(sid, {}).get("headers", {})
        mark = cookies.parse(headers.get("cookie", "")).get(cookies.session_name(), "")
        if token and mark:
            self._left[token] = mark, time.monotonic() + get_config().redis_token_expiration

    async def _look(self) -> None:
        now = time.monotonic()
        if now >= self._sign_at:
            self._sign_at = now + get_config().redis_token_expiration / SIGNS
            await self._keep_alive()
        self._left = {token: left for token, left in self._left.items() if left[1] > now}
        if not self._left:
            return
        over = await asyncio.to_thread(sessions.over_among, {mark for mark, _ in self._left.values()})
        for token in [token for token, (mark, _) in self._left.items() if mark in over]:
            if not await self._namespace._token_manager.is_token_connected(token):
                await self._forget(token)
                del self._left[token]

    async def _forget(self, token: str) -> None:
        """The session is over: nothing is kept of its tab."""
        async with self._app.state_manager.modify_state(BaseStateToken(ident=token, cls=rx.State)) as state:
            state.reset()
            state.router_data = {}

    async def _keep_alive(self) -> None:
        """A connected tab's state is kept, however long nothing happens in it."""
        owner = self._namespace._token_manager
        here = [token for token, held in owner.token_to_socket.items() if held.instance_id == owner.instance_id]
        manager = self._app.state_manager
        if not isinstance(manager, StateManagerRedis):
            for token in here:
                await manager.get_state(BaseStateToken(ident=token, cls=rx.State))
            return
        seconds = get_config().redis_token_expiration
        for token in here:
            kept = BaseStateToken(ident=token, cls=rx.State)
            pipeline = manager.redis.pipeline(transaction=False)
            for part in _parts(rx.State):
                pipeline.expire(kept._state_key(part), seconds)
            pipeline.expire(owner._get_redis_key(token), seconds)
            await pipeline.execute()


def _parts(state: type[Any]) -> Iterator[type[Any]]:
    yield state
    for one in state.get_substates():
        yield from _parts(one)


tabs = Tabs()


def while_connected(method: Any) -> Any:
    """Let a background handler run only as long as the connection lasts by which it was asked for."""
    if inspect.isasyncgenfunction(method):

        @functools.wraps(method)
        async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            with tabs.running(self) as here:
                if here:
                    async with contextlib.aclosing(method(self, *args, **kwargs)) as events:
                        async for event in events:
                            yield event

    else:

        @functools.wraps(method)
        async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            with tabs.running(self) as here:
                return await method(self, *args, **kwargs) if here else None

    return wrapped
