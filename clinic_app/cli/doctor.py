"""``doctor``: is everything there that the clinic needs? Each check is one line, with what to do about it."""

from __future__ import annotations

import asyncio
import math
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from clinic_app.cli import build
from clinic_app.cli.begin import connect
from clinic_app.core import bootstrap, clock, continuous_copy, database_copies, migrations, replica, storage
from clinic_app.core.settings import Settings, SettingsError, get_settings
from clinic_app.services import demo
from clinic_app.services.audit import known_keys
from clinic_app.services.patients.overview import uncounted_national_ids
from clinic_app.services.patients.rebuilding import wrong


@dataclass(frozen=True)
class Finding:
    """One check's outcome. ``state`` is ``ok``, ``missing`` or ``skipped``."""

    name: str
    state: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """For ``--json``."""
        return asdict(self)


def examine() -> Iterator[Finding]:
    """All checks, each as soon as it is done. A wrong setting ends them, since nothing else can be known."""
    yield _python()
    try:
        settings = get_settings()
    except SettingsError as error:
        yield Finding("settings", "missing", str(error))
        return
    yield Finding("settings", "ok", f"mode {settings.mode}, pages at {settings.origin}")
    for name, check in CHECKS:
        try:
            yield check(settings)
        except SettingsError as error:
            yield Finding(name, "missing", str(error))
        except PermissionError as error:
            yield Finding(name, "missing", f"{error.filename or 'A file'} {_NOT_OURS}")
        except Exception as error:  # noqa: BLE001  the message may hold a password of a URL
            yield Finding(name, "missing", f"The check failed with {type(error).__name__}.")


def _python() -> Finding:
    return Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))  # an older one would not come this far


def _node(_: Settings) -> Finding:
    found = build.node_version()
    wanted = ".".join(map(str, build.MIN_NODE))
    if found is None or found < build.MIN_NODE:
        return Finding(
            "node", "missing", f"Node {wanted} or newer, for building pages: pip install -r requirements.txt"
        )
    return Finding("node", "ok", ".".join(map(str, found)) + " (needed for building pages only)")


def _data_dir(settings: Settings) -> Finding:
    folder = settings.data_dir
    if not folder.is_dir() and os.path.lexists(folder):
        return Finding("data directory", "missing", f"{folder} is no folder: see CLINIC_DATA_DIR")
    if not folder.is_dir():
        return Finding("data directory", "missing", f"{folder} does not exist yet: python -m clinic_app migrate")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        return Finding("data directory", "missing", f"{folder} is open to other users ({mode:04o}): chmod 700 {folder}")
    return Finding("data directory", "ok", f"{folder}, mode {mode:04o}")


_NOT_OURS = "is another user's, or closed to this one: it has to belong to the user who runs the clinic (chown)"
#: What a client says of a connection that failed, and the same in words of ours: its own may hold the URL.
_REASONS = {
    "unable to open database file": "its file or folder is not there, or another user's",
    "failed to resolve host": "no machine has that name",
    "connection refused": "nothing listens at that host and port",
    "password authentication failed": "the user or the password is wrong",
    "no password supplied": "the password is missing",
    "no pg_hba.conf entry": "the server lets nobody in from here, see its pg_hba.conf",
    "ssl": "encryption failed, see sslmode and the server's certificate",
    "timeout": "no answer in time",
}
_NO_SUCH = re.compile(r'(role|database) "[^"]*" does not exist')


def _why(error: Exception) -> str:
    said = str(getattr(error, "orig", error)).lower()
    if absent := _NO_SUCH.search(said):
        return f"there is no such {absent[1].replace('role', 'user')}"
    return next((words for sign, words in _REASONS.items() if sign in said), type(error).__name__)


def _database(settings: Settings) -> Finding:
    kind = "PostgreSQL" if settings.database.startswith("postgresql") else "SQLite"
    if kind == "SQLite" and not settings.data_dir.is_dir():
        return Finding("database", "missing", "There is none yet: python -m clinic_app migrate")
    try:
        connect(migrated=False)
        present = migrations.present(bootstrap.start(settings))
    except PermissionError:
        raise
    except Exception as error:  # noqa: BLE001  the driver's text may hold the URL
        return Finding("database", "missing", f"{kind} cannot be reached ({_why(error)}): see CLINIC_DATABASE_URL")
    if newer := migrations.too_new(bootstrap.start(settings)):
        return Finding("database", "missing", newer)
    if present != migrations.wanted():
        return Finding("database", "missing", f"{kind} has revision {present or 'none'}: python -m clinic_app migrate")
    if settings.mode == "production" and demo.is_demo_database():
        return Finding("database", "missing", demo.KNOWN_PASSWORDS)
    return Finding("database", "ok", f"{kind}, revision {present}")


