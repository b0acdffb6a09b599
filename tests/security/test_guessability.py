"""Judging a password costs little, whatever it is, and never the threads that serve the database."""

from __future__ import annotations

import random
import statistics
import string
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zxcvbn import matching

from clinic_app.core.budget import Budgets
from clinic_app.core.errors import InvalidInput, TooManyAttempts
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts import guessability
from clinic_app.services.accounts.passwords import assess_password, choose_password
from clinic_app.web import choosing_password

SIGNS = "4@8({[<3691!|70$5+%2"
#: 87 bytes that zxcvbn alone reads for seconds: every sign that stands for a letter, between words.
CRAFTED = ("p4ssw0rd@8({[<3691!|7$5+%2" * 4)[:87]
AT_MOST = 0.1  # seconds of computing; a quarter of that on a quiet machine
GOOD = "seven amber kettles hum"
NOT_YET = "This could not be checked just now. Please try again in a moment."


def _computing(password: str) -> float:
    begun = time.thread_time()
    guessability._ask(password, ["lakeside", "grace"])
    return time.thread_time() - begun


def test_crafted_text_takes_as_little_as_any_other():
    assert len(CRAFTED.encode()) == 87
    assert statistics.median(_computing(CRAFTED) for _ in range(3)) < AT_MOST


def test_no_text_made_of_what_is_dear_takes_long():
    chance, words = random.Random(11), ["password", "monkey", "1990", "qwerty", "a", "1", *SIGNS]
    for _ in range(60):
        text = "".join(chance.choice(words) for _ in range(chance.choice([5, 20, 60])))
        if _computing(text) > AT_MOST:
            assert statistics.median(_computing(text) for _ in range(3)) < AT_MOST, text


@given(st.text(alphabet=SIGNS + "abc", max_size=200))
def test_there_are_never_more_readings_than_said(text):
    read = guessability.bounded(text)
    assert len(read) <= guessability.READ
    table = matching.relevant_l33t_subtable(read, matching.L33T_TABLE)
    assert len(matching.enumerate_l33t_subs(table)) <= guessability.READINGS


def test_what_is_usual_is_read_as_it_stands():
    for usual in (
        "P4ssw0rd!1P4ssw0rd!1",
        "c0rr3ct-h0rs3-b4tt3ry-$t4pl3",
        GOOD,
        "Tr0ub4dor&3 h0rse",
    ):
        assert guessability.bounded(usual) == usual
    generated = "x7$Kq!9(2vT3@b+Z8}pLw0"
    assert guessability._ask(generated, []).score == 4
    assert guessability._ask("p@$$w0rd1p@$$w0rd1", []).score < 3


def test_what_takes_too_long_is_not_good_enough_yet(people, monkeypatch):
    hold, begun = threading.Event(), threading.Event()

    def slow(password: str, words: list[str]) -> guessability.Guess:
        begun.set()
        hold.wait(30)
        return guessability.Guess(4, "")

    monkeypatch.setattr(guessability, "_ask", slow)
    monkeypatch.setattr(guessability, "DEADLINE", 0.05)
    try:
        found = assess_password(people.receptionist, GOOD)
        assert (found.good_enough, found.why) == (False, NOT_YET)
        with pytest.raises(InvalidInput) as refused:
            choose_password(people.receptionist, GOOD, GOOD, session_token_hash="")
        assert refused.value.fields == {"new_password": NOT_YET}
    finally:
        assert begun.is_set()
        hold.set()
    monkeypatch.setattr(guessability, "DEADLINE", 30)
    assert assess_password(people.receptionist, GOOD).good_enough


