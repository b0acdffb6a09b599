"""Keys of this clinic: given by settings, else generated once into the data directory (mode 0600)."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from clinic_app.core.settings import Settings, SettingsError, get_settings

NAMES = ("pepper", "audit_key", "token_key")


def prepare_data_dir(settings: Settings) -> Path:
    """Make the data directory if it is missing, readable by its owner only."""
    folder = settings.data_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _generated(settings: Settings) -> dict[str, Any]:
    file = prepare_data_dir(settings) / "keys.json"
    if not file.exists():
        _write(file, {name: secrets.token_urlsafe(48) for name in NAMES})
    return _read(file)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text()) if file.is_file() else None  # a pipe would be waited for
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


def place(settings: Settings, brought: dict[str, Any]) -> None:
    """Put keys that a backup brought where none are."""
    _write(prepare_data_dir(settings) / "keys.json", brought)


def _write(file: Path, content: dict[str, Any], *, instead: bool = False) -> None:
    """``content`` as a new ``file``, whole or not at all, readable by its owner only; one that is there stays.

    ``instead``: it takes the place of the one that is there.
    """
    draft = file.with_name(f"keys.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump(content, out)
        out.flush()
        os.fsync(out.fileno())
    if instead:
        draft.replace(file)
        return
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


def whole() -> dict[str, Any]:
    """Every key as ``keys.json`` holds it, wherever it comes from. For a backup with keys, and nothing else."""
    found: dict[str, Any] = {name: key(name).decode() for name in NAMES}
    retired = {name: _retired(get_settings(), name) for name in NAMES}
    return found | ({"retired": retired} if any(retired.values()) else {})


# --- versions -----------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _kept(file: Path, _changed: int, _size: int) -> dict[str, Any]:
    return _read(file)


def _retired(settings: Settings, name: str) -> dict[str, str | None]:
    """Version → key that was in use before, as ``keys.json`` keeps them; None for one that was lost."""
    file = settings.data_dir / "keys.json"
    try:
        stat = file.stat()
    except OSError:
        return {}
    return _kept(file, stat.st_mtime_ns, stat.st_size).get("retired", {}).get(name, {})


def version(name: str) -> int:
    """The version of the key in use: 1, and one more for each time it was changed."""
    return 1 + len(_retired(get_settings(), name))


def key_of(name: str, wanted: int) -> bytes | None:
    """The key with this version, in use or retired; None if it was lost, or there never was one."""
    retired = _retired(get_settings(), name)
    if wanted == 1 + len(retired):
        return key(name)
    kept = retired.get(str(wanted))
    return kept.encode() if kept is not None else None


def prepare_next(settings: Settings, names: Sequence[str]) -> dict[str, str]:
    """Generate keys that may follow those in use, and keep them beside those: until ``use_next`` nothing has changed.

    Returns their fingerprints by name.
    """
    content = _generated(settings)
    content["next"] = {name: secrets.token_urlsafe(48) for name in names}
    _write(settings.data_dir / "keys.json", content, instead=True)
    return {name: _fingerprint(name, value.encode()) for name, value in content["next"].items()}


def replace_lost(settings: Settings, versions: Mapping[str, int]) -> dict[str, str]:
    """Generate keys in the place of lost ones, whose last version is given; returns their fingerprints by name.

    Safe to repeat, after a crash too.
    """
    content = _generated(settings)
    for name, version in versions.items():
        content[name] = secrets.token_urlsafe(48)
        kept = content.setdefault("retired", {}).get(name, {})
        content["retired"][name] = {str(each): kept.get(str(each)) for each in range(1, version + 1)}
    _write(settings.data_dir / "keys.json", content, instead=True)
    key.cache_clear()
    return {name: fingerprint(name) for name in versions}


def use_next(settings: Settings, noted: Mapping[str, str]) -> bool:
    """Put those prepared keys into use whose fingerprints are ``noted`` (by name); whether there were any.

    Those before are retired. Safe to repeat, after a crash too.
    """
    file = settings.data_dir / "keys.json"
    content = _read(file) if file.exists() else {}
    coming: dict[str, str] = content.pop("next", {})
    fitting = [name for name, value in coming.items() if noted.get(name) == _fingerprint(name, value.encode())]
    for name in fitting:
        retired = content.setdefault("retired", {}).setdefault(name, {})
        retired[str(1 + len(retired))] = content[name]
        content[name] = coming[name]
    if fitting:
        _write(file, content, instead=True)
        key.cache_clear()
    return bool(fitting)
