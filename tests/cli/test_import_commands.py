"""``import`` and ``export``: a file in, resumed after it was killed; all patients, or one, out."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from clinic_app.core.settings import get_settings
from clinic_app.services.patients.importing import csv_file
from tests.conftest import ROOT

HEADER = "external_id,first_name,last_name,date_of_birth,phone,insurer\n"
GOOD = 'A-1,Amina,Odhiambo,1988-03-14,0712445901,x\nA-2,"=Moses",Barasa,1962,,y\n'
BAD = "A-3,Peter,Kamau,31/2/1987,,z\nA-4,half a row"


@pytest.fixture
def ready(clinic):
    assert clinic("migrate").exit_code == 0
    return clinic


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "patients.csv"
    path.write_text(HEADER + GOOD + BAD)
    return path


def _count(clinic) -> int:
    with sqlite3.connect(clinic.folder / "clinic.sqlite3") as connection:
        return connection.execute("SELECT count(*) FROM patients").fetchone()[0]


def test_a_dry_run_says_what_each_row_is_and_writes_nothing(ready, file, tmp_path):
    report = tmp_path / "out.jsonl"
    done = ready("import", str(file), "--dry-run", "--report", str(report))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == ("4 rows: 2 new, 0 possible duplicates, 2 invalid. Nothing was written.")
    assert "left out: insurer." in done.stderr
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(one["row"], one["external_id"], one["outcome"]) for one in lines] == [
        (2, "A-1", "new"),
        (3, "A-2", "new"),
        (4, "A-3", "invalid"),
        (5, "A-4", "invalid"),
    ]
    assert lines[3]["errors"] == {"row": "This row has 2 of 6 columns. The file may have been cut off here."}
    assert report.stat().st_mode & 0o777 == 0o600
    assert _count(ready) == 0


def test_good_rows_go_in_and_the_same_file_again_changes_nothing(ready, file, tmp_path):
    report = tmp_path / "left.jsonl"
    done = ready("import", str(file), "--report", str(report))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == (
        "2 patients imported (LMC000001 to LMC000002). Left out: 0 possible duplicates, 2 invalid."
    )
    assert [json.loads(line)["values"]["first_name"] for line in report.read_text().splitlines()] == [
        "Peter",
        "half a row",
    ]
    again = ready("import", str(file))
    assert "0 patients imported, 2 were in before" in again.stdout
    assert "Row 4: Date of birth must be a real date" in again.stderr
    assert ready("import", str(file), "--strict").exit_code == 1
    told = json.loads(ready("import", str(file), "--json").stdout)
    assert (told["imported"], told["imported_before"], told["invalid"]) == (0, 2, 2)
    assert _count(ready) == 2
    assert ready("audit", "verify").exit_code == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty."),
        (b"1,2\n3,4\n", "The first line does not name the columns."),
        (b"first_name,phone\nA,\n", "The column last_name is missing."),
        (b"first_name,last_name,Last name\nA,B,C\n", "The column last_name is there twice."),
        ("first_name,last_name\nZoé,B\n".encode("cp1252"), "The file is not UTF-8: line 2 has a letter"),
        ("first_name,last_name\n".encode("utf-16"), "The file is UTF-16, not UTF-8."),
        (b"PK\x03\x04\x00\x00", "The file is no text"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(ready, tmp_path, content, said):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    for more in ((), ("--dry-run",)):
        done = ready("import", str(path), *more)
        assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert ready("import", str(tmp_path / "missing.csv")).exit_code == 2


def test_what_spreadsheets_do_to_a_file_is_undone(ready, tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(
        b"\xef\xbb\xbfsep=;\r\nFirst name;Last name;Phone;National ID;Gender;Address\r\n"
        b"Amina;Odhiambo;'0712445901;'007;f;\"12 Lake Road\nKisumu\"\r\n\r\nMoses;Barasa;7.12E+08;;;\r\n"
    )
    done = ready("import", str(path))
    assert done.exit_code == 0, done.output
    assert "Row 4: Phone was shortened to 7.12E+08 by a spreadsheet." in done.stderr
    with sqlite3.connect(ready.folder / "clinic.sqlite3") as connection:
        rows = connection.execute("SELECT phone, national_id, gender, address FROM patients").fetchall()
    assert rows == [("+254712445901", "007", "FEMALE", "12 Lake Road\nKisumu")]


def test_a_row_that_is_broken_costs_itself_alone(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b'first_name,last_name\n"Amina,Odhiambo\nMoses,Barasa\nA,' + b"x" * 100_000 + b"\nB,C\n")
    found = csv_file.survey(path)
    assert [(one.row, one.values.get("first_name"), bool(one.problem)) for one in csv_file.rows(path, found)] == [
        (2, None, True),
        (3, "Moses", False),
        (4, None, True),
        (5, "B", False),
    ]


def test_killed_in_the_middle_it_goes_on_without_a_double(ready, tmp_path):
    path, number = tmp_path / "many.csv", 3000
    with path.open("w") as file:
        file.write("external_id,first_name,last_name\n")
        file.writelines(f"N-{n},Given{n},Family{n * 7}\n" for n in range(number))
    environment = {**os.environ, "CLINIC_DATA_DIR": str(ready.folder), "CLINIC_MODE": "test"}
    program = [sys.executable, "-m", "clinic_app", "import", str(path)]
    first = subprocess.Popen(program, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not 0 < _count(ready) < number and first.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert 0 < _count(ready) <= number
    done = ready("import", str(path))
    assert done.exit_code == 0, done.output
    with sqlite3.connect(ready.folder / "clinic.sqlite3") as connection:
        in_it = connection.execute("SELECT count(*), count(DISTINCT external_id) FROM patients").fetchone()
    assert in_it == (number, number)
    assert ready("audit", "verify").exit_code == 0


def test_all_patients_go_out_and_come_back_as_they_were(ready, file, tmp_path):
    ready("import", str(file))
    out = tmp_path / "out.csv"
    done = ready("export", "patients", "--out", str(out))
    assert (done.exit_code, done.stdout) == (0, f"2 patients written to {out}.\n")
    assert out.stat().st_mode & 0o777 == 0o600
    first, second = csv.DictReader(io.StringIO(out.read_text()))
    assert (first["patient_id"], first["external_id"], first["phone"]) == ("LMC000001", "A-1", "'+254712445901")
    assert (second["first_name"], second["date_of_birth"]) == ("'=Moses", "1962")
    assert ready("export", "patients", "--out", str(out)).exit_code == 2
    told = [json.loads(ready("import", str(out), "--dry-run", "--json").stdout)]
    assert (told[0]["possible_duplicate"], told[0]["invalid"]) == (2, 0)
    record = tmp_path / "one.json"
    assert ready("export", "patient", "LMC000002", "--out", str(record)).exit_code == 0
    found = json.loads(record.read_text())
    assert (found["format"], found["patient"]["first_name"]) == ("clinic-patient-record", "=Moses")
    assert [event["action"] for event in found["events"]] == ["PATIENT_CREATED"]
    assert ready("export", "patient", "LMC999999", "--out", str(tmp_path / "x.json")).exit_code == 4
    get_settings.cache_clear()
