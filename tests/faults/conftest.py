"""Fixtures of the tests in which something breaks: a clinic on disk, and commands as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clinic_app.core import bootstrap, data_lock, db, keys
from clinic_app.core.settings import Settings, get_settings, load_settings
from tests.conftest import ROOT

KEYS = ("CLINIC_PEPPER", "CLINIC_AUDIT_KEY", "CLINIC_TOKEN_KEY")


def forget() -> None:
    """This process knows no clinic any more."""
    bootstrap.stop()
    data_lock.release()
    db.use(None)
    get_settings.cache_clear()
    keys.key.cache_clear()


@pytest.fixture
def own_settings(own_database, tmp_path) -> Iterator[Settings]:
    """The settings of the clinic in ``own_database``, with a data directory of its own."""
    url = own_database.url.render_as_string(hide_password=False)
    yield load_settings(mode="test", data_dir=tmp_path / "data", database_url=url)
    keys.key.cache_clear()
    get_settings.cache_clear()


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    """``command("migrate", …)``: a command of a clinic with generated keys, in a process of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")}
    env |= {"CLINIC_MODE": "test", "CLINIC_BCRYPT_COST": "4", "CLINIC_DATA_DIR": str(tmp_path / "data")}

    def run(*arguments: str, stdin: str = "", **settings: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "clinic_app", *arguments],
            cwd=ROOT,
            env={**env, **settings},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
        )

    run.env = env
    run.folder = tmp_path / "data"
    return run
