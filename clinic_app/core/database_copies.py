"""Whole databases, out and in: SQLite by its online backup, PostgreSQL by the client programs of its own."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from clinic_app.core import database_url

Moved = Callable[[int, int], None]  # done so far, and of how much
#: Pages copied between two steps of the progress bar: 8 MB.
_STEP = 2000
#: What a restored database replaced, on PostgreSQL: never part of a backup.
ASIDE = "before_restore_"
#: Tables, views, sequences and functions, but for those of extensions, into the schema ``{aside}``.
_PUT_ASIDE = """
CREATE SCHEMA {aside};
DO $$
DECLARE one record;
BEGIN
  FOR one IN SELECT c.oid::regclass AS name, c.relkind AS kind FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('e', 'a', 'i')
                    AND d.classid = 'pg_class'::regclass)
  LOOP
    EXECUTE format('ALTER %s %s SET SCHEMA {aside}', CASE one.kind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
                   WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, one.name);
  END LOOP;
  FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
  LOOP
    EXECUTE format('ALTER ROUTINE %s SET SCHEMA {aside}', one.name);
  END LOOP;
END $$;
"""


class CopyFailed(Exception):
    """A database could not be copied, or what was copied is damaged. The text is one sentence without values."""


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for PostgreSQL."""
    parts = database_url.parsed(url)
    return Path(parts.database or "") if parts.drivername.startswith("sqlite") else None


# --- SQLite -------------------------------------------------------------------------------------


def copy_sqlite(source: Path, target: Path, moved: Moved) -> None:
    """Copy the database in ``source`` as it is at this moment into the empty file ``target``, whoever writes meanwhile.

    The copy is one file, without a write-ahead log. Raises ``CopyFailed``.
    """
    try:
        with (
            contextlib.closing(sqlite3.connect(source, isolation_level=None, timeout=5)) as there,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as here,
        ):
            there.execute("BEGIN")  # one moment for all steps: or each write of somebody would begin the copy anew
            there.execute("SELECT count(*) FROM sqlite_master").fetchone()
            there.backup(here, pages=_STEP, progress=lambda _, left, all_: moved(all_ - left, all_))
            here.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise CopyFailed(f"The database could not be copied: {_words(error)}.") from None


def _words(error: sqlite3.Error) -> str:
    """SQLite's name of what is wrong, which holds no value: ``SQLITE_FULL``."""
    return {"SQLITE_FULL": "the disk is full", "SQLITE_CORRUPT": "it is damaged", "SQLITE_NOTADB": "it is damaged"}.get(
        getattr(error, "sqlite_errorname", ""), getattr(error, "sqlite_errorname", type(error).__name__)
    )


def sqlite_is_whole(file: Path, *, thorough: bool = False) -> bool:
    """Whether every page can be read and the tables are in order; ``thorough``: the indexes and references, too."""
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=5)) as opened:
            check = "PRAGMA integrity_check(1)" if thorough else "PRAGMA quick_check(1)"
            return opened.execute(check).fetchone() == ("ok",) and not (
                thorough and opened.execute("PRAGMA foreign_key_check").fetchone()
            )
    except sqlite3.Error:
        return False


def put_in_place(fresh: Path, place: Path, aside: Path) -> bool:
    """Let ``fresh`` be the database in ``place``, and keep what was there as ``aside``; False: nothing was there.

    No other process may have it open. What was in the write-ahead log of the old one stays with the old one: replayed
    over another database it would destroy that. There is a database in ``place`` at every moment.
    """
    there = place.exists()
    if there:
        log, kept = Path(f"{place}-wal"), Path(f"{aside}-wal")
        if log.exists():  # opening a damaged database may remove its log
            shutil.copyfile(log, kept)
            kept.chmod(0o600)
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(place, timeout=5)) as old:
            if old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0:
                kept.unlink(missing_ok=True)
        try:
            os.link(place, aside)
        except OSError:  # a disk that knows one name for a file only
            shutil.copyfile(place, aside)
        aside.chmod(0o600)
    for end in ("-wal", "-journal", "-shm"):  # as is left where the old one is damaged, or nobody closed it
        rest = Path(f"{place}{end}")
        if rest.exists():
            rest.replace(f"{aside}{end}")  # as is, over its copy
    fresh.replace(place)
    keep_names(place.parent)
    return there


