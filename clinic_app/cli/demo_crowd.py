"""Invented people by the hundred thousand, for ``demo --patients``: a tenth of them twice, with slips.

The same every time for the same number and day.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Sequence
from itertools import accumulate

from clinic_app.services.demo_crowd import Person

#: The commonest first; what else there is, is made of syllables.
_FEMALE = (
    "Wanjiku Achieng Mary Grace Wambui Faith Mercy Akinyi Esther Njeri Jane Fatuma Nyambura Chebet Amina Lucy Jepkoech "
    "Joyce Atieno Ruth Wairimu Anyango Halima Caroline Zawadi Beatrice Adhiambo Nduta Agnes Salome Moraa Wangari "
    "Catherine Jerono Mwende Hadija Rose Kemunto Naliaka Purity Zainabu Lydia Mumbua Sharon Awuor Asha Tabitha Ng’endo"
).split()
_MALE = (
    "John Kamau Peter Otieno Joseph Mwangi Brian Kipchoge Hassan Daniel Ochieng Samuel Kiprotich Juma Kevin Njoroge "
    "David Odhiambo Abdi Mohamed James Mutua Elijah Kiptoo Onyango Paul Wekesa Dennis Karanja Tobias Musyoka Victor "
    "Omondi Ali Maina Wafula Moses Cheruiyot Ibrahim Kariuki Barasa Stephen Gitau Rotich Omar Nyong'o Simiyu Collins"
).split()
_LAST = (
    "Mwangi Otieno Kamau Odhiambo Wanjiru Maina Ochieng Achieng Njoroge Kariuki Omondi Wanjiku Kiprotich Wambui Mutua "
    "Cheruiyot Akinyi Onyango Atieno Ali Kimani Hassan Mohamed Rotich Chebet Nyambura Ouma Koech Wafula Karanja Barasa "
    "Njeri Kilonzo Abdullahi Muthoni Langat Wekesa Musyoka Adhiambo Owino Gitau Okoth Simiyu Juma Sang Nderitu Wangari "
    "Mutiso Nyong'o Okello Chepkoech Were Wanyama Kibet Noor Gathoni Ong’ondo Mwikali Bett Kiplagat Ngugi Makokha Said"
).split()
_STARTS = "Ba Bo Cha Che Da Do Ga Gi Ka Ki Ko La Lo Ma Mo Mu Na Nda Nja Nya O Pa Ra Ro Sa Si Ta Tu Wa Wam Za Zi".split()
_MIDDLES = "ba cho da ga ki ku la li mba mbu na ndo nga ngu ra ri ro sha si ta ti tu wa yo za".split()
_ENDS = "bet bo du ga ka ki ko la ma mba na ndo ne ngi no ra ri so ta tich ti to wa ya yo za zi".split()
_STREETS = ("Lake Road", "Oginga Odinga Street", "Kenyatta Avenue", "Market Lane", "Hospital Road", "Mission Hill")
_TOWNS = ("Kisumu", "Ahero", "Maseno", "Kakamega", "Siaya", "Bondo", "Homa Bay", "Busia", "Kisii", "Kericho")
_BEGIN = (*(f"+2547{n:02d}" for n in (*range(30), *range(40, 47), *range(90, 100))), "+254110", "+254111")
#: Whoever comes again was among so many.
_LATELY = 5000
YEARS = 7  # of registrations behind the clinic


class _Names:
    """A list of names, of which the first are taken most often."""

    def __init__(self, dice: random.Random, common: Sequence[str], others: int) -> None:
        made = dict.fromkeys(common)
        while len(made) < len(common) + others:
            middle = dice.choice(_MIDDLES) if dice.random() < 0.7 else ""
            made[dice.choice(_STARTS) + middle + dice.choice(_ENDS)] = None
        self._names = list(made)
        self._weights = list(accumulate(1 / (place + 8) ** 0.85 for place in range(len(made))))
        self._dice = dice

    def some(self, count: int) -> list[str]:
        """So many of them, each as often as it is common."""
        return self._dice.choices(self._names, cum_weights=self._weights, k=count)


def _slip(dice: random.Random, name: str) -> str:
    """The name as a tired hand types it."""
    at = dice.randrange(1, len(name)) if len(name) > 3 else 0
    if not at:
        return name
    left, right = name[:at], name[at:]
    return dice.choice((left + right[1:], left + right[0] + right, name[: at - 1] + right[0] + left[-1] + right[1:]))


def _again(dice: random.Random, one: Person) -> Person:
    """The same person registered once more: what was forgotten, misheard or has changed since."""
    first, last, born = one.first_name, one.last_name, one.date_of_birth
    if dice.random() < 0.35:
        first = _slip(dice, first)
    if dice.random() < 0.25:
        last = _slip(dice, last)
    if dice.random() < 0.05:
        first, last = last, first
    if born is not None and dice.random() < 0.2:
        born = born.replace(month=born.day, day=born.month) if born.day <= 12 else born - dt.timedelta(days=10)
    return one._replace(
        first_name=first,
        last_name=last,
        date_of_birth=born,
        phone=one.phone if dice.random() < 0.5 else _phone(dice),
        national_id=None,
        email=None,
        next_of_kin_name=None,
        next_of_kin_phone=None,
    )


def _phone(dice: random.Random) -> str:
    return f"{dice.choice(_BEGIN)}{dice.randrange(1_000_000):06d}"


def people(count: int, today: dt.date) -> Iterator[Person]:
    """So many people, the longest registered first; every eleventh is somebody who is there already."""
    dice = random.Random(20260616)  # noqa: S311  invented people, not secrets
    female, male = _Names(dice, _FEMALE, 800), _Names(dice, _MALE, 800)
    last, kin = _Names(dice, _LAST, 2400), _Names(dice, [*_FEMALE, *_MALE], 400)
    opened = today - dt.timedelta(days=365 * YEARS)
    days = (today - opened).days
    numbers = 40_000_000  # national IDs, none twice: seven of their digits are a permutation
    lately: list[Person] = []
    done = 0
    while done < count:
        some = min(20_000, count - done)
        girls = [dice.random() < 0.54 for _ in range(some)]
        women, men = iter(female.some(some)), iter(male.some(some))
        lasts, kins = last.some(some), kin.some(some)
        for n in range(some):
            number = done + n
            at = opened + dt.timedelta(days=number * days // count)
            if lately and number % 11 == 10:
                yield _again(dice, dice.choice(lately))
                continue
            first = next(women) if girls[n] else next(men)
            given = dice.random()
            one = Person(
                first_name=first,
                last_name=lasts[n],
                date_of_birth=at - dt.timedelta(days=int(dice.gammavariate(1.8, 13.0) * 365.25) % 36_000)
                if given < 0.97
                else None,
                gender="FEMALE" if girls[n] else "MALE",
                phone=_phone(dice) if dice.random() < 0.93 else None,
                email=f"{first}.{lasts[n]}{number}@example.org".lower().replace("’", "").replace("'", "")
                if given < 0.3
                else None,
                national_id=str(numbers + number * 7_368_787 % 10_000_000) if dice.random() < 0.62 else None,
                address=f"{dice.randrange(1, 240)} {dice.choice(_STREETS)}, {dice.choice(_TOWNS)}"
                if given < 0.6
                else None,
                next_of_kin_name=f"{kins[n]} {lasts[n]}" if given < 0.5 else None,
                next_of_kin_phone=_phone(dice) if given < 0.4 else None,
            )
            if len(lately) < _LATELY:
                lately.append(one)
            else:
                lately[number % _LATELY] = one
            yield one
        done += some
