"""How hard a password is to guess, by zxcvbn: on a thread of its own, with bounds on what one question may cost."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod

from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE

from clinic_app.core import addresses
from clinic_app.core.budget import Bucket, Budgets
from clinic_app.core.errors import TooManyAttempts
from clinic_app.core.settings import get_settings

#: zxcvbn takes more than quadratic time. What it says of this much is true of the whole at least.
READ = 40
#: It tries every reading of signs that stand for letters (``4`` and ``@`` for ``a``): crafted text has hundreds.
READINGS = 16
#: Questions that wait for the thread, and seconds until the answer is "not yet".
WAITING_AT_MOST = 8
DEADLINE = 1.0
#: Of one account, in one worker, and two seconds' worth at once: the meter asks a quarter of a second after the last
#: key, so nobody types faster. Each takes the interpreter from whoever searches meanwhile for some milliseconds.
A_SECOND, AT_ONCE = 4, 8
#: Of people without a session, who set a password by a link: from one address, and altogether. Fewer than wait.
ADDRESS_A_SECOND, STRANGERS_A_SECOND, STRANGERS_AT_ONCE = 4, 8, 4

_STANDS_FOR = {sign: [letter for letter, signs in L33T_TABLE.items() if sign in signs] for signs in L33T_TABLE.values()
               for sign in signs}  # fmt: skip
_places = threading.BoundedSemaphore(WAITING_AT_MOST)
#: One thread, and never the one that serves the database. zxcvbn keeps the personal words in a global besides: two at
#: once would judge one person's password by the words of another.
_thread = ThreadPoolExecutor(1, "guessability")


@dataclass(frozen=True, slots=True)
class Guess:
    """``score`` from 0 to 4, and zxcvbn's own ``warning``."""

    score: int
    warning: str


NOTHING = Guess(0, "")


def _rate() -> float:
    return A_SECOND * get_settings().rate_factor


_budgets = Budgets(_rate, seconds=AT_ONCE / A_SECOND)
_addresses = Budgets(lambda: ADDRESS_A_SECOND * get_settings().rate_factor)
_strangers = Budgets(
    lambda: STRANGERS_A_SECOND * get_settings().rate_factor, seconds=STRANGERS_AT_ONCE / STRANGERS_A_SECOND
)
_counting = threading.Lock()


def spend(account_id: int | None) -> None:
    """Count a question of an account. Raises ``TooManyAttempts`` for more than ``A_SECOND``, ``AT_ONCE`` in a row.

    The system itself may ask on.
    """
    if account_id is None or not get_settings().rate_factor:
        return
    _take(_budgets.of, account_id)


def spend_stranger(link: str, address: str) -> None:
    """Count a question of somebody without a session, who has a code. Raises ``TooManyAttempts``, as ``spend``."""
    if not get_settings().rate_factor:
        return
    _take(_addresses.of, addresses.networks(address)[0])
    _take(_budgets.of, link)
    _take(_strangers.of, "all")


def _take(budget_of: Callable[[str | int], Bucket], key: str | int) -> None:
    with _counting:
        budget = budget_of(key)
        if not budget.take():
            raise TooManyAttempts(math.ceil(budget.until()))


def _readings(signs: Sequence[str]) -> int:
    """The most readings that zxcvbn makes of these signs."""
    letters = {letter for sign in signs for letter in _STANDS_FOR[sign]}
    return prod(sum(sign in L33T_TABLE[letter] for sign in signs) for letter in letters) * prod(
        len(_STANDS_FOR[sign]) for sign in signs
    )


def bounded(password: str) -> str:
    """What is read of ``password``: its beginning, where signs that would make too many readings stand for nothing."""
    text = password[:READ]
    kept: list[str] = []
    for sign in dict.fromkeys(char for char in text if char in _STANDS_FOR):
        if _readings([*kept, sign]) > READINGS:
            text = text.replace(sign, "~")
        else:
            kept.append(sign)
    return text


def _ask(password: str, words: list[str]) -> Guess:
    found = zxcvbn(bounded(password), user_inputs=words)
    return Guess(int(found["score"]), found["feedback"]["warning"] or "")


def guess(password: str, words: list[str]) -> Guess | None:
    """How hard ``password`` is to guess for somebody who knows ``words``.

    None where many questions wait or the answer takes too long: then it counts as not good enough yet.
    """
    if not _places.acquire(blocking=False):
        return None
    try:
        asked = _thread.submit(_ask, password, words)
        try:
            return asked.result(DEADLINE)
        except TimeoutError:
            asked.cancel()
            return None
    finally:
        _places.release()
