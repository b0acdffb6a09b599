"""What lies open: no sources, versions or caches of pages, and what cookies and scripts hold."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from clinic_app.cli import build
from clinic_app.core import routes
from tests.security.attack import ALPHA, BRAVO, STAFF, Target, marks_in, visitor

#: What pages are made of; nothing else is served as a file.
KINDS = {"css", "js", "woff2", "svg", "ico", "png", "html", "gz", "br", "json", "webmanifest", "txt"}
PLAIN = ("/login", "/patient-portal/login", "/healthz", "/readyz", "/nothing", "/assets/nothing.js", "/api/v1/nothing/",
         "/api/v1/patients/", "/auth/session", "/look.css", "/patients")  # fmt: skip


def _files() -> dict[str, Path]:
    """Address → file of the newest finished build, which is the one that is served."""
    client = max(build.BUILDS.glob("*/build/client/index.html"), key=lambda found: found.stat().st_mtime).parent
    return {"/" + file.relative_to(client).as_posix(): file for file in client.rglob("*") if file.is_file()}


@pytest.mark.asvs("13.4.7")
def test_no_source_map_and_no_source_is_built_or_served(attacked: Target):
    files = _files()
    assert len(files) > 20
    assert [one for one in files if one.rpartition(".")[2] not in KINDS] == []
    texts = {one: file.read_bytes() for one, file in files.items() if one.endswith((".js", ".css"))}
    assert [one for one, text in texts.items() if b"sourceMappingURL=" in text] == []
    tried = [f"{one}.map" for one in texts]
    tried += ["/clinic_app/clinic_app.py", "/rxconfig.py", "/.env", "/env.json", "/package.json", "/vite.config.js"]
    tried += ["/.git/config", "/requirements.txt", "/data/keys.json", "/clinic.sqlite3", "/../data/keys.json"]
    with visitor(attacked.server) as http:
        answers = {one: http.get(one) for one in tried}
    assert {one: answer.status_code for one, answer in answers.items() if answer.status_code != 404} == {}


@pytest.mark.asvs("13.4.6")
def test_no_answer_names_the_versions_behind_it(attacked: Target):
    with visitor(attacked.server) as http:
        for path in PLAIN:
            answer = http.get(path)
            for name in ("server", "x-powered-by", "via", "x-aspnet-version", "x-generator"):
                assert not re.search(r"\d", answer.headers.get(name, "")), (path, name)
            words = answer.text if "html" in answer.headers.get("content-type", "") else ""
            assert not re.search(r"(?i)(granian|starlette|fastapi|uvicorn|python|reflex)[ /]v?\d", words), path


@pytest.mark.asvs("14.2.5")
def test_a_page_under_the_name_of_a_file_is_kept_by_no_cache(attacked: Target):
    """Web cache deception: ``/patients/x.css`` must not be the record under a name that caches like to keep."""
    who = {"Cookie": f"clinic_session={attacked.sign_in('second')}"}
    number = attacked.alpha.patient.patient_id
    pages = ["/", "/patients", f"/patients/{number}", f"/patients/{number}/card", "/account", routes.TWO_FACTOR]
    pages += [routes.SESSION_ALIVE, f"/api/v1/patients/{number}/"]
    ends = ("/x.css", ".css", "%2Fx.js", ";x.png", "%00.ico", "/..%2flook.css")
    paths = [page + end for page in pages for end in ends]
    with visitor(attacked.server) as http:
        for path in paths:
            answer = http.get(path, headers=who)
            assert marks_in(answer.text, ALPHA, BRAVO, STAFF) == set(), path
            assert "no-store" in answer.headers.get("cache-control", "") or answer.status_code == 404, path


@pytest.mark.asvs("3.5.7")
def test_scripts_and_styles_are_the_same_for_everybody(attacked: Target):
    cookies = ["", *(f"clinic_session={attacked.sign_in(who)}" for who in ("admin", "second"))]
    scripts = [one for one in _files() if one.endswith((".js", ".css"))]
    with visitor(attacked.server) as http:
        for path in [*scripts[:: max(1, len(scripts) // 12)], "/look.css", "/password.js"]:
            answers = {(answer.status_code, answer.content) for cookie in cookies
                       if (answer := http.get(path, headers={"Cookie": cookie} if cookie else {}))}  # fmt: skip
            assert len(answers) == 1, path
    for path, file in _files().items():
        if path.endswith(".js"):
            assert marks_in(file.read_text(errors="replace"), ALPHA, BRAVO, STAFF) == set(), path


@pytest.mark.asvs("3.5.6")
def test_no_answer_becomes_a_script_by_a_callback(attacked: Target):
    who = {"Cookie": f"clinic_session={attacked.sign_in('second')}"}
    paths = (
        routes.SESSION_ALIVE,
        "/healthz",
        "/readyz",
        "/api/v1/patients/",
        "/api/v1/openapi.json",
        "/api/v1/nothing/",
    )
    with visitor(attacked.server) as http:
        for path in paths:
            for name in ("callback", "jsonp", "cb"):
                answer = http.get(path, params={name: "pwn"}, headers=who)
                assert "pwn" not in answer.text, (path, name)
                assert "javascript" not in answer.headers["content-type"], (path, name)
                assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.asvs("3.3.5")
def test_no_cookie_of_ours_is_larger_than_browsers_keep(attacked: Target):
    found: list[str] = []

    def seen(answer: httpx.Response) -> None:
        found.extend(line.partition(";")[0] for line in answer.headers.get_list("set-cookie"))

    with visitor(attacked.server) as http:
        long = "x" * 30_000
        seen(http.get("/login"))
        seen(http.get("/patients/LMC000001"))
        seen(http.get(f"/patients/LMC000001?{long}", headers={"Accept": "text/html"}))
        seen(http.post("/login", data={"username": long, "password": long}))
        own = {"Cookie": f"clinic_session={attacked.sign_in('second')}"}
        seen(http.post(routes.CHANGE_PASSWORD, data={"current_password": long, "new_password": long}, headers=own))
        seen(http.post(routes.REAUTHENTICATE, data={"password": long, "next": long}, headers=own))
        seen(http.post(routes.SIGN_OUT, headers=own))
    assert len({one.partition("=")[0] for one in found}) >= 3
    assert [one for one in found if len(one) > 4096] == []
