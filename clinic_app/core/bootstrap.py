"""Starting up: settings checked, keys there, engine bound, logs on. Used by server, command line and tests."""

from __future__ import annotations

from sqlalchemy import Engine

from clinic_app.core import data_lock, database_copies, db, keys, logs, replica
from clinic_app.core.settings import Settings, SettingsError, get_settings

_engine: Engine | None = None
_BEING_WORKED_ON = (
    "CLINIC_DATA_DIR: a backup is being restored into {}, or the clinic there is being moved or given another key: "
    "try again when that is done."
)


def start(settings: Settings | None = None) -> Engine:
    """Bind the database of ``settings`` (those of the environment by default) and return its engine.

    Raises ``SettingsError`` when a setting is wrong. Calling it again returns the same engine.
    """
    global _engine
    if _engine is None:
        settings = settings or get_settings()
        logs.configure(settings.log_level)
        try:
            data_lock.hold(keys.prepare_data_dir(settings))
        except data_lock.InUse:
            raise SettingsError(_BEING_WORKED_ON.format(settings.data_dir)) from None
        if (file := database_copies.sqlite_file(settings.database)) is not None:
            database_copies.tidy_up(file)
        _engine = db.make_engine(settings.database, copied=bool(settings.copy_to))
        db.bind(_engine)
        if settings.read_database_url:
            replica.bind(settings.read_database_url, settings.read_lag_kb * 1024)
    return _engine


def stop() -> None:
    """Close the database. The next ``start`` opens it again."""
    global _engine
    if _engine is not None:
        replica.unbind()
        _engine.dispose()
        db.use(None)
        _engine = None
        data_lock.release()
