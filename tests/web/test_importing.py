"""A file sent in parts by an administrator's browser, and files that leave the register: who gets them, what is in."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import httpx
import pytest

from clinic_app.core import clock, cookies, csv_safe, db, routes
from clinic_app.models.accounts import Account
from clinic_app.services.accounts import sessions
from clinic_app.services.patients.importing import runs, work
from clinic_app.web import app
from tests import factories
from tests.db import tools

FILE = b"first_name,last_name\nHalima,Yusuf\n,Nobody\n"


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.setenv("CLINIC_DATA_DIR", str(tmp_path / "data"))


async def _post(actor, path: str, *, site: str = "same-origin", **sent) -> httpx.Response:
    cookie = {}
    if actor is not None:
        with db.transaction() as session:
            account = session.get(Account, actor.account_id)
            assert account is not None
            token, _ = sessions.open_session(session, account)
        cookie = {cookies.session_name(): token}
    transport = httpx.ASGITransport(app=app.create_web())
    async with httpx.AsyncClient(transport=transport, base_url="http://desk", cookies=cookie) as http:
        return await http.post(path, headers={"Sec-Fetch-Site": site}, **sent)


async def _upload(actor) -> int:
    told = await _post(actor, routes.IMPORT_FILE, json={"name": "x.csv", "size": len(FILE)})
    assert told.status_code == 200, told.text
    number = told.json()["number"]
    for at in (0, 20):
        part = FILE[at : at + 20] if not at else FILE[at:]
        sent = await _post(actor, routes.IMPORT_PART.format(number=number, at=at), content=part)
        assert sent.json() == {"received": at + len(part)}
    return number


async def test_a_file_comes_in_parts_and_its_report_leaves(people):
    number = await _upload(people.admin)
    work.work_on()
    assert runs.view_import(people.admin, number).new == 1
    runs.start_import(people.admin, number)
    work.work_on()
    report = await _post(people.admin, routes.IMPORT_REPORT, data={"number": str(number)})
    assert (report.status_code, report.headers["cache-control"]) == (200, "no-store")
    (row,) = csv.DictReader(io.StringIO(report.text.removeprefix(csv_safe.BYTE_ORDER_MARK)))
    assert (row["row"], row["outcome"], row["reasons"], row["last_name"]) == (
        "3",
        "invalid",
        "First name is required.",
        "Nobody",
    )


async def test_a_part_out_of_place_is_told_how_much_has_come(people):
    told = await _post(people.admin, routes.IMPORT_FILE, json={"name": "x.csv", "size": len(FILE)})
    path = routes.IMPORT_PART.format(number=told.json()["number"], at=7)
    again = await _post(people.admin, path, content=b"x")
    assert (again.status_code, again.json()["received"]) == (409, 0)


@pytest.mark.parametrize(
    "sent", [{}, {"name": 7, "size": "9"}, {"name": "x", "size": 300 * 1024 * 1024}, {"size": True}]
)
async def test_what_is_no_file_is_refused_in_words(people, sent):
    told = await _post(people.admin, routes.IMPORT_FILE, json=sent)
    assert told.status_code == 400
    assert told.json()["detail"].startswith("The file is ")


async def test_others_may_not(people):
    number = await _upload(people.admin)
    part = routes.IMPORT_PART.format(number=number, at=0)
    for path, sent in (
        (routes.IMPORT_FILE, {"json": {"name": "x", "size": 1}}),
        (part, {"content": b"x"}),
        (routes.IMPORT_REPORT, {"data": {"number": str(number)}}),
        (routes.PATIENTS_EXPORT, {"data": {}}),
        (routes.PATIENT_EXPORT, {"data": {"patient_id": "LMC000001"}}),
    ):
        assert (await _post(people.receptionist, path, **sent)).status_code == 403, path
        assert (await _post(None, path, **sent)).status_code in (401, 303), path
        assert (await _post(people.admin, path, site="cross-site", **sent)).status_code == 403, path


async def test_all_patients_leave_as_a_file_no_spreadsheet_calculates(people):
    factories.make_patient(people.admin, first_name="=HYPERLINK(1)", external_id="+7")
    answer = await _post(people.admin, routes.PATIENTS_EXPORT, data={})
    assert answer.status_code == 200
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix(csv_safe.BYTE_ORDER_MARK))))
    assert (rows[-1]["first_name"], rows[-1]["external_id"]) == ("'=HYPERLINK(1)", "'+7")
    assert tools.trail("PATIENTS_EXPORTED")[-1]["metadata"] == {"count": len(rows), "inactive": False}


async def test_one_whole_record_leaves_as_json_and_is_recorded(people):
    done = factories.make_patient(people.admin, portal_email="whole@example.org")
    answer = await _post(people.admin, routes.PATIENT_EXPORT, data={"patient_id": done.patient.patient_id})
    told = answer.json()
    assert (told["patient"]["patient_id"], told["portal"]["username"]) == (
        done.patient.patient_id,
        "whole@example.org",
    )
    assert done.credentials is not None
    assert done.credentials.temporary_password not in answer.text
    assert tools.trail("PATIENT_EXPORTED")[-1]["resource_id"] == done.patient.id
    gone = await _post(people.admin, routes.PATIENT_EXPORT, data={"patient_id": "LMC999999"})
    assert gone.status_code == 404


def test_who_has_not_confirmed_lately_is_asked_first(people):
    from clinic_app.core.errors import ReauthenticationRequired
    from clinic_app.services.patients.exporting import export_patients

    stale = replace(people.admin, proved_at=clock.now().replace(year=2020))
    with pytest.raises(ReauthenticationRequired):
        export_patients(stale)
