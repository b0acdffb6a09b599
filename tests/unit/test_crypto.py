"""Tokens, temporary passwords and password hashes."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import string
import threading
import time

import bcrypt
import pytest

from clinic_app.core import crypto, encryption, keys
from clinic_app.core.errors import Unavailable
from clinic_app.core.settings import get_settings
from clinic_app.services.access import ANONYMOUS
from clinic_app.services.accounts.views import Credentials, SignedIn


@pytest.fixture
def changed(settings):
    """Change a setting in the middle of a test."""

    def change(name: str, value: str) -> None:
        settings.setenv(name, value)
        get_settings.cache_clear()
        keys.key.cache_clear()

    yield change
    keys.key.cache_clear()


@pytest.fixture
def checks(monkeypatch):
    """The threads on which bcrypt checked."""
    seen: list[str] = []
    real = bcrypt.checkpw

    def spy(password: bytes, hashed: bytes) -> bool:
        done = real(password, hashed)
        seen.append(threading.current_thread().name)
        return done

    crypto.prepare_dummy()
    monkeypatch.setattr(bcrypt, "checkpw", spy)
    return seen


def test_temporary_passwords_are_12_symbols_that_nobody_mixes_up():
    made = [crypto.temporary_password() for _ in range(500)]
    assert {len(password) for password in made} == {12}
    assert set("".join(made)) == set(crypto.UNAMBIGUOUS)
    assert not set("".join(made)) & set("0Oo1lI")
    assert len(set(made)) == 500
    assert all(set(password) & set(string.digits) and set(password) & set(string.ascii_letters) for password in made)
    assert len(set(crypto.UNAMBIGUOUS)) == len(crypto.UNAMBIGUOUS) == 54


@pytest.mark.asvs("6.4.1", "6.5.3", "11.5.1")
def test_temporary_passwords_come_from_the_systems_random_source(monkeypatch):
    ends = itertools.cycle([0, -1])
    monkeypatch.setattr("secrets.choice", lambda symbols: symbols[next(ends)])
    assert crypto.temporary_password() == "A9" * 6


@pytest.mark.asvs("7.2.2", "7.2.3")
def test_tokens_have_256_bits_and_only_their_digest_is_kept():
    one, other = crypto.new_token(), crypto.new_token()
    assert one != other
    assert len(one) == 43
    assert len(crypto.digest(one)) == 64
    assert crypto.digest(one) not in (one, crypto.digest(other))


def test_keyed_digests_differ_by_key_purpose_and_value(changed):
    one = crypto.keyed_digest("amina", "search")
    assert one == crypto.keyed_digest("amina", "search")
    assert len(one) == 32
    assert one != crypto.keyed_digest("amina", "limit")
    assert one != crypto.keyed_digest("amino", "search")
    changed("CLINIC_TOKEN_KEY", "u" * 40)
    assert one != crypto.keyed_digest("amina", "search")


def test_a_hash_tells_its_scheme_key_and_cost_and_nothing_of_the_password():
    one, other = crypto.hash_password("seven amber kettles"), crypto.hash_password("seven amber kettles")
    assert one != other
    assert one.startswith("v2$k1$$2b$04$")
    assert len(one) <= 120
    assert "amber" not in one


def test_only_the_right_password_fits_its_hash(checks):
    kept = crypto.hash_password("seven amber kettles")
    assert crypto.verify_password("seven amber kettles", kept)
    assert not crypto.verify_password("seven amber kettleS", kept)
    assert not crypto.verify_password("", kept)
    assert len(checks) == 3


def test_a_password_is_the_same_however_the_keyboard_composes_it():
    assert crypto.verify_password("Jose\u0301 ﬁfty", crypto.hash_password("Jos\u00e9 fifty"))


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\t", "\u200b", "\ufeff", " \u200e "])
def test_blanks_at_both_ends_do_not_count_when_set_and_when_checked(checks, blank):
    for kept in (
        crypto.hash_password("seven amber kettles"),
        crypto.hash_password(f"{blank}seven amber kettles{blank}"),
    ):
        for typed in ("seven amber kettles", f"seven amber kettles{blank}", f"{blank}seven amber kettles"):
            assert crypto.verify_password(typed, kept)
        assert not crypto.verify_password(f"seven amber{blank}{blank}kettles", kept)
        assert not crypto.needs_rehash(kept)
    assert len(checks) == 8  # one each


def test_a_hash_from_before_fits_what_was_typed_then_and_is_made_anew(checks):
    for typed in ("seven amber kettles", " seven amber kettles "):
        before = "v1$k1$" + bcrypt.hashpw(crypto._prehash(typed), bcrypt.gensalt(4)).decode()
        assert crypto.verify_password(typed, before)
        assert not crypto.verify_password(typed + "!", before)
        assert crypto.needs_rehash(before)
        assert crypto.verify_password("seven amber kettles", crypto.hash_password(typed))


@pytest.mark.parametrize(
    "typed",
    ["Ab3dEf7hJk9m", " Ab3dEf7hJk9m\n", "Ab3d Ef7h Jk9m", "Ab3d\u00a0Ef7h\u00a0Jk9m", "Ab3d-Ef7h-Jk9m",
     "Ab3d–Ef7h—Jk9m", "\u202aAb3dEf7hJk9m\u202c", "Ab3d\u200bEf7h\u00adJk9m\ufeff", "Ab3d\u2009Ef7h \u2212 Jk9m"],
)  # fmt: skip
def test_a_temporary_password_is_the_same_however_it_is_pasted(typed):
    assert crypto.plain_temporary(typed) == "Ab3dEf7hJk9m"


@pytest.mark.asvs("6.2.8", "6.2.9")
def test_every_character_of_a_long_password_counts_also_after_a_nul_byte():
    kept = crypto.hash_password("x" * 127 + "a")
    assert crypto.verify_password("x" * 127 + "a", kept)
    assert not crypto.verify_password("x" * 127 + "b", kept)
    assert not crypto.verify_password("a\x00b", crypto.hash_password("a\x00c"))
    assert crypto.verify_password("\ud800", crypto.hash_password("\ud800"))


@pytest.mark.asvs("11.4.2")
def test_a_hash_is_worth_nothing_without_the_pepper(changed):
    kept = crypto.hash_password("seven amber kettles")
    changed("CLINIC_PEPPER", "q" * 40)
    assert not crypto.verify_password("seven amber kettles", kept)


@pytest.mark.parametrize(
    "kept", [None, "", "plain", "v1$k1$", "v1$k1$broken", "v2$k1$", "v2$k1$$2b$04$tooshort", "$2b$04$" + "a" * 53]
)
def test_what_is_no_hash_costs_one_check_all_the_same(checks, kept):
    assert not crypto.verify_password("nobody", kept)
    assert len(checks) == 1


def test_without_a_hash_no_password_is_right_even_where_it_would_fit_the_dummy(monkeypatch):
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: True)
    assert not crypto.verify_password("nobody", None)
    assert not crypto.verify_password("nobody", "")
    assert crypto.verify_password("somebody", crypto.hash_password("x"))


def test_hashes_are_made_and_checked_on_their_own_threads(checks, monkeypatch):
    made: list[str] = []
    real = bcrypt.hashpw
    monkeypatch.setattr(bcrypt, "hashpw", lambda *a: (made.append(threading.current_thread().name), real(*a))[1])
    crypto.verify_password("x", crypto.hash_password("x"))
    assert all(name.startswith("hash") for name in [*made, *checks])
    assert len(made) == len(checks) == 1


@pytest.fixture
def held(monkeypatch):
    """bcrypt's checks take until the event is set; and how many have begun."""
    crypto.prepare_dummy()
    go, begun = threading.Event(), threading.Semaphore(0)

    def slow(*_: object) -> bool:
        begun.release()
        go.wait(60)
        return True

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    yield go, begun
    go.set()


