"""Runs that give portal accounts to many patients, one after the other."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, text
from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of


class RunState(StrEnum):
    """How a run stands."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    STOPPED = "STOPPED"  # by somebody; it can go on
    ENDED = "ENDED"  # whoever started it may no longer


class ItemState(StrEnum):
    """What became of one patient."""

    WAITING = "WAITING"
    CREATED = "CREATED"
    REFUSED = "REFUSED"


class PortalRun(TableModel, table=True):
    """One run. Of those that are running there is one at most."""

    __tablename__ = "portal_runs"
    __table_args__ = (
        Index(
            "uq_portal_runs_state",
            "state",
            unique=True,
            sqlite_where=text("state = 'RUNNING'"),
            postgresql_where=text("state = 'RUNNING'"),
        ),
        Index("ix_portal_runs_ended_at", "ended_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    started_by_id: int | None = Field(default=None, foreign_key="accounts.id")  # none: the command line
    chosen: dict[str, Any] = Field(sa_type=JSON)  # by which filter: dates, an age group, a language; nobody's name
    state: str = Field(default=RunState.RUNNING, max_length=10)
    started_at: dt.datetime = Field(sa_type=UtcDateTime)
    ended_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    lease: str | None = Field(default=None, max_length=32)  # of the process that works on it just now
    leased_until: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


class PortalRunItem(TableModel, table=True):
    """One patient of a run: what became of them is written with the account itself."""

    __tablename__ = "portal_run_items"
    __table_args__ = (Index("ix_portal_run_items_state", "run_id", "state", "patient_id"),)

    run_id: int = Field(foreign_key="portal_runs.id", primary_key=True, ondelete="CASCADE")
    patient_id: int = Field(foreign_key="patients.id", primary_key=True)
    state: str = Field(default=ItemState.WAITING, max_length=10)
    reason: str | None = Field(default=None, max_length=40)  # the code of the error
    account_id: int | None = Field(default=None, foreign_key="accounts.id")
    done_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


#: What statements are made of.
PORTAL_RUNS = table_of(PortalRun)
PORTAL_RUN_ITEMS = table_of(PortalRunItem)
