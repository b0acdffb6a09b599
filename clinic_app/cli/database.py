"""``migrate``: the database's shape, SQLite and PostgreSQL alike."""

from __future__ import annotations

from clinic_app.cli.begin import connect
from clinic_app.cli.failure import CommandFailed
from clinic_app.core import bootstrap, migrations
from clinic_app.services.audit import known_keys


def migrate() -> tuple[str, str]:
    """Bring the database of the settings up to date; returns the revisions before and after."""
    connect(migrated=False)
    engine = bootstrap.start()
    if words := migrations.too_new(engine):
        raise CommandFailed(words)
    before = migrations.present(engine)
    known_keys.check_noted()
    if before != migrations.wanted():
        migrations.upgrade()
    known_keys.check()
    return before, migrations.present(engine)


def state() -> tuple[str, str]:
    """The revision the database has, and the one it should have."""
    connect(migrated=False)
    return migrations.present(bootstrap.start()), migrations.wanted()
