"""Runs migrations against the database of the settings, or a connection handed in by tests."""

from sqlmodel import SQLModel

import clinic_app.models  # noqa: F401  makes the tables known
from alembic import context
from clinic_app.core.db import make_engine
from clinic_app.core.keys import prepare_data_dir
from clinic_app.core.settings import get_settings


def run(connection) -> None:
    """Bring ``connection`` where Alembic was asked to."""
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    prepare_data_dir(get_settings())
    engine = make_engine(context.config.attributes.get("url") or get_settings().database)
    with engine.execution_options(clinic_write=True).connect() as connection:
        run(connection)
        connection.commit()
    engine.dispose()