def _fill(room: crypto._Room, *, stranger: bool) -> list[threading.Thread]:
    """Take every place of a room; returns when nobody else can get in."""
    busy = [
        threading.Thread(target=crypto.verify_password, args=("x", None), kwargs={"stranger": stranger})
        for _ in range(room.at_once)
    ]
    for thread in busy:
        thread.start()
    until = time.monotonic() + 60
    while room._places._value and time.monotonic() < until:  # most wait for a thread of the pool
        time.sleep(0.001)
    assert not room._places._value
    return busy


@pytest.mark.parametrize("stranger", [False, True])
def test_too_many_waiting_hashes_are_refused_and_room_comes_back(held, stranger):
    go, _ = held
    busy = _fill(crypto._strangers if stranger else crypto._known, stranger=stranger)
    with pytest.raises(Unavailable):
        crypto.verify_password("x", None, stranger=stranger)
    if not stranger:
        with pytest.raises(Unavailable):
            crypto.hash_password("x")
    go.set()
    for thread in busy:
        thread.join(60)
    assert not crypto.verify_password("x", None, stranger=stranger)


@pytest.mark.asvs("15.4.4")
def test_strangers_hashes_keep_nobody_waiting_who_is_known(held):
    go, begun = held
    busy = _fill(crypto._strangers, stranger=True)
    for _ in range(crypto._strangers.threads):
        assert begun.acquire(timeout=60)
    assert not begun.acquire(blocking=False)  # the others have no thread yet
    assert crypto.hash_password("x")
    known = threading.Thread(target=crypto.verify_password, args=("x", None))
    known.start()
    assert begun.acquire(timeout=60)  # while all of the strangers' still go on
    go.set()
    for thread in (*busy, known):
        thread.join(60)


