"""One build a source and settings, for any host and port, without touching the lock."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clinic_app.cli import build
from clinic_app.cli.failure import CommandFailed
from clinic_app.core.settings import load_settings

REFLEX_ENV = (
    'var e={PING:`https://HOST/ping`,EVENT:`wss://HOST/_event`,UPLOAD:"https://HOST/_upload",'
    "TRANSPORT:`websocket`};export{e as t};"
).replace("HOST", build.PLACEHOLDER)


LOCKED = json.dumps({"packages": {"": {}, "node_modules/react": {"version": "19.3.1", "resolved": "https://x/"}}})


@pytest.fixture
def client(tmp_path):
    """A built client as Reflex leaves it."""
    assets = tmp_path / "assets"
    assets.mkdir()
    script = assets / "reflex-env-abc.js"
    script.write_text(REFLEX_ENV)
    for suffix in (".gz", ".br"):
        script.with_name(script.name + suffix).write_bytes(b"old")
    (assets / "root-abc.js").write_text("export const a = 1;")
    return tmp_path


def _node(*arguments: str) -> str:
    node = shutil.which("node", path=build.environment()["PATH"])
    return subprocess.run([str(node), *arguments], check=True, capture_output=True).stdout.decode()


def _brotli(script: Path) -> str:
    """What the Brotli copy of ``script`` holds."""
    opened = "process.stdout.write(require('zlib').brotliDecompressSync(require('fs').readFileSync(process.argv[1])))"
    return _node("-e", opened, f"{script}.br")


def test_the_pages_talk_to_wherever_they_came_from(client):
    build.make_portable(client)
    script = client / "assets" / "reflex-env-abc.js"
    text = script.read_text()
    assert build.PLACEHOLDER not in text
    assert 'EVENT:(location.origin.replace(/^http/,"ws")+"/_event")' in text
    assert 'PING:(location.origin+"/ping")' in text
    assert "TRANSPORT:`websocket`" in text
    assert gzip.decompress(script.with_name(script.name + ".gz").read_bytes()).decode() == text
    assert _brotli(script) == text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("wss://", "ws://"),
        ("/_event", "/events"),
        ("`wss://", "`x wss://"),
        (f"EVENT:`wss://{build.PLACEHOLDER}/_event`,", ""),
        ("export", f"a=`wss://{build.PLACEHOLDER}/_event`;export"),
        ("export", f"/* {build.PLACEHOLDER} */export"),
        (build.PLACEHOLDER, "localhost:3000"),
    ],
)
def test_a_changed_reflex_is_noticed_not_guessed_at(client, old, new):
    script = client / "assets" / "reflex-env-abc.js"
    script.write_text(REFLEX_ENV.replace(old, new))
    with pytest.raises(CommandFailed):
        build.make_portable(client)


@pytest.mark.parametrize("name", ["index.html", "assets/reflex-env-def.js"])
def test_an_address_in_a_second_file_is_noticed(client, name):
    (client / name).write_text(REFLEX_ENV)
    with pytest.raises(CommandFailed):
        build.make_portable(client)


# --- fingerprints ---------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small checkout of its own."""
    for name in ("clinic_app/ui/login.py", "clinic_app/api/app.py", "assets/look.css", "reflex.lock/package.json"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("first")
    (tmp_path / "requirements.txt").write_text("reflex==0.10.1")
    (tmp_path / "reflex.lock/package-lock.json").write_text(LOCKED)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "BUILDS", tmp_path / ".build")
    monkeypatch.setattr(build, "LOG", tmp_path / ".build" / "last-build.log")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "clinic_app/ui/login.py",
        "clinic_app/ui/new.py",
        "assets/look.css",
        "reflex.lock/package.json",
        "requirements.txt",
    ],
)
def test_what_pages_are_made_of_changes_the_build(checkout, name):
    before = build.fingerprint(load_settings())
    (checkout / name).write_text("second")
    assert build.fingerprint(load_settings()) != before


def test_a_renamed_file_changes_the_build(checkout):
    before = build.fingerprint(load_settings())
    (checkout / "assets/look.css").rename(checkout / "assets/book.css")
    assert build.fingerprint(load_settings()) != before


