"""``make dev``: the demo clinic with hot reload, on one port, while working on pages."""

from __future__ import annotations

import subprocess
import sys

from clinic_app.cli import build, database
from clinic_app.cli.begin import connect
from clinic_app.cli.errors import command
from clinic_app.cli.failure import CommandFailed
from clinic_app.core.settings import get_settings


@command
def develop() -> None:
    """Make tables and invented patients if they are missing, then run Reflex until it is stopped."""
    from clinic_app.cli import demo_data

    database.migrate()
    connect()
    demo_data.seed()
    settings = get_settings()
    env = build.environment()
    del env["REFLEX_API_URL"]  # reflex run knows its own port
    env["REFLEX_HOT_RELOAD_OVERRIDE_PATHS"] = "clinic_app:assets"  # not data/, which changes with every sign-in
    arguments = ["run", "--env", "preview", "--frontend-port", str(settings.port), "--backend-host", settings.host]
    before = build.locks()
    try:
        done = subprocess.run([sys.executable, "-m", "reflex", *arguments], env=env, cwd=build.ROOT)  # noqa: S603
    except KeyboardInterrupt:
        return
    finally:
        build.restore(before)  # Reflex writes its own order of lines
    if done.returncode:
        raise CommandFailed("Reflex stopped with an error: see above.")


if __name__ == "__main__":
    develop()
