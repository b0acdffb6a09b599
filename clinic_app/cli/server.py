"""``serve``: replace this process by the clinic's server."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys
from typing import NoReturn

from clinic_app.cli import build, database
from clinic_app.cli.begin import connect
from clinic_app.cli.errors import say
from clinic_app.cli.failure import CommandFailed
from clinic_app.core.settings import Settings, get_settings

#: What the server itself keeps from strangers before the program hears of a request.
EDGE = (
    # The time for a request's headers runs from the first moment with HTTP/1 only: where the server first listens for
    # which version it is, who says nothing stays for ever. Browsers speak HTTP/2 with the proxy, never here.
    "--http", "1",
    "--http1-header-read-timeout", "10000",  # milliseconds; also how long an idle connection is kept
    "--http1-buffer-size", "65536",  # bytes of headers; no request of ours has a tenth of it
    "--backlog", "4096",
    # Connections at once in one worker. One that waits costs a few kilobytes; when this many are open, nobody else
    # gets in, so it is far above what addresses may have and what the header time lets pile up.
    "--backpressure", "8192",
)  # fmt: skip
#: Files and connections one worker may have open, as far as the machine allows it: backpressure and what else is open.
_OPEN_FILES = 16_384


def serve(host: str | None, port: int | None) -> NoReturn:
    """Serve until told to stop. ``host`` and ``port`` stand in for ``CLINIC_HOST`` and ``CLINIC_PORT``.

    In demo mode everything that is missing is made first: tables, invented patients, pages. Otherwise whatever
    is missing ends the command with one sentence, so that a deployment never migrates by accident.
    """
    for name, value in (("CLINIC_HOST", host), ("CLINIC_PORT", port)):
        if value is not None:
            os.environ[name] = str(value)
            get_settings.cache_clear()
    settings = get_settings()
    _require_free(settings)
    if settings.mode == "demo":
        prepare_demo()
    else:
        connect()
        if build.finished(settings) is None:
            raise CommandFailed("The pages have not been built for these settings: run `python -m clinic_app build`.")
    if settings.workers == 1:
        os.environ["CLINIC_ANNOUNCE"] = settings.origin  # see asgi.py
    _allow_connections()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "clinic_app.cli.supervisor", *_arguments(settings)])  # noqa: S606


def prepare_demo() -> None:
    """Make tables, invented patients and pages, as far as they are missing. Asks nothing."""
    database.migrate()
    connect()
    from clinic_app.cli import demo_data

    demo_data.seed()
    make_pages(get_settings())


def make_pages(settings: Settings, *, force: bool = False, update_lock: bool = False) -> None:
    """Build the pages if needed, saying so only when it takes time."""
    if force or update_lock or build.finished(settings) is None:
        say("Building the pages. This happens once and takes about half a minute, longer with packages to download ...")
    build.build(settings, force=force, update_lock=update_lock)


def _allow_connections() -> None:
    """Many systems begin with 1,024 open files, fewer than the connections that have to fit in."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _require_free(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise CommandFailed(
                f"Port {settings.port} on {settings.host} cannot be used ({error.strerror}): choose another one, "
                f"such as PORT={settings.port + 1} with make, or --port with serve."
            ) from None


def _arguments(settings: Settings) -> list[str]:
    return [
        "--interface", "asgi",
        "--factory",
        "--host", settings.host,
        "--port", str(settings.port),
        "--workers", str(settings.workers),
        "--log-level", "warning",
        *EDGE,
        "--workers-kill-timeout", "10",
        "clinic_app.asgi:create",
    ]  # fmt: skip
