"""Pages of a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
PAGE_SIZE = 20
PAGE_SIZE_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page: its rows, which page it is (from 1), how many rows a page has and how many there are.

    ``more``: there are more than ``total``, which was not counted on.
    """

    items: tuple[Item, ...]
    number: int
    size: int
    total: int
    more: bool = False

    @property
    def pages(self) -> int:
        """How many pages there are; one where there is nothing."""
        return max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        """Number of the first row shown, from 1; 0 where there is none."""
        return (self.number - 1) * self.size + 1 if self.items else 0

    @property
    def last(self) -> int:
        """Number of the last row shown."""
        return self.first + len(self.items) - 1 if self.items else 0


def clamp(value: object, low: int, high: int, default: int) -> int:
    """``value`` as a whole number between ``low`` and ``high``; ``default`` where it is none."""
    try:
        return min(high, max(low, int(str(value))))
    except ValueError:
        return default


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of a list to read for one page: ``size`` of them, after the first ``skip``."""

    number: int
    size: int
    total: int

    @property
    def skip(self) -> int:
        """How many rows come before the page."""
        return (self.number - 1) * self.size

    def page(self, items: Iterable[Item]) -> Page[Item]:
        """The page, made of the rows that were read."""
        return Page(tuple(items), self.number, self.size, self.total)


def window(page: object, size: object, total: int) -> Window:
    """The rows of page ``page`` (from 1) where a page has ``size`` and there are ``total``.

    Any input will do: a page too far is the last one, a size out of bounds the nearest that is allowed.
    """
    rows = clamp(size, 1, PAGE_SIZE_AT_MOST, PAGE_SIZE)
    return Window(clamp(page, 1, max(1, -(-total // rows)), 1), rows, total)
