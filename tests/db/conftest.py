"""Fixtures of the tests that need a database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import bcrypt
import pytest
import time_machine

from clinic_app.core import context, crypto, db, keys
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Actor
from tests import factories

NOON = "2026-06-15 09:00:00+00:00"  # at the clinic


@pytest.fixture
def desk(database) -> Actor:
    """A receptionist."""
    return factories.make_staff()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still; ``clock.shift(seconds)`` moves it. Ask for it before ``people``."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def change_setting(settings):
    """Change a setting in the middle of a test."""

    def change(name: str, value: str) -> None:
        settings.setenv(name, value)
        get_settings.cache_clear()
        keys.key.cache_clear()

    yield change
    keys.key.cache_clear()


@dataclass
class Hashing:
    """What bcrypt was asked, on which threads, and how many transactions were open meanwhile."""

    made: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Hashing:
    """A spy on bcrypt and on transactions."""
    crypto.prepare_dummy()
    seen, open_ = Hashing(), {"count": 0}
    hashpw, checkpw = bcrypt.hashpw, bcrypt.checkpw

    def spied(real, kept: list[str]):
        def spy(*args):
            kept.append(threading.current_thread().name)
            if open_["count"]:
                seen.inside.append(real.__name__)
            return real(*args)

        return spy

    def counted(real):
        import contextlib

        @contextlib.contextmanager
        def manager(**how):
            with real(**how) as session:
                open_["count"] += 1
                try:
                    yield session
                finally:
                    open_["count"] -= 1

        return manager

    monkeypatch.setattr(bcrypt, "hashpw", spied(hashpw, seen.made))
    monkeypatch.setattr(bcrypt, "checkpw", spied(checkpw, seen.checked))
    monkeypatch.setattr(db, "transaction", counted(db.transaction))
    monkeypatch.setattr(db, "reading", counted(db.reading))
    return seen


@pytest.fixture
def request_id(database) -> Iterator[str]:
    """The id of the request being served."""
    with context.use(context.RequestContext("api", "198.51.100.4", "pytest/1", "req-0001")) as here:
        yield here.request_id
