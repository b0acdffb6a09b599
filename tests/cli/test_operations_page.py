"""What docs/operations.md tells people to type is typed here, with only the places changed."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clinic_app.cli import build
from clinic_app.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SERVICE = ROOT / "tools" / "service"
#: Each block: what the comment above it says, its language, its text, and its heading.
BLOCK = re.compile(r"(?:<!-- (run by|not run): ([^>]*?) -->\n)?^```([a-z]*)\n(.*?)^```$", re.S | re.M)
ME = pwd.getpwuid(os.geteuid()).pw_name


def blocks(text: str = DOCUMENT) -> list[tuple[str, str, str, str]]:
    """Of each block: ``run by`` or ``not run`` (or nothing), by what or why, language, text."""
    return [(found[1] or "", found[2] or "", found[3], found[4]) for found in BLOCK.finditer(text)]


def under(heading: str) -> list[str]:
    """The commands under a heading that this module runs."""
    start = re.search(rf"^#+ {re.escape(heading)}$", DOCUMENT, re.M)
    assert start, heading
    part = re.split(r"^##+ .*$", DOCUMENT[start.end() :], maxsplit=1, flags=re.M)[0]
    found = [text for kind, by, language, text in blocks(part) if (kind, by, language) == ("run by", HERE, "sh")]
    assert found, heading
    return found


HERE = "cli/test_operations_page.py"


# --- every block ------------------------------------------------------------------------------------------


def test_every_block_says_whether_a_test_runs_it():
    found = blocks()
    assert len(found) > 15
    assert len(found) == DOCUMENT.count("\n```") / 2
    for kind, by, _, text in found:
        assert kind, text
        file = by.partition(",")[0]
        assert kind == "not run" or (ROOT / "tests" / file).is_file(), by


def test_a_block_without_its_mark_is_found():
    assert blocks("text\n\n```sh\nrm -r /\n```\n")[0][0] == ""


def test_every_block_that_this_module_runs_is_under_a_heading_it_knows():
    mine = [text for kind, by, language, text in blocks() if (kind, by, language) == ("run by", HERE, "sh")]
    assert sorted(mine) == sorted(text for heading in HEADINGS for text in under(heading))


# --- the files of the service ------------------------------------------------------------------------------


def test_the_page_shows_the_files_as_they_are():
    shown = {by.partition("as tools/service/")[2]: text for _, by, _, text in blocks() if "as tools/service/" in by}
    assert shown == {name: (SERVICE / name).read_text(encoding="utf-8") for name in ("desk.env", "clinic.service")}


def test_the_example_of_settings_names_settings():
    named = set(re.findall(r"^(CLINIC_[A-Z_]+)=", (SERVICE / "desk.env").read_text(encoding="utf-8"), re.M))
    assert named
    assert named <= {f"CLINIC_{name.upper()}" for name in Settings.model_fields}


def test_systemd_takes_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    text = (SERVICE / "clinic.service").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(User|Group)=clinic$", r"\1=root", text).replace(
        "/srv/clinic/current/.venv/bin/python", "/bin/true"
    )
    unit = tmp_path / "clinic.service"

    def said(text: str) -> str:
        unit.write_text(text)
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
        return "\n".join(line for line in done.stderr.splitlines() if "clinic.service" in line)

    assert said(text) == ""
    assert "Unknown key" in said(text.replace("MemoryMax=", "MemoryMost="))  # it would say so


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with the command and, in place of Python, a program that says how it was started."""
    folder = tmp_path / "release"
    (folder / "tools" / "service").mkdir(parents=True)
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(SERVICE / "clinic", folder / "tools" / "service" / "clinic")
    python = folder / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\nid -un; pwd; umask; printf "%s\\n" "$@"; env | grep -E "CLINIC|SECRET" | sort\n')
    python.chmod(0o755)
    for place in (*tmp_path.parents, tmp_path, folder):  # pytest's folders are their owner's alone
        if place.is_relative_to("/tmp") and place.owner() == ME and place != Path("/tmp"):
            place.chmod(place.stat().st_mode | 0o011)
    return folder


