"""Rules about the code itself: what it may not contain, and what a new installation begins with."""

from __future__ import annotations

import ast
import datetime as dt
import importlib
import json
import pkgutil
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import time_machine

import clinic_app
from clinic_app.api.app import create_api
from clinic_app.core import clock, crypto, keys
from clinic_app.core.settings import get_settings
from clinic_app.models import Account
from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.ui.kit import passwords
from tests import factories
from tests.conftest import migrate

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "clinic_app").rglob("*.py"))
SCRIPTS = sorted((ROOT / "assets").glob("*.js"))
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


#: Everything that scripts write into the browser's storage: two switches, and random names of presses.
KEPT_BY_SCRIPTS = {
    'KEPT, event.target.checked ? "on" : "off"',
    '"renewed", "1"',
    "KEPT, JSON.stringify(all)",  # presses: random ids, and what they were for
    "KEPT, JSON.stringify(ids)",  # forms: random ids
}


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Every call in the sources: file, call, and the called name with its dots."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield str(file.relative_to(ROOT)), node, ast.unparse(node.func)


def imported() -> dict[str, set[str]]:
    """File → top-level names it imports."""
    found: dict[str, set[str]] = {}
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            found.setdefault(str(file.relative_to(ROOT)), set()).update(name.partition(".")[0] for name in names)
    return found


def table(heading: str) -> dict[str, str]:
    """First cell → second cell of the first table below a heading of docs/security.md."""
    _, _, rest = DOCUMENT.partition(f"\n## {heading}\n")
    assert rest, heading
    rows = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {cell[0]: cell[1] for cell in cells}


# --- ways in ------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("6.1.3", "6.3.4")
def test_every_place_that_checks_a_secret_is_documented():
    checks = {"crypto.verify_password", "check_own_password", "sign_in", "links.is_right"}
    found = {file for file, _, name in calls() if name in checks}
    listed = set(re.findall(r"`(clinic_app/[a-z_/]+\.py)`", " ".join(table("Ways in").values())))
    assert found == listed


@pytest.mark.asvs("6.4.6", "6.4.2")
async def test_no_way_in_lets_somebody_choose_a_patients_password_or_asks_for_a_hint():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=create_api()), base_url="http://clinic") as client:
        document = (await client.get("/v1/openapi.json")).json()
    bodies = json.dumps(document["components"]["schemas"])
    requests = re.findall(r'"(password|new_password|hint|question)"', bodies)
    assert set(requests) <= {"password"}
    assert not [name for name in Account.model_fields if re.search("hint|question|answer", name)]


@pytest.mark.asvs("6.2.6", "6.2.7")
def test_passwords_can_be_pasted_and_filled_in_by_a_manager():
    for label, ident, wanted in (
        ("Password", "password", "current-password"),
        ("New password", "new_password", "new-password"),
    ):
        drawn = str(passwords.password_field(label, ident, auto_complete=wanted).render())
        assert f'autoComplete:"{wanted}"' in drawn
        assert 'type:"password"' in drawn
        assert "onPaste" not in drawn
    for file in SCRIPTS:
        assert not re.search(r"[\"']paste[\"']|onpaste|oncopy", file.read_text("utf-8")), file.name


@pytest.mark.asvs("6.2.10")
def test_a_good_password_never_has_to_be_changed(database):
    somebody = factories.make_staff()
    with time_machine.travel(clock.now() + dt.timedelta(days=400)):
        done = sign_in(STAFF_DOOR, somebody.username, factories.PASSWORD)
    assert not done.actor.must_choose_password


# --- injection ----------------------------------------------------------------------------------------------------


@pytest.mark.asvs("1.2.4")
def test_no_sql_is_put_together_from_text():
    bad = []
    for file, call, name in calls():
        if file == "clinic_app/core/db.py":  # pragmas, which take no parameters
            continue
        if name.rpartition(".")[2] in {"text", "exec_driver_sql", "execute"} and call.args:
            first = call.args[0]
            if isinstance(first, ast.JoinedStr) or (isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mod)):
                bad.append((file, call.lineno))
    assert bad == []


@pytest.mark.asvs("1.2.5")
def test_no_command_goes_through_a_shell_and_only_build_serve_and_backups_run_any():
    for file, call, name in calls():
        assert name not in {"os.system", "os.popen", "commands.getoutput"}, file
        assert not [word for word in call.keywords if word.arg == "shell"], file
    assert {file for file, names in imported().items() if "subprocess" in names} <= {
        "clinic_app/cli/build.py",
        "clinic_app/cli/develop.py",
        "clinic_app/cli/copying.py",  # litestream
        "clinic_app/core/continuous_copy.py",  # the same
        "clinic_app/core/copy_check.py",  # the same, and a Python that reads what it has restored
        "clinic_app/core/starting.py",  # starts litestream for it
        "clinic_app/core/database_copies.py",  # pg_dump, pg_restore and psql, for backups
    }


