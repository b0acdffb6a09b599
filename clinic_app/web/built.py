"""What the build says about itself: the files that the first page after signing in will load."""

from __future__ import annotations

import functools
import json
import re

from clinic_app.core import routes
from clinic_app.web import security_headers

_FILE = re.compile(r'(?:src|href)="(/[^"]+\.(?:js|css))"')
_MANIFEST = re.compile(r"/assets/manifest-[\w.-]+\.js")


@functools.lru_cache(maxsize=8)
def files_ahead(page: str) -> tuple[str, ...]:
    """The scripts and styles of ``page``, one of Reflex's, in the order they are needed; none without a build.

    What cannot be found out is left out: signing in never depends on it.
    """
    folder = security_headers.built_pages()
    index = folder / "index.html"
    if not index.is_file():
        return ()
    html = index.read_text(encoding="utf-8")
    named, manifest = _MANIFEST.search(html), {}
    if named is not None:
        text = (folder / named[0].lstrip("/")).read_text(encoding="utf-8")
        manifest = json.loads(text[text.index("{") : text.rindex("}") + 1])
    path = page.strip("/")
    own = [
        file
        for route in manifest.get("routes", {}).values()
        if route.get("index") and (route.get("path") or "") == path
        for file in (route["module"], *route["imports"], *route["css"])
    ]
    return tuple(dict.fromkeys([*_FILE.findall(html), *own]))


def ahead(side: str) -> str:
    """The files of the first page of a side, ``staff`` or ``portal``, with blanks between, for ``prefetch.js``."""
    return " ".join(files_ahead(routes.PORTAL if side == "portal" else routes.RECEPTION))
