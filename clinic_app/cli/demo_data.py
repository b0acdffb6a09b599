"""The demo clinic: invented staff and patients, in every state the pages can show.

Made by the same use cases as real ones. Only in demo mode: production refuses to start with these accounts.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Mapping

from clinic_app.cli import demo_crowd
from clinic_app.core.settings import get_settings
from clinic_app.services import access
from clinic_app.services.accounts.staff import has_staff
from clinic_app.services.demo import DemoPatient, seed_demo
from clinic_app.services.demo_crowd import Crowd, in_bulk

PASSWORD = "demo-clinic-passphrase"  # noqa: S105  said on the screen, refused in production
_FEMALE = (
    "Amina Beatrice Esther Fatuma Lucy Mercy Grace Wanjiku Achieng Zawadi Halima Nyambura Chebet Salome Joyce".split()
)
_MALE = (
    "Abdi Daniel Joseph Konstantinos Peter Otieno Kamau Kiptoo Hassan Brian Samuel Mwangi Juma Elijah Tobias".split()
)
_LAST = (
    "Odhiambo|Hassan Noor|Chebet|Akinyi|Kiprotich|Wangari Kamau|Ali|Mwangi|Papadopoulos-Wanyama|Atieno|Otieno|Wanjiru|"
    "Mutua|Njoroge|Omondi|Barasa|Cheruiyot|Nyong'o|Maina|Wekesa|Kariuki|Abdullahi|Kilonzo|Ouma|Muthoni|Sang"
).split("|")
#: Who has one name only, by their place among the patients.
_ONE_NAME = {5, 23, 48}
_STREETS = ("Lake Road", "Oginga Odinga Street", "Kenyatta Avenue", "Market Lane", "Hospital Road", "Mission Hill")
_TOWNS = ("Kisumu", "Ahero", "Maseno", "Kakamega", "Siaya", "Bondo")


def _phone(dice: random.Random) -> str:
    return f"07{dice.choice('012459')}{dice.randint(0, 9)} {dice.randint(100, 999)} {dice.randint(100, 999)}"


def _age(dice: random.Random) -> dt.timedelta:
    return dt.timedelta(
        dice.choice(
            (dice.randint(3, 50), dice.randint(400, 6000), dice.randint(6500, 29000), dice.randint(6500, 29000))
        )
    )


def _as_known(born: str, number: int) -> str:
    """Some people know their month or year of birth only, or about how old they are."""
    year, month, _ = born.split("-")
    return {3: year, 7: f"{year}-{month}", 11: f"about {year}"}.get(number % 13, born)


def patients(today: dt.date) -> list[DemoPatient]:
    """68 invented patients and three who registered themselves; ages follow ``today``, all else is always the same."""
    dice = random.Random(20260616)  # noqa: S311  invented people, not secrets
    states = (
        ["none"] * 34
        + ["active"] * 18
        + ["temporary"] * 5
        + ["expired"] * 3
        + ["off"] * 3
        + ["locked"] * 2
        + ["new"] * 3
    )
    dice.shuffle(states)
    languages = get_settings().language_tags
    made = []
    for number, state in enumerate(states):
        female = dice.random() < 0.55
        first, last = dice.choice(_FEMALE if female else _MALE), dice.choice(_LAST)
        age = _age(dice) if dice.random() < 0.95 else None
        given = {
            "first_name": first,
            "last_name": "" if number in _ONE_NAME else last,
            "single_name": "on" if number in _ONE_NAME else "",
            "gender": "FEMALE" if female else "MALE",
            "phone": _phone(dice) if dice.random() < 0.9 else "",
            "national_id": f"{dice.randint(10, 39)}{dice.randint(100000, 999999)}" if dice.random() < 0.7 else "",
            "address": f"{dice.randint(1, 240)} {dice.choice(_STREETS)}, {dice.choice(_TOWNS)}"
            if dice.random() < 0.6
            else "",
            "next_of_kin_name": f"{dice.choice(_FEMALE + _MALE)} {last}" if dice.random() < 0.6 else "",
            "next_of_kin_phone": _phone(dice) if dice.random() < 0.5 else "",
            "preferred_language": languages[number % len(languages)] if number % 3 else "",
            "email_allowed": "" if number % 9 == 4 else "on",
            "sms_allowed": "" if number % 7 == 2 else "on",
        }
        plain = "".join(c for c in f"{first}.{last}".lower() if c.isascii() and (c.isalpha() or c == "."))
        email = f"{plain}{number}@example.org"
        if dice.random() < 0.3:
            given["email"] = email
        if state not in ("none", "new"):
            given |= {"create_portal_account": "on", "portal_email": email}
        days_ago = (
            number % 2
            if state == "new"
            else 0
            if number > 61
            else int(dice.triangular(0, 14, 2))
            if number > 20
            else dice.randint(15, 400)
        )
        if state == "expired":  # its first password has had the time
            days_ago = max(days_ago, 8)
        if age is not None:  # at the registration: nobody was registered before they were born
            given["date_of_birth"] = _as_known((today - dt.timedelta(days_ago) - age).isoformat(), number)
        made.append(DemoPatient(given, state, days_ago, dice.randint(8 * 60, 17 * 60)))
    made += _waiting(made)
    return sorted(made, key=lambda patient: (-patient.days_ago, patient.minute))


def _whole(form: Mapping[str, str]) -> bool:
    """Whether the day of birth is known."""
    return len(form.get("date_of_birth", "")) == len("1990-01-15")


def _waiting(made: list[DemoPatient]) -> list[DemoPatient]:
    """Three who registered themselves this morning: one of them is a patient already, one is nobody."""
    known = next(
        one.form
        for one in made
        if one.state == "none" and one.form["phone"] and one.form["last_name"] and _whole(one.form)
    )
    typed = ("last_name", "gender", "phone", "date_of_birth")
    again = {name: known[name] for name in typed} | {
        "first_name": f"{known['first_name']} {'Wangari' if known['gender'] == 'FEMALE' else 'Otieno'}",
        "email": "registered.herself@example.org" if known["gender"] == "FEMALE" else "registered.himself@example.org",
        "preferred_language": known["preferred_language"],
    }
    new = {
        "first_name": "Konstantinos",
        "last_name": "Papadopoulos-Wanyama",
        "gender": "MALE",
        "date_of_birth": "12 Dec 1982",
        "phone": "0799 605430",
    }
    nobody = {"first_name": "Test", "last_name": "Test", "date_of_birth": "1 Jan 2000", "phone": "0700 000000"}
    return [DemoPatient(form, "pending", 0, minute) for form, minute in ((again, 485), (new, 521), (nobody, 542))]


def seed(crowd: int = 0, told: Callable[[int], None] = lambda _: None) -> int:
    """Fill an empty database with the demo clinic; returns how many patients are in it now, 0 if it was not empty.

    ``crowd``: so many more people come to it, and ``told`` hears, some at a time, how many of them are written.
    Raises ``RuntimeError`` outside of demo mode.
    """
    if get_settings().mode != "demo":
        raise RuntimeError("Demo data is for CLINIC_MODE=demo only.")
    if has_staff():
        return 0
    staff = (
        ("admin", "Daniel Otieno", "ADMIN"),
        ("receptionist", "Grace Wanjiru", "RECEPTIONIST"),
        ("clinician", "Dr Ruth Achieng", "CLINICIAN"),
    )
    if not crowd:
        return seed_demo(access.SYSTEM, staff, PASSWORD, patients)
    with in_bulk():
        return seed_demo(access.SYSTEM, staff, PASSWORD, patients, lambda now: _crowd(crowd, now, told))


def _crowd(count: int, now: dt.datetime, told: Callable[[int], None]) -> Crowd:
    first = now - dt.timedelta(days=365 * demo_crowd.YEARS)
    return Crowd(demo_crowd.people(count, now.date()), count, first, now - dt.timedelta(minutes=1), told)
