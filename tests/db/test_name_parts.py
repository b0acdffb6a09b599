"""How many patients have each part of a name: kept with every registration and edit, and nobody waits for it."""

from __future__ import annotations

import threading

import pytest
from alembic.config import Config

from alembic import command
from clinic_app.core import db
from clinic_app.services.patients import name_parts
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.forms import PatientRegistration, PatientUpdate
from clinic_app.services.patients.profile import update_patient
from clinic_app.services.patients.registration import register_patient
from tests import factories
from tests.conftest import ROOT
from tests.db import tools


def _counts(*parts: str) -> dict[str, int]:
    with db.reading() as session:
        return name_parts.frequencies(session, parts)


def _make(desk, first: str, last: str):
    return factories.make_patient(desk, first_name=first, last_name=last).patient


@pytest.mark.parametrize("added_up", [False, True])
def test_a_registration_and_an_edit_are_counted_before_and_after_changes_are_added_up(desk, added_up):
    row = _make(desk, "Ámina Wanjiku", "Wanjiku-Ole")
    _make(desk, "Amina", "Ng’ang’a")
    if added_up:
        assert name_parts.add_up() == 5
        assert tools.number("SELECT count(*) FROM name_part_changes") == 0
    assert _counts("amina", "wanjiku", "ole", "nganga", "zed") == {
        "amina": 2, "wanjiku": 1, "ole": 1, "nganga": 1, "zed": 0,
    }  # fmt: skip
    update_patient(desk, row.id, PatientUpdate.parse({"first_name": "Zed"}))
    update_patient(desk, row.id, PatientUpdate.parse({"phone": "0733100200"}))
    if added_up:
        name_parts.add_up()
    assert _counts("amina", "wanjiku", "zed") == {"amina": 1, "wanjiku": 1, "zed": 1}


def test_a_part_that_nobody_has_any_more_goes(desk):
    row = _make(desk, "Amina", "Ole")
    name_parts.add_up()
    update_patient(desk, row.id, PatientUpdate.parse({"first_name": "Zed"}))
    name_parts.add_up()
    assert sorted(part for (part,) in tools.raw("SELECT part FROM name_parts")) == ["ole", "zed"]
    assert [tuple(row) for row in tools.raw("SELECT backwards, patients FROM name_parts WHERE part = 'zed'")] == [
        ("dez", 1)
    ]


def test_an_edit_that_leaves_the_name_alone_adds_nothing(desk):
    row = _make(desk, "Amina", "Ole")
    name_parts.add_up()
    update_patient(desk, row.id, PatientUpdate.parse({"first_name": "AMINA", "phone": "0733100200"}))
    assert name_parts.add_up() == 0


def test_counting_anew_finds_the_same(desk):
    for first, last in (("Amina", "Ole"), ("Amina", "Wanjiku"), ("李", "小龍"), ("Zed Amina", "Ole")):
        _make(desk, first, last)
    name_parts.add_up()
    kept = sorted(map(tuple, tools.raw("SELECT * FROM name_parts")))
    tools.write("UPDATE name_parts SET patients = 7")
    with db.transaction() as session:
        assert name_parts.rebuild(session) == len(kept) == 6
    assert sorted(map(tuple, tools.raw("SELECT * FROM name_parts"))) == kept


def test_names_as_long_as_they_may_be_are_counted(desk):
    row = _make(desk, "\ufdfa" * 100, "A" * 100)
    name_parts.add_up()
    assert _counts("a" * 100) == {"a" * 100: 1}
    update_patient(desk, row.id, PatientUpdate.parse({"first_name": "Zed"}))
    name_parts.add_up()
    assert tools.number("SELECT count(*) FROM name_parts") == 2


def test_the_migration_counts_who_is_there_already(own_database):
    desk = factories.make_staff()
    for first in ("Amina", "Amina", "Zed"):
        _make(desk, first, "Ole")
    config = Config(ROOT / "alembic.ini")
    config.attributes["url"] = own_database.url.render_as_string(hide_password=False)
    command.downgrade(config, "0017_portal_runs")
    command.upgrade(config, "head")
    assert _counts("amina", "zed", "ole") == {"amina": 2, "zed": 1, "ole": 3}


@pytest.mark.races
def test_eight_desks_register_and_edit_the_same_names_while_two_add_up(own_database):
    desks = [factories.make_staff(username=f"desk{n}") for n in range(4)]
    failed: list[BaseException] = []
    done = threading.Event()

    def add() -> None:
        while not done.is_set():
            name_parts.add_up()

    def work(desk, turned: bool) -> None:
        names = ("Kamau", "Wanjiku") if turned else ("Wanjiku", "Kamau")
        for n in range(6):
            form = PatientRegistration.parse(
                factories.registration(first_name=names[0], last_name=f"{names[1]} New{n}", national_id=None)
            )
            made = register_patient(desk, form, despite=ANYBODY).patient
            update_patient(desk, made.id, PatientUpdate.parse({"last_name": f"{names[1]} Zed"}))

    def watched(task, *given) -> None:
        try:
            task(*given)
        except BaseException as error:
            failed.append(error)

    adders = [threading.Thread(target=watched, args=(add,)) for _ in range(2)]
    workers = [threading.Thread(target=watched, args=(work, desks[n % 4], n % 2 == 1)) for n in range(8)]
    for thread in (*adders, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    for thread in adders:
        thread.join()
    assert failed == []
    name_parts.add_up(everything=True)
    assert _counts("kamau", "wanjiku", "zed", "new0") == {"kamau": 48, "wanjiku": 48, "zed": 48, "new0": 0}
    assert tools.number("SELECT count(*) FROM name_parts") == 3
