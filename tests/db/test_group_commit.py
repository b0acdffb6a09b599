"""Several transactions committed at once: each undone alone, all kept together or not at all."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from clinic_app.core import db
from clinic_app.models.patients import COUNTERS, Counter
from clinic_app.services.audit.chain import verify
from clinic_app.services.patients.errors import PatientNotFound
from clinic_app.services.patients.profile import view_patient
from tests import factories
from tests.db import tools

pytestmark = pytest.mark.races


def _add(name: str, *, fails: bool = False) -> None:
    with db.transaction() as session:
        session.execute(sa.insert(COUNTERS).values(name=name, value=1))
        if fails:
            raise ValueError(name)


def _names() -> list[str]:
    return [name for (name,) in tools.raw("SELECT name FROM counters WHERE name LIKE 'part%' ORDER BY name")]


def test_each_is_undone_alone_and_the_others_are_kept(own_database):
    with db.grouped():
        _add("part 1")
        with pytest.raises(ValueError, match="part 2"):
            _add("part 2", fails=True)
        with pytest.raises(sa.exc.IntegrityError):
            _add("part 1")
        _add("part 3")
    assert _names() == ["part 1", "part 3"]
    _add("part 4")
    assert len(_names()) == 3


def test_nothing_is_kept_before_the_end_nor_when_the_block_or_the_commit_fails(own_database):
    def interrupted() -> None:
        with db.grouped():
            _add("part 1")
            with db.reading() as session:
                assert session.get(Counter, "part 1") is None
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert _names() == []

    def full(_: sa.Connection) -> None:
        raise OSError("disk full")

    sa.event.listen(own_database, "commit", full)
    try:
        with pytest.raises(OSError, match="disk full"), db.grouped():
            _add("part 1")
    finally:
        sa.event.remove(own_database, "commit", full)
    assert _names() == []
    _add("part 1")
    assert _names() == ["part 1"]


def test_open_lists_are_told_once_and_after_the_commit(own_database, monkeypatch):
    told: list[list[str]] = []
    monkeypatch.setattr(db, "_after_change", [lambda: told.append(_names())])

    def change(name: str) -> None:
        with db.transaction() as session:
            session.add(Counter(name=name, value=1))
            db.changed(session)

    with db.grouped():
        change("part 1")
        change("part 2")
    assert told == [["part 1", "part 2"]]


def test_whoever_asks_is_told_of_changes_while_its_block_lasts(own_database):
    told: list[str] = []

    def change(name: str, *, says: bool = True) -> None:
        with db.transaction() as session:
            session.add(Counter(name=name, value=1))
            if says:
                db.changed(session)

    with db.on_change(lambda: told.append("told")):
        change("part 1")
        change("part 2", says=False)
    change("part 3")
    assert told == ["told"]


def test_looks_recorded_in_one_group_make_one_chain(own_database):
    desk = factories.make_staff()
    patients = [factories.make_patient(desk).patient.id for _ in range(5)]
    with db.grouped():
        for ident in patients:
            assert view_patient(desk, ident, activity=0).id == ident
        with pytest.raises(PatientNotFound):
            view_patient(desk, 999_999)
    seen = tools.raw("SELECT resource_id FROM audit_events WHERE action = 'PATIENT_VIEWED' ORDER BY seq")
    assert [ident for (ident,) in seen] == patients
    assert verify().ok
