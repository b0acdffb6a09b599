"""Finding people by birth date: a record matches what was asked for if what is known of it covers that."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Date, and_, bindparam, literal_column, or_

from clinic_app.models.patients import PATIENTS, BirthPrecision
from clinic_app.services.patients.birth_dates import BirthDate

_born, _known = PATIENTS.c.date_of_birth, PATIENTS.c.date_of_birth_precision
#: The most years that an estimate may be of, for it to cover what was asked for: those of another estimate, and one
#: on either side.
_YEARS = 5


@lru_cache(maxsize=512)
def _day(name: str) -> Any:
    """One and the same value wherever it stands in a statement: it is converted once."""
    return bindparam(name, type_=Date)


def born_then(mark: str) -> ColumnElement[bool]:
    """True for those who may have been born when ``parameters`` of the same ``mark`` say.

    An estimate covers a year, or a month, on either side.
    """

    def day(name: str) -> Any:
        return _day(f"{name}{mark}")

    return or_(
        _born.between(day("born_from"), day("born_to")),
        and_(_known == BirthPrecision.MONTH.value, _born == day("born_month")),
        and_(_known == BirthPrecision.YEAR.value, _born == day("born_year")),
        and_(
            _known == BirthPrecision.ESTIMATED.value,
            or_(
                _born.between(day("about_from"), day("about_to")),
                *[_born == day(f"about_year{number}_") for number in range(_YEARS)],
            ),
        ),
    )


def born_then_by_index(mark: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The same in two conditions of which one or the other holds, each for an index of its own."""
    near = _born.between(_day(f"near_from{mark}"), _day(f"near_to{mark}"))
    less = and_(_known != literal_column("'DAY'"), near, born_then(mark))  # listed or not: that is not in its index
    return _born.between(_day(f"born_from{mark}"), _day(f"born_to{mark}")), less


def _month(day: dt.date, on: int = 0) -> dt.date:
    """The first day of the month of ``day``, or of one ``on`` months later."""
    months = day.year * 12 + day.month - 1 + on
    return dt.date(months // 12, months % 12 + 1, 1)


def _days(asked: BirthDate) -> dict[str, dt.date]:
    first, last, one_day = asked.first, asked.last, dt.timedelta(days=1)
    if asked.estimated:
        on = 1 if asked.unit == BirthPrecision.MONTH else 12
        first, last = _month(first, -on), _month(last, on + 1) - one_day
    years = [dt.date(year, 1, 1) for year in range(first.year - 1, last.year + 2)]
    found = {
        "born_from": first,
        "born_to": last,
        "born_month": _month(first),
        "born_year": dt.date(first.year, 1, 1),
        "about_from": _month(first, -1),
        "about_to": _month(last, 2) - one_day,
        "near_from": years[0],
        "near_to": max(years[-1], _month(last, 2)),
    }
    return found | {f"about_year{number}_": years[min(number, len(years) - 1)] for number in range(_YEARS)}


def parameters(asked: BirthDate, mark: str) -> dict[str, dt.date]:
    """What ``born_then`` compares with, to find who may have been born then."""
    return {f"{name}{mark}": day for name, day in _days(asked).items()}


def covers(asked: BirthDate, day: dt.date | None, precision: str) -> bool:
    """The same for one row, as its two columns have it."""
    if day is None:
        return False
    days = _days(asked)
    if days["born_from"] <= day <= days["born_to"]:
        return True
    if precision == BirthPrecision.MONTH.value:
        return day == days["born_month"]
    if precision == BirthPrecision.YEAR.value:
        return day == days["born_year"]
    return precision == BirthPrecision.ESTIMATED.value and (
        days["about_from"] <= day <= days["about_to"]
        or day in {days[f"about_year{number}_"] for number in range(_YEARS)}
    )