@pytest.mark.asvs("15.4.4")
def test_only_so_many_wait_and_the_rest_are_told_at_once(people, monkeypatch):
    hold = threading.Event()
    monkeypatch.setattr(guessability, "_ask", lambda *_: hold.wait(30) and guessability.Guess(4, ""))
    monkeypatch.setattr(guessability, "DEADLINE", 30)
    waiting = [threading.Thread(target=guessability.guess, args=("x", [])) for _ in range(guessability.WAITING_AT_MOST)]
    try:
        for one in waiting:
            one.start()
        until = time.monotonic() + 30
        while guessability._places._value and time.monotonic() < until:  # type: ignore[attr-defined]
            time.sleep(0.005)
        assert guessability.guess("x", []) is None
    finally:
        hold.set()
        for one in waiting:
            one.join()
    assert guessability.guess("x", []) == guessability.Guess(4, "")


def test_one_persons_words_are_never_anothers(people):
    """The library keeps them in a global: two at once would mix them up."""
    taken: list[int] = []

    def ask(words: list[str]) -> None:
        for _ in range(20):
            found = guessability.guess("kaskelot" + "".join(words), words)
            if found is not None:
                taken.append(found.score)

    mine = [threading.Thread(target=ask, args=([word * 2],)) for word in ("zubrowka", "mirabell")]
    for one in mine:
        one.start()
    for one in mine:
        one.join()
    assert len(set(taken)) == 1


@pytest.mark.asvs("2.4.1")
def test_an_account_asks_only_so_often(people, settings, monkeypatch):
    settings.setenv("CLINIC_API_RATE_FACTOR", "1")
    get_settings.cache_clear()
    clock = [1000.0]
    monkeypatch.setattr(guessability, "_budgets", Budgets(guessability._rate, lambda: clock[0], seconds=2))
    asked = [_told(people.receptionist) for _ in range(120)]
    assert asked == [0] * guessability.AT_ONCE + [1] * (120 - guessability.AT_ONCE), "not a minute's worth at once"
    assert _told(people.clinician) == 0
    for _ in range(240):  # a minute of typing, with a question a quarter of a second after each key
        clock[0] += 0.25
        assert _told(people.receptionist) == 0


@pytest.mark.parametrize(
    ("codes", "places", "allowed"),
    [
        (1, 400, 8 + 4 * 25),  # one link from everywhere
        (400, 1, 20 + 4 * 25),  # a new code each time, from one address
        (400, 400, 200),
    ],
)
def test_people_without_a_session_ask_by_link_and_by_address_only_so_often(
    settings, monkeypatch, codes, places, allowed
):
    """Eight a second for twenty-five seconds, as many as all of them together may."""
    settings.setenv("CLINIC_API_RATE_FACTOR", "1")
    get_settings.cache_clear()
    now = [0.0]
    for name, seconds in (("_budgets", 2), ("_addresses", 5), ("_strangers", 0.5)):
        rate = getattr(guessability, name)._rate
        monkeypatch.setattr(guessability, name, Budgets(rate, lambda: now[0], seconds=seconds))
    told = 0
    for number in range(200):
        now[0] = number / 8
        try:
            place = number % places
            guessability.spend_stranger(f"code {number % codes}", f"198.51.{place // 100}.{place % 100}")
            told += 1
        except TooManyAttempts:
            pass
    assert abs(told - allowed) <= 4


def _told(actor) -> int:
    """How many seconds to wait; 0 for an answer."""
    try:
        assess_password(actor, "short")
    except TooManyAttempts as refused:
        return refused.retry_after
    return 0


async def test_the_meter_answers_whoever_asks_too_often_by_429(people, monkeypatch):
    answer = await choosing_password.password_strength(people.receptionist, {"password": CRAFTED})
    assert answer.status_code == 200

    def refuse(_: int | None) -> None:
        raise TooManyAttempts(30)

    monkeypatch.setattr(guessability, "spend", refuse)
    answer = await choosing_password.password_strength(people.receptionist, {"password": CRAFTED})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")


def test_characters_of_every_kind_are_read():
    for text in ("ß" * 100, "\u0301" * 100, string.printable, "🦒" * 50, "\x00" * 20):
        assert guessability._ask(text, []).score >= 0
