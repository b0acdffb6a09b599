"""Names of our cookies, and how Reflex gets to see them: as hashes only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict

from clinic_app.core.settings import get_settings

#: Set by our own outer layer on the websocket, never by a browser: the caller's address.
ADDRESS = "clinic_address"
#: On one page for some seconds: it has loaded itself again, because a link from elsewhere brings no cookies of ours.
AGAIN = "clinic_again"


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


def device_name() -> str:
    """The cookie of a browser in which somebody has signed in before. It opens nothing: see ``known_devices``."""
    return _named("clinic_device")


def way_back_name() -> str:
    """The cookie that holds where somebody wanted to go who had to sign in first, encrypted."""
    return _named("clinic_way_back")


def registration_name() -> str:
    """The cookie of a browser that sent a self-registration: for half an hour it may ask for the email again."""
    return _named("clinic_registration")


def probe_name() -> str:
    """The cookie that a sign-in page sets only to see whether the browser keeps any."""
    return _named("clinic_probe")


def sent(scope: Mapping[str, Any]) -> dict[str, str]:
    """Name → value of the cookies that came with a request or a handshake. The one way to read them.

    Documents, forms and sockets see the same: ``parse`` says what becomes of a name that comes twice, which plain
    http cannot keep a stranger from sending.
    """
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return parse("; ".join(value.decode("latin-1") for name, value in headers if name == b"cookie"))


def parse(header: str) -> dict[str, str]:
    """Name → value of a ``Cookie`` header, each exactly as it was sent; what cannot be read is left out.

    What comes twice with different values counts as not sent: readers differ in which of the two they believe.
    """
    found: dict[str, str] = {}
    twice: set[str] = set()
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name and found.setdefault(name, value) != value:
            twice.add(name)
    return {name: value for name, value in found.items() if name not in twice}


class Flags(TypedDict):
    """What a cookie is sent with."""

    httponly: bool
    samesite: Literal["strict"]
    path: str
    secure: bool


def options() -> Flags:
    """Flags of every cookie of ours."""
    return {"httponly": True, "samesite": "strict", "path": "/", "secure": get_settings().secure_cookies}