def test_what_pages_never_see_does_not(checkout):
    before = build.fingerprint(load_settings())
    (checkout / "clinic_app/api/app.py").write_text("second")
    (checkout / "clinic_app/ui/__pycache__").mkdir()
    (checkout / "clinic_app/ui/__pycache__/x.py").write_text("second")
    other = load_settings(
        port=4444,
        host="0.0.0.0",
        data_dir="/elsewhere",
        public_url="https://desk.example.org",
        smtp_host="mail.example.org",
        smtp_password="another",
        self_registration=True,
        log_level="ERROR",
    )
    assert build.fingerprint(other) == before


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Hilltop"},
        {"telephone": "0700"},
        {"opening_hours": "always"},
        {"mode": "demo"},
        {"region": "UG"},
        {"languages": "en"},
        {"temporary_password_hours": 9},
    ],
)
def test_settings_that_pages_show_change_the_build(checkout, change):
    assert build.fingerprint(load_settings(**change)) != build.fingerprint(load_settings())


#: Prints which settings are read for the pages, from the first import to the last page.
_READ = """
import json, sys
from clinic_app.core.settings import Settings
known, read, plain = set(Settings.model_fields), set(), Settings.__getattribute__
def noted(self, name):
    frame = sys._getframe(1) if name in known else None
    while frame is not None:
        if "/clinic_app/ui/" in frame.f_code.co_filename:
            read.add(name)
        frame = frame.f_back
    return plain(self, name)
Settings.__getattribute__ = noted
from clinic_app.clinic_app import app
for route in list(app._unevaluated_pages):
    app._compile_page(route)
print(json.dumps(sorted(read)))
"""


def test_pages_are_compiled_from_these_settings_and_no_others(tmp_path):
    env = os.environ | {"CLINIC_DATA_DIR": str(tmp_path / "data")}
    done = subprocess.run([sys.executable, "-c", _READ], cwd=build.ROOT, env=env, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1]) == sorted(build.COMPILED), done.stderr
    said = (build.ROOT / "docs" / "operations.md").read_text().partition("settings that pages are made of:")[2]
    assert set(re.findall("CLINIC_([A-Z_]+)", said.partition(".")[0])) == {name.upper() for name in build.COMPILED}


# --- building -------------------------------------------------------------------------------------


@pytest.fixture
def exported(checkout, monkeypatch):
    """``reflex export`` replaced by something quick; counts how often it ran."""
    runs = []

    def export(env):
        runs.append(env)
        client = checkout / ".web/build/client/assets"
        client.mkdir(parents=True, exist_ok=True)
        (client / "reflex-env-abc.js").write_text(REFLEX_ENV)
        (client.parent / "index.html").write_text("<script>1</script>")
        (checkout / ".web/backend").mkdir(exist_ok=True)
        (checkout / ".web/backend/stateful_pages.json").write_text("[]")
        (checkout / "reflex.lock/package.json").write_text('{"changed": "by npm"}')
        (checkout / ".web/package-lock.json").write_text(LOCKED)

    monkeypatch.setattr(build, "_export", export)
    return runs


def test_a_second_build_is_not_needed(exported):
    first = build.build(load_settings())
    second = build.build(load_settings())
    assert first == second
    assert len(exported) == 1
    assert build.finished(load_settings()) == first
    assert (first / "backend/stateful_pages.json").is_file()


def test_two_clinics_on_one_checkout_keep_their_own_pages(exported):
    one, two = load_settings(name="Lakeside"), load_settings(name="Hilltop")
    assert build.build(one) != build.build(two)
    assert build.finished(one) is not None
    assert build.finished(two) is not None
    build.build(one)
    assert len(exported) == 2


def test_a_build_leaves_the_lock_as_it_was(exported, checkout):
    build.build(load_settings())
    assert (checkout / "reflex.lock/package.json").read_text() == "first"


@pytest.mark.parametrize(("old", "new"), [("19.3.1", "19.3.2"), ("/react", "/preact"), ("https://x/", "https://y/")])
def test_pages_are_made_of_the_locked_packages_only(exported, checkout, monkeypatch, old, new):
    (checkout / "reflex.lock/package-lock.json").write_text(LOCKED.replace(old, new))
    if "https" in new:  # where a package came from does not matter: its hash is locked
        build.build(load_settings())
        return
    with pytest.raises(CommandFailed, match=r"^reflex\.lock has other versions of .*react.*: run .*--update-lock`\.$"):
        build.build(load_settings())
    assert build.finished(load_settings()) is None


