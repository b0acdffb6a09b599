"""Starting up: settings checked, keys there, engine bound, logs on. Used by server, command line and tests."""

from __future__ import annotations

from sqlalchemy import Engine

from clinic_app.core import db, keys, logs
from clinic_app.core.settings import Settings, get_settings

_engine: Engine | None = None


def start(settings: Settings | None = None) -> Engine:
    """Bind the database of ``settings`` (those of the environment by default) and return its engine.

    Raises ``SettingsError`` when a setting is wrong. Calling it again returns the same engine.
    """
    global _engine
    if _engine is None:
        settings = settings or get_settings()
        logs.configure(settings.log_level)
        keys.prepare_data_dir(settings)
        _engine = db.make_engine(settings.database)
        db.bind(_engine)
    return _engine


def stop() -> None:
    """Close the database. The next ``start`` opens it again."""
    global _engine
    if _engine is not None:
        _engine.dispose()
        db.use(None)
        _engine = None