@pytest.mark.asvs("1.3.2", "1.5.2")
def test_nothing_is_evaluated_or_unpickled():
    for file, _, name in calls():
        assert name not in {"eval", "exec", "compile", "__import__"}, file
    for file, names in imported().items():
        assert not {"pickle", "marshal", "shelve", "yaml"} & names, file


@pytest.mark.asvs("1.2.1", "1.2.3")
def test_no_page_and_no_script_writes_markup():
    for file in SOURCES:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"rx\.html|dangerously|rx\.script\(|call_script", text), file.name
    for file in SCRIPTS:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function", text), (
            file.name
        )


@pytest.mark.asvs("14.3.3", "14.2.1")
def test_scripts_keep_nothing_personal_in_the_browser():
    kept = {call for file in SCRIPTS for call in re.findall(r"Storage\.setItem\((.+?)\);", file.read_text("utf-8"))}
    assert kept <= KEPT_BY_SCRIPTS
    for file in SCRIPTS:
        assert not re.search(r"document\.cookie|indexedDB|caches\.", file.read_text("utf-8")), file.name


@pytest.mark.asvs("1.3.12")
def test_no_pattern_takes_long_whatever_it_is_given():
    patterns = {}
    for module in pkgutil.walk_packages(clinic_app.__path__, "clinic_app."):
        if module.name.split(".")[1] in {"core", "services", "api", "models"}:
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    patterns[f"{module.name}.{name}"] = value
    assert len(patterns) >= 3
    long = [
        unit * (50_000 // len(unit)) for unit in ("a", "'", " ", "0", "a.", "-", "<script ", "\t=", "/a", "é", "'=")
    ]
    for name, pattern in patterns.items():
        for text in long:
            for tried in (text, text + "\n!", "!" + text):
                tried = tried.encode() if isinstance(pattern.pattern, bytes) else tried
                begun = time.process_time()
                pattern.match(tried)
                pattern.fullmatch(tried)
                assert time.process_time() - begun < 0.05, (name, text[:10])


# --- secrets ------------------------------------------------------------------------------------------------------


INVENTS_PEOPLE = {"clinic_app/cli/demo_data.py", "clinic_app/cli/demo_crowd.py"}


@pytest.mark.asvs("11.5.1", "6.5.3", "7.2.3")
def test_chance_comes_from_the_operating_system():
    for file, names in imported().items():
        assert "random" not in names or file in INVENTS_PEOPLE, file
        assert "uuid" not in names, file
    made = {crypto.new_token() for _ in range(200)}
    assert len(made) == 200
    assert min(len(token) for token in made) >= 43


@pytest.mark.asvs("11.4.2", "11.3.2")
def test_no_weak_hash_and_no_home_made_cipher():
    for file, call, name in calls():
        assert name not in {"hashlib.md5", "hashlib.sha1", "hashlib.new"}, file
        assert not re.search(r"\bAES\b|\bmodes\.(ECB|CBC|CTR)", ast.unparse(call)), file


@pytest.mark.asvs("6.3.2", "13.2.3", "13.3.1")
def test_a_new_installation_has_no_account_and_keys_of_its_own(tmp_path, settings):
    made = []
    for name in ("one", "two"):
        for unset in ("CLINIC_PEPPER", "CLINIC_AUDIT_KEY", "CLINIC_TOKEN_KEY"):
            settings.delenv(unset, raising=False)
        settings.setenv("CLINIC_DATA_DIR", str(tmp_path / name))
        get_settings.cache_clear()
        keys.key.cache_clear()
        made += [keys.key(each) for each in keys.NAMES]
    keys.key.cache_clear()
    assert len(set(made)) == 2 * len(keys.NAMES)
    assert all(len(each) >= 43 for each in made)
    migrate(f"sqlite:///{tmp_path / 'new.sqlite3'}")
    with sqlite3.connect(tmp_path / "new.sqlite3") as connection:
        assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (0,)
    connection.close()


@pytest.mark.asvs("13.3.1")
def test_no_secret_is_in_the_repository():
    looks_secret = re.compile(r"(?i)(password|secret|token|pepper|_key)\s*[:=]\s*[\"'][A-Za-z0-9+_-]{24,}[\"']")
    private = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{36}\b")
    for file in [*SOURCES, *SCRIPTS, *(ROOT / "docs").rglob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]:
        text = file.read_text(encoding="utf-8")
        assert not private.search(text), file.name
        assert not looks_secret.search(text), file.name


# --- logs ---------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("16.1.1")
def test_every_log_line_is_in_the_inventory():
    levels = {"debug", "info", "warning", "error", "critical", "exception"}
    events = {
        call.args[0].value
        for _, call, name in calls()
        if name.rpartition(".")[2] in levels
        and re.search(r"(_log|logs\.get\(.*\)|get\(.*\))$", name.rpartition(".")[0])
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
    events |= {
        named.value.value
        for _, call, name in calls()
        if name == "periodic.running"
        for named in call.keywords
        if named.arg == "failed" and isinstance(named.value, ast.Constant)
    }
    assert events >= {"request", "failed", "tidy_failed"}
    assert {f"`{event}`" for event in events} <= set(table("What is logged"))
