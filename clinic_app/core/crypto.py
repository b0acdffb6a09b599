"""Random tokens, keyed digests, and password hashing on threads of its own."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import os
import re
import secrets
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt

from clinic_app.core import keys, metrics
from clinic_app.core.errors import Unavailable
from clinic_app.core.settings import get_settings
from clinic_app.core.text_rules import normalised, trimmed, visible

#: 54 symbols, none that look alike: no ``0 O o 1 l I``, and neither ``i`` nor ``L``, which handwriting confuses
#: with them. 12 are 69 bits (NIST SP 800-63B-4, 3.1.2: look-up secrets have at least 64).
UNAMBIGUOUS = "ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789"
TEMPORARY_LENGTH = 12
#: The second trims blanks at both ends before hashing; hashes of the first are of the password as it was typed.
#: What follows is the version of the pepper.
_AS_TYPED, _TRIMMED = "v1", "v2"
_KEPT = re.compile(r"(v[12])\$k(\d{1,3})\$(.*)", re.DOTALL)
_WAITING_AT_MOST = 16
Done = TypeVar("Done")
#: So much of what is typed is looked at; passwords are shorter.
_LONGEST = 4096


def new_token() -> str:
    """A fresh 256-bit token, URL-safe."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """The only form in which a session token is kept: SHA-256, hex. Enough for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def keyed_digest(value: str, purpose: str) -> str:
    """A keyed digest for values that could be guessed (names, search terms), 128 bits, hex."""
    return hmac.new(keys.key("token_key"), f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()[:32]


def temporary_password() -> str:
    """A temporary password: 12 unambiguous symbols, from a cryptographic source, with a digit and a letter."""
    while True:
        made = "".join(secrets.choice(UNAMBIGUOUS) for _ in range(TEMPORARY_LENGTH))
        if any(c.isdigit() for c in made) and any(c.isalpha() for c in made):
            return made


# --- password hashes ----------------------------------------------------------------------------


def _give_way(niceness: int) -> None:
    """Hashes give way to whoever serves pages (Linux: niceness is per thread)."""
    with contextlib.suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


class _Room:
    """Threads for hashes, and places for those that wait for one."""

    def __init__(self, name: str, threads: int, niceness: int = 10) -> None:
        self._pool = ThreadPoolExecutor(threads, name, _give_way, (niceness,))
        self.threads, self.at_once = threads, threads + _WAITING_AT_MOST
        self._places = threading.BoundedSemaphore(self.at_once)
        self._inside, self._left = 0, threading.Condition()

    def work(self, work: Callable[..., Done], *args: object) -> Done:
        """``work(*args)`` on one of the threads. Raises ``Unavailable`` when too many wait for them already."""
        if not self._places.acquire(blocking=False):
            raise Unavailable
        with self._left:
            self._inside += 1
        try:
            return self._pool.submit(work, *args).result()
        finally:
            with self._left:
                self._inside -= 1
                self._left.notify_all()
            self._places.release()

    @property
    def inside(self) -> int:
        """How many hashes are made or wait here."""
        return self._inside

    def wait_until_empty(self, seconds: float) -> None:
        """Return once nobody works or waits here, after so many ``seconds`` at most."""
        with self._left:
            self._left.wait_for(lambda: not self._inside, seconds)


#: Hashes leave a core to whoever serves pages, where there are several.
HASH_THREADS = max(1, (os.cpu_count() or 1) - 1)
#: Strangers' wait by themselves: whoever guesses keeps nobody waiting whom the clinic knows.
_known, _strangers = _Room("hash", HASH_THREADS), _Room("hash-strangers", HASH_THREADS)
#: So do those of a run for many patients, with what processors the others leave: nobody at a desk waits behind one.
_bulk = _Room("hash-bulk", HASH_THREADS, 19)
#: And each of them begins while no hash of a desk is being made, or after so many seconds: a run ends some day.
_LONGEST_PAUSE = 2.0
#: So many hashes are made or wait for people in both rooms together, each with the thread that asked for it.
HASHES_AT_ONCE = _known.at_once + _strangers.at_once


def strangers_wait() -> bool:
    """Whether so many hashes of strangers are made or wait that the next one is refused."""
    return _strangers.inside >= _strangers.at_once


metrics.hold(
    "clinic_password_hashes",
    lambda: {"people": _known.inside, "strangers": _strangers.inside, "bulk": _bulk.inside},
)


def plain_temporary(password: str) -> str:
    """A temporary password as it was made, of what somebody typed or pasted: no blanks, dashes or unseen signs."""
    return "".join(c for c in visible(password[:_LONGEST]) if not c.isspace() and not _is_dash(c))


def _is_dash(char: str) -> bool:
    return unicodedata.category(char) == "Pd" or char in "\u2212\u200c\u200d"


def _scheme() -> str:
    return f"{_TRIMMED}$k{keys.version('pepper')}$"


def _prehash(password: str, pepper: bytes | None = None) -> bytes:
    """``base64(hmac_sha384(pepper, NFKC(password)))``: any length, no NUL, 64 bytes (OWASP Password Storage)."""
    normal = normalised(password, _LONGEST, "NFKC").encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.new(pepper or keys.key("pepper"), normal, hashlib.sha384).digest())


