"""How long to wait before something that died is started again."""

from __future__ import annotations

#: Seconds before a place is filled again: at once after the first death, and not more often than twice a minute.
WAITS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
#: What has lived so many seconds was well: its next death is a first one.
WELL = 60.0


class Deaths:
    """How often what is at each place has died in a row."""

    def __init__(self) -> None:
        self._in_a_row: dict[int, int] = {}

    def wait_after(self, place: int, lived: float) -> float:
        """Seconds until the place of what ``lived`` so long is filled again."""
        count = 0 if lived >= WELL else self._in_a_row.get(place, 0)
        self._in_a_row[place] = count + 1
        return WAITS[min(count, len(WAITS) - 1)]
