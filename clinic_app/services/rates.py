"""How often one account may ask, per use case and through whatever door.

Sign-in has limits of its own (services/accounts/sign_in_throttle.py). Figures: docs/security.md (ASVS 5.0 2.4.1: calls
that cost much or could carry the register away). In memory for one worker; in Redis for several, and in memory again
while Redis cannot be reached: limits hold either way.
"""

from __future__ import annotations

import functools
import math
import time
from typing import Any

from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter

from clinic_app.core import logs
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
            f"{minutes} {'minute' if minutes == 1 else 'minutes'}."
        )


@functools.lru_cache(maxsize=4)
def _items(factor: int, lists: int) -> dict[str, list[RateLimitItem]]:
    found = {name: parse_many(text) for name, text in {**FIGURES, LISTS: f"{lists}/hour"}.items()}
    return {name: [type(i)(i.amount * factor, i.multiples) for i in items] for name, items in found.items()}


class Rates:
    """The limits of one worker. Any thread may ask."""

    def __init__(self, redis_url: str = "") -> None:
        self._memory: RateLimiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis_url, self._redis = redis_url, None
        self._redis_again = 0.0

    def _hit(self, item: RateLimitItem, key: str) -> tuple[bool, int]:
        """Whether this one may pass, and if not, for how many seconds."""
        now = time.monotonic()
        if self._redis_url and now >= self._redis_again:
            try:
                if self._redis is None:
                    options: dict[str, Any] = {"socket_timeout": 0.25, "socket_connect_timeout": 0.25}
                    storage = RedisStorage(self._redis_url, wrap_exceptions=True, **options)
                    self._redis = SlidingWindowCounterRateLimiter(storage)
                return self._ask(self._redis, item, key)
            except StorageError as error:
                self._redis_again = now + _WITHOUT_REDIS
                logs.get("rates").warning("redis_unreachable", error=type(error.__cause__ or error).__name__)
        return self._ask(self._memory, item, key)

    @staticmethod
    def _ask(limiter: RateLimiter, item: RateLimitItem, key: str) -> tuple[bool, int]:
        if limiter.hit(item, key):
            return True, 0
        return False, max(1, math.ceil(limiter.get_window_stats(item, key).reset_time - time.time()))

    def spend(self, actor: Actor, name: str) -> None:
        """Count one ``name`` of ``actor``. Raises ``TooManyRequests``. The command line is not counted."""
        settings = get_settings()
        if not settings.rate_factor or actor.kind != "account":
            return
        for item in _items(settings.rate_factor, settings.list_pages_per_hour)[name]:
            allowed, wait = self._hit(item, f"{name}:{actor.account_id}")
            if not allowed:
                logs.get("rates").warning("limited", limit=name)
                raise (TooManyLists if name == LISTS else TooManyRequests)(wait)


@functools.lru_cache(maxsize=1)
def rates() -> Rates:
    """The limits of this process. Tests clear the cache."""
    return Rates(get_settings().redis_url)
