"""The continuous copy of an SQLite database: what the program litestream is told, what is known of the copy, and back.

litestream runs beside the server (``cli/copying.py``) and writes each change to a folder or to a storage that speaks
S3. Everybody else knows of the copy what is noted in a file of the data directory.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clinic_app.core import starting
from clinic_app.core.database_copies import CopyFailed, sqlite_file
from clinic_app.core.settings import Settings

PROGRAM = "litestream"
#: Files of the data directory: what litestream is told, its socket, and what is known of the copy.
CONFIG, SOCKET, _NOTE = "litestream.json", "litestream.sock", "continuous-copy.json"
#: In the folder of the copy: one that was damaged, while a new one is made.
_ASIDE = "ltx-damaged"
#: Seconds litestream takes at most to copy the rest when it is told to end.
LAST_SYNC = 8
#: A copy that was not restored to look through it for so many seconds should have been.
OVERDUE = 3 * 86_400.0
#: A copy that nothing was heard of for so many seconds stands still, whatever it may do meanwhile.
LATE = 60.0
#: Without litestream's own tables, which it makes anew where it copies, and as one file.
_TIDY = (
    "DROP TABLE IF EXISTS _litestream_seq",
    "DROP TABLE IF EXISTS _litestream_lock",
    "PRAGMA journal_mode=DELETE",
)
#: Signs in what litestream says → a word for the log. What it says holds paths and addresses, and is told nowhere.
_REASONS = (
    ("no space left", "full"),
    ("disk quota", "full"),
    ("read-only file system", "denied"),
    ("permission denied", "denied"),
    ("no such file", "no folder"),
    ("accessdenied", "denied"),
    ("invalidaccesskeyid", "denied"),
    ("signaturedoesnotmatch", "denied"),
    ("credential", "denied"),
    ("nosuchbucket", "no bucket"),
    ("no such host", "unreachable"),
    ("connection refused", "unreachable"),
    ("network is unreachable", "unreachable"),
    ("timeout", "unreachable"),
    ("deadline exceeded", "unreachable"),
    ("connection reset", "unreachable"),
    ("statuscode: 5", "unreachable"),
    ("x509:", "unreachable"),
    ("tls:", "unreachable"),
    ("no matching backup files", "nothing there"),
)
#: A program, ended with the process that started it, whatever ends that. Linux has a signal for it.
_BOUND = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
os.nice(int(sys.argv[2]))
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[3], sys.argv[3:])
"""
_WORDS = {
    "": "",
    "no program": f"{PROGRAM} is not installed: pip install -r requirements.txt",
    "no folder": "its folder does not exist, or is empty: is its disk there?",
    "no bucket": "there is no such bucket",
    "full": "there is no room left where it is kept",
    "denied": "it may not be written there: whose folder is it, or are the storage's keys right?",
    "unreachable": "the storage does not answer",
    "nothing there": "it was incomplete, and is being made anew",
    "other": "see the lines `copy_` in the log",
}


def program() -> str | None:
    """Where litestream is: beside this Python, or wherever programs are found; None: nowhere."""
    beside = Path(sys.executable).with_name(PROGRAM)
    return str(beside) if os.access(beside, os.X_OK) else shutil.which(PROGRAM)


def start_bound(command: Sequence[str], *, nice: int = 0, **options: Any) -> subprocess.Popen[bytes]:
    """``Popen`` of what ends with this process, by a thread that lives longer than it: it would end with that, too."""
    before = (sys.executable, "-I", "-S", "-c", _BOUND, str(os.getpid()), str(nice))
    return starting.start([*before, *command], **options)


def reason(said: str) -> str:
    """A word for what litestream says went wrong."""
    lower = said.lower()
    return next((word for sign, word in _REASONS if sign in lower), "other")


def environment() -> dict[str, str]:
    """What litestream finds in its environment: the storage's keys, but none of the clinic's settings.

    Nor ``AWS_CA_BUNDLE``, with which litestream 0.5.17 does not start; own authorities are in ``SSL_CERT_FILE``.
    """
    kept = (name for name in os.environ if not name.upper().startswith("CLINIC_") and name != "AWS_CA_BUNDLE")
    return {name: os.environ[name] for name in kept}


def database(settings: Settings) -> Path:
    """The file that is copied. The settings refuse a continuous copy of anything else."""
    file = sqlite_file(settings.database)
    if file is None:
        raise RuntimeError("only SQLite is copied by litestream")
    return file.absolute()


def _replica(source: str) -> dict[str, Any]:
    return {"url": source} if "://" in source else {"type": "file", "path": source}


