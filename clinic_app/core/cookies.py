"""Names of our cookies, and how Reflex gets to see them: as hashes only."""

from __future__ import annotations

from typing import Literal, TypedDict

from clinic_app.core.settings import get_settings

#: Set by our own outer layer on the websocket, never by a browser: the caller's address.
ADDRESS = "clinic_address"


def _named(name: str) -> str:
    """``__Host-`` needs https, so plain http on a developer's machine goes without."""
    return f"__Host-{name}" if get_settings().secure_cookies else name


def session_name() -> str:
    """The cookie of whoever is signed in."""
    return _named("clinic_session")


def flash_name() -> str:
    """The cookie that names what the next page says once."""
    return _named("clinic_flash")


def step_name() -> str:
    """The cookie between the right password and the code, five minutes."""
    return _named("clinic_step")


def parse(header: str) -> dict[str, str]:
    """Name → value of a ``Cookie`` header; what cannot be read is left out."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name:
            found.setdefault(name, value.strip('"'))
    return found


class Flags(TypedDict):
    """What a cookie is sent with."""

    httponly: bool
    samesite: Literal["strict"]
    path: str
    secure: bool


def options() -> Flags:
    """Flags of every cookie of ours."""
    return {"httponly": True, "samesite": "strict", "path": "/", "secure": get_settings().secure_cookies}
