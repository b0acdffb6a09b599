"""Old program and new database, and the other way round; a migration that is killed; a setting that does not exist."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import sqlalchemy as sa

from clinic_app.core import db, migrations
from clinic_app.core.settings import Settings, SettingsError, load_settings
from clinic_app.services.audit import chain
from tests import factories
from tests.conftest import ROOT
from tests.db import tools

#: Ends the process in the middle of ``migrate``, before the statement with this number.
_DIES = """
import os, sys
import sqlalchemy as sa
from clinic_app.core import bootstrap, migrations
left = int(sys.argv[1])
def count(*_):
    global left
    left -= 1
    if left == 0:
        os._exit(9)
bootstrap.start()
sa.event.listen(sa.Engine, "before_cursor_execute", count)
migrations.upgrade()
"""


def _shape(engine: sa.Engine) -> dict[str, list[str]]:
    look = sa.inspect(engine)
    return {table: sorted(column["name"] for column in look.get_columns(table)) for table in look.get_table_names()}


def _empty(engine: sa.Engine) -> None:
    """Take all tables away, as before the first ``migrate``."""
    from alembic.config import Config

    from alembic import command

    config = Config(ROOT / "alembic.ini")
    config.attributes["url"] = engine.url.render_as_string(hide_password=False)
    command.downgrade(config, "base")


def _killed_again_and_again(engine: sa.Engine, folder, step: int) -> None:
    wanted = _shape(engine)
    _empty(engine)
    url = engine.url.render_as_string(hide_password=False)
    env = {**os.environ, "CLINIC_DATABASE_URL": url, "CLINIC_DATA_DIR": str(folder / "data")}
    killed = 0
    while True:
        died = subprocess.run([sys.executable, "-c", _DIES, str(step)], cwd=ROOT, env=env, timeout=100).returncode
        if died != 9:
            break
        killed += 1
        step += 25  # a step has to be possible at last
        at = migrations.present(engine)
        assert at == "" or migrations.known(at)
        engine.dispose()
    print(f"{engine.dialect.name}: killed {killed} times, then whole")
    assert died == 0
    assert killed >= 2
    assert _shape(engine) == wanted
    db.bind(engine)
    factories.make_patient(factories.make_staff())
    assert chain.verify().ok


def test_a_migration_that_is_killed_has_done_nothing_or_whole_steps(own_database, tmp_path):
    _killed_again_and_again(own_database, tmp_path, 60)


@pytest.mark.slow
def test_the_same_killed_in_small_steps(own_database, tmp_path):
    _killed_again_and_again(own_database, tmp_path, 5)


def test_a_database_of_a_newer_program_is_refused_in_words_and_not_touched(own_database):
    tools.write("UPDATE alembic_version SET version_num = '0999_to_come'")
    words = migrations.mismatch(own_database)
    assert "made by a newer version of this program (0999_to_come)" in words
    assert migrations.too_new(own_database) == words


def test_a_database_of_an_older_program_says_what_to_run(own_database):
    tools.write("UPDATE alembic_version SET version_num = '0001_front_desk'")
    assert migrations.mismatch(own_database) == migrations.BEHIND
    assert migrations.too_new(own_database) == ""


def test_commands_on_a_database_of_a_newer_program(command):
    assert command("migrate").returncode == 0
    file = command.folder / "clinic.sqlite3"
    change = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(\"UPDATE alembic_version SET version_num = '0999_to_come'\"); c.commit()"  # noqa: E501
    subprocess.run([sys.executable, "-c", change, str(file)], check=True)
    for arguments in (("migrate",), ("serve",), ("audit", "verify"), ("outbox", "status")):
        done = command(*arguments)
        assert done.returncode == 1, arguments
        assert "made by a newer version" in done.stderr, (arguments, done.stderr)
        assert "CommandError" not in done.stderr
    assert "made by a newer version" in command("doctor").stdout


#: Commands that work on the database there is.
ON_IT = (
    ("serve",),
    ("demo",),
    ("audit", "verify"),
    ("outbox", "status"),
    ("outbox", "send"),
    ("staff", "list"),
    ("rebuild-search",),
    ("duplicates", "status"),
    ("portal", "report"),
    ("keys", "rotate", "token_key"),
    ("export", "patients", "--out", "out.csv"),
)


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ("0999_to_come", "made by a newer version"),
        pytest.param("0001_front_desk", "run `", marks=pytest.mark.slow),
    ],
)
def test_every_command_on_another_version_refuses_in_words_and_touches_nothing(
    own_database, command, there, words, counters
):
    tools.write(f"UPDATE alembic_version SET version_num = '{there}'")
    before, url = tools.dump(), own_database.url.render_as_string(hide_password=False)
    for arguments in ON_IT:
        done = command(*arguments, CLINIC_DATABASE_URL=url)
        assert done.returncode in (1, 2), (arguments, done)
        assert words in done.stderr, (arguments, done.stderr)
        for noise in ("CommandError", "Traceback", "sqlalchemy", "alembic"):
            assert noise not in done.stderr + done.stdout, (arguments, done.stderr)
    assert tools.dump() == before
    counters.update(commands=len(ON_IT), refused=len(ON_IT))


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("CLINIC_WORKER", "CLINIC_WORKERS"),
        ("CLINIC_PUBLICURL", "CLINIC_PUBLIC_URL"),
        ("CLINIC_TELEFONE", "CLINIC_TELEPHONE"),
        ("CLINIC_DATA_DIRECTORY", "CLINIC_DATA_DIR"),
        ("CLINIC_AUDITKEY", "CLINIC_AUDIT_KEY"),
        ("clinic_prot", "CLINIC_PORT"),
    ],
)
def test_a_mistyped_setting_is_refused_with_the_one_that_was_meant(monkeypatch, typed, meant):
    monkeypatch.setenv(typed, "hunter2")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value) == f"{typed}: there is no such setting; did you mean {meant}?"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CLINIC_DATA_DIR", "", "must be a folder of its own"),
        ("CLINIC_DATA_DIR", "/", "must be a folder of its own"),
        ("CLINIC_TIMEZONE", "Africa", "must be an IANA time zone"),
    ],
)
def test_a_setting_that_would_do_harm_is_refused(monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name}: {words}"):
        load_settings()


def test_a_setting_like_none_is_refused_too_and_those_there_are_stand(monkeypatch):
    monkeypatch.setenv("CLINIC_XYZZY", "1")
    with pytest.raises(SettingsError, match="CLINIC_XYZZY: there is no such setting"):
        load_settings()
    monkeypatch.delenv("CLINIC_XYZZY")
    monkeypatch.setenv("CLINIC_ANNOUNCE", "1")
    monkeypatch.setenv("CLINIC_TEST_POSTGRES_URL", "x")
    monkeypatch.setenv("clinic_name", "Harbour")
    assert load_settings().name
    assert "workers" in Settings.model_fields
