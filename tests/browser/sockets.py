"""The event socket without a browser: what any client in the world can send."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from uuid import uuid4

import socketio
from socketio.exceptions import SocketIOError

ROOT_STATE = "reflex___state____state"
HYDRATE = f"{ROOT_STATE}.hydrate"
SHOWN = f"{ROOT_STATE}.clinic_app___ui___frame___state____shell_state.show_failure"
Answer = TypeVar("Answer")


class Tab:
    """One connection, as a page's: ``token`` names the tab, ``cookie`` is the raw Cookie header."""

    def __init__(self, url: str, token: str = "", cookie: str = "", origin: str | None = "same") -> None:
        self.url, self.token, self.messages = url, token or str(uuid4()), []
        self.new_token = ""
        self._arrived = asyncio.Event()
        self._fences = 0
        self._headers = {"Origin": url if origin == "same" else origin} if origin is not None else {}
        if cookie:
            self._headers["Cookie"] = cookie
        self._client = socketio.AsyncClient(
            reconnection=False,
            json=json,  # not what an app in this process has set
            ssl_verify=not url.startswith("https://127.0.0.1:"),  # where a test made the certificate
        )
        self.connected: Callable[[], bool] = lambda: self._client.connected
        self._client.on("event", self._event, namespace="/_event")
        self._client.on("new_token", self._renamed, namespace="/_event")

    async def __aenter__(self) -> Tab:
        try:
            await self._client.connect(
                f"{self.url}/_event?token={self.token}",
                transports=["websocket"],
                namespaces=["/_event"],
                socketio_path="/_event",
                headers=self._headers,
                wait_timeout=10,
            )
        except SocketIOError:
            if self._client.eio.http is not None:  # the library leaves it open where it is refused
                await self._client.eio.http.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.disconnect()

    async def _event(self, data: Any) -> None:
        self.messages.append(data if isinstance(data, str) else json.dumps(data))
        self._arrived.set()

    async def _renamed(self, token: str) -> None:
        self.new_token = token

    async def send(self, name: Any, payload: Any = None, path: str = "/", **more: Any) -> None:
        """Fire one event."""
        page = {"pathname": path, "asPath": path, "query": {}, **more}
        event = {"name": name, "payload": {} if payload is None else payload, "router_data": page}
        await self._client.emit("event", event, namespace="/_event")

    async def send_raw(self, data: Any) -> None:
        """Fire whatever, in place of an event."""
        await self._client.emit("event", data, namespace="/_event")

    async def send_text(self, text: str) -> None:
        """Fire a message below the event protocol."""
        await self._client.eio.send(text[1:] if text.startswith("4") else text)

    def on(self, name: str, told: Callable[[], Any]) -> None:
        """Call ``told`` when the server sends the message ``name``."""

        async def answer(*_: Any) -> None:
            told()

        self._client.on(name, answer, namespace="/_event")

    async def settled(self, patience: float = 30.0) -> None:
        """Wait until everything sent so far has been answered: a tab's events are taken in their order."""
        for _ in range(2):  # the second one also waits for what the first round has set off
            self._fences += 1
            mark = f"fence{self._fences}x{uuid4().hex[:6]}"[:16]
            await self.send(SHOWN, {"reference": mark})
            async with asyncio.timeout(patience):
                while not any(mark in message for message in self.messages):
                    self._arrived.clear()
                    await self._arrived.wait()

    def text(self) -> str:
        """All that arrived."""
        return "\n".join(self.messages)


def session(token: str) -> str:
    """The Cookie header of somebody signed in."""
    return f"clinic_session={token}"


def run(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run ``work`` on a loop of its own, in a thread: a browser test's thread has one already."""
    box: dict[str, Any] = {}

    def go() -> None:
        try:
            box["answer"] = asyncio.run(work)
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    if "error" in box:
        raise box["error"]
    return box["answer"]


def hydrated(url: str, token: str, cookie: str) -> str:
    """All that the server holds for the tab ``token``, as its owner is sent it after a reconnect."""

    async def ask() -> str:
        async with Tab(url, token, session(cookie)) as tab:
            assert tab.new_token == "", "the tab is still open"
            await tab.send(HYDRATE)
            await tab.settled()
            return tab.text()

    return run(ask())
