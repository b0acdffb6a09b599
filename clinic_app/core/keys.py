"""Keys of this clinic: given by settings, else generated once into the data directory (mode 0600)."""

from __future__ import annotations

import json
import os
import secrets
from functools import lru_cache
from pathlib import Path

from clinic_app.core.settings import Settings, get_settings

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
        draft = file.with_name(f"keys.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as out:
            json.dump({name: secrets.token_urlsafe(48) for name in NAMES}, out)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(draft, file)  # two processes starting at once: the first one's keys win
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return json.loads(file.read_text())


@lru_cache(maxsize=8)
def key(name: str) -> bytes:
    """The key ``name`` (one of ``NAMES``). Never logged, never shown."""
    settings = get_settings()
    given = getattr(settings, name)
    if given is not None and given.get_secret_value():
        return given.get_secret_value().encode()
    return _generated(settings)[name].encode()
