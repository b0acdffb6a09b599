"""A passphrase to offer: words drawn by a cryptographic source. Nothing of it is kept."""

from __future__ import annotations

import functools
import secrets
from pathlib import Path

from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.blocklist import is_pattern
from clinic_app.services.audit.authorization import demand

_FILE = Path(__file__).with_name("passphrase_words.txt")
#: Five of 2,048 words are 55 bits: out of reach where wrong tries are counted, and behind bcrypt if hashes leak.
WORDS = 5


@functools.lru_cache(maxsize=1)
def word_list() -> tuple[str, ...]:
    """The words, read when the first passphrase is asked for."""
    lines = _FILE.read_text(encoding="ascii").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


def suggest_passphrase(actor: Actor) -> str:
    """A passphrase nobody else has, for whoever is signed in and chooses a password. Kept nowhere.

    Raises ``AuthenticationRequired`` for nobody.
    """
    demand(actor, Permission.OWN_PASSWORD)
    return new_passphrase()


def new_passphrase() -> str:
    """A passphrase nobody else has, for whoever sets one by a link. Anybody may ask: there is nothing behind it."""
    while True:
        made = " ".join(secrets.choice(word_list()) for _ in range(WORDS))
        if not is_pattern(made):  # the same word twice may look like one
            return made
