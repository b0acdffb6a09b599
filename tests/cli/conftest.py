"""Commands run in this process, against a data directory of their own."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from clinic_app.cli.app import app
from clinic_app.core import bootstrap, db, keys
from clinic_app.core.settings import get_settings


def _forget():
    bootstrap.stop()
    db.use(None)
    get_settings.cache_clear()
    keys.key.cache_clear()


@pytest.fixture
def clinic(tmp_path, monkeypatch):
    """A clinic whose data directory does not exist yet; ``clinic("migrate", …)`` runs a command."""
    monkeypatch.setenv("CLINIC_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CLINIC_MODE", "test")
    _forget()

    def run(*arguments, stdin=None):
        get_settings.cache_clear()
        return CliRunner().invoke(app, list(arguments), input=stdin)

    run.folder = tmp_path / "data"
    yield run
    monkeypatch.undo()
    _forget()
