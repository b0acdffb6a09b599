"""What undoing a merge needs: the values that gave way, and how the portal accounts were. Encrypted while it is kept.

Most of a merged record stays in its own row. Kept are only the values of the record that stays which gave way to
others, what came in their place, and what one row alone may hold.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from clinic_app.core import encryption
from clinic_app.services.accounts.merged_accounts import Logins

_PURPOSE = "patient merge"
#: Two columns hold a birth date.
_COLUMNS = {"date_of_birth": ("date_of_birth", "date_of_birth_precision")}


def columns_of(names: Iterable[str]) -> list[str]:
    """The columns that hold these fields."""
    return [column for name in names for column in _COLUMNS.get(name, (name,))]


@dataclass(frozen=True, slots=True)
class Kept:
    """``before`` and ``after``: columns of the record that stays. ``other``: columns of the one that goes, emptied.

    ``was``: all columns of the record that stays which the matcher compares, where one of them gave way.
    """

    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)
    was: dict[str, Any] = field(default_factory=dict)
    verification: str = ""  # of the record that stays, where the other one's took its place
    logins: Logins = field(default_factory=Logins)

    def sealed(self, survivor_id: int, other_id: int) -> str:
        """Encrypted, and bound to this merge."""
        body = {**dataclasses.asdict(self), "logins": self.logins.as_json()}
        text = json.dumps(body, default=lambda day: day.isoformat())
        return encryption.encrypt(text, _PURPOSE, f"{survivor_id}-{other_id}")

    @classmethod
    def opened(cls, sealed: str, survivor_id: int, other_id: int) -> Self:
        """What was ``sealed``. Raises ``encryption.Unreadable``."""
        body = json.loads(encryption.decrypt(sealed, _PURPOSE, f"{survivor_id}-{other_id}"))
        for part in ("before", "after", "was"):
            if day := body.get(part, {}).get("date_of_birth"):
                body[part]["date_of_birth"] = dt.date.fromisoformat(day)
        return cls(**{**body, "logins": Logins.from_json(body["logins"])})
