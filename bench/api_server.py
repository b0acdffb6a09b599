"""The API alone, as the server mounts it: ``granian --interface asgi --factory bench.api_server:create``."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI

from clinic_app.api import health
from clinic_app.api.app import create_api
from clinic_app.asgi import THREADS
from clinic_app.core import bootstrap, crypto


@contextlib.asynccontextmanager
async def _threads(_: FastAPI):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "work"))
    yield


def create() -> Any:
    """The application of one worker."""
    bootstrap.start()
    crypto.prepare_dummy()
    web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_threads)
    web.include_router(health.router)
    web.mount("/api", create_api())
    return web
