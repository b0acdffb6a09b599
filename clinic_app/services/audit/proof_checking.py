"""Checking a proof that a clinic has written: for anybody who has its public key. Needs no database and no settings.

What is read comes from somebody who may lie, so nothing is believed and little is kept: a line at a time.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from clinic_app.core import merkle, signed_notes
from clinic_app.core.signed_notes import Checkpoint, NotValid, PublicKey
from clinic_app.services.audit.proof_format import FORMAT, leaf_content

#: Bytes of a line: an event has some hundreds, and 64 hashes as many more.
_LONGEST_LINE = 200_000
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Holds:
    """What a proof shows: the trail of ``checkpoint``, signed by ``key``, has these events, whose number is ``events``.

    ``older``: so many events an older checkpoint had, and they are the beginning of this trail. None: not asked.
    """

    checkpoint: Checkpoint
    key: PublicKey
    events: int
    older: int | None


def check_proof(
    file: BinaryIO, keys: list[PublicKey], older: str = "", told: Callable[[Mapping[str, Any]], None] = lambda _: None
) -> Holds:
    """What ``file`` proves to somebody who trusts ``keys``; each event is ``told`` once it is proved.

    With ``older``, a checkpoint that somebody kept, also that nothing in it was changed since. Raises ``NotValid``,
    which says in a sentence what does not hold.
    """
    lines = _lines(file)
    header = next(lines, None)
    if header is None or header.get("format") != FORMAT:
        raise NotValid("This is not a proof of an audit trail.")
    checkpoint, key = signed_notes.opened(_text(header, "checkpoint"), keys)
    before = _beginning(header, checkpoint, keys, older) if older else None
    count, previous = 0, 0
    for line in lines:
        event = _proved(line, checkpoint)
        if event["seq"] <= previous:
            raise NotValid("The events are not in their order.")
        count, previous = count + 1, event["seq"]
        told(event)
    if count != header.get("events") or isinstance(header["events"], bool):
        raise NotValid("The file is not whole: it has another number of events than it says.")
    return Holds(checkpoint, key, count, before)


def _lines(file: BinaryIO) -> Iterator[dict[str, Any]]:
    while line := file.readline(_LONGEST_LINE + 1):
        if not line.endswith(b"\n"):
            raise NotValid("The file is not whole, or not a proof: it has a line that does not end.")
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise NotValid("The file has a line that cannot be read.") from None
        if not isinstance(found, dict):
            raise NotValid("The file has a line that cannot be read.")
        yield found


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str):
        raise NotValid(f"The file has a line without its “{name}”.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotValid("The file has a line that cannot be read.") from None
    return value


def _path(found: Any) -> list[bytes]:
    try:
        if isinstance(found, list) and len(found) <= merkle.LONGEST_PROOF and all(isinstance(x, str) for x in found):
            path = [base64.b64decode(each, validate=True) for each in found]
            if all(len(each) == len(merkle.EMPTY) for each in path):
                return path
    except (binascii.Error, ValueError):
        pass
    raise NotValid("A proof in the file cannot be read.")


def _beginning(header: Mapping[str, Any], now: Checkpoint, keys: list[PublicKey], older: str) -> int:
    try:
        before, _ = signed_notes.opened(older, keys)
    except NotValid as error:
        raise NotValid(f"The older checkpoint: {error} (If the clinic had another key then, give both.)") from None
    given = header.get("older")
    if before.origin != now.origin:
        raise NotValid("The older checkpoint is of another trail.")
    if before == now:
        return before.size
    if before.size >= now.size:
        raise NotValid(
            f"The checkpoint that was kept has {before.size} events, this one {now.size}: the file was made before it, "
            "or the trail lost events, or was made anew."
        )
    if not isinstance(given, dict) or given.get("size") != before.size:
        raise NotValid("The file does not prove anything about the older checkpoint: ask for one made with it.")
    if not merkle.is_beginning(before.size, before.root, now.size, now.root, _path(given.get("path"))):
        raise NotValid("The trail was changed since the older checkpoint: that is not its beginning.")
    return before.size


def _proved(line: Mapping[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
    """The event in ``line``, which is in the trail of ``checkpoint`` as it stands there."""
    content, mark = _text(line, "event"), _text(line, "hash")
    try:
        event = json.loads(content)
    except (ValueError, RecursionError):
        event = None
    seq = event.get("seq") if isinstance(event, dict) else None
    if not isinstance(event, dict) or type(seq) is not int or len(mark) != 64 or not set(mark) <= _DIGITS:
        raise NotValid("The file has an event that cannot be read.")
    leaf = merkle.leaf_hash(leaf_content(content.encode(), mark))
    if merkle.root_by(leaf, seq - 1, checkpoint.size, _path(line.get("path"))) != checkpoint.root:
        number = f" {seq}" if 0 < seq < 10**18 else ""
        raise NotValid(f"Event{number} is not in the trail as it stands in the file: it was changed or made up.")
    return event
