"""What a first visit to a plain page weighs: the page and every file it names, compressed as they are sent."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from clinic_app.core import routes
from clinic_app.core.settings import get_settings

ASSETS = Path(__file__).resolve().parents[2] / "assets"
PAGES = (routes.STAFF_SIGN_IN, routes.PORTAL_SIGN_IN, routes.ACTIVATE, routes.FORGOT)
LIMIT = 40_000  # bytes; SPEC: pages before signing in with styles and font
_NAMED = re.compile(r'(?:href|src)="(/[\w./-]+\.(?:css|js|ico|woff2))"')


@pytest.mark.parametrize("path", [*PAGES, routes.SELF_REGISTRATION])
async def test_a_first_visit_weighs_at_most_40_kb(browser, settings, record_property, path):
    settings.setenv("CLINIC_SELF_REGISTRATION", "true")
    get_settings.cache_clear()
    answer = await browser.get(path, headers={"accept-encoding": "gzip"})
    named = set(_NAMED.findall(answer.text))
    assert {"/look.css", "/plain.css", "/plain.js"} <= named
    assert "/passkeys.js" not in named  # fetched by whoever presses its button
    assert {"/fonts/atkinson-next-latin.woff2", "/favicon.ico"} <= named
    sizes = {"page": int(answer.headers["content-length"])}  # of a first visit, which nothing was typed for yet
    assert answer.headers["content-encoding"] == "gzip"
    if "/register.js" in named:
        named.add("/register-worker.js")  # begins with the page
    for name in named:
        content = (ASSETS / name.lstrip("/")).read_bytes()
        sizes[name] = min(len(content), len(gzip.compress(content, 9)))
    total = sum(sizes.values())
    record_property("bytes", total)
    print(f"{path}: {total / 1000:.1f} kB: {sizes}")
    assert total <= LIMIT, sizes
