"""A Redis that would keep page state on its disk, or throw it away, is refused in production, in a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clinic_app.core import state_store
from clinic_app.core.settings import SettingsError, load_settings
from tests.browser.serving import ROOT
from tests.cli.test_served import command, environment, free_port
from tests.faults.instances import Redis

UNSAFE = {
    "save": ("3600 1", 'CLINIC_REDIS_URL: Redis writes page state to its disk: set `save ""` and `appendonly no`.'),
    "appendonly": ("yes", 'CLINIC_REDIS_URL: Redis writes page state to its disk: set `save ""` and `appendonly no`.'),
    "maxmemory-policy": (
        "allkeys-lru",
        "CLINIC_REDIS_URL: Redis throws away page state when its memory is full: set `maxmemory-policy noeviction`.",
    ),
}
SAFE = {"save": "", "appendonly": "no", "maxmemory-policy": "noeviction", "maxmemory": "0"}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_wrong_is_said(redis_server: Redis, name: str) -> None:
    value, sentence = UNSAFE[name]
    assert state_store.unsafe(redis_server.url) == ""
    try:
        redis_server.client.config_set("maxmemory", "100mb")
        redis_server.client.config_set(name, value)
        assert state_store.unsafe(redis_server.url) == sentence
    finally:
        for each, good in SAFE.items():
            redis_server.client.config_set(each, good)


def test_one_that_cannot_be_asked_is_not_judged() -> None:
    assert state_store.unsafe(f"redis://127.0.0.1:{free_port()}/0") == ""


def test_production_does_not_start_with_it(redis_server: Redis, tmp_path: Path) -> None:
    env = environment(
        tmp_path,
        free_port(),
        CLINIC_MODE="production",
        CLINIC_PUBLIC_URL="https://desk.example.org",
        CLINIC_REDIS_URL=redis_server.url,
        CLINIC_BCRYPT_COST="10",
    )
    assert command("migrate", env=env).returncode == 0
    redis_server.client.config_set("save", "3600 1")
    try:
        line = [sys.executable, "-c", "from clinic_app.asgi import create; create()"]
        done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    finally:
        redis_server.client.config_set("save", "")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, UNSAFE["save"][1])


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("redis://127.0.0.1:6379/0", True),
        ("unix:///run/redis/redis.sock", True),
        ("rediss://clinic:secret@redis.internal:6379/0", True),
        ("redis://clinic:secret@redis.internal:6379/0", False),
        ("rediss://redis.internal:6379/0", False),
    ],
)
def test_over_the_network_it_is_encrypted_and_asks_for_a_password(url: str, fine: bool) -> None:
    given = {"mode": "production", "public_url": "https://desk.example.org", "bcrypt_cost": 12, "redis_url": url}
    if fine:
        assert load_settings(**given).redis_url == url
        return
    with pytest.raises(SettingsError, match=r"^CLINIC_REDIS_URL: must be rediss:// with a password in production"):
        load_settings(**given)