def started(program: Path, file: str, *arguments: str, user: str = ME, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command with these settings."""
    settings = program.parent / "desk.env"
    settings.write_text(file)
    env = {"PATH": "/usr/bin:/bin", "DESK_ENV": str(settings), "DESK_USER": user, **more}
    command = [sys.executable, str(program / "tools" / "service" / "clinic"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)


def test_a_command_gets_the_service_s_settings_and_no_others(program):
    file = '# a comment\n\nCLINIC_NAME="Hilltop Clinic"\nCLINIC_SMTP_PASSWORD=\'a$b "c\'\nCLINIC_PORT=3001\n'
    done = started(program, file, "doctor", "--json", SECRET="of the caller", CLINIC_PORT="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *(ME, str(program), "0077", "-m", "clinic_app", "doctor", "--json"),
        *("CLINIC_NAME=Hilltop Clinic", "CLINIC_PORT=3001", 'CLINIC_SMTP_PASSWORD=a$b "c'),
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_runs_as_the_service_s_user(program):
    assert started(program, "", "doctor", user="nobody").stdout.splitlines()[0] == "nobody"


@pytest.mark.parametrize("line", ["CLINIC_NAME=two words", "export A=b", 'A="b', "A=$(id)x y", "A=b\\", "just words"])
def test_a_line_that_could_be_read_in_two_ways_is_refused_without_repeating_it(program, line):
    done = started(program, f"CLINIC_PORT=1\n{line}\n", "doctor")
    assert (done.returncode, done.stdout) == (2, "")
    assert "line 2: write NAME=value" in done.stderr
    assert line not in done.stderr


def test_what_is_missing_is_said_in_a_sentence(program):
    assert "There is no user no-such-user" in started(program, "", "doctor", user="no-such-user").stderr
    missing = started(program, "", "doctor", DESK_ENV="/nowhere/desk.env")
    assert (missing.returncode, missing.stderr) == (
        2,
        "/nowhere/desk.env cannot be read (No such file or directory): use sudo.\n",
    )
    (program / ".venv" / "bin" / "python").unlink()
    assert "install the packages first" in started(program, "", "doctor").stderr


# --- a certificate of one's own ---------------------------------------------------------------------------


def test_the_clinic_s_own_authority_vouches_for_its_name_and_no_other(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (commands,) = under("TLS")
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run(["bash", "-euc", commands], **run)
    assert done.returncode == 0, done.stderr
    assert "desk.crt: OK" in done.stdout
    assert (tmp_path / "ca.key").stat().st_mode & 0o077 == 0
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "desk.crt", tmp_path / "desk.key")
    again = commands[commands.index("openssl req -newkey") :]
    for other, check in (("DNS:bank.example.com", "-verify_hostname bank.example.com"), ("IP:10.0.0.1", "")):
        forged = again.replace("DNS:desk.hilltop.lan", other).replace("CN=desk.hilltop.lan", "CN=forged")
        forged = forged.replace("-verify_hostname desk.hilltop.lan", check)
        done = subprocess.run(["bash", "-euc", forged], **run)
        assert done.returncode != 0
        assert re.search("(permitted|excluded) subtree violation", done.stderr), done.stderr


# --- the commands -------------------------------------------------------------------------------------------

#: In this order: each goes on where the one before has left the clinic.
JOURNEY = (
    "Production, step by step",
    "Upgrading",
    "Backup and restore",
    "Keys: changing them, and losing them",
    "A stolen laptop",
    "A suspected break-in",
)
HEADINGS = (*JOURNEY, "TLS")


@pytest.mark.slow
def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    """All of them in one clinic, from the first start to the evidence of a break-in."""
    if build.node_version() is None:
        pytest.skip("no Node: pip install -r requirements.txt")
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("the packages are not in .venv")
    here = {"/srv/clinic": tmp_path / "srv", "/backup/clinic": tmp_path / "backup"}
    for place in (*here.values(), tmp_path / "bin", tmp_path / "srv" / "releases"):
        place.mkdir(exist_ok=True)
    (tmp_path / "srv" / "data").mkdir(mode=0o700)
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / "srv" / "releases" / version).symlink_to(ROOT)
    current = tmp_path / "srv" / "current"
    current.symlink_to(tmp_path / "srv" / "releases" / "1.0.0")
    settings = (SERVICE / "desk.env").read_text(encoding="utf-8").replace("/srv/clinic", str(tmp_path / "srv"))
    (tmp_path / "desk.env").write_text(settings)
    made = dict(line.replace('"', "").split("=", 1) for line in settings.splitlines() if line.startswith("CLINIC_"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")}
    command = [sys.executable, "-m", "clinic_app", "build"]  # beforehand: this machine's way to the npm registry
    done = subprocess.run(command, cwd=ROOT, env=kept | made, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    (tmp_path / "bin" / "clinic").symlink_to(current / "tools" / "service" / "clinic")
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/systemctl\n')
    systemctl.chmod(0o755)
    path = f"{tmp_path / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    env = {"PATH": path, "DESK_ENV": str(tmp_path / "desk.env"), "DESK_USER": ME, "LANG": "C.UTF-8"}

    def typed(commands: str) -> str:
        for place, other in here.items():
            commands = commands.replace(place, str(other))
        newest = max(here["/backup/clinic"].glob("clinic-*.tar"), default=None)
        commands = re.sub(r"clinic-\d{8}T\d{6}Z\.tar", newest.name if newest else "none", commands)
        done: Any = subprocess.run(
            ["bash", "-euc", commands], env=env, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, (commands, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    for heading in JOURNEY:
        said = "".join(typed(commands) for commands in under(heading))
        if heading == "Upgrading":
            assert current.readlink().name == "1.0.0"  # forward, and back again
            assert (tmp_path / "systemctl").read_text().split("\n")[:4] == ["stop clinic", "start clinic"] * 2
        if heading == "Backup and restore":
            assert "The audit trail is intact" in said
    assert "admin1" in said
    kept = {file.name for file in here["/backup/clinic"].iterdir()}
    assert {"what-was-seen.csv", "trail.csv", "evidence.tar"} <= kept
