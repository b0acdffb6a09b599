"""The server with its door to the sockets wide open, so that what stands behind it can be attacked by itself."""

from __future__ import annotations

from typing import Any


def create() -> Any:
    """As ``clinic_app.asgi.create``; anybody may connect, and nobody is cut off."""
    from clinic_app import asgi
    from clinic_app.web import documents, open_sockets
    from tests.security import looking_in

    async def anybody(_: str) -> bool:
        return True

    documents.may_connect = anybody
    open_sockets.REST = 0.0  # all strangers are one here, and one flood would keep the next attack out
    open_sockets.sessions = None  # type: ignore[assignment]  the watch finds nothing out, and says so
    return looking_in.with_a_window(asgi.create())
