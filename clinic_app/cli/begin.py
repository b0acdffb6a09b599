"""What commands do first: settings read, keys there, database bound, quiet logs."""

from __future__ import annotations

import logging

from clinic_app.cli.failure import CommandFailed
from clinic_app.core import bootstrap, logs, migrations
from clinic_app.core.settings import Settings, get_settings
from clinic_app.services.audit import known_keys


def connect(*, migrated: bool = True) -> Settings:
    """Bind the database of the settings for this command, and return the settings.

    With ``migrated`` a database that is not up to date, or belongs to other keys, ends the command with one sentence.
    Raises ``SettingsError`` and ``OtherKeys``.
    """
    settings = get_settings()
    engine = bootstrap.start(settings)
    if "log_level" not in settings.model_fields_set:
        logs.configure("WARNING")  # a command speaks to a person
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if migrated:
        if words := migrations.mismatch(engine):
            raise CommandFailed(words)
        known_keys.check()
    return settings
