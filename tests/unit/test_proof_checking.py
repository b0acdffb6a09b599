"""What ``audit check`` makes of proofs: those that hold, and every lie that was thought of."""

from __future__ import annotations

import base64
import io
import json
import tracemalloc

import pytest

from clinic_app.core import merkle, signed_notes
from clinic_app.core.signed_notes import Checkpoint, NotValid
from clinic_app.services.audit.proof_checking import check_proof
from clinic_app.services.audit.proof_format import FORMAT, leaf_content
from tests.unit.test_merkle import tree

SEED, OTHER_SEED = b"\x01" * 32, b"\x02" * 32
ORIGIN, SIZE, OLDER = "clinic-audit/0123456789abcdef", 21, 13
KEY = signed_notes.public_key(ORIGIN, SEED)
OTHER_KEY = signed_notes.public_key(ORIGIN, OTHER_SEED)
MARKS = [f"{number:064x}" for number in range(SIZE)]
EVENTS = [json.dumps({"action": "PATIENT_VIEWED", "seq": number + 1}) for number in range(SIZE)]
NODE = tree([merkle.leaf_hash(leaf_content(event.encode(), mark)) for event, mark in zip(EVENTS, MARKS, strict=True)])


def _encoded(path):
    return [base64.b64encode(each).decode() for each in path]


def note(size=SIZE, seed=SEED, root=None, origin=ORIGIN):
    """A checkpoint of the first events."""
    return signed_notes.sign(Checkpoint(origin, size, root or merkle.root(NODE, size)), seed)


def header(**changes):
    """The first line of a proof."""
    path = _encoded(merkle.consistency(NODE, OLDER, SIZE))
    whole = {"format": FORMAT, "checkpoint": note(), "events": 3, "older": {"size": OLDER, "path": path}}
    return {**whole, **changes}


def line(number, **changes):
    """The line of an event."""
    path = _encoded(merkle.inclusion(NODE, number - 1, SIZE))
    return {"event": EVENTS[number - 1], "hash": MARKS[number - 1], "path": path, **changes}


def check(*lines, keys=(KEY,), older="", told=None):
    """What is found, of lines that are a proof's own or bytes."""
    whole = b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in lines)
    return check_proof(io.BytesIO(whole), list(keys), older, told or (lambda _: None))


GOOD = (header(), line(1), line(7), line(21))


def test_a_good_proof_holds_and_each_event_is_told():
    told = []
    found = check(*GOOD, older=note(OLDER), told=told.append)
    assert (found.events, found.older, found.checkpoint.size, found.key) == (3, OLDER, SIZE, KEY)
    assert [event["seq"] for event in told] == [1, 7, 21]
    assert check(*GOOD).older is None
    assert check(*GOOD, older=note()).older == SIZE, "the same checkpoint"
    assert check(*GOOD, keys=(OTHER_KEY, KEY)).key == KEY


FORGED = EVENTS[6].replace("VIEWED", "LISTED")


@pytest.mark.asvs("16.4.2")
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), "not a proof"),
        (({},), "not a proof"),
        ((header(format="clinic-audit-proof/2"),), "not a proof"),
        ((header(checkpoint=None),), "without its “checkpoint”"),
        ((header(checkpoint="\ud800"),), "cannot be read"),
        ((header(checkpoint=note(seed=OTHER_SEED)), *GOOD[1:]), "not signed by this key"),
        ((header(checkpoint=note().replace("21", "22")), *GOOD[1:]), "signature .* is wrong"),
        ((header(checkpoint=note(root=b"\x00" * 32)), *GOOD[1:]), "Event 1 is not in the trail"),
        ((header(), line(1), line(7, event=FORGED), line(21)), "Event 7 is not in the trail"),
        ((header(), line(1), line(7, hash=MARKS[7]), line(21)), "Event 7 is not in the trail"),
        ((header(), line(1), line(7, path=line(8)["path"]), line(21)), "Event 7 is not in the trail"),
        ((header(), line(1), line(7, path=[])), "Event 7 is not in the trail"),
        ((header(), line(1), line(7, path=["AA=="])), "proof in the file cannot be read"),
        ((header(), line(1), line(7, path="x")), "proof in the file cannot be read"),
        ((header(), line(1), line(7, path=line(7)["path"] * 20)), "proof in the file cannot be read"),
        ((header(), line(1, event='{"seq":-5}')), "Event is not in the trail"),
        ((header(), line(1, event='{"seq":true}')), "event that cannot be read"),
        ((header(), line(1, event="[1]")), "event that cannot be read"),
        ((header(), line(1, event="[" * 90_000)), "event that cannot be read"),
        ((header(), line(1, hash="é" * 64)), "event that cannot be read"),
        ((header(), line(7), line(1), line(21)), "not in their order"),
        ((header(), line(1), line(1), line(21)), "not in their order"),
        (GOOD[:-1], "not whole"),
        ((*GOOD, b""), None),
        ((header(events=True), line(1)), "not whole"),
        ((*GOOD[:-1], json.dumps(line(21)).encode()), "does not end"),
        ((header(), b"\xff\xfe\n"), "cannot be read"),
        ((header(), b"[" * 100_000 + b"\n"), "cannot be read"),
        ((header(), b"9" * 10_000 + b"\n"), "cannot be read"),
        ((header(), b"[]\n"), "cannot be read"),
    ],
)
def test_what_does_not_hold_is_told_in_words(lines, words):
    if words is None:
        assert check(*lines).events == 3
        return
    with pytest.raises(NotValid, match=words):
        check(*lines)


@pytest.mark.parametrize(
    ("first", "older", "words"),
    [
        (header(older=None), note(OLDER), "ask for one made with it"),
        (header(), note(12), "ask for one made with it"),
        (header(), note(OLDER, root=b"\x05" * 32), "was changed since"),
        (header(older={"size": OLDER, "path": []}), note(OLDER), "was changed since"),
        (header(), note(22, root=b"\x05" * 32), "lost events"),
        (header(), note(SIZE, root=b"\x05" * 32), "lost events"),
        (header(), note(OLDER, seed=OTHER_SEED), "The older checkpoint: .* not signed by this key.* give both"),
        (header(), "a note", "no checkpoint"),
    ],
)
def test_an_older_checkpoint_that_is_not_the_beginning_is_told(first, older, words):
    with pytest.raises(NotValid, match=words):
        check(first, *GOOD[1:], older=older)


class Endless:
    """A file of a hundred megabytes: a first line, then ``again``, or one line if that is empty."""

    def __init__(self, first: bytes, again: bytes) -> None:
        self.left, self._first, self._again = 100_000_000, first, again

    def readline(self, most: int) -> bytes:
        """A line, or so much of it."""
        found, self._first = self._first or self._again or b"a" * min(most, self.left), b""
        self.left -= len(found)
        return found if self.left > 0 else b""


@pytest.mark.parametrize("again", [b"", json.dumps(line(7)).encode() + b"\n"], ids=["one line", "many lines"])
def test_a_hundred_megabytes_are_read_in_little_memory(again):
    first = json.dumps(header()).encode() + b"\n"
    tracemalloc.start()
    with pytest.raises(NotValid):
        check_proof(Endless(first, again), [KEY])  # pyright: ignore[reportArgumentType]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