def _file(settings: Settings) -> Finding:
    file = database_copies.sqlite_file(settings.database)
    if file is None or not file.exists():
        return Finding("database file", "skipped", "There is none.")
    if not os.access(file, os.R_OK | os.W_OK):
        return Finding("database file", "missing", f"{file} {_NOT_OURS}")
    if not database_copies.sqlite_is_whole(file):
        return Finding("database file", "missing", f"{file} is damaged: stop the server and restore the newest backup")
    return Finding("database file", "ok", "every page can be read")


def _disk(settings: Settings) -> Finding:
    if not settings.data_dir.is_dir():
        return Finding("disk", "skipped", "There is no data directory yet.")
    if (folder := storage.takes_files(settings)) is not None:
        return Finding(
            "disk", "missing", f"Nothing can be written to {folder}: it is full, read-only or another user's"
        )
    folder, free = storage.least_free(settings)
    if free < settings.disk_free_mb:
        return Finding("disk", "missing", f"{free:,} MB left in {folder}: make room (CLINIC_DISK_FREE_MB)")
    return Finding("disk", "ok", f"{free:,} MB left in {folder}")


def _writes(settings: Settings) -> Finding:
    if _database(settings).state != "ok":
        return Finding("writing", "skipped", "The database is not ready.")
    try:
        storage.database_takes_writes()
    except Exception as error:  # noqa: BLE001  the driver's text may hold the URL
        words = f"The database takes no changes ({type(error).__name__}): is its disk full, or is it read-only?"
        return Finding("writing", "missing", words)
    return Finding("writing", "ok", "the database takes changes")


def _copy(settings: Settings) -> Finding:
    if not settings.read_database_url:
        return Finding("copy", "skipped", "not set: everything is read from the database itself")
    if _database(settings).state != "ok":
        return Finding("copy", "skipped", "The database is not ready.")
    bootstrap.start(settings)
    if wrong := replica.trouble():
        return Finding("copy", "missing", f"{wrong}: see CLINIC_READ_DATABASE_URL")
    return Finding("copy", "ok", "lists and searches of patients are read from it")


def _anchors(settings: Settings) -> Finding:
    file = settings.anchors
    if not settings.data_dir.is_dir():
        return Finding("anchors", "skipped", "There is no data directory yet.")
    if not file.parent.is_dir():
        return Finding(
            "anchors", "missing", f"{file.parent} does not exist: is its disk there? See CLINIC_AUDIT_ANCHOR_FILE"
        )
    if file.exists() and not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
        return Finding("anchors", "missing", f"{file} is no file that can be written: see CLINIC_AUDIT_ANCHOR_FILE")
    return Finding("anchors", "ok", f"the end of the audit trail is noted in {file}")


def _continuous_copy(settings: Settings) -> Finding:
    name = "continuous copy"
    copy = continuous_copy.known(settings)
    if copy is None:
        return Finding(name, "skipped", "not set: what is entered after a backup is in one place only")
    folder = settings.copy_folder
    if continuous_copy.program() is None:
        return Finding(name, "missing", continuous_copy.Known(trouble="no program").why())
    if folder is not None and not folder.is_dir():
        return Finding(name, "missing", f"{folder} does not exist: is its disk there? See CLINIC_COPY_TO")
    if not copy.noted:
        return Finding(name, "missing", "Nothing has been copied yet: that begins when the server starts")
    if copy.damaged:
        since = f"It was found damaged on {clock.local(clock.of_unix(copy.damaged)):%d %B at %H:%M}"
        anew = "remove what is in its folder there: it is begun anew then"
        return Finding(name, "missing", f"{since}: {anew if folder is None else 'it is being made anew'}")
    if (late := copy.late(settings.copy_every_ms)) is not None:
        age = "There is none yet" if late == math.inf else f"It has stood still for {late / 60:,.0f} minutes"
        return Finding(name, "missing", f"{age}: {copy.why() or 'does the server run?'}")
    if continuous_copy.on_the_same_disk(settings):
        words = "It is on the disk of the database, and lost with it: see CLINIC_COPY_TO"
        return Finding(name, "missing", words)
    if copy.overdue():
        since = f"for {(time.time() - copy.checked) / 86_400:.0f} days" if copy.checked else "yet"
        return Finding(name, "missing", f"It was not restored {since} to look through it: {copy.why_unchecked()}")
    if copy.ended:
        return Finding(name, "ok", f"everything is in it; the server has stopped; {_looked_through(copy)}")
    age = max(0, time.time() - copy.at)
    return Finding(name, "ok", f"everything up to {age:.0f} s ago is in it; {_looked_through(copy)}")