def tidy_up(place: Path) -> None:
    """Take away what a killed ``put_in_place`` may have left beside the database in ``place``.

    Its second name: whoever opened it by that one would find another write-ahead log, and destroy it. And a copy of
    its log without a database, once ``place`` is whole without that. Others are whole databases.
    """
    with contextlib.suppress(OSError):
        kept = sorted(place.parent.glob(f"{glob.escape(place.name)}.before-restore-*"))
        for other in kept:
            if other.samefile(place):
                other.unlink()
        alone = [log for log in kept if log.name.endswith("-wal") and not Path(f"{log}"[: -len("-wal")]).exists()]
        if alone and sqlite_is_whole(place):
            for log in alone:
                log.unlink()


def keep_names(folder: Path) -> None:
    """Have the names in ``folder`` on disk: they have to survive a power cut, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- PostgreSQL ---------------------------------------------------------------------------------


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise CopyFailed(
            f"`{name}` is not installed: it comes with the client programs of PostgreSQL, such as postgresql-client."
        )
    return found


def _run(engine: Engine, work: Path, *command: str) -> None:
    """Run a program of PostgreSQL on the database of ``engine``; no other process can see the password."""
    _, given = engine.dialect.create_connect_args(engine.url)
    patience = {name: value for name, value in database_url.patience(engine.url).items() if name != "options"}
    words = {name: value for name, value in {**given, **patience}.items() if isinstance(value, str | int)}
    service = work / "service.conf"
    with os.fdopen(os.open(service, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write("[clinic]\n" + "".join(f"{name}={value}\n" for name, value in words.items()))
    env = {**os.environ, "PGSERVICEFILE": str(service), "PGSERVICE": "clinic", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603  programs of PostgreSQL with arguments of our own
            [_program(command[0]), *command[1:]], env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    finally:
        service.unlink(missing_ok=True)
    if done.returncode:
        raise CopyFailed(f"{command[0]} failed ({_reason(done.stderr)}).")


def _reason(said: bytes) -> str:
    """What is known of why, without what was said: that may hold values of a record."""
    text = said.decode(errors="replace")
    for sign, words in (
        ("server version mismatch", "it is older than the server: install the client programs of the server's version"),
        ("could not connect", "the server cannot be reached"),
        ("connection to server", "the server cannot be reached, or refuses the sign-in"),
        ("No space left", "the disk is full"),
        ("permission denied", "the database user may not do that"),
        ("must be owner", "the database user does not own the database"),
        ("not appear to be a valid archive", "the file is damaged"),
        ("could not read from input file", "the file is damaged"),
    ):
        if sign in text:
            return words
    return "see its own messages: run it by hand"


def dump_postgres(engine: Engine, snapshot: str, target: Path, work: Path) -> None:
    """Write the database of ``engine`` as it is in the exported ``snapshot`` to ``target``. Raises ``CopyFailed``.

    ``work`` is a folder that nobody else can read. Who owns what, and comments, are the server's own and left out.
    """
    more = ("--no-owner", "--no-privileges", "--no-comments", f"--exclude-schema={ASIDE}*", "--lock-wait-timeout=60000")
    _run(engine, work, "pg_dump", "--format=custom", *more, f"--snapshot={snapshot}", f"--file={target}")


def read_dump(engine: Engine, dump: Path, work: Path) -> Path:
    """Read all of ``dump`` and write it as statements into ``work``. Raises ``CopyFailed`` where it is damaged."""
    statements = work / "restore.sql"
    with os.fdopen(os.open(statements, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)):
        pass
    _run(engine, work, "pg_restore", "--no-owner", "--no-privileges", f"--file={statements}", str(dump))
    return statements


def restore_postgres(engine: Engine, statements: Path, aside: str, work: Path) -> None:
    """Move what is in the database of ``engine`` into the schema ``aside``, and run ``statements``: both or neither.

    ``aside`` is of small letters, digits and underscores. Raises ``CopyFailed``.
    """
    first = work / "aside.sql"
    first.write_text(_PUT_ASIDE.format(aside=aside))
    files = (f"--file={first}", f"--file={statements}")
    _run(engine, work, "psql", "--no-psqlrc", "--quiet", "--single-transaction", "-v", "ON_ERROR_STOP=1", *files)
