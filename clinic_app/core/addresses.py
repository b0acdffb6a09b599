"""Where a request came from: the caller's address, and the origins whose pages may talk to us."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from clinic_app.core.settings import Settings

_DEFAULT_PORTS = {"http": 80, "https": 443}


def normal_address(text: str) -> str:
    """``text`` as one spelling of an IP address, or an empty string if it is none.

    A port, brackets and an IPv6 zone are dropped; IPv4 inside IPv6 becomes IPv4.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 10.0.0.1:4711
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def networks(address: str) -> tuple[str, ...]:
    """What one household or machine is told by, nearest first: an IPv4 address; an IPv6 /64, and the /48 around it.

    Whoever has one IPv6 address has all of its /64 at hand, and many have a /48. What is no address stays as it is.
    """
    try:
        known = ip_address(address)
    except ValueError:
        return (address,)
    if not isinstance(known, IPv6Address):
        return (address,)
    return tuple(str(ip_network((int(known), length), strict=False)) for length in (64, 48))


def client_address(scope: Mapping[str, Any], hops: int) -> str:
    """The address of the person behind an ASGI ``scope``, normalised; empty if it is not known.

    ``hops`` reverse proxies in front are ours: the caller is that many entries from the right of
    ``X-Forwarded-For``, since everything further left is whatever the caller wrote. With no hops, or a
    header too short to have passed them all, it is the other end of the connection.
    """
    if hops:
        lines = [value for name, value in scope.get("headers", ()) if name.lower() == b"x-forwarded-for"]
        entries = b",".join(lines).decode("latin-1").split(",") if lines else []
        if len(entries) >= hops:
            return normal_address(entries[-hops])
    client = scope.get("client")
    return normal_address(str(client[0])) if client else ""


def normal_origin(url: str) -> str:
    """``url`` as a browser writes it in ``Origin``: lower case, no default port. Empty if it is no origin."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def allowed_origins(settings: Settings) -> tuple[str, ...]:
    """The origins whose pages may open the event socket: the configured one, first.

    Without ``CLINIC_PUBLIC_URL`` that is this machine, under both of its usual names.
    """
    own = normal_origin(settings.origin)
    if settings.public_url:
        return (own,)
    return (own, normal_origin(f"http://127.0.0.1:{settings.port}"))


def passkey_site(settings: Settings) -> str:
    """The name that passkeys are made for (WebAuthn's relying party): the host people type. Empty where none can be.

    Browsers make them for a name, never for a bare IP address, and only over https or on this machine itself.
    """
    parts = urlsplit(settings.origin)
    host = parts.hostname or ""
    local = host == "localhost" or host.endswith(".localhost")
    named = local or "." in host
    return host if named and not _is_ip(host) and (local or parts.scheme == "https") else ""


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