def test_hashes_leave_a_core_to_others_where_there_are_several():
    cores = os.cpu_count() or 1
    assert crypto._known.threads == crypto._strangers.threads == max(1, cores - 1)


def test_another_cost_or_scheme_asks_for_a_new_hash(changed):
    kept = crypto.hash_password("seven amber kettles")
    assert not crypto.needs_rehash(kept)
    changed("CLINIC_BCRYPT_COST", "5")
    assert crypto.needs_rehash(kept)
    assert crypto.needs_rehash("v0$k1$$2b$05$" + "a" * 53)
    assert crypto.verify_password("seven amber kettles", kept)


def test_secrets_are_not_in_what_python_prints_of_them():
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert "hunter2" not in repr(Credentials("a@example.com", "hunter2", now))
    assert "hunter2" not in repr(SignedIn("hunter2", ANONYMOUS, now))


@pytest.mark.parametrize("words", ["words", "other words", "of another length"])
def test_what_is_encrypted_is_read_in_one_spelling_only(words):
    made = encryption.encrypt(words, "tests", "here")
    assert encryption.decrypt(made, "tests", "here") == words
    padded = {made.rstrip("="), f"{made}=", f"{made}=="} - {made}
    for other in (*padded, f"{made[:9]}*{made[9:]}", f"{made}\n", f" {made}", f"{made}é"):
        with pytest.raises(encryption.Unreadable):
            encryption.decrypt(other, "tests", "here")


def test_a_hash_of_a_run_begins_once_no_desk_hashes_but_not_never(monkeypatch):
    order, begun, go = [], threading.Event(), threading.Event()

    def desk() -> None:
        begun.set()
        go.wait(20)
        order.append("desk")

    def run() -> None:
        crypto.hash_password("amber lantern tells fables", cost=4, in_bulk=True)
        order.append("run")

    threads = [threading.Thread(target=crypto._known.work, args=(desk,)), threading.Thread(target=run)]
    monkeypatch.setattr(crypto, "_LONGEST_PAUSE", 20)
    threads[0].start()
    begun.wait(20)
    threads[1].start()
    threads[1].join(0.2)
    assert order == []
    go.set()
    for thread in threads:
        thread.join(20)
    assert order == ["desk", "run"]

    monkeypatch.setattr(crypto, "_LONGEST_PAUSE", 0.01)
    begun.clear()
    go.clear()
    other = threading.Thread(target=crypto._known.work, args=(desk,))
    other.start()
    begun.wait(20)
    run()
    assert order == ["desk", "run", "run"]
    go.set()
    other.join(20)
