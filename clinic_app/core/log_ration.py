"""How many lines of one kind a minute writes: whoever is refused a thousand times a second does not fill a disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MINUTE = 60.0  # seconds


class Ration:
    """So many lines of a kind a minute; what is left out is counted, and told when the minute is over.

    For any thread. There must be few kinds: each is kept until its minute is over.
    """

    def __init__(self, lines: int, left_out: Callable[[str, int], None]) -> None:
        self._lines, self._left_out = lines, left_out
        self._lock = threading.Lock()
        self._since, self._counts = time.monotonic(), dict[str, int]()

    def allows(self, kind: str) -> bool:
        """Whether one more line of ``kind`` may be written now."""
        with self._lock:
            over = self._over() if time.monotonic() - self._since >= MINUTE else {}
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
        self._tell(over)
        return count <= self._lines

    def tell(self) -> None:
        """Say at once what has been left out, if a minute is over: nobody else may come to say it."""
        with self._lock:
            over = self._over() if time.monotonic() - self._since >= MINUTE else {}
        self._tell(over)

    def _over(self) -> dict[str, int]:
        over, self._counts, self._since = self._counts, {}, time.monotonic()
        return over

    def _tell(self, over: dict[str, int]) -> None:
        for kind, count in over.items():
            if count > self._lines:
                self._left_out(kind, count - self._lines)
