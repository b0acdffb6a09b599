"""What all tables share: constraint names, a UTC instant, a model's table. Import before any table."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import DateTime, Dialect, Table
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

#: Names decide how a violation is told to people (services translate by name), so they are fixed here.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class TableModel(SQLModel):
    """What models with a table derive from: says of what type their table's name is."""

    if TYPE_CHECKING:
        __tablename__: ClassVar[str]


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An aware instant; UTC in the database, UTC when read, also on SQLite, which drops time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, _: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def table_of(model: type[TableModel]) -> Table:
    """The table behind ``model``, for statements of SQLAlchemy Core. Each model exports its own beside it."""
    return SQLModel.metadata.tables[model.__tablename__]
