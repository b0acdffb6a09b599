"""Budgets that fill up again: how often something may be done, with bursts. Each process counts for itself."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds' worth that may come at once.
AT_ONCE = 5


class Bucket:
    """A budget that fills up again by ``rate`` a second, and holds so many ``seconds``' worth, by default five."""

    def __init__(self, rate: float, now: Callable[[], float] = time.monotonic, *, seconds: float = AT_ONCE) -> None:
        self._rate, self._most, self._now = rate, rate * seconds, now
        self._level, self._at = self._most, now()

    def _fill(self) -> None:
        now = self._now()
        self._level, self._at = min(self._most, self._level + (now - self._at) * self._rate), now

    def take(self, events: int = 1) -> bool:
        """Whether there is so much left; then it is gone."""
        self._fill()
        if self._level < events:
            return False
        self._level -= events
        return True

    def until(self, events: int = 1) -> float:
        """Seconds until there will be so much, if nobody takes any."""
        self._fill()
        return max(0.0, (events - self._level) / self._rate)

    @property
    def full(self) -> bool:
        """Nothing was taken lately: a new one would be the same."""
        self._fill()
        return self._level >= self._most


class Budgets:
    """A budget of each of many, such as sessions or accounts, in this process: ``rate`` a second."""

    def __init__(
        self, rate: Callable[[], float], now: Callable[[], float] = time.monotonic, *, seconds: float = AT_ONCE
    ) -> None:
        self._rate, self._now, self._seconds = rate, now, seconds
        self._buckets: dict[str | int, Bucket] = {}

    def of(self, key: str | int) -> Bucket:
        """The budget of ``key``. It is there until it is full again, whoever still has it."""
        if key not in self._buckets:
            self._buckets = {one: bucket for one, bucket in self._buckets.items() if not bucket.full}
            self._buckets[key] = Bucket(self._rate(), self._now, seconds=self._seconds)
        return self._buckets[key]