def _looked_through(copy: continuous_copy.Known) -> str:
    if not copy.checked:
        return "not restored yet to look through it"
    return f"restored and found whole on {clock.local(clock.of_unix(copy.checked)):%d %B at %H:%M}"


def _keys(settings: Settings) -> Finding:
    if _database(settings).state != "ok":
        return Finding("keys", "skipped", "The database is not ready.")
    try:
        known_keys.check()
    except known_keys.OtherKeys as other:
        return Finding("keys", "missing", other.detail)
    return Finding("keys", "ok", "those of the clinic in this database")


def _pages(settings: Settings) -> Finding:
    folder = build.finished(settings)
    if folder is None:
        return Finding("pages", "missing", "Not built for these sources and settings: python -m clinic_app build")
    return Finding("pages", "ok", f"build {folder.name}")


def _redis(settings: Settings) -> Finding:
    if not settings.redis_url:
        return Finding("redis", "skipped", "not set: one worker needs none")
    import redis

    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        return Finding("redis", "missing", f"Redis cannot be reached ({type(error).__name__}): see CLINIC_REDIS_URL")
    return Finding("redis", "ok", "answers")


def _mail(settings: Settings) -> Finding:
    if not settings.smtp_host:
        return Finding("mail server", "skipped", "not set: no emails are sent")
    from clinic_app.services.notifications import transports, wording

    try:
        asyncio.run(transports.greet())
    except transports.NotSent as error:
        why = wording.REASONS[error.reason]
        return Finding("mail server", "missing", f"{why[0].upper()}{why[1:]}: see CLINIC_SMTP_HOST and what follows it")
    return Finding("mail server", "ok", f"answers; emails come from {settings.mail_sender}")


def _national_ids(settings: Settings) -> Finding:
    if _database(settings).state != "ok":
        return Finding("national IDs", "skipped", "The database is not ready.")
    return national_ids()


def national_ids() -> Finding:
    """Whether every national ID in the register is one patient's alone."""
    found = uncounted_national_ids()
    if not found.total:
        return Finding("national IDs", "ok", "each belongs to one patient")
    named = ", ".join(found.patient_ids) + (" …" if found.total > len(found.patient_ids) else "")
    who = "1 patient has" if found.total == 1 else f"{found.total:,} patients have"
    words = "a national ID that another patient has too, or that means “none”"
    return Finding("national IDs", "missing", f"{who} {words}: {named}. Correct it on the profile.")


def _search(settings: Settings) -> Finding:
    if _database(settings).state != "ok":
        return Finding("search", "skipped", "The database is not ready.")
    return search()


def search() -> Finding:
    """Whether what patients are found by agrees with their records."""
    found = wrong()
    if not found:
        return Finding("search", "ok", "index, parts of names and counts agree with the records")
    words = ", ".join(found)
    return Finding(
        "search",
        "missing",
        f"{words[0].upper()}{words[1:]} do not agree with the records: python -m clinic_app rebuild-search",
    )


CHECKS: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
    ("node", _node),
    ("data directory", _data_dir),
    ("database", _database),
    ("database file", _file),
    ("disk", _disk),
    ("writing", _writes),
    ("copy", _copy),
    ("continuous copy", _continuous_copy),
    ("anchors", _anchors),
    ("keys", _keys),
    ("national IDs", _national_ids),
    ("search", _search),
    ("pages", _pages),
    ("redis", _redis),
    ("mail server", _mail),
)