def test_updating_the_lock_takes_what_npm_chose_and_drops_addresses(exported, checkout, monkeypatch):
    quick = build._export

    def export(env):
        quick(env)
        (checkout / "reflex.lock").mkdir(exist_ok=True)
        (checkout / "reflex.lock/package.json").write_text('{"dependencies": {}}')
        (checkout / "reflex.lock/package-lock.json").write_text(LOCKED.replace("19.3.1", "20.0.0"))

    monkeypatch.setattr(build, "_export", lambda env: ((checkout / "reflex.lock").mkdir(), export(env)))
    build.build(load_settings(), update_lock=True)
    packages = json.loads((checkout / "reflex.lock/package-lock.json").read_text())["packages"]
    assert packages["node_modules/react"] == {"version": "20.0.0"}


def test_a_failed_build_leaves_nothing_that_could_be_served(exported, checkout, monkeypatch):
    monkeypatch.setattr(build, "PLACEHOLDER", "something.else.invalid")
    with pytest.raises(CommandFailed):
        build.build(load_settings())
    assert build.finished(load_settings()) is None
    assert not list((checkout / ".build").glob("draft-*"))
    assert (checkout / "reflex.lock/package.json").read_text() == "first"


def test_old_builds_are_forgotten(exported, monkeypatch):
    monkeypatch.setattr(build, "KEPT", 2)
    folders = [build.build(load_settings(name=name)) for name in ("a", "b", "c", "d")]
    assert [folder.exists() for folder in folders].count(True) == 2
    assert folders[-1].exists()


def test_a_missing_node_is_one_sentence(checkout, monkeypatch):
    monkeypatch.setattr(build, "node_version", lambda path=None: (20, 1, 0))
    (checkout / ".build").mkdir()
    with pytest.raises(CommandFailed, match=r"^Node 22\.22 or newer is missing: .*\.$"):
        build._export(build.environment())


def test_a_failing_export_names_the_log(checkout, monkeypatch):
    (checkout / ".build").mkdir()
    left = checkout / ".web/build/client/index.html"  # of an earlier build
    left.parent.mkdir(parents=True)
    left.touch()

    def fails(command, **options):
        options["stdout"].write(b"\x1b[31mno such page\x1b[0m\n\n")
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(build, "node_version", lambda path=None: (24, 0, 0))
    monkeypatch.setattr(build, "_registry", lambda: "https://registry.npmjs.org/")
    env = build.environment()
    monkeypatch.setattr(build.subprocess, "run", fails)
    with pytest.raises(CommandFailed, match=r"no such page\): see \.build/last-build\.log\."):
        build._export(env)


def test_browsers_load_our_scripts_without_their_comments(tmp_path):
    for source in (build.ROOT / "assets").glob("*.js"):
        for name in (source.name, f"{source.name}.gz", f"{source.name}.br"):
            shutil.copy(source, tmp_path / name)
    build.leave_comments_out(tmp_path)
    for source in (build.ROOT / "assets").glob("*.js"):
        kept = (tmp_path / source.name).read_text()
        assert [line for line in kept.splitlines() if line.strip().startswith("//")] == []
        assert set(kept.splitlines()) <= set(source.read_text().splitlines())
        _node("--check", str(tmp_path / source.name))
        assert gzip.decompress((tmp_path / f"{source.name}.gz").read_bytes()).decode() == kept
        assert _brotli(tmp_path / source.name) == kept


# --- the lock that is committed -------------------------------------------------------------------

LOCK = build.ROOT / "reflex.lock"


def test_the_lock_names_no_registry():
    text = "".join((LOCK / name).read_text() for name in build.LOCK_FILES)
    packages = json.loads((LOCK / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    hosts = set(re.findall(r"https?://([^/\"]+)", text))
    assert not [host for host in hosts if "registry" in host or re.match(r"[\d.]+(:\d+)?$", host)]


def test_every_locked_package_has_its_hash():
    packages = json.loads((LOCK / "package-lock.json").read_text())["packages"]
    without = [name for name, package in packages.items() if name and "integrity" not in package]
    assert without == []


def test_only_the_npm_lock_is_there_so_that_reflex_takes_npm():
    assert sorted(file.name for file in LOCK.iterdir()) == sorted(build.LOCK_FILES)