def hash_password(password: str, *, cost: int | None = None, in_bulk: bool = False) -> str:
    """The hash to keep: scheme, key id, bcrypt. Blanks at both ends of the password do not count.

    Takes about a quarter of a second; never call it in a transaction.

    ``cost``, at most the configured one, is for random secrets, which need less. ``in_bulk``: nobody waits for it, and
    it keeps nobody waiting. Raises ``Unavailable`` when too many hashes are already waiting.
    """
    configured = get_settings().bcrypt_cost
    salt = bcrypt.gensalt(min(cost or configured, configured))
    if in_bulk:
        _known.wait_until_empty(_LONGEST_PAUSE)
    room = _bulk if in_bulk else _known
    return _scheme() + room.work(bcrypt.hashpw, _prehash(trimmed(password, _LONGEST)), salt).decode()


@functools.lru_cache(maxsize=4)
def _dummy(cost: int) -> str:
    return bcrypt.hashpw(b"nobody", bcrypt.gensalt(cost)).decode()


def prepare_dummy() -> None:
    """Make the dummy hash at start, so that the first unknown user is not slower than the second."""
    _dummy(get_settings().bcrypt_cost)


def verify_password(password: str, kept: str | None, *, stranger: bool = False) -> bool:
    """Whether ``password`` belongs to the hash ``kept``; exactly one bcrypt check in every case.

    ``None`` (no such account) and hashes that cannot be read are checked against a dummy and are False. A ``stranger``
    waits with other strangers, and keeps nobody else waiting. Raises ``Unavailable`` when too many wait already.
    """
    parts = _KEPT.fullmatch(kept or "")
    pepper = keys.key_of("pepper", int(parts[2])) if parts else None
    dummy, room = _dummy(get_settings().bcrypt_cost), _strangers if stranger else _known
    if parts is None or pepper is None:
        _check(password, dummy, room)
        return False
    try:
        return _check(password if parts[1] == _AS_TYPED else trimmed(password, _LONGEST), parts[3], room, pepper)
    except ValueError:  # a damaged hash, refused before any work
        _check(password, dummy, room)
        return False


def _check(password: str, hashed: str, room: _Room, pepper: bytes | None = None) -> bool:
    return room.work(bcrypt.checkpw, _prehash(password, pepper), hashed.encode())


def needs_rehash(kept: str) -> bool:
    """Whether ``kept`` has another scheme, pepper or cost than those in use."""
    return not kept.startswith(f"{_scheme()}$2b${get_settings().bcrypt_cost:02d}$")
