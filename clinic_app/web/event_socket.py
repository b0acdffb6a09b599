"""The event socket's handshake and messages: from pages of ours only, without secrets, and not too long."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clinic_app.core import cookies, crypto, sealing
from clinic_app.core.addresses import client_address
from clinic_app.web import refusals

#: The extension of ASGI by which a handshake is answered like a request.
_TELLS = "websocket.http.response"
SOCKET = "/_event"
SOCKET_LIMIT = 64 * 1024  # bytes in one message from a page
NO = 1008  # the code of a handshake that is refused: not for you
LATER = 1013  # the same: not now
TOO_FAST = 4029  # the same: not before you have slowed down

_REFUSALS = {LATER: refusals.TOO_MANY_TABS, TOO_FAST: refusals.TOO_FAST}


async def serve(app: ASGIApp, scope: Scope, receive: Receive, send: Send, origins: frozenset[bytes], hops: int) -> None:
    """Let in pages of ours only: Reflex refuses a foreign ``Origin``, but not a missing one."""
    sent = [value for key, value in scope["headers"] if key == b"origin"]
    here = scope["path"] == SOCKET or scope["path"].startswith(SOCKET + "/")
    if not here or len(sent) != 1 or sent[0] not in origins:
        await _refuse(receive, send)
        return
    closed = False

    async def measured() -> Message:
        nonlocal closed
        message = await receive()
        if message["type"] == "websocket.receive" and _too_long(message):
            closed = True
            await send({"type": "websocket.close", "code": 1009})
            return {"type": "websocket.disconnect", "code": 1009}
        return message

    async def unless_closed(message: Message) -> None:
        if not closed:
            await send(_sendable(message))

    sent_cookies = cookies.sent(scope)
    with sealing.holding(sent_cookies.get(cookies.session_name(), "")):
        await app(_without_secrets(scope, sent_cookies, hops), measured, unless_closed)


async def _refuse(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": NO})


def in_words(scope: Scope, send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    """``send``, with a refused handshake told like any other refusal: in words, and with ``headers``."""
    answered = False

    async def worded(message: Message) -> None:
        nonlocal answered
        if message["type"] == "websocket.close" and not answered and _TELLS in scope.get("extensions", {}):
            refusal = _REFUSALS.get(message.get("code", NO), refusals.NO_SOCKET)
            told = [(b"content-type", b"application/json"), *refusal.headers, *headers]
            await send({"type": f"{_TELLS}.start", "status": refusal.status, "headers": told})
            await send({"type": f"{_TELLS}.body", "body": refusal.json()})
            return
        answered = answered or message["type"] == "websocket.accept"
        await send(message)

    return worded


def _without_secrets(scope: Scope, sent: Mapping[str, str], hops: int) -> Scope:
    """``scope`` as Reflex may keep it: our two cookies as hashes, the caller's address, no other cookie."""
    kept = {
        name: crypto.digest(sent[name]) for name in (cookies.session_name(), cookies.flash_name()) if sent.get(name)
    }
    kept[cookies.ADDRESS] = client_address(scope, hops)
    headers = [(key, value) for key, value in scope["headers"] if key != b"cookie"]
    headers.append((b"cookie", "; ".join(f"{name}={value}" for name, value in kept.items()).encode()))
    return {**scope, "headers": headers}


def _too_long(message: Message) -> bool:
    text, data = message.get("text"), message.get("bytes")
    if text is not None:  # encoding is needed only where characters may be wider than a byte
        return len(text) > SOCKET_LIMIT or (len(text) * 4 > SOCKET_LIMIT and len(text.encode()) > SOCKET_LIMIT)
    return data is not None and len(data) > SOCKET_LIMIT


def _sendable(message: Message) -> Message:
    """``message`` without halves of surrogate pairs, which clients can send as JSON escapes but no frame can hold."""
    text = message.get("text")
    if text is None or text.isascii():
        return message
    try:
        text.encode()
    except UnicodeEncodeError:
        return {**message, "text": text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")}
    return message
