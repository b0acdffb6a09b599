"""Passwords that are refused whatever else they are: common ones, and patterns. ASVS 5.0 6.2.4, NIST SP 800-63B-4."""

from __future__ import annotations

import hashlib
import math

import pytest

from clinic_app.services.accounts import blocklist, passphrase
from clinic_app.services.accounts.passwords import SHORTEST, assess_password
from tests import factories

COMMON = "qwertyuiopasdfgh", "passwordpassword", "1q2w3e4r5t6y7u8i", "thisismypassword", "manchesterunited"
PATTERNS = (
    "abcabcabcabcabcabc",
    "aaaaaaaaaaaaaaaaab",
    "a1b2c3d4e5f6g7h8i9",
    "lkjhgfdsapoiuytrewq",
    "seven amber seven amber",
    "123123123123123123",
)
GOOD = (
    "green lorry quiet tuesday",
    "correct horse battery staple",
    "nguruwe wangu anapenda mvua",
    "зелёный трамвай поёт громко",
)


def _entries():
    return [line for line in blocklist._FILE.read_text().splitlines() if not line.startswith("#")]


@pytest.mark.asvs("6.2.4", "6.2.12")
def test_the_list_has_three_thousand_entries_and_says_where_it_comes_from():
    head = [line for line in blocklist._FILE.read_text().splitlines() if line.startswith("#")]
    entries = _entries()
    assert len(entries) >= 3000
    assert entries == sorted(set(entries))
    assert all(len(entry) == 12 for entry in entries)
    assert "SecLists" in " ".join(head)
    assert "MIT" in " ".join(head)


@pytest.mark.asvs("6.2.4")
@pytest.mark.parametrize("password", COMMON)
def test_a_common_password_is_refused_in_any_case_and_width(people, password):
    for typed in (password, password.upper(), "".join(chr(ord(c) + 0xFEE0) for c in password), f" {password}"):
        assert blocklist.is_common(typed), typed
        if len(typed) >= SHORTEST:
            assert not assess_password(people.patient, typed).good_enough, typed


@pytest.mark.asvs("6.2.4")
def test_every_listed_password_is_refused_by_its_digest(people, monkeypatch):
    word = "gravel mitten ocean violin"
    assert assess_password(people.patient, word).good_enough
    listed = blocklist._listed() | {hashlib.sha256(word.encode()).hexdigest()[:12]}
    monkeypatch.setattr(blocklist, "_listed", lambda: listed)
    found = assess_password(people.patient, word)
    assert (found.good_enough, found.score) == (False, 0)
    assert found.why.startswith("Many people use this one")


@pytest.mark.parametrize("password", PATTERNS)
def test_a_pattern_is_refused(people, password):
    found = assess_password(people.patient, password)
    assert not found.good_enough
    assert found.why


@pytest.mark.parametrize("password", GOOD)
def test_an_unusual_phrase_is_neither(people, password):
    assert not blocklist.is_common(password)
    assert not blocklist.is_pattern(password)
    assert assess_password(people.patient, password).good_enough


@pytest.mark.parametrize("odd", ["", " ", "\ud800" * 20, "\x00" * 20, "😀" * 64])
def test_odd_input_is_no_failure(odd):
    blocklist.is_common(odd)
    blocklist.is_pattern(odd)


def test_an_offered_passphrase_is_good_enough_and_never_the_same(people):
    offered = [passphrase.suggest_passphrase(people.patient) for _ in range(30)]
    assert len(set(offered)) == 30
    for one in offered:
        assert len(one.split()) == passphrase.WORDS
        assert len(one) >= SHORTEST
        assert assess_password(people.patient, one).good_enough, one


def test_a_passphrase_has_at_least_55_bits():
    words = passphrase.word_list()
    assert len(words) == len(set(words))
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
    assert passphrase.WORDS * math.log2(len(words)) >= 55
    assert factories.PASSWORD
