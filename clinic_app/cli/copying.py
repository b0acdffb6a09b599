"""The continuous copy while the server runs: litestream as a child beside the workers, started again when it ends.

Whatever happens to it, the clinic goes on. It ends after the workers, so that their last change is in the copy.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from clinic_app.cli.respawn import Deaths
from clinic_app.core import continuous_copy, copy_check, data_lock, keys, logs
from clinic_app.core.continuous_copy import Known, holds_one
from clinic_app.core.settings import Settings

#: Seconds between two times that litestream is asked whether all of the database is in the copy.
LOOK = 2.0
#: Seconds between two times that the copy is looked through for what a restore needs.
LOOK_THROUGH = 60.0
#: Seconds after which what stands still is told, and between two notes of a copy that is well.
SOON = 10.0
#: Seconds for which a copy may lack something before it is begun anew: litestream may be about to add the whole.
PATIENCE = 60.0
#: Seconds between two times that the copy is restored to look through it, and until the next try where it could not be.
CHECK, CHECK_AGAIN = 86_400.0, 3_600.0
#: Seconds between two looks whether that is due; and until what seems damaged is restored once more, to be sure, or
#: what stands still for no known reason is looked at.
DUE, SURE = 10.0, 60.0
_log = logs.get("copy")


@contextlib.contextmanager
def beside(settings: Settings) -> Iterator[None]:
    """Copy the database of ``settings`` while the block lasts, and what is left at its end. Nothing of it is raised."""
    if not settings.copy_to:
        yield
        return
    logs.configure("WARNING")
    copier = Copier(settings)
    copier.start()
    try:
        yield
    finally:
        copier.stop()


class Copier(threading.Thread):
    """Keeps litestream running. The thread that starts it lives longer than it: it would be ended with that, too."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="copier", daemon=True)
        self._settings, self._over = settings, threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._said = ""  # a word for what litestream said last
        self._known = continuous_copy.known(settings) or Known(to=settings.copy_to)
        self._noted = self._told = self._looked_through = 0.0
        self._folder, self._patience = _identity(None), PATIENCE
        self._checker = threading.Thread(target=self._check_daily, name="copy-checker", daemon=True)
        self._found: deque[str] = deque()  # what the checker has found: a word, or nothing where the copy is whole
        self._doubted = False  # litestream could not read what is in the copy

    def stop(self) -> None:
        """Copy what is left, and end."""
        self._over.set()
        self.join(3 * continuous_copy.LAST_SYNC)
        if self._checker.is_alive():
            self._checker.join(5)

    def run(self) -> None:
        """Until told to stop: start litestream, see that it copies, and start it again when it has ended."""
        self._checker.start()
        deaths = Deaths()
        while not self._over.is_set():
            began, why, code = time.monotonic(), "", None
            try:
                if self._found:
                    self._heed(self._found.popleft())
                why = self._start()
                if not why:
                    code = self._watch()
            except Exception as error:  # noqa: BLE001  whatever it is, the clinic goes on, and so does the next try
                logs.failure(error, "copy")
                why = "other"
            if self._over.is_set():
                break
            if not why and self._process is None:
                continue  # ended on purpose
            self._end()
            wait = deaths.wait_after(0, time.monotonic() - began)
            if logs.allows("copy_ended"):
                _log.error("copy_ended", code=code, what=why or self._said or "other", seconds=wait)
            self._stands_still(why or self._said or "other")
            self._over.wait(wait)
        with contextlib.suppress(Exception):
            self._finish()

    # --- litestream -----------------------------------------------------------------------------

    def _start(self) -> str:
        """Start it; a word for why it cannot be."""
        executable = continuous_copy.program()
        if executable is None:
            return "no program"
        folder = self._settings.copy_folder
        if folder is not None and (not folder.is_dir() or (not holds_one(str(folder)) and self._is_gone())):
            return "no folder"  # litestream would make it
        self._folder = _identity(folder)
        place = keys.prepare_data_dir(self._settings)
        data_lock.hold(place)
        (place / continuous_copy.SOCKET).unlink(missing_ok=True)
        self._said, self._looked_through = "", 0.0
        config = continuous_copy.configure(self._settings)
        self._process = continuous_copy.start_bound(
            (executable, "replicate", "-no-expand-env", "-config", str(config.absolute())),
            cwd=place,
            env=continuous_copy.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,  # Ctrl+C is for the server, which tells it when the workers have ended
            umask=0o077,
            pass_fds=data_lock.handles(),  # nothing is restored under it
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        return ""

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Remember what went wrong last, as a word."""
        if process.stderr is None:
            return
        with process.stderr as lines:
            for line in lines:
                self._said = continuous_copy.reason(line.decode(errors="replace"))
                self._doubted |= self._said == "other" and b"compaction failed" in line

    def _watch(self) -> int | None:
        """Ask again and again whether all is copied, until it ends (its exit code) or the server does (None)."""
        if self._process is None:
            return None
        well = time.monotonic()
        incomplete, wait = 0.0, 0.2
        while not self._over.wait(wait):
            code = self._process.poll()
            if code is not None:
                return code
            if _identity(self._settings.copy_folder) != self._folder:
                self._end()  # another disk, or none
                return None
            if self._found and self._heed(self._found.popleft()):
                return None
            at, now = self._ask(), time.monotonic()
            if at is not None and self._complete():
                self._well(at)
                well, incomplete = now, 0.0
            elif at is not None:
                incomplete = incomplete or now
                self._said = "no folder" if self._is_gone() else "nothing there"
                if self._is_gone():
                    return None
                if now - incomplete > self._patience:
                    self._begin_anew()
                    return None
            if now - well > SOON:
                self._stands_still(self._said or "other")
            wait = max(LOOK, self._settings.copy_every_ms / 1000) if now - well < SOON or incomplete else LOOK
        return None

    def _ask(self) -> float | None:
        """Have everything copied that is there now: the time (Unix) up to which it was; None: it was not."""
        at = time.time()
        try:
            file = str(continuous_copy.database(self._settings))
            found = self._post("/sync", {"path": file, "wait": True, "timeout": 5})
        except (OSError, ValueError, http.client.HTTPException):
            return None
        if error := str(found.get("error", "")):
            self._said = continuous_copy.reason(error)
        return at if found.get("txid") and found["txid"] == found.get("replicated_txid") else None

    def _well(self, at: float) -> None:
        """Everything up to ``at`` is in the copy."""
        if self._told:
            _log.warning("copy_goes_on", seconds=round(at - self._known.at, 1) if self._known.at else None)
        changed = bool(self._known.trouble) or self._known.ended
        self._known, self._told, self._said = replace(self._known, at=at, trouble="", ended=False), 0.0, ""
        if changed or time.monotonic() - self._noted > SOON:
            self._note()

    def _post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        connection = _UnixConnection(self._settings.data_dir, continuous_copy.SOCKET)
        try:
            connection.request("POST", path, json.dumps(content), {"Content-Type": "application/json"})
            found = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return found if isinstance(found, dict) else {}

    def _complete(self) -> bool:
        """Whether a restore would find everything: what somebody has removed from the copy litestream does not miss."""
        if self._looked_through and time.monotonic() - self._looked_through < LOOK_THROUGH:
            return True
        executable = continuous_copy.program()
        if executable and continuous_copy.can_be_restored(self._settings, executable) == "nothing there":
            self._looked_through = 0.0
            return False
        self._looked_through = time.monotonic()
        return True

    def _begin_anew(self) -> None:
        """Copy the whole database once more, and go on from there. A large one takes its time: have more patience."""
        _log.error("copy_was_incomplete")
        self._end()
        continuous_copy.forget(continuous_copy.database(self._settings))
        self._patience *= 2

    # --- whether it is whole --------------------------------------------------------------------

    def _check_daily(self) -> None:
        """Until told to stop: once a day, and where litestream trips over it, restore the copy and look through it."""
        with contextlib.suppress(Exception):
            copy_check.tidy(self._settings)
        tried, again = 0.0, CHECK
        while not self._over.wait(DUE):
            known, stuck = self._known, self._is_stuck()
            well = known.checked and not (known.damaged or stuck or self._doubted)
            due = known.checked + CHECK if well else 0.0
            if time.time() < due or (tried and time.monotonic() - tried < again) or not known.at:
                continue
            if known.trouble and not stuck:
                continue
            self._doubted = False
            found = self._checked(stuck)
            if found == "ended":
                continue
            # A new one is looked at as soon as it is there; if that is damaged, too, another would not be better.
            again = 0.0 if found == "damaged" and not known.damaged else CHECK_AGAIN
            tried = time.monotonic()
            self._found.append(found)
            while self._found and not self._over.wait(0.2):
                pass

    def _is_stuck(self) -> bool:
        """Whether nothing has come into the copy for a while, for no reason that lies outside of it."""
        inside = self._known.trouble == "other" or (
            # Litestream has answered too late: a storage may be away, a folder is not.
            self._known.trouble == "unreachable" and self._settings.copy_folder is not None
        )
        return inside and bool(self._told) and time.monotonic() - self._told > SURE

    def _checked(self, stuck: bool) -> str:
        """Nothing where the copy is whole; ``damaged``, or a word for why that could not be told.

        Of one that is ``stuck`` the last changes are not expected."""
        for sure in (False, True):
            try:
                least, at = (0, 0.0) if stuck else (copy_check.end_of_trail(self._settings, self._over), time.time())
                while not self._known.at > at:
                    if self._known.trouble or self._over.wait(0.2):
                        return "ended"
                copy_check.check(self._settings, least, self._over)
            except copy_check.Unchecked as not_now:
                return not_now.why
            except copy_check.Damaged as found:
                if sure:
                    _log.error("copy_was_damaged", what=found.what)
                    return "damaged"
                self._over.wait(SURE)  # what was merged or went meanwhile is no damage
            except Exception as error:  # noqa: BLE001  whatever it is, the next try may go well
                logs.failure(error, "copy")
                return "other"
            else:
                return ""
        raise AssertionError

    def _heed(self, found: str) -> bool:
        """Note what was found of the copy; whether it has to be begun anew."""
        now = time.time()
        if found == "damaged":
            self._known = replace(self._known, damaged=self._known.damaged or now, unchecked="")
            return self._replace()
        if found:
            if found != self._known.unchecked:
                _log.warning("copy_not_checked", what=found)
            self._known = replace(self._known, unchecked=found)
        else:
            if self._known.damaged:
                _log.warning("copy_is_whole_again")
            self._known = replace(self._known, checked=now, damaged=0.0, unchecked="")
            continuous_copy.forget_aside(self._settings)
        self._note()
        # It is not what is in the copy: what litestream keeps here, then, if it is not just slow.
        if not found and self._is_stuck() and self._known.trouble == "other":
            self._begin_anew()
            return True
        return False

    def _replace(self) -> bool:
        """Begin anew where it is damaged, if that can be done from here: not in a storage."""
        anew = self._settings.copy_folder is not None
        if anew:
            self._end()
            continuous_copy.put_aside(self._settings)
            continuous_copy.forget(continuous_copy.database(self._settings))
            self._known = replace(self._known, at=0.0)
        self._note()
        return anew

    def _is_gone(self) -> bool:
        """Whether the copy was there once and its folder is now on the disk of the database: its own is not there.

        A whole copy there would fill that disk and save nothing.
        """
        return bool(self._known.at) and continuous_copy.on_the_same_disk(self._settings)

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(continuous_copy.LAST_SYNC + 2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _finish(self) -> None:
        """The workers have ended, and nothing is written any more: copy the rest."""
        alive = self._process is not None and self._process.poll() is None
        why = "" if alive else self._start()
        at, ends = None, time.monotonic() + continuous_copy.LAST_SYNC
        while at is None and time.monotonic() < ends and self._process is not None and self._process.poll() is None:
            at = self._ask()
            time.sleep(0 if at else 0.1)
        whole = at is not None and self._complete()
        if at is not None and whole:
            self._well(at)
        self._end()
        self._known = replace(self._known, trouble="" if whole else why or self._said or "other", ended=whole)
        if not whole:
            _log.error("copy_stands_still", what=self._known.trouble)
        self._note()

    # --- what is told ---------------------------------------------------------------------------

    def _stands_still(self, what: str) -> None:
        if not self._told:
            self._told = time.monotonic()
            _log.error("copy_stands_still", what=what)
        if what != self._known.trouble or self._known.ended:
            self._known = replace(self._known, trouble=what, ended=False)
            self._note()

    def _note(self) -> None:
        self._noted = time.monotonic()
        try:
            continuous_copy.note(self._settings, replace(self._known, noted=time.time()))
        except OSError as error:
            logs.failure(error, "copy")


def _identity(folder: Path | None) -> tuple[int, int]:
    """What tells a folder from another one under its name."""
    with contextlib.suppress(OSError):
        found = folder.stat() if folder is not None else None
        return (found.st_dev, found.st_ino) if found is not None else (0, 0)
    return (0, 0)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP to a socket in ``folder``, however long the path of that is."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__("localhost", timeout=10)
        self._folder, self._name = folder, name

    def connect(self) -> None:
        """Connect by the folder's handle: a path of a socket has 107 bytes at most."""
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            by_handle = Path(f"/proc/self/fd/{handle}")
            place = by_handle if by_handle.exists() else self._folder.absolute()
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(place / self._name))
        finally:
            os.close(handle)
