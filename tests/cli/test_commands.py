"""What a person at a terminal sees: help, sentences, exit codes, JSON."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import stat
import sys

import pytest
import typer
from sqlalchemy import exc
from typer.main import get_command
from typer.testing import CliRunner

from clinic_app.cli import doctor, errors
from clinic_app.cli.app import app
from clinic_app.cli.failure import CommandFailed
from clinic_app.core import bootstrap, context
from clinic_app.core import errors as core_errors
from clinic_app.core.errors import ErrorKind
from clinic_app.services.accounts.errors import UsernameTaken

PASSPHRASE = "green lorry quiet tuesday"


def _commands(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(_commands(get_command(app)))


def test_only_what_exists_is_offered():
    alone = {
        "serve",
        "build",
        "migrate",
        "demo",
        "doctor",
        "import",
        "rebuild-search",
        "backup",
        "restore",
        "move",
        "export patient",
        "export patients",
    }
    staff = {f"staff {name}" for name in ("create", "list", "role", "disable", "enable", "reset", "unlock")}
    audit = {f"audit {name}" for name in ("verify", "anchor", "export", "checkpoint", "key", "prove", "check")}
    outbox = {"outbox send", "outbox status"}
    duplicates = {"duplicates find", "duplicates status"}
    export = {"export patients", "export patient"}
    portal = {"portal bulk", "portal stop", "portal report"}
    keys = {"keys rotate", "keys lost"}
    assert {" ".join(path) for path in ALL} == alone | keys | staff | audit | outbox | duplicates | portal | export


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_each_command_explains_itself(path):
    done = CliRunner().invoke(app, [*path, "--help"])
    assert done.exit_code == 0
    assert ALL[path].help.split(".")[0].split("\n")[0][:30] in done.output
    for parameter in ALL[path].params:
        assert parameter.name == "help" or parameter.help, f"{parameter.name} is not explained"


def test_no_command_takes_a_password_as_an_argument():
    options = [option for command in ALL.values() for p in command.params for option in p.opts]
    assert not [option for option in options if "pass" in option]


# --- errors ---------------------------------------------------------------------------------------


def test_each_kind_of_error_has_an_exit_code():
    assert set(errors.EXIT_CODES) == set(ErrorKind)
    assert 0 not in errors.EXIT_CODES.values()
    assert errors.UNEXPECTED == 1


@pytest.mark.parametrize(
    ("raised", "code", "sentence"),
    [
        (core_errors.InvalidInput({"role": "Role must be ADMIN."}), 2, "Role must be ADMIN."),
        (core_errors.PermissionDenied(), 3, "Your role does not allow this."),
        (core_errors.NotFound(), 4, "Not found."),
        (core_errors.Conflict("Taken already."), 5, "Taken already."),
        (core_errors.TooManyAttempts(61), 75, "Too many attempts. Please try again in 2 minutes."),
        (core_errors.Unavailable(), 75, "The system is busy. Please try again in a moment."),
        (core_errors.AuthenticationRequired(), 77, "Please sign in."),
        (CommandFailed("No.", 9), 9, "No."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_a_sentence_and_an_exit_code(clinic, raised, code, sentence, capsys):
    with pytest.raises(typer.Exit) as left:
        errors.command(lambda: (_ for _ in ()).throw(raised))()
    assert left.value.exit_code == code
    assert capsys.readouterr().err == sentence + "\n"


def test_an_unexpected_failure_shows_no_values(clinic, capsys):
    @errors.command
    def broken():
        raise ValueError("patient Achieng")

    with pytest.raises(typer.Exit) as left:
        broken()
    said = capsys.readouterr().err
    assert left.value.exit_code == 1
    assert "Reference: " in said
    assert "ValueError" in said
    assert "Achieng" not in said
    logged = json.loads(said.splitlines()[0])
    assert said.splitlines()[-1].endswith(logged["request_id"])  # the reference finds the line in the log


def _full():
    return os.open("/dev/full", os.O_WRONLY)


def _read_by_nobody():
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("target", [_full, _read_by_nobody])
def test_an_answer_that_cannot_be_written_is_not_called_work_undone(clinic, monkeypatch, capsys, target):
    answer = os.fdopen(target(), "w")
    monkeypatch.setattr(sys, "stdout", answer)
    with pytest.raises(typer.Exit) as left:
        errors.command(lambda: typer.echo("The password was reset."))()
    assert left.value.exit_code == 1
    assert capsys.readouterr().err == f"{errors.UNHEARD}\n"
    with contextlib.suppress(OSError):
        answer.close()


def test_commands_are_known_as_such_to_audit_and_logs(clinic):
    assert errors.command(lambda: context.current().source)() == "cli"


def test_a_wrong_setting_is_named(clinic, monkeypatch):
    monkeypatch.setenv("CLINIC_REGION", "Kenya")
    done = clinic("migrate")
    assert done.exit_code == 2
    assert done.stderr == "CLINIC_REGION: must be a two-letter region, such as KE.\n"
    assert not clinic.folder.exists()


# --- commands -------------------------------------------------------------------------------------


def test_migrate_makes_the_database_and_repeats_quietly(clinic):
    assert clinic("migrate", "--check").exit_code == 1
    first = json.loads(clinic("migrate", "--json").stdout)
    second = clinic("migrate", "--json")
    assert first["before"] == ""
    assert first["after"] == json.loads(second.stdout)["before"] == json.loads(second.stdout)["after"]
    assert second.stderr == ""
    assert clinic("migrate", "--check").exit_code == 0
    assert stat.S_IMODE(clinic.folder.stat().st_mode) == 0o700


def test_staff_create_reads_the_password_from_standard_input(clinic):
    clinic("migrate")
    arguments = ("staff", "create", "--username", "ana", "--name", "Ana Njeri", "--role", "admin", "--json")
    made = clinic(*arguments, stdin=PASSPHRASE + "\n")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["role"] == "ADMIN"
    again = clinic(*arguments, stdin=PASSPHRASE + "\n")
    assert again.exit_code == errors.EXIT_CODES[UsernameTaken.kind]
    assert again.stderr.startswith(UsernameTaken.title)
    assert PASSPHRASE not in made.output + again.output


def test_staff_create_refuses_a_weak_password_and_a_wrong_role(clinic):
    clinic("migrate")
    weak = clinic("staff", "create", "--username", "ana", "--name", "Ana", "--role", "ADMIN", stdin="password\n")
    assert (weak.exit_code, weak.stdout) == (2, "")
    assert weak.stderr.count("\n") == 1
    wrong = clinic("staff", "create", "--username", "ana", "--name", "Ana", "--role", "BOSS", stdin=PASSPHRASE)
    assert (wrong.exit_code, wrong.stderr) == (2, "Role must be ADMIN, RECEPTIONIST or CLINICIAN.\n")


def test_before_migrating_a_command_says_what_to_run(clinic):
    done = clinic("audit", "verify")
    assert done.exit_code == 1
    assert done.stderr == "The database is not up to date: run `python -m clinic_app migrate`.\n"


def test_audit_verify_counts_the_rows_and_finds_a_changed_one(clinic):
    clinic("migrate")
    clinic("staff", "create", "--username", "ana", "--name", "Ana", "--role", "ADMIN", stdin=PASSPHRASE)
    whole = clinic("audit", "verify", "--json")
    assert whole.exit_code == 0
    assert json.loads(whole.stdout)["ok"] is True
    assert json.loads(whole.stdout)["count"] >= 1
    with bootstrap_engine().begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        connection.exec_driver_sql("UPDATE audit_events SET role = 'PATIENT' WHERE seq = 1")
    broken = clinic("audit", "verify", "--json")
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)["first_bad"] == 1


def bootstrap_engine():
    """The database that the commands of this test use."""
    from clinic_app.core import bootstrap

    return bootstrap.start()


def test_demo_data_is_refused_outside_demo_mode(clinic):
    clinic("migrate")
    done = clinic("demo")
    assert done.exit_code == 2
    assert "CLINIC_MODE=demo" in done.stderr


# --- doctor ---------------------------------------------------------------------------------------


def _findings(done):
    return {finding["name"]: finding for finding in json.loads(done.stdout)}


def test_the_doctor_says_what_is_missing_and_what_to_do(clinic):
    done = clinic("doctor", "--json")
    found = _findings(done)
    assert done.exit_code == 1
    assert found["python"]["state"] == "ok"
    assert found["database"]["state"] == "missing"
    assert found["database"]["text"].endswith("python -m clinic_app migrate")
    assert found["redis"]["state"] == "skipped"
    assert not clinic.folder.exists(), "looking changes nothing"


def test_the_doctor_says_that_the_disk_of_the_anchors_is_away(clinic, monkeypatch):
    clinic("migrate")
    assert _findings(clinic("doctor", "--json"))["anchors"]["state"] == "ok"
    monkeypatch.setenv("CLINIC_AUDIT_ANCHOR_FILE", str(clinic.folder / "away" / "anchors.jsonl"))
    found = _findings(clinic("doctor", "--json"))["anchors"]
    assert (found["state"], "is its disk there?" in found["text"]) == ("missing", True)


def test_a_file_of_another_user_is_not_called_damaged(clinic, monkeypatch):
    clinic("migrate")
    file = clinic.folder / "clinic.sqlite3"
    monkeypatch.setattr(doctor.os, "access", lambda path, _: path != file)
    found = _findings(clinic("doctor", "--json"))["database file"]
    assert (found["state"], found["text"].partition(":")[0]) == (
        "missing",
        f"{file} is another user's, or closed to this one",
    )


def test_what_the_doctor_may_not_look_at_is_named(clinic, monkeypatch):
    clinic("migrate")

    def closed(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(clinic.folder))

    monkeypatch.setattr(bootstrap, "start", closed)
    found = _findings(clinic("doctor", "--json"))["database"]
    assert (found["state"], found["text"].partition(":")[0]) == (
        "missing",
        f"{clinic.folder} is another user's, or closed to this one",
    )


def test_the_doctor_finds_an_open_data_directory(clinic):
    clinic("migrate")
    assert _findings(clinic("doctor", "--json"))["database"]["state"] == "ok"
    clinic.folder.chmod(0o755)
    found = _findings(clinic("doctor", "--json"))["data directory"]
    assert found["state"] == "missing"
    assert "chmod 700" in found["text"]


def test_the_doctor_never_repeats_a_password(clinic, monkeypatch):
    monkeypatch.setenv("CLINIC_DATABASE_URL", "postgresql+psycopg://clinic:hunter2@127.0.0.1:1/clinic")
    monkeypatch.setenv("CLINIC_REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")
    clinic.folder.mkdir(mode=0o700)
    done = clinic("doctor", "--json")
    found = _findings(done)
    assert found["database"]["state"] == found["redis"]["state"] == "missing"
    assert "hunter2" not in done.output


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("postgresql+psycopg://clinic:word@127.0.0.1:1/clinic", "nothing listens at that host and port"),
        ("postgresql+psycopg://clinic:word@nowhere.invalid/clinic", "no machine has that name"),
    ],
)
def test_the_doctor_says_why_a_database_cannot_be_reached(clinic, monkeypatch, address, why):
    monkeypatch.setenv("CLINIC_DATABASE_URL", address)
    text = _findings(clinic("doctor", "--json"))["database"]["text"]
    assert text == f"PostgreSQL cannot be reached ({why}): see CLINIC_DATABASE_URL"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('FATAL:  database "clinic" does not exist', "there is no such database"),
        ('FATAL:  role "word" does not exist', "there is no such user"),
        ('FATAL:  password authentication failed for user "word"', "the user or the password is wrong"),
        (
            "server does not support SSL, but SSL was required",
            "encryption failed, see sslmode and the server's certificate",
        ),
        ("unable to open database file", "its file or folder is not there, or another user's"),
        ("word and word", "OperationalError"),
    ],
)
def test_what_the_client_of_a_database_says_is_never_repeated(said, why):
    assert doctor._why(exc.OperationalError(None, None, Exception(said))) == why


def test_the_doctor_names_a_wrong_setting(clinic, monkeypatch):
    monkeypatch.setenv("CLINIC_TIMEZONE", "Nairobi")
    found = _findings(clinic("doctor", "--json"))
    assert found["settings"]["text"].startswith("CLINIC_TIMEZONE")


# --- serve ----------------------------------------------------------------------------------------


def test_serve_says_that_a_port_is_taken(clinic):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = clinic("serve", "--port", str(port))
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Port {port} on 127.0.0.1 cannot be used (")


def test_serve_never_migrates_outside_demo_mode(clinic):
    done = clinic("serve", "--port", "4449")
    assert (done.exit_code, done.stderr) == (1, "The database is not up to date: run `python -m clinic_app migrate`.\n")


def _is_a_file(folder):
    folder.write_text("x")


def _leads_nowhere(folder):
    folder.symlink_to(folder.with_name("nowhere"))


@pytest.mark.parametrize("make", [_is_a_file, _leads_nowhere])
def test_a_data_directory_that_is_none_is_said_in_words(clinic, make):
    make(clinic.folder)
    done = clinic("migrate")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{clinic.folder} cannot be used (File exists)" in done.stderr
    assert "Something went wrong" not in done.stderr
    assert f"{clinic.folder} is no folder" in clinic("doctor").stdout


def test_a_folder_of_somebody_else_is_said_in_words(clinic, monkeypatch):
    def refuse(self, mode):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(self))

    monkeypatch.setattr(pathlib.Path, "chmod", refuse)
    done = clinic("migrate")
    assert done.exit_code == 2
    assert f"{clinic.folder} cannot be used (Operation not permitted)" in done.stderr
    assert "may the user who runs this use it?" in done.stderr


def test_anchors_that_are_a_folder_are_said_in_words(clinic):
    clinic("migrate")
    (clinic.folder / "audit-anchors.jsonl").mkdir()
    done = clinic("audit", "verify")
    assert (done.exit_code, "audit-anchors.jsonl cannot be used (Is a directory)" in done.stderr) == (2, True)


def test_a_file_that_is_no_database_is_said_in_words(clinic):
    clinic("migrate")
    bootstrap.stop()
    (clinic.folder / "clinic.sqlite3").write_text("this is no database, but is long enough to look like something" * 9)
    done = clinic("staff", "list")
    assert (done.exit_code, errors.DAMAGED in done.stderr) == (1, True)


@pytest.mark.parametrize("name", ["keys.json", "clinic.sqlite3", "clinic.sqlite3-wal"])
def test_the_anchors_take_no_place_of_something_else(clinic, monkeypatch, name):
    clinic("migrate")
    file = clinic.folder / name
    before = file.read_bytes() if file.exists() else None
    monkeypatch.setenv("CLINIC_AUDIT_ANCHOR_FILE", str(clinic.folder / ".." / "data" / name))
    done = clinic("audit", "anchor")
    assert (done.exit_code, "CLINIC_AUDIT_ANCHOR_FILE: must be a file of its own" in done.stderr) == (2, True)
    assert (file.read_bytes() if file.exists() else None) == before


def test_a_data_directory_with_a_question_mark_is_refused(clinic, monkeypatch, tmp_path):
    monkeypatch.setenv("CLINIC_DATA_DIR", str(tmp_path / "what?now"))
    done = clinic("migrate")
    assert (done.exit_code, "CLINIC_DATA_DIR: must have no question mark" in done.stderr) == (2, True)
    assert not list(tmp_path.iterdir()), "the database would be beside it, open to everybody"


def test_no_name_is_no_file(clinic):
    clinic("migrate")
    for name in ("", ".", "/", "-"):
        done = clinic("audit", "export", "--out", name)
        assert (done.exit_code, done.stderr) == (2, "Name the file that is to be written.\n")
    done = clinic("backup", "")
    assert (done.exit_code, "name a folder, or a new file" in done.stderr) == (2, True)


@pytest.mark.parametrize("address", ["", "sqlite:///", "sqlite:////tmp", "postgres://clinic:word@db/clinic"])
def test_an_address_that_is_none_is_not_said_to_be_away(clinic, address):
    clinic("migrate")
    done = clinic("move", "--to", address)
    assert (done.exit_code, done.stderr.partition(" must ")[0]) == (2, "--to, or CLINIC_MOVE_TO:")
    assert "word@" not in done.stderr


@pytest.mark.parametrize("address", ["s3://", "http://127.0.0.1:1/copy", "s3:///folder"])
def test_an_address_that_is_none_is_not_called_damaged(clinic, address):
    done = clinic("restore", address)
    assert (done.exit_code, done.stderr) == (2, "An address of a continuous copy is s3://bucket/folder.\n")


def test_keys_that_are_a_pipe_are_not_waited_for(clinic):
    clinic.folder.mkdir()
    os.mkfifo(clinic.folder / "keys.json")
    done = clinic("migrate")
    assert (done.exit_code, "keys.json in it is damaged" in done.stderr) == (2, True)
