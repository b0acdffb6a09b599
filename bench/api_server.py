"""The API alone, as the server mounts it: ``granian --interface asgi --factory bench.api_server:create``."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from clinic_app.api.app import create_api
from clinic_app.asgi import rest_garbage, use_threads
from clinic_app.core import bootstrap, crypto


@contextlib.asynccontextmanager
async def _threads(_: Starlette):
    use_threads(asyncio.get_running_loop())
    rest_garbage()
    yield


async def _alive(_: Request) -> PlainTextResponse:
    return PlainTextResponse("alive")


def create() -> Any:
    """The application of one worker."""
    bootstrap.start()
    crypto.prepare_dummy()
    return Starlette(routes=[Route("/healthz", _alive), Mount("/api", app=create_api())], lifespan=_threads)