def _write(file: Path, content: Any) -> None:
    """Whole or not at all, for its owner only."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(content, out)
    draft.replace(file)


def configure(settings: Settings) -> Path:
    """Write what litestream is told into the data directory, as JSON, which is YAML."""
    half = f"{max(50, settings.copy_every_ms // 2)}ms"  # it looks at the database, then at what it has for the copy
    file = settings.data_dir / CONFIG
    replica = {**_replica(settings.copy_to), "sync-interval": half, "auto-recover": True}
    told = {
        "logging": {"level": "warn", "type": "json", "stderr": True},
        "socket": {"enabled": True, "path": SOCKET, "permissions": 0o600},
        "shutdown-sync-timeout": f"{LAST_SYNC}s",
        "dbs": [{"path": str(database(settings)), "monitor-interval": half, "replica": replica}],
    }
    _write(file, told)
    return file


def can_be_restored(settings: Settings, executable: str) -> str:
    """Whether the copy has all parts that a restore needs, by their names: a word for what is wrong, or nothing."""
    file = database(settings)
    nowhere = file.with_name(f".{file.name}-never")
    try:
        config = settings.data_dir / CONFIG
        done = _run(executable, config, "-dry-run", "-o", str(nowhere), str(file), patience=2 * LAST_SYNC)
    except subprocess.TimeoutExpired:
        return "unreachable"
    return "" if done.returncode == 0 else reason(done.stderr.decode(errors="replace"))


def forget(file: Path) -> None:
    """Remove what litestream keeps beside the database ``file``: it begins with the whole of it again."""
    _remove(file.with_name(f".{file.name}-litestream"))


def put_aside(settings: Settings) -> None:
    """Make way for a new copy in the folder; the damaged one stays beside it until then. Raises ``OSError``."""
    forget_aside(settings)
    if (folder := settings.copy_folder) is not None:
        (folder / "ltx").rename(folder / _ASIDE)


def forget_aside(settings: Settings) -> None:
    """Remove the damaged copy: there is a whole one again."""
    if (folder := settings.copy_folder) is not None:
        _remove(folder / _ASIDE)


def _remove(place: Path) -> None:
    """A folder with what is in it; a file, where a damaged disk made it one."""
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            place.unlink()


def _run(
    executable: str, config: Path, *arguments: str, patience: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    process = starting.start(
        [executable, "restore", "-no-expand-env", "-config", str(config), *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        umask=0o077,
    )
    with process:
        try:
            said, wrong = process.communicate(timeout=patience)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, said, wrong)


def on_the_same_disk(settings: Settings) -> bool:
    """Whether the folder of the copy is on the disk of the database. Raises ``OSError``."""
    folder = settings.copy_folder
    return folder is not None and folder.stat().st_dev == database(settings).parent.stat().st_dev


# --- back ---------------------------------------------------------------------------------------


def holds_one(source: str) -> bool:
    """Whether ``source`` is an address, or a folder with a continuous copy in it."""
    return "://" in source or any((Path(source) / name).is_dir() for name in ("ltx", _ASIDE))


def is_storage(source: str) -> bool:
    """Whether ``source`` is the address of a bucket."""
    found = urlsplit(source)
    return found.scheme == "s3" and bool(found.netloc)


def moment(at: str) -> str:
    """``at``, a time with its zone, as litestream reads it; empty stays empty. Raises ``CopyFailed``."""
    if not at:
        return ""
    with contextlib.suppress(ValueError, OverflowError):
        found = dt.datetime.fromisoformat(at.strip())
        if found.tzinfo is not None:
            return found.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    raise CopyFailed("--at is a time with its zone, such as 2026-11-26T10:30:00Z or 2026-11-26T13:30:00+03:00.")


def fetch(source: str, target: Path, at: str = "") -> None:
    """Write the database of the copy in ``source`` to the new file ``target``: the newest state, or that ``at`` a time.

    One file, without what litestream adds. Raises ``CopyFailed``. ``at``: RFC 3339.
    """
    executable = program()
    if executable is None:
        raise CopyFailed(f"A continuous copy is read by {_WORDS['no program']}.")
    config = target.with_name("restore.json")
    _write(config, {"dbs": [{"path": str(target), "replica": _replica(str(source))}]})
    moment = ("-timestamp", at) if at else ()
    done = _run(executable, config, *moment, "-o", str(target), str(target))
    if done.returncode or not target.exists():
        why = reason(done.stderr.decode(errors="replace"))
        if why == "nothing there":
            raise CopyFailed("There is no complete continuous copy" + (" of that time." if at else "."))
        words = "it is damaged" if why == "other" else _WORDS[why]
        raise CopyFailed(f"The continuous copy could not be read: {words}.")
    target.chmod(0o600)
    try:
        with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as opened:
            for statement in _TIDY:
                opened.execute(statement)
    except sqlite3.Error:
        raise CopyFailed("The continuous copy could not be read: it is damaged.") from None


# --- what is known of it ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What was noted of a copy: everything up to ``at`` (Unix time, 0: nothing yet) is in it; ``trouble`` is a word for
    why it stands still; ``ended``: the server has stopped, and nothing is missing; ``noted``: when that was; ``to``:
    which copy it is about, as ``CLINIC_COPY_TO``.

    ``checked``: when it was last restored and found whole; ``damaged``: since when it is known not to be, until a new
    one is (0: it is whole as far as is known); ``unchecked``: a word for why it was not looked at when that was due."""

    at: float = 0.0
    trouble: str = ""
    ended: bool = False
    noted: float = 0.0
    to: str = ""
    checked: float = 0.0
    damaged: float = 0.0
    unchecked: str = ""

    def overdue(self) -> bool:
        """Whether it should have been looked through, and could not be."""
        return bool(self.unchecked) and time.time() - self.checked > OVERDUE

    def why_unchecked(self) -> str:
        """Why it was not, in words for whoever runs the server."""
        return "there is no room for it here" if self.unchecked == "no room" else _WORDS.get(self.unchecked, "")

    def late(self, every_ms: int) -> float | None:
        """Seconds for which the copy has stood still (infinite: there is none yet); None where it does not."""
        if self.ended:
            return None
        age = time.time() - self.at if self.at else math.inf
        return age if age > max(LATE, 3 * every_ms / 1000) else None

    def why(self) -> str:
        """Why it stands still, in words for whoever runs the server."""
        return _WORDS.get(self.trouble, "")


def note(settings: Settings, known: Known) -> None:
    """Keep what is known of the copy. Raises ``OSError``."""
    _write(settings.data_dir / _NOTE, asdict(known))


def known(settings: Settings) -> Known | None:
    """What is known of the copy of these settings; None where there is none."""
    if not settings.copy_to:
        return None
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = Known(**json.loads((settings.data_dir / _NOTE).read_text()))
        if found.to == settings.copy_to:
            return found
    return Known(to=settings.copy_to)
