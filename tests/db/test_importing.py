"""Patients from a file: what each row is, what goes in, once; broken off and gone on with; decided on the page."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from clinic_app.core.errors import PermissionDenied
from clinic_app.models.accounts import Role
from clinic_app.services.access import SYSTEM
from clinic_app.services.accounts.staff import change_role
from clinic_app.services.audit import chain
from clinic_app.services.audit.reading import change_number
from clinic_app.services.patients.importing import csv_file, leases, runs, stored, taking_in, work
from clinic_app.services.patients.importing.dry_run import check_file, line_of
from clinic_app.services.patients.importing.errors import (
    FileRefused,
    ImportUnderWay,
    NoSuchImport,
    NoSuchRow,
    PartOutOfPlace,
)
from clinic_app.services.patients.importing.matching import EXTERNAL_ID_TAKEN
from clinic_app.services.patients.merge_forms import MergeRequest
from clinic_app.services.patients.merging import merge_patients
from tests import factories
from tests.db import tools

HEADER = "external_id,first_name,last_name,date_of_birth,phone,national_id,blood_group\n"
AMINA = "K-1,Amina,Odhiambo,1988-03-14,0712445901,27840001,A\n"
MOSES = "K-2,Moses,Barasa,1962,'0722910448,,O\n"
BAD = "K-3,Peter,Kamau,31/2/1987,0722118340 / 0733118340,N/A,\n"


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    """Uploaded files of this test alone."""
    settings.setenv("CLINIC_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def admin(database):
    return factories.make_staff(Role.ADMIN, name="Daniel Otieno")


@pytest.fixture
def file(tmp_path):
    """Write a file of these rows, and return its path."""

    def written(*rows: str, header: str = HEADER) -> Path:
        path = tmp_path / "patients.csv"
        path.write_text(header + "".join(rows), encoding="utf-8")
        return path

    return written


def _take_in(path: Path, **options) -> int:
    found = csv_file.survey(path)
    run = runs.begin_file(SYSTEM, path.name, found, **options)
    assert work.work_on(run, path=path, found=found)
    return run


def _upload(actor, path: Path) -> int:
    content = path.read_bytes()
    run = runs.begin_upload(actor, "C:\\temp\\nyanza.csv", len(content))
    half = len(content) // 2
    assert runs.receive_part(actor, run, 0, content[:half]) == half
    assert runs.receive_part(actor, run, half, content[half:]) == len(content)
    return run


def _checked(actor, path: Path) -> int:
    run = _upload(actor, path)
    assert work.work_on()
    return run


def _names() -> list[tuple[str, str]]:
    return [tuple(row) for row in tools.raw("SELECT external_id, first_name FROM patients ORDER BY id")]


def test_good_rows_go_in_and_bad_ones_are_reported_with_the_reason(admin, file):
    run = _take_in(file(AMINA, MOSES, BAD))
    done = runs.view_import(admin, run)
    assert (done.state, done.imported, done.invalid, done.duplicates) == ("DONE", 2, 1, 0)
    assert done.left_out_columns == ("blood_group",)
    assert _names() == [("K-1", "Amina"), ("K-2", "Moses")]
    (bad,) = done.shown
    assert (bad.row, bad.name, bad.born, bad.outcome) == (4, "Peter Kamau", "31/2/1987", "invalid")
    assert bad.errors == (
        "Date of birth must be a real date, for example 31 3 1980.",
        "Leave National ID empty if there is none.",
        "Phone must be one number, not two.",
    )
    (moses,) = tools.raw("SELECT phone, date_of_birth_precision FROM patients WHERE external_id = 'K-2'")
    assert tuple(moses) == ("+254722910448", "YEAR")


def test_each_patient_has_an_event_in_the_chain(admin, file):
    run = _take_in(file(AMINA, MOSES))
    events = tools.trail("PATIENT_CREATED")
    assert [event["metadata"] for event in events] == [
        {"patient_id": patient, "portal_account_created": False, "import": run}
        for patient in [row[0] for row in tools.raw("SELECT patient_id FROM patients ORDER BY id")]
    ]
    assert chain.verify().ok
    over = tools.trail("PATIENT_IMPORT_RUN")[-1]["metadata"]
    assert (over["state"], over["imported"]) == ("DONE", 2)


def test_the_same_file_again_takes_in_nothing_twice_and_tries_again_what_was_left_out(admin, file):
    factories.make_patient(admin, first_name="Amina", last_name="Odhiambo", national_id="11", phone="0712445901")
    path = file(AMINA, MOSES, BAD)
    run = _take_in(path)
    assert runs.view_import(admin, run).duplicates == 1
    assert _take_in(path) == run
    assert len(_names()) == 2
    assert _take_in(path, allow_duplicates=True) == run
    done = runs.view_import(admin, run)
    assert (done.imported, done.duplicates, done.invalid) == (2, 0, 1)
    assert sorted(name for _, name in _names()) == ["Amina", "Amina", "Moses"]
    assert _take_in(path, allow_duplicates=True) == run
    assert len(_names()) == 3


def test_a_possible_duplicate_is_left_out_with_who_it_may_be(admin, file):
    there = factories.make_patient(
        admin, first_name="Amina", last_name="Odhiambo", date_of_birth="14/3/1988", national_id="27840001"
    )
    done = runs.view_import(admin, _take_in(file(AMINA, MOSES)))
    (row,) = done.shown
    (alike,) = row.alike
    assert (alike.patient_id, alike.name, alike.grade) == (there.patient.patient_id, "Amina Odhiambo", "certain")
    assert "National ID" in alike.reasons
    assert tools.trail("PATIENT_LISTED")[-1]["metadata"]["kind"] == "import"


def test_rows_of_one_file_that_may_be_one_person_do_not_both_go_in(admin, file):
    again = "K-9,Amina,Odhiambo,1988-03-14,0712445901,,\n"
    same_number = "K-1,Zainab,Omar,1994-11-03,,,\n"
    done = runs.view_import(admin, _take_in(file(AMINA, again, same_number)))
    assert [name for _, name in _names()] == ["Amina"]
    assert [(one.row, one.outcome) for one in done.shown] == [(3, "possible_duplicate"), (4, "possible_duplicate")]


@pytest.mark.parametrize("allow", [False, True])
def test_a_value_only_one_patient_may_have_is_never_given_twice(admin, file, allow):
    factories.make_patient(admin, first_name="Zawadi", last_name="Kiprop", national_id="2784-0001")
    done = runs.view_import(admin, _take_in(file(AMINA), allow_duplicates=allow))
    assert (done.imported, done.total) == (0, 1)
    if allow:
        assert done.shown[0].errors == ("Another patient has this national ID.",)


def test_a_dry_run_writes_nothing_and_says_for_each_row_what_it_is(admin, file):
    there = factories.make_patient(
        admin, first_name="Amina", last_name="Odhiambo", date_of_birth="14/3/1988", external_id="OLD-7"
    )
    before = _names()
    path = file(AMINA, MOSES, BAD, "K-5,Moses,Barasa,1962,0722910448,,\n")
    lines = [line_of(one) for part in check_file(SYSTEM, path, csv_file.survey(path)) for one in part]
    assert _names() == before
    assert [(one["row"], one["external_id"], one["outcome"]) for one in lines] == [
        (2, "K-1", "possible_duplicate"),
        (3, "K-2", "new"),
        (4, "K-3", "invalid"),
        (5, "K-5", "possible_duplicate"),
    ]
    first = lines[0]["candidates"][0]
    assert (first["patient_id"], first["external_id"]) == (there.patient.patient_id, "OLD-7")
    assert first["grade"] in ("likely", "certain")
    assert set(lines[2]["errors"]) == {"date_of_birth", "phone", "national_id"}
    assert lines[1]["changed"]["phone"] == {"typed": "'0722910448", "kept": "+254722910448"}
    assert (lines[3]["candidates"][0]["row"], lines[3]["candidates"][0]["patient_id"]) == (3, None)
    assert [event["metadata"].get("dry_run") for event in tools.trail("PATIENT_IMPORT_RUN")] == [True]
    assert tools.trail("PATIENT_LISTED")[-1]["metadata"]["kind"] == "import"


def test_one_broken_off_goes_on_where_it_was_without_a_double(admin, file, monkeypatch):
    monkeypatch.setattr(work, "BATCH", 2)
    path = file(*[f"N-{n},Person{'abcdefg'[n]},Family{'hijklmn'[n]},,,,\n" for n in range(7)])
    real, made = taking_in.add_patients, []

    def dies(*args):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(1)
        return real(*args)

    monkeypatch.setattr(taking_in, "add_patients", dies)
    found = csv_file.survey(path)
    run = runs.begin_file(SYSTEM, path.name, found)
    with pytest.raises(KeyboardInterrupt):
        work.work_on(run, path=path, found=found)
    assert (len(_names()), runs.view_import(admin, run).state) == (4, "IMPORTING")
    monkeypatch.setattr(taking_in, "add_patients", real)
    assert work.work_on(run, path=path, found=found) is False  # it is this process that holds it
    monkeypatch.setattr(leases, "dead", lambda lease: True)  # as if that had been killed
    assert _take_in(path) == run
    assert [external for external, _ in _names()] == [f"N-{n}" for n in range(7)]


def test_one_that_was_killed_and_not_begun_again_stands_in_nobodys_way(admin, file, monkeypatch):
    monkeypatch.setattr(work, "BATCH", 1)
    path = file(AMINA, MOSES)
    real = taking_in.add_patients

    def dies(session, actor, reads, run_id):
        if reads[0].external_id == "K-2":
            raise KeyboardInterrupt
        return real(session, actor, reads, run_id)

    monkeypatch.setattr(taking_in, "add_patients", dies)
    killed = runs.begin_file(SYSTEM, path.name, csv_file.survey(path))
    other = path.with_name("other.csv")
    other.write_text(HEADER + "K-9,Grace,Wanjiku,1991-01-02,,,\n")
    with pytest.raises(ImportUnderWay):  # it has just begun
        runs.begin_upload(admin, "x.csv", 10)
    with pytest.raises(KeyboardInterrupt):
        work.work_on(killed, path=path, found=csv_file.survey(path))
    for begins in (lambda: runs.begin_upload(admin, "x.csv", 10), lambda: _take_in(other)):
        with pytest.raises(ImportUnderWay):  # as far as anybody knows it goes on
            begins()
    monkeypatch.setattr(leases, "dead", lambda lease: True)
    monkeypatch.setattr(taking_in, "add_patients", real)
    run = _checked(admin, other)
    assert runs.view_import(admin, killed).state == "STOPPED"
    with pytest.raises(NoSuchImport):  # the server has not got its file
        runs.continue_import(admin, killed)
    runs.start_import(admin, run)
    assert work.work_on()
    assert _take_in(path) == killed
    assert [external for external, _ in _names()] == ["K-1", "K-9", "K-2"]


def test_a_file_that_is_changed_while_it_is_read_ends_there(admin, file, monkeypatch):
    monkeypatch.setattr(work, "BATCH", 1)
    path = file(AMINA, MOSES)
    found = csv_file.survey(path)
    run = runs.begin_file(SYSTEM, path.name, found)

    def grows(_: int) -> None:
        with path.open("a") as more:
            more.write("K-9,Grace,Wanjiku,1991-01-02,,,\n")

    assert work.work_on(run, path=path, found=found, done=grows)
    seen = runs.view_import(admin, run)
    assert (seen.state, seen.reason, seen.imported) == ("STOPPED", csv_file.CHANGED, 1)
    assert _names() == [("K-1", "Amina")]
    monkeypatch.undo()
    _take_in(path)
    assert [external for external, _ in _names()] == ["K-1", "K-2", "K-9"]
    with pytest.raises(FileRefused):
        list(csv_file.rows(path, found))


def test_a_row_that_is_too_long_says_so(file):
    path = file(f"K-1,{'x' * csv_file.LONGEST_ROW},Odhiambo,,,,\n", MOSES, 'K-4,"Half\n')
    problems = [one.problem for one in csv_file.rows(path, csv_file.survey(path))]
    assert problems == ["This row is longer than 64 kB.", "", csv_file.NOT_CLOSED]


def test_the_lease_of_a_process_that_was_killed_is_free(monkeypatch):
    mine = leases.new()
    assert not leases.dead(mine)
    secret, _, host = mine.split(" ", 2)
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert leases.dead(f"{secret} {child} {host}")
    assert not leases.dead(f"{secret} {child} elsewhere")


def test_one_that_stalled_while_another_took_over_changes_nothing_any_more(admin, file, monkeypatch):
    pauses = iter([True])

    def stall(*_: object) -> None:
        if next(pauses, False):
            tools.write("UPDATE patient_imports SET leased_until = started_at")
            assert work.work_on()

    monkeypatch.setattr(work, "BATCH", 1)
    monkeypatch.setattr(work, "_breath", stall)
    run = _checked(admin, file(AMINA, MOSES, BAD))
    seen = runs.view_import(admin, run)
    assert (seen.state, seen.rows) == ("CHECKED", 3)
    (token,) = tools.raw("SELECT token FROM patient_imports")[0]
    assert [row for _, row, _ in stored.rows_noted(token, 0, 9)] == [2, 3, 4]


def test_an_upload_is_checked_decided_and_taken_in(admin, file):
    kept = factories.make_patient(admin, first_name="Amina", last_name="Odhiambo", date_of_birth="14/3/1988")
    also = factories.make_patient(
        admin, first_name="Moses", last_name="Barasa", phone="0722910448", date_of_birth="1962"
    )
    out = factories.make_patient(admin, first_name="Halima", last_name="Yusuf", date_of_birth="1979-02-14")
    path = file(AMINA, MOSES, "K-6,Halima,Yusuf,1979-02-14,,,\n", "K-7,Zainab,Omar,1994-11-03,,,\n", BAD)
    run = _checked(admin, path)
    seen = runs.view_import(admin, run)
    assert (seen.state, seen.name, seen.rows, seen.new, seen.duplicates, seen.invalid) == (
        "CHECKED", "nyanza.csv", 5, 1, 3, 1,
    )  # fmt: skip
    assert len(_names()) == 3
    assert [one.outcome for one in seen.shown] == ["possible_duplicate"] * 3 + ["new", "invalid"]
    assert [one.name for one in runs.view_import(admin, run, only="new").shown] == ["Zainab Omar"]
    assert [one.row for one in runs.view_import(admin, run, only="invalid").shown] == [6]
    assert runs.latest_import(admin) == run
    assert seen.goes_in == 1
    runs.decide_row(admin, run, 2, "SAME_PERSON", kept.patient.id)
    runs.decide_row(admin, run, 3, "IMPORT_ANYWAY")
    runs.decide_row(admin, run, 4, "LEAVE_OUT")
    for wrong in ((5, "SAME_PERSON", kept.patient.id), (2, "SAME_PERSON", 999_999), (99, "LEAVE_OUT")):
        with pytest.raises(NoSuchRow):
            runs.decide_row(admin, run, *wrong)
    seen = runs.view_import(admin, run)
    assert (seen.goes_in, seen.same) == (2, 1)
    runs.start_import(admin, run)
    assert work.work_on()
    done = runs.view_import(admin, run)
    assert (done.state, done.imported, done.same, done.duplicates, done.invalid) == ("DONE", 2, 1, 1, 1)
    (now,) = tools.raw("SELECT external_id FROM patients WHERE id = :id", id=kept.patient.id)
    assert now[0] == "K-1"
    assert also.patient.external_id is None
    changed = tools.trail("PATIENT_UPDATED")[-1]
    assert (changed["resource_id"], changed["metadata"]["fields"]) == (kept.patient.id, ["external_id"])
    assert runs.latest_import(admin) == 0
    assert [(one.name, one.imported, one.left_out) for one in runs.earlier_imports(admin)] == [("nyanza.csv", 3, 2)]
    assert list(stored._folder().iterdir()) == []
    report = "".join(runs.export_report(admin, run))
    assert '"possible_duplicate"' in report
    assert out.patient.patient_id in report
    assert '"31/2/1987"' in report


def test_the_same_person_may_not_lose_another_external_id(admin, file):
    kept = factories.make_patient(
        admin, first_name="Amina", last_name="Odhiambo", date_of_birth="14/3/1988", external_id="OLD"
    )
    run = _checked(admin, file(AMINA))
    runs.decide_row(admin, run, 2, "SAME_PERSON", kept.patient.id)
    runs.start_import(admin, run)
    work.work_on()
    done = runs.view_import(admin, run)
    assert (done.same, done.shown[0].errors) == (0, (taking_in.OTHER_EXTERNAL_ID,))


def test_whoever_registers_a_row_meanwhile_at_the_desk_is_not_doubled(admin, file):
    run = _checked(admin, file(AMINA, MOSES))
    assert runs.view_import(admin, run).new == 2
    factories.make_patient(admin, first_name="Amina", last_name="Odhiambo", national_id="27840001")
    runs.start_import(admin, run)
    work.work_on()
    done = runs.view_import(admin, run)
    assert (done.imported, done.duplicates) == (1, 1)


def test_one_stops_another_goes_on_and_who_may_no_longer_ends_it(admin, file):
    other = factories.make_staff(Role.ADMIN)
    run = _checked(admin, file(AMINA))
    runs.start_import(admin, run)
    with pytest.raises(ImportUnderWay):
        runs.begin_upload(other, "x.csv", 10)
    runs.stop_import(admin, run)
    assert work.work_on() is False
    runs.continue_import(admin, run)
    change_role(other, admin.account_id, Role.RECEPTIONIST)
    assert work.work_on()
    assert runs.view_import(other, run).state == "ENDED"
    assert _names() == []
    runs.continue_import(other, run)
    assert work.work_on()
    assert _names() == [("K-1", "Amina")]
    for late in (runs.stop_import, runs.continue_import, runs.discard_import, runs.start_import):
        with pytest.raises(NoSuchImport):
            late(other, run)


def test_a_file_that_cannot_be_read_says_why_and_another_can_be_sent(admin, file):
    run = _checked(admin, file("a\n", header="name\n"))
    seen = runs.view_import(admin, run)
    assert (seen.state, seen.reason[:42]) == ("REFUSED", "The first line does not name the columns. ")
    runs.discard_import(admin, run)
    with pytest.raises(NoSuchImport):
        runs.view_import(admin, run)
    assert list(stored._folder().iterdir()) == []


def test_parts_must_follow_each_other_and_belong_to_whoever_sends_them(admin, file):
    other = factories.make_staff(Role.ADMIN)
    run = runs.begin_upload(admin, "x.csv", 10)
    with pytest.raises(NoSuchImport):
        runs.receive_part(other, run, 0, b"first")
    runs.receive_part(admin, run, 0, b"first")
    with pytest.raises(PartOutOfPlace) as refused:
        runs.receive_part(admin, run, 6, b"last")
    assert refused.value.received == 5
    assert runs.receive_part(admin, run, 0, b"first") == 5  # sent again after a lost answer
    with pytest.raises(FileRefused):
        runs.receive_part(admin, run, 5, b"too long")
    for size in (0, -1, stored.LARGEST + 1, True):
        with pytest.raises(FileRefused):
            runs.begin_upload(admin, "x.csv", size)
    again = runs.begin_upload(admin, "y.csv", 10)
    with pytest.raises(NoSuchImport):
        runs.receive_part(admin, run, 5, b"x")
    assert len(list(stored._folder().iterdir())) == 1
    runs.discard_import(admin, again)


def test_only_administrators_import(admin, file):
    desk = factories.make_staff()
    run = _checked(admin, file(AMINA))
    for tried in (
        lambda: runs.begin_upload(desk, "x.csv", 1),
        lambda: runs.receive_part(desk, run, 0, b"x"),
        lambda: runs.view_import(desk, run),
        lambda: runs.decide_rest(desk, run, import_them=True),
        lambda: runs.start_import(desk, run),
        lambda: runs.export_report(desk, run),
    ):
        with pytest.raises(PermissionDenied, match="permission_denied"):
            tried()


def test_what_nobody_decides_goes_and_its_file_too(admin, file, clock):
    run = _checked(admin, file(AMINA))
    clock.shift(dt.timedelta(days=8).total_seconds())
    from clinic_app.services.accounts import housekeeping

    housekeeping.tidy()
    with pytest.raises(NoSuchImport):
        runs.view_import(admin, run)
    assert work.tidy_files(older=dt.timedelta(days=-9999)) == 2
    assert list(stored._folder().iterdir()) == []


def test_a_row_that_is_a_little_like_one_above_goes_in(admin, file):
    near = "K-8,Amina,Wafula,1961-09-02,,,\n"
    done = runs.view_import(admin, _take_in(file(AMINA, near)))
    assert (done.imported, done.total) == (2, 0)
    path = file(AMINA, near, "K-9,Amina,Odhiambo,1955,,,\n")
    lines = [line_of(one) for part in check_file(SYSTEM, path, csv_file.survey(path)) for one in part]
    assert [one["outcome"] for one in lines[:2]] == ["possible_duplicate"] * 2


# --- what nobody foresaw ----------------------------------------------------------------------------


def test_a_row_linked_to_somebody_whose_external_id_is_anothers_is_left_out_and_holds_up_nobody(admin, file):
    there = factories.make_patient(admin, first_name="Amina", last_name="Odhiambo", date_of_birth="14/3/1988").patient
    factories.make_patient(admin, first_name="Zebedayo", last_name="Nyamweya", external_id="K-1")
    run = _checked(admin, file(AMINA, MOSES))
    runs.decide_row(admin, run, 2, "SAME_PERSON", there.id)
    runs.start_import(admin, run)
    assert work.work_on()
    done = runs.view_import(admin, run)
    assert (done.state, done.imported, done.same) == ("DONE", 1, 0)
    assert done.shown[0].errors == (EXTERNAL_ID_TAKEN,)


def test_a_row_with_the_external_id_of_one_above_says_so_before_anything_is_decided(admin, file):
    run = _checked(admin, file(MOSES, MOSES.partition(",")[0] + ",Zebedayo,Nyamweya,1950-07-30,,,\n"))
    _, second = runs.view_import(admin, run).shown
    assert second.errors == ("Row 2 of this file has the same external ID.",)
    assert second.outcome == "possible_duplicate"
    runs.decide_rest(admin, run, import_them=True)
    assert runs.view_import(admin, run).goes_in == 1, "it is not counted among those that go in"
    runs.decide_row(admin, run, second.row, "IMPORT_ANYWAY")
    assert runs.view_import(admin, run).goes_in == 1
    runs.start_import(admin, run)
    assert work.work_on()
    assert runs.view_import(admin, run).imported == 1


def test_two_rows_with_one_external_id_of_which_one_was_linked_hold_up_nobody(admin, file):
    there = factories.make_patient(
        admin, first_name="Amina", last_name="Odhiambo", date_of_birth="14/3/1988", national_id="27840001"
    ).patient
    run = _checked(admin, file(AMINA, "K-1,Zebedayo,Nyamweya,1950-07-30,,,\n", MOSES))
    assert runs.view_import(admin, run).new == 2, "nobody knew yet that the first of them is somebody"
    runs.decide_row(admin, run, 2, "SAME_PERSON", there.id)
    runs.start_import(admin, run)
    assert work.work_on()
    done = runs.view_import(admin, run)
    assert (done.state, done.imported, done.same, done.duplicates) == ("DONE", 1, 1, 1)
    (left,) = done.shown
    assert (left.row, left.alike[0].patient_id, left.alike[0].reasons[0]) == (3, there.patient_id, "External ID")


def test_a_row_that_the_database_refuses_is_left_out_and_the_others_go_in(admin, file, monkeypatch):
    add = taking_in.add_patients

    def refused(session, actor, reads, run):
        if any(one.external_id == "K-2" for one in reads):
            raise IntegrityError("", None, Exception())
        return add(session, actor, reads, run)

    monkeypatch.setattr(taking_in, "add_patients", refused)
    run = _take_in(file(AMINA, MOSES, "K-4,Wanjiku,Njoroge,1991,,,\n"))
    done = runs.view_import(admin, run)
    assert (done.state, done.imported, done.invalid) == ("DONE", 2, 1)
    assert (done.shown[0].row, done.shown[0].errors) == (3, (work.NOT_SAVED,))
    assert chain.verify().ok


def _registered_after_the_look(monkeypatch, admin, **who) -> None:
    """A desk registers somebody between the moment a batch is judged and the moment it is written."""
    judge = work.judge

    def and_then(*args, **kwargs):
        judged = judge(*args, **kwargs)
        if who:
            factories.make_patient(admin, **who)
            who.clear()
        return judged

    monkeypatch.setattr(work, "judge", and_then)


@pytest.mark.parametrize("allow", [False, True])
def test_who_is_registered_while_a_batch_is_written_is_not_doubled(admin, file, monkeypatch, allow):
    path = file(AMINA, MOSES)
    _registered_after_the_look(
        monkeypatch, admin, first_name="Amina", last_name="Odhiambo", date_of_birth="14/3/1988", phone="0712445901"
    )
    done = runs.view_import(admin, _take_in(path, allow_duplicates=allow))
    assert (done.imported, done.duplicates) == ((2, 0) if allow else (1, 1))


def test_somebody_else_who_is_registered_meanwhile_holds_up_no_batch(admin, file, monkeypatch):
    path = file(AMINA, MOSES)
    _registered_after_the_look(monkeypatch, admin, first_name="Wanjiku", last_name="Njoroge", phone="0733 999 000")
    done = runs.view_import(admin, _take_in(path))
    assert (done.imported, done.duplicates) == (2, 0)


def test_a_merged_record_stands_for_the_one_it_leads_to(admin, file):
    goes = factories.make_patient(
        admin, first_name="Amina", last_name="Odhiambo", date_of_birth="14/3/1988", external_id="K-1", national_id=""
    ).patient
    stays = factories.make_patient(admin, first_name="Aminah", last_name="Otieno", external_id="").patient
    merge_patients(admin, goes.id, MergeRequest(stays.patient_id, take=frozenset()))
    run = _checked(admin, file(AMINA, "K-7,Amina,Odhiambo,1988-03-14,0712445901,,\n"))
    seen = runs.view_import(admin, run)
    assert [[one.patient_id for one in row.alike] for row in seen.shown] == [[stays.patient_id], [stays.patient_id]]
    runs.decide_row(admin, run, 3, "SAME_PERSON", stays.id)
    runs.start_import(admin, run)
    work.work_on()
    assert runs.view_import(admin, run).same == 1
    assert tools.raw("SELECT id FROM patients WHERE external_id = 'K-7'")[0][0] == stays.id


def test_one_who_is_merged_after_being_chosen_is_who_it_leads_to(admin, file):
    goes = factories.make_patient(
        admin, first_name="Amina", last_name="Odhiambo", date_of_birth="14/3/1988", national_id=""
    ).patient
    stays = factories.make_patient(admin, first_name="Aminah", last_name="Otieno", external_id="").patient
    run = _checked(admin, file(AMINA))
    runs.decide_row(admin, run, 2, "SAME_PERSON", goes.id)
    merge_patients(admin, goes.id, MergeRequest(stays.patient_id))
    runs.start_import(admin, run)
    work.work_on()
    assert runs.view_import(admin, run).same == 1
    assert tools.raw("SELECT id FROM patients WHERE external_id = 'K-1'")[0][0] == stays.id


def test_open_pages_are_woken_while_a_file_is_checked_and_taken_in(admin, file, monkeypatch):
    monkeypatch.setattr(work, "BATCH", 1)
    monkeypatch.setattr(work, "_WAKE", 0.0)
    seen: list[tuple[int, int]] = []
    advance = work._advance

    def noted(session, held, **values):
        advance(session, held, **values)
        seen.append((change_number(), values.get("position", 0)))

    monkeypatch.setattr(work, "_advance", noted)
    run = _checked(admin, file(AMINA, MOSES, BAD))
    runs.start_import(admin, run)
    work.work_on()
    steps = [number for number, position in seen if position]
    assert len(steps) == 6
    assert len(set(steps)) == 6, "each step is a change that open lists hear of"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            b"first_name,last_name\rAmina,Odhiambo\rMoses,Barasa\r",
            "The lines of the file end as on very old computers.",
        ),
        (b"x" * 70_000, "The first line is longer than 64 kB: this may be no list."),
        (b'"first_name,last_name\nAmina,Odhiambo\n', "The first line cannot be read: a quotation mark in it is not"),
    ],
)
def test_why_a_first_line_cannot_be_read(tmp_path, content, why):
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises(FileRefused) as refused:
        csv_file.survey(path)
    assert refused.value.sentence.startswith(why)
