"""Signed notes and checkpoints: what other programs sign is read here, and nothing that is not whole."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clinic_app.core import qr, signed_notes
from clinic_app.core.signed_notes import Checkpoint, NotValid
from tests import scanner

#: The example in the documentation of Go's ``golang.org/x/mod/sumdb/note``.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    GO_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SEED = bytes(range(32))
ASKED = Checkpoint("clinic-audit/0123456789abcdef", 1_000_000, b"\x07" * 32)
KEY = signed_notes.public_key(ASKED.origin, SEED)
NOTE = signed_notes.sign(ASKED, SEED)


def test_a_note_of_another_program_is_read():
    key = signed_notes.parsed_key(GO_KEY)
    assert str(key) == GO_KEY
    assert signed_notes.verified(GO_NOTE, [key]) == (GO_TEXT, key)
    with pytest.raises(NotValid, match="no checkpoint"):
        signed_notes.opened(GO_NOTE, [key])


def test_a_checkpoint_comes_back_as_it_was_signed():
    assert signed_notes.opened(NOTE, [KEY]) == (ASKED, KEY)
    assert signed_notes.parsed_key(f" {KEY}\n") == KEY
    assert signed_notes.opened(NOTE.replace("\n", "\r\n") + "\n", [KEY]) == (ASKED, KEY), "as an editor leaves it"
    more = NOTE + "— somebody.else AAAAAAAA\n"
    assert signed_notes.opened(more, [KEY]) == (ASKED, KEY), "signatures of others are passed over"


def test_it_is_small_enough_for_a_printed_code():
    assert len(NOTE.encode()) <= 250
    assert scanner.read(qr.picture(NOTE, border=4)) == NOTE


@pytest.mark.parametrize(
    ("note", "words"),
    [
        (NOTE.replace("1000000", "1000001"), "signature .* is wrong"),
        (NOTE.replace("Bw", "CA", 1), "signature .* is wrong"),
        (signed_notes.sign(ASKED, bytes(32)), "not signed by this key"),
        (NOTE.replace("— clinic", "- clinic"), "no checkpoint"),
        (NOTE.partition("\n\n")[0], "no checkpoint"),
        ("", "no checkpoint"),
        ("\n\n", "no checkpoint"),
        (NOTE + "— x y\n" * 20, "no checkpoint"),
        ("a" * 30_000 + NOTE, "no checkpoint"),
        (NOTE[:-20] + "\n", "not signed by this key"),
        (NOTE.rpartition(" ")[0] + " !!!\n", "not signed by this key"),
    ],
)
def test_what_is_not_whole_says_nothing(note, words):
    with pytest.raises(NotValid, match=words):
        signed_notes.opened(note, [KEY])


def test_a_key_signs_for_its_own_trail_only():
    text = Checkpoint("clinic-audit/ffffffffffffffff", 5, b"\x01" * 32).text()
    raw = Ed25519PrivateKey.from_private_bytes(SEED).sign(text.encode())
    note = f"{text}\n— {KEY.name} {base64.b64encode(bytes.fromhex(KEY.ident) + raw).decode()}\n"
    assert signed_notes.verified(note, [KEY]) == (text, KEY)
    with pytest.raises(NotValid, match="another trail"):
        signed_notes.opened(note, [KEY])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a+b",
        GO_KEY[:-4],
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("Peter", "Paul"),
        "x+00000000+AAAA",
    ],
)
def test_a_key_that_is_not_whole_is_refused(text):
    with pytest.raises(NotValid):
        signed_notes.parsed_key(text)
