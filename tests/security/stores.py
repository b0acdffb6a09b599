"""What lies in the store of page state, in memory or in Redis, and whether a secret is in it in any spelling."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator

import pytest
import redis

from tests.security.attack import Target

REDIS = os.environ.get("CLINIC_TEST_REDIS_URL", "redis://127.0.0.1:6379/13")


def redis_or_skip() -> redis.Redis:
    """A client of the tests' Redis; without one the test is skipped, which CI does not take."""
    client = redis.Redis.from_url(REDIS, socket_connect_timeout=1)
    try:
        client.ping()
    except redis.RedisError:
        if os.environ.get("CI") == "true":
            pytest.fail("Redis is needed in CI: set CLINIC_TEST_REDIS_URL")
        pytest.skip("no Redis: set CLINIC_TEST_REDIS_URL")
    return client


def spellings(secret: str) -> list[bytes]:
    """``secret`` as texts, numbers and encodings write it down."""
    plain = secret.encode()
    wide = [secret.encode(one) for one in ("utf-16-le", "utf-16-be", "utf-32-le")]
    # base64 has three ways, by where in a longer text it begins
    coded = [base64.b64encode(b"\0" * shift + plain)[4:-4] for shift in range(3)]
    return [plain, plain[::-1], *wide, plain.hex().encode(), plain.hex().upper().encode(), *coded]


def found(secret: str, *blobs: bytes) -> bool:
    """Whether any of ``blobs`` gives ``secret`` away."""
    return any(one in blob for blob in blobs for one in spellings(secret))


def sealed_in(*blobs: bytes) -> set[bytes]:
    """What may be something encrypted: long texts of base64 with no words in them."""
    texts = {text for blob in blobs for text in re.findall(rb"[A-Za-z0-9_-]{54,58}={0,2}", blob)}
    return {text for text in texts if b"___" not in text and b"_state" not in text}


class Store:
    """Where a server keeps page state: its memory, or the Redis ``client``."""

    def __init__(self, clinic: Target, client: redis.Redis | None) -> None:
        self.clinic, self.client = clinic, client

    def all(self) -> list[bytes]:
        """Everything in it: of tabs, of what is queued, of locks."""
        if self.client is None:
            return list(self.clinic.look("kept").values())
        return list(self._values())

    def of(self, token: str) -> bytes:
        """What is kept of one tab."""
        if self.client is None:
            return self.clinic.look("kept").get(token, b"")
        return b"".join(self.client.get(key) or b"" for key in self.client.scan_iter(f"{token}_*"))  # type: ignore[misc]

    def _values(self) -> Iterator[bytes]:
        assert self.client is not None
        for key in self.client.scan_iter():
            kind = self.client.type(key)
            yield key
            if kind == b"string":
                yield self.client.get(key) or b""  # type: ignore[misc]
            elif kind != b"none":
                yield self.client.dump(key) or b""  # type: ignore[misc]
