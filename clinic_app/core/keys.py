"""Keys of this clinic: given by settings, else generated once into the data directory (mode 0600)."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from functools import lru_cache
from pathlib import Path

from clinic_app.core.settings import Settings, SettingsError, get_settings

NAMES = ("pepper", "audit_key", "token_key")


def prepare_data_dir(settings: Settings) -> Path:
    """Make the data directory if it is missing, readable by its owner only."""
    folder = settings.data_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _generated(settings: Settings) -> dict[str, str]:
    file = prepare_data_dir(settings) / "keys.json"
    if not file.exists():
        _write(file, {name: secrets.token_urlsafe(48) for name in NAMES})
    return _read(file)


def _read(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text())
        if isinstance(found, dict) and all(isinstance(found.get(name), str) for name in NAMES):
            return found
    except (ValueError, OSError):
        pass
    raise SettingsError("CLINIC_DATA_DIR: keys.json in it is damaged or cannot be read: put a copy of it back.")


def at_hand(settings: Settings) -> frozenset[str]:
    """The names of the keys that are there already, in settings or ``keys.json``; nothing is generated."""
    given = {name for name in NAMES if (one := getattr(settings, name)) is not None and one.get_secret_value()}
    file = settings.data_dir / "keys.json"
    return frozenset(given | (set(_read(file)) & set(NAMES) if file.exists() else set()))


def place(settings: Settings, brought: dict[str, str]) -> None:
    """Put keys that a backup brought where none are."""
    _write(prepare_data_dir(settings) / "keys.json", brought)


def _write(file: Path, content: dict[str, str]) -> None:
    """``content`` as a new ``file``, whole or not at all, readable by its owner only; one that is there stays."""
    draft = file.with_name(f"keys.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump(content, out)
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(draft, file)  # two processes starting at once: the first one's keys win
    except FileExistsError:
        pass
    finally:
        draft.unlink()


@lru_cache(maxsize=8)
def key(name: str) -> bytes:
    """The key ``name`` (one of ``NAMES``). Never logged, never shown."""
    settings = get_settings()
    given = getattr(settings, name)
    if given is not None and given.get_secret_value():
        return given.get_secret_value().encode()
    return _generated(settings)[name].encode()


def fingerprint(name: str) -> str:
    """What tells the key ``name`` from another one. Slow, so that nobody tries which weak key somebody may have set."""
    return _fingerprint(name, key(name))


@lru_cache(maxsize=32)
def _fingerprint(name: str, value: bytes) -> str:
    return hashlib.scrypt(value, salt=f"fingerprint, v1: {name}".encode(), n=2**14, r=8, p=1, dklen=16).hex()


def whole() -> dict[str, str]:
    """Every key as ``keys.json`` holds it, wherever it comes from. For a backup with keys, and nothing else."""
    return {name: key(name).decode() for name in NAMES}
