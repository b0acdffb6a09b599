"""What agreeing says, in bits: log2 of how much likelier it is for one person than for two (Fellegi and Sunter).

``tools/matching`` estimates them and says from what; ``docs/decisions/0015-matching.md`` has the reasons.
Missing values say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from clinic_app.services.patients.duplicates.comparing import Birth, Name, Order, Value

FIRST: Mapping[Name, float] = {
    Name.SAME: 7.5,
    Name.SLIP: 6.5,
    Name.CLOSE: 4.0,
    Name.ALIKE: 2.5,
    Name.PART: 1.5,
    Name.OTHER: -3.5,
    Name.MISSING: 0.0,
}
LAST: Mapping[Name, float] = {
    Name.SAME: 7.5,
    Name.SLIP: 7.0,
    Name.CLOSE: 5.0,
    Name.ALIKE: 3.5,
    Name.PART: 2.0,
    Name.OTHER: -3.5,
    Name.MISSING: 0.0,
}
ORDER: Mapping[Order, float] = {Order.STRAIGHT: 0.0, Order.SWAPPED: -2.0, Order.SHIFTED: -1.0}
BORN: Mapping[Birth, float] = {
    Birth.SAME: 14.0,
    Birth.SWAPPED: 6.5,
    Birth.EDIT: 5.5,
    Birth.TWO_OF_THREE: 2.5,
    Birth.WITHIN: 4.5,
    Birth.ABOUT: 2.5,
    Birth.YEAR: 0.0,
    Birth.OTHER: -4.0,
    Birth.MISSING: 0.0,
}
SEX: Mapping[Value, float] = {Value.SAME: 0.9, Value.OTHER: -4.0}
PHONE: Mapping[Value, float] = {Value.SAME: 9.0, Value.EDIT: 4.0, Value.OTHER: -1.0}
EMAIL: Mapping[Value, float] = {Value.SAME: 9.0, Value.OTHER: -1.0}
#: One person has one, and a constraint sees to it: the same says more than all the rest.
NATIONAL_ID: Mapping[Value, float] = {Value.SAME: 30.0, Value.EDIT: 6.0, Value.OTHER: -8.0}
#: The share of patients that have a usual name: the measure of rare and common.
USUAL_NAME = 1 / 250
#: A name may say so many bits more or less than usual.
RARE_AT_MOST, COMMON_AT_MOST = 4.0, 4.0
#: How many of those who are registered are there already, and among how many people at least: a new clinic's first
#: patients come from a town, too.
DOUBLES = 0.1
TOWN = 5_000
