"""How often one account may ask, per use case and through whatever door.

Sign-in has limits of its own (services/accounts/sign_in_throttle.py). Figures: docs/security.md (ASVS 5.0 2.4.1: calls
that cost much or could carry the register away). In memory for one worker; in Redis for several, and in memory again
while Redis cannot be reached: limits hold either way.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter

from clinic_app.core import logs
from clinic_app.core.counts import plural
from clinic_app.core.errors import TooManyAttempts
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Actor

FIGURES = {
    "any": "3000/minute",  # all calls of the API
    "register": "60/minute;600/hour",
    "search": "100/minute;1000/hour",
    "typing": "600/minute",  # answers while somebody types: what is left standing is a search
    "portal": "60/minute;600/hour",  # each costs a password hash
    "bulk": "10/minute",
    "audit": "60/minute",
    "own contact": "10/minute;60/hour",
    "own email": "5/hour;15/day",  # each is a message to an address that may be anybody's
    "own download": "5/minute;20/hour",
}
#: Pages of the register: the setting says how many an hour.
LISTS = "lists"
#: What every request counts: of so high a limit a worker takes some at a time from Redis while an account asks quickly.
_EVERY, _HIGH = "any", 1000
#: So many at most, for so many seconds: what is left of them then was counted for nothing.
_AT_A_TIME, _KEPT = 20, 0.5
_WITHOUT_REDIS = 10.0  # seconds until Redis is asked again after it failed


class TooManyRequests(TooManyAttempts):
    """This account asks too often."""

    code = "too_many_requests"
    title = "Too many requests"

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.detail = f"Too many requests. Please try again in {self.retry_after} seconds."


class TooManyLists(TooManyRequests):
    """This account reads the register page by page."""

    code = "too_many_lists"
    title = "Too many lists"

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        minutes = -(-self.retry_after // 60)
        self.detail = (
            "You have opened very many pages of the list in the last hour. Search for the person, or go on in "
            f"{plural(minutes, 'minute')}."
        )


@functools.lru_cache(maxsize=4)
def _items(factor: int, lists: int) -> dict[str, list[RateLimitItem]]:
    found = {name: parse_many(text) for name, text in {**FIGURES, LISTS: f"{lists}/hour"}.items()}
    return {name: [type(i)(i.amount * factor, i.multiples) for i in items] for name, items in found.items()}


#: Each of several limits as the library's script takes one, until one refuses; returns which, from 1, or 0.
_ONE_AFTER_THE_OTHER = f"""
local function take(KEYS, ARGV)
{RedisStorage.SCRIPT_ACQUIRE_SLIDING_WINDOW.decode()}
end
for i = 1, #KEYS / 2 do
    if not take({{KEYS[2 * i - 1], KEYS[2 * i]}}, {{ARGV[2 * i - 1], ARGV[2 * i], 1}}) then
        return i
    end
end
return 0
"""


@dataclass(slots=True)
class _Taken:
    """What a worker has taken of a limit at a time, and how many of them are ``left``."""

    count: int
    left: int
    until: float


class Rates:
    """The limits of one worker. Any thread may ask."""

    def __init__(self, redis_url: str = "") -> None:
        self._memory: RateLimiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis_url, self._redis = redis_url, None
        self._take_all: Any = None
        self._redis_again = 0.0
        self._taken: dict[str, _Taken] = {}
        self._lock = threading.Lock()

    def _hit(self, items: Sequence[RateLimitItem], name: str, key: str) -> tuple[bool, int]:
        """Whether this one may pass all of these limits, and if not, for how many seconds."""
        now = time.monotonic()
        if self._redis_url and now >= self._redis_again:
            try:
                if self._redis is None:
                    options: dict[str, Any] = {"socket_timeout": 0.25, "socket_connect_timeout": 0.25}
                    storage = RedisStorage(self._redis_url, wrap_exceptions=True, **options)
                    self._redis = SlidingWindowCounterRateLimiter(storage)
                    self._take_all = storage.get_connection().register_script(_ONE_AFTER_THE_OTHER.encode())
                if name == _EVERY and items[0].amount >= _HIGH:
                    return self._share(self._redis, items[0], key, now)
                return self._ask_redis(self._redis, items, key)
            except StorageError as error:
                self._redis_again = now + _WITHOUT_REDIS
                logs.get("rates").warning("redis_unreachable", error=type(error.__cause__ or error).__name__)
        for item in items:
            answer = self._ask(self._memory, item, key)
            if not answer[0]:
                return answer
        return True, 0

    def _ask_redis(self, limiter: RateLimiter, items: Sequence[RateLimitItem], key: str) -> tuple[bool, int]:
        """``_ask`` for each, until one refuses, without asking Redis for each."""
        if len(items) == 1:
            return self._ask(limiter, items[0], key)
        keys, figures = [], []
        storage: Any = limiter.storage
        for item in items:
            own = item.key_for(key)
            keys += [
                storage.prefixed_key(one(own)) for one in (storage._previous_window_key, storage._current_window_key)
            ]
            figures += [item.amount, item.get_expiry()]
        try:
            refused = self._take_all(keys, figures)
        except storage.base_exceptions as error:
            raise StorageError(error) from error
        return self._refused(limiter, items[refused - 1], key) if refused else (True, 0)

    def _share(self, limiter: RateLimiter, item: RateLimitItem, key: str, now: float) -> tuple[bool, int]:
        """``_ask``, of a high limit for some that will follow: whoever asks quickly is counted without asking Redis.

        Each worker may so count some more than there were, never fewer.
        """
        with self._lock:
            taken = self._taken.get(key)
            if taken is not None and taken.until > now and taken.left:
                taken.left -= 1
                return True, 0
            count = min(_AT_A_TIME, 2 * taken.count) if taken is not None and taken.until > now else 1
        if count > 1 and not limiter.test(item, key, cost=count):
            count = 1
        answer = self._ask(limiter, item, key, count)
        with self._lock:
            if len(self._taken) >= _HIGH:
                self._taken = {one: kept for one, kept in self._taken.items() if kept.until > now}
            self._taken[key] = _Taken(count, count - 1 if answer[0] else 0, now + _KEPT)
        return answer

    @staticmethod
    def _ask(limiter: RateLimiter, item: RateLimitItem, key: str, count: int = 1) -> tuple[bool, int]:
        if limiter.hit(item, key, cost=count):
            return True, 0
        return Rates._refused(limiter, item, key)

    @staticmethod
    def _refused(limiter: RateLimiter, item: RateLimitItem, key: str) -> tuple[bool, int]:
        return False, max(1, math.ceil(limiter.get_window_stats(item, key).reset_time - time.time()))

    def spend(self, actor: Actor, name: str) -> None:
        """Count one ``name`` of ``actor``. Raises ``TooManyRequests``. The command line is not counted."""
        settings = get_settings()
        if not settings.rate_factor or actor.kind != "account":
            return
        items = _items(settings.rate_factor, settings.list_pages_per_hour)[name]
        allowed, wait = self._hit(items, name, f"{name}:{actor.account_id}")
        if not allowed:
            logs.get("rates").warning("limited", limit=name)
            raise (TooManyLists if name == LISTS else TooManyRequests)(wait)


@functools.lru_cache(maxsize=1)
def rates() -> Rates:
    """The limits of this process. Tests clear the cache."""
    return Rates(get_settings().redis_url)
