"""Headers of every answer: content security policy by script hashes, no sniffing, no framing, what may be cached."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

from clinic_app.core.addresses import allowed_origins
from clinic_app.core.settings import Settings

_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.S)

#: For answers that are no pages: nothing in them may load or run anything.
NOTHING = b"default-src 'none'; frame-ancestors 'none'"


def built_pages() -> Path:
    """Where the finished pages are: ``REFLEX_WEB_WORKDIR`` as Reflex itself reads it."""
    return Path(os.environ.get("REFLEX_WEB_WORKDIR", ".web")) / "build" / "client"


def inline_script_hashes(folder: Path) -> list[str]:
    """CSP sources for the inline scripts in the HTML under ``folder``.

    Raises ``RuntimeError`` with one sentence if there are none: then the pages have not been built.
    """
    found = {
        "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"
        for page in folder.rglob("*.html")
        for script in _INLINE_SCRIPT.findall(page.read_text(encoding="utf-8"))
    }
    if not found:
        raise RuntimeError("The pages have not been built: run `python -m clinic_app build`.")
    return sorted(found)


def page_policy(settings: Settings, hashes: list[str]) -> bytes:
    """The content security policy of our pages: our own files only, no inline script but the built ones."""
    sockets = " ".join("ws" + origin.removeprefix("http") for origin in allowed_origins(settings))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self' " + " ".join(hashes),  # neither unsafe-inline nor unsafe-eval
            "style-src 'self' 'unsafe-inline'",  # Reflex's style library inserts <style> elements
            "img-src 'self' data:",
            "font-src 'self'",
            f"connect-src 'self' {sockets}",  # older Safari does not count the socket as 'self'
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "object-src 'none'",
        )
    ).encode()


def fixed_headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    """Headers that are the same for every answer."""
    headers = [
        (b"x-content-type-options", b"nosniff"),
        # Not no-referrer: with it browsers send `Origin: null` on form posts, and signing in is refused.
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        # Never clipboard-write=(): the copy buttons would fail.
        (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ]
    if settings.secure_cookies:
        headers.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
    return headers


def of_refusals() -> list[tuple[bytes, bytes]]:
    """Headers besides the fixed ones for what is no page and is kept nowhere."""
    return [(b"content-security-policy", NOTHING), (b"cache-control", b"no-store")]


#: What files are answered with, whole, in part, or as unchanged.
_FILES = frozenset({200, 206, 304})


def cache_control(path: str, status: int, html: bool) -> bytes:
    """How long an answer may be kept: hashed files for ever, other files while unchanged, all else never."""
    if html or status not in _FILES or path.startswith(("/api/", "/auth/")) or path in {"/api", "/healthz", "/readyz"}:
        return b"no-store"
    if path.startswith("/assets/"):  # the name holds a hash of the content
        return b"public, max-age=31536000, immutable"
    return b"no-cache"
