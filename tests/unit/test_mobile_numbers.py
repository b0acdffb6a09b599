"""The short way to read mobile numbers says what the library says, in every country that it is gone in."""

from __future__ import annotations

import random

import phonenumbers
import pytest

from clinic_app.core.settings import get_settings
from clinic_app.services.patients import mobile_numbers, phones

REGIONS = sorted(region for region in phonenumbers.SUPPORTED_REGIONS if mobile_numbers.plan(region))


def _spelled(region: str, chance: random.Random) -> str:
    """A number that is like a mobile number of this country, or nearly."""
    found = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    digits = list(str(found.national_number if found else 712345678))
    for _ in range(chance.choice((1, 2, 6))):
        digits[chance.randrange(len(digits))] = str(chance.randrange(10))
    if chance.random() < 0.1:
        digits.insert(chance.randrange(len(digits)), str(chance.randrange(10)))
    if chance.random() < 0.1:
        digits.pop()
    plan = mobile_numbers.plan(region)
    assert plan is not None
    lead = chance.choice((plan.prefix, plan.prefix, f"+{plan.code}", f"+{plan.code} ", plan.code, "", "+", "00", "0"))
    text = lead + "".join(digits)
    return text[:6] + chance.choice(("", "", " ", "-", "  ")) + text[6:]


def _told(text: str) -> str | None:
    try:
        return phones.phone(text)
    except ValueError as error:
        return str(error)


def test_most_countries_go_the_short_way_and_so_does_ours() -> None:
    assert len(REGIONS) > 60
    assert "KE" in REGIONS


@pytest.mark.parametrize("region", REGIONS)
def test_the_short_way_says_what_the_library_says(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(region)
    plan, short = mobile_numbers.plan(region), 0
    assert plan is not None
    settings = get_settings().model_copy(update={"region": region})
    monkeypatch.setattr(phones, "get_settings", lambda: settings)
    for _ in range(150):
        text = _spelled(region, chance)
        told = _told(text)
        dialled = phones.dialled(told) if told and told.startswith("+") else ()
        short += plan.read(text) is not None
        with monkeypatch.context() as without:
            without.setattr(mobile_numbers, "plan", lambda _: None)
            assert _told(text) == told, text
            assert not dialled or phones.dialled(told) == dialled, text
    assert short > 10
