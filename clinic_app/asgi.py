"""The server's entry: ``granian --interface asgi --factory clinic_app.asgi:create``. Node is not needed here."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: Threads for ``asyncio.to_thread`` besides those that wait for a password hash (core/crypto.py), so that whoever waits
#: for one never keeps others from the database.
THREADS = 16
REFUSED = 2
#: Environment variable in which ``serve`` says which address to announce once the server is ready.
ANNOUNCE = "CLINIC_ANNOUNCE"


def create() -> Any:
    """The ASGI application of one worker.

    Ends the process with one sentence and exit code 2 when a setting is wrong, the database is not up to date
    or belongs to other keys, or the pages have not been built.
    """
    from clinic_app.core import bootstrap, crypto, migrations
    from clinic_app.core.settings import SettingsError

    try:
        engine = bootstrap.start()
    except SettingsError as error:
        _refuse(str(error))
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it only says which database it looks at
    if words := migrations.mismatch(engine):
        _refuse(words)
    _refuse_other_keys()
    _refuse_demo()
    _refuse_redis()
    crypto.prepare_dummy()
    try:
        return _with_threads(_reflex_app())
    except RuntimeError as error:
        if "have not been built" not in str(error):
            raise
        _refuse(str(error))


def _refuse_other_keys() -> None:
    """With other keys nobody could sign in, and each refusal would break the audit trail."""
    from clinic_app.services.audit import known_keys

    try:
        known_keys.check()
    except known_keys.OtherKeys as other:
        _refuse(other.detail)


def _refuse_demo() -> None:
    """Production never opens a clinic whose passwords everybody knows."""
    from clinic_app.core.settings import get_settings
    from clinic_app.services.demo import KNOWN_PASSWORDS, is_demo_database

    if get_settings().mode == "production" and is_demo_database():
        _refuse(KNOWN_PASSWORDS)


def _refuse_redis() -> None:
    """Production trusts page state to no Redis that keeps it on a disk or throws it away."""
    from clinic_app.core import state_store
    from clinic_app.core.settings import get_settings

    settings = get_settings()
    if settings.mode == "production" and settings.redis_url and (sentence := state_store.unsafe(settings.redis_url)):
        _refuse(sentence)


def _refuse(sentence: str) -> Any:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201  read by whoever starts the server
    raise SystemExit(REFUSED)


def _reflex_app() -> Any:
    from clinic_app.cli.build import finished

    folder = finished()
    if folder is None:
        raise RuntimeError("The pages have not been built: run `python -m clinic_app build`.")
    os.environ["REFLEX_WEB_WORKDIR"] = str(folder)
    os.environ.setdefault("REFLEX_TELEMETRY_ENABLED", "false")
    os.environ.setdefault("REFLEX_CHECK_LATEST_VERSION", "false")

    import reflex as rx
    from reflex_base.environment import environment

    from clinic_app.web.event_socket import SOCKET_LIMIT

    environment.REFLEX_ENV_MODE.set(rx.constants.Env.PROD)
    environment.REFLEX_SOCKET_MAX_HTTP_BUFFER_SIZE.set(SOCKET_LIMIT)
    # Both are internal to Reflex: hence the exact pin, and a test that a finished build is served without node.
    environment.REFLEX_SKIP_COMPILE.set(True)
    environment.REFLEX_MOUNT_FRONTEND_COMPILED_APP.set(True)

    from starlette.middleware.cors import CORSMiddleware

    from clinic_app.clinic_app import app

    served = app()
    # Reflex puts it around our outermost layer, where its answers would miss our headers. Pages and API share
    # one origin, so nobody needs it.
    served.user_middleware = [layer for layer in served.user_middleware if layer.cls is not CORSMiddleware]
    # Nor does its router know addresses with line ends in them: they go where all others go, and get our headers.
    (ours,) = served.routes
    served.router.redirect_slashes, served.router.default = False, ours.app
    return served


def use_threads(loop: asyncio.AbstractEventLoop) -> None:
    """Give ``loop`` the threads of a worker. For the server, and for benches that stand in for it."""
    from clinic_app.core import crypto

    loop.set_default_executor(ThreadPoolExecutor(crypto.HASHES_AT_ONCE + THREADS, "work"))


def rest_garbage() -> None:
    """What has been made by now stays: nobody looks through it for garbage any more, and seldom through what is young.

    For the server once it is ready, and for benches that stand in for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _with_threads(app: Any) -> Any:
    from clinic_app.core import bootstrap

    async def threaded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        use_threads(asyncio.get_running_loop())

        async def announcing(message: Any) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                rest_garbage()
                _announce()

        await app(scope, receive, announcing)
        bootstrap.stop()  # the last one to leave an SQLite database puts its write-ahead log into it

    return threaded


def _announce() -> None:
    """Tell a person at a terminal where to look; ``serve`` asks for it."""
    if address := os.environ.get(ANNOUNCE):
        print(f"The clinic is running at {address} (Ctrl+C stops it).", file=sys.stderr, flush=True)  # noqa: T201
