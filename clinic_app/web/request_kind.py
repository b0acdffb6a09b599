"""What a request is for: decided once, at the edge, before anything else looks at it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum, auto
from pathlib import Path

from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope


class Kind(Enum):
    """What a request is for."""

    SOCKET = auto()  # a handshake
    API = auto()
    FILE = auto()  # of the built pages: the same for everybody
    ROUTE = auto()  # of this layer: it asks by itself who is there
    DOCUMENT = auto()  # all else: a page, or an address of nothing


def built_files(folder: Path) -> frozenset[str]:
    """The addresses of the files of a build, without its HTML."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return frozenset("/" + file.relative_to(folder).as_posix() for file in files if ".html" not in file.suffixes)


class Kinds:
    """Tells what a request is for, by the files of the build and the routes of the application."""

    def __init__(self, files: Collection[str], routes: Iterable[BaseRoute]) -> None:
        self._files = files
        self._routes = [route for route in routes if not isinstance(route, Mount)]  # what is mounted takes all the rest

    def of(self, scope: Scope) -> Kind:
        """The kind of a request, by its ASGI scope (``http`` or ``websocket``)."""
        if scope["type"] == "websocket":
            return Kind.SOCKET
        path = scope["path"]
        if path.startswith("/api/"):
            return Kind.API
        if path in self._files:
            return Kind.FILE
        if any(route.matches(scope)[0] == Match.FULL for route in self._routes):
            return Kind.ROUTE
        return Kind.DOCUMENT
