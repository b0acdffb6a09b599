"""Checking the trail: every link of its chain, the anchors noted outside the database, and the signed checkpoints."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from clinic_app.core import clock, db, keys, merkle, signed_notes
from clinic_app.core.counts import plural
from clinic_app.models.audit import AUDIT_EVENTS, AUDIT_HEAD
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.anchor import Anchor, anchors
from clinic_app.services.audit.checkpoints import SignedCheckpoint, all_checkpoints, keys_of
from clinic_app.services.audit.proof_format import leaf_content
from clinic_app.services.audit.recording import canonical, link_content

_KEY = "audit_key"
NO_ANCHORS = "There are no anchors, so a cut-off end or an older copy would go unnoticed. See `audit anchor`."


class Finding(StrEnum):
    """What is wrong with a trail."""

    NOTHING = ""
    CHANGED = "changed"  # an event does not fit the one before: changed, inserted, or swapped
    MISSING = "missing"  # a number is left out
    HEAD = "head"  # the head is gone, or does not match the last event
    CUT = "cut"  # it ends before an anchor or checkpoint: its end was cut off, or an older copy was restored
    REPLACED = "replaced"  # whole in itself, but not the trail that was anchored or signed


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What ``verify`` found.

    ``count`` events were read; ``first_bad`` is the first bad ``seq``, ``why`` says in a sentence what is
    wrong, ``finding`` in a word. So many ``anchors`` and signed ``checkpoints`` agreed with the trail. ``warnings`` are
    sentences that do not make it bad.
    """

    ok: bool
    count: int
    first_bad: int | None = None
    why: str = ""
    finding: Finding = Finding.NOTHING
    anchors: int = 0
    warnings: tuple[str, ...] = ()
    checkpoints: int = 0


#: Of an event: its hash, and the root of the tree up to it.
_Marks = dict[int, tuple[str, bytes]]


def _bad(finding: Finding, count: int, seq: int, why: str) -> ChainReport:
    return ChainReport(False, count, seq, why, finding)


def verify() -> ChainReport:
    """Read the whole trail in order, recompute every link, and compare with the anchors and the checkpoints.

    For whoever runs the command line. Reads in one consistent view, a thousand rows at a time.
    """
    noted, unreadable = anchors()  # before the trail: one made in the meantime would lie beyond it
    valid, warnings = _valid(noted)
    if not noted:
        warnings.append(NO_ANCHORS)
    if unreadable:
        warnings.append(f"{plural(unreadable, 'line')} of the anchor file cannot be read.")
    signed = all_checkpoints()
    marks: _Marks = {}
    with db.reading() as session:
        head = session.execute(select(AUDIT_HEAD).where(AUDIT_HEAD.c.id == 1)).one_or_none()
        rows = session.execute(select(AUDIT_EVENTS).order_by(AUDIT_EVENTS.c.seq).execution_options(yield_per=1000))
        wanted = {each.seq for each in valid} | {each.size for each in signed}
        found = _chain(rows.mappings(), head, wanted, marks)
        known = keys_of(session) if signed and found.ok and found.count else []
    agreed = 0
    if found.ok:
        warnings.extend(found.warnings)
        found = _anchored(valid, marks, found.count)
    if found.ok:
        agreed, bad, told = _signed(signed, known, marks, found)
        found, warnings = bad or found, warnings + told
    words = (found.first_bad, found.why, found.finding, found.anchors, tuple(warnings))
    return ChainReport(found.ok, found.count, *words, agreed)


def verify_whole(connection: Connection) -> ChainReport:
    """Every link of the trail in any database of a clinic. Anchors are not asked."""
    head = connection.execute(select(AUDIT_HEAD).where(AUDIT_HEAD.c.id == 1)).one_or_none()
    rows = connection.execute(select(AUDIT_EVENTS).order_by(AUDIT_EVENTS.c.seq).execution_options(yield_per=1000))
    return _chain(rows.mappings(), head, set(), {})


def verify_end(connection: Connection, at_most: int = 1000) -> tuple[ChainReport, str]:
    """The last links of the trail in any database of a clinic, such as a backup: what was found, and the last hash."""
    head = connection.execute(select(AUDIT_HEAD).where(AUDIT_HEAD.c.id == 1)).one_or_none()
    after = max(0, (head.seq if head is not None else 0) - at_most)
    before = connection.execute(select(AUDIT_EVENTS.c.hash).where(AUDIT_EVENTS.c.seq == after)).scalar_one_or_none()
    changes = select(AUDIT_EVENTS.c.metadata).where(
        AUDIT_EVENTS.c.action == Action.KEY_CHANGED, AUDIT_EVENTS.c.seq <= after
    )
    version = 1 + sum(details.get("key") == _KEY for details in connection.execute(changes).scalars())
    rows = connection.execute(select(AUDIT_EVENTS).where(AUDIT_EVENTS.c.seq > after).order_by(AUDIT_EVENTS.c.seq))
    found = _chain(rows.mappings(), head, set(), {}, (after, before or ""), version)
    return found, head.hash if head is not None else ""


def _chain(
    rows: Iterable[Any],
    head: Any,
    wanted: set[int],
    marks: _Marks,
    after: tuple[int, str] = (0, ""),
    version: int = 1,
) -> ChainReport:
    """Whether the events ``after`` one follow from each other. Keeps ``marks`` of the ``wanted`` ones.

    ``version`` is that of the key in use then. An event says, under the key before it, that the next one follows; where
    that was lost, the new one says so, and what was recorded under the lost one is counted only.
    """
    count, previous = after
    key, unchecked = keys.key_of(_KEY, version), 0
    tree = merkle.Growing() if wanted else None
    for row in rows:
        if row["seq"] != count + 1:
            return _bad(Finding.MISSING, count, count + 1, "An event is missing here, or one was inserted.")
        changes = row["action"] == Action.KEY_CHANGED and row["metadata"].get("key") == _KEY
        if key is None and changes and row["metadata"].get("lost"):
            version += 1
            key, changes = keys.key_of(_KEY, version), False
        content = canonical(row)
        if key is None:
            unchecked = row["seq"]
        elif not hmac.compare_digest(link_content(previous, content, key), row["hash"]):
            return _bad(Finding.CHANGED, count, row["seq"], "This event was changed or inserted.")
        if changes:
            version += 1
            key = keys.key_of(_KEY, version)
        count, previous = count + 1, row["hash"]
        if tree is not None:
            tree.add(merkle.leaf_hash(leaf_content(content, previous)))
            if count in wanted:
                marks[count] = (previous, tree.root())
    if head is None:
        return ChainReport(False, count, None, "The head of the trail is missing.", Finding.HEAD)
    if head.seq != count or not hmac.compare_digest(head.hash, previous):
        return _bad(Finding.HEAD, count, count + 1, "The end of the trail does not match its head.")
    lost = f"Up to event {unchecked} nothing can be checked but the order: the key of that time was lost."
    return ChainReport(True, count, warnings=(lost,) if unchecked else ())


def _valid(noted: list[Anchor]) -> tuple[list[Anchor], list[str]]:
    """The anchors that count: those before a restored backup only as far as they agreed with it."""
    valid: list[Anchor] = []
    warnings: list[str] = []
    for each in noted:
        if each.restored is not None:
            lost = [earlier.seq for earlier in valid if earlier.seq > each.restored]
            valid = [earlier for earlier in valid if earlier.seq <= each.restored]
            words = f"A backup was restored, as noted on {_when(each)}"
            warnings.append(
                f"{words}: events {each.restored + 1} to {max(lost)} have been replaced." if lost else f"{words}."
            )
        valid.append(each)
    return valid, warnings


def _when(anchor: Anchor) -> str:
    return f"{clock.local(anchor.at):%Y-%m-%d %H:%M}"


def _anchored(valid: list[Anchor], marks: _Marks, count: int) -> ChainReport:
    """Whether this is the trail that was anchored, and all of it."""
    good = 0
    for each in sorted(valid, key=lambda anchor: anchor.seq):
        if each.seq > count:
            why = (
                f"The trail ends at event {count}, but event {each.seq} was there on {_when(each)}: "
                "its end was cut off, or an older copy was restored."
            )
            return _bad(Finding.CUT, count, count + 1, why)
        if not hmac.compare_digest(each.hash, marks[each.seq][0]):
            why = (
                f"This is not the event that was anchored on {_when(each)}: the chain was rebuilt, "
                f"or an older copy was restored and continued. Up to event {good} it agrees with the anchors."
            )
            return _bad(Finding.REPLACED, count, each.seq, why)
        good = each.seq
    return ChainReport(True, count, anchors=len(valid))


def _signed(
    signed: list[SignedCheckpoint], known: list[signed_notes.PublicKey], marks: _Marks, found: ChainReport
) -> tuple[int, ChainReport | None, list[str]]:
    """How many checkpoints agree with the trail that was ``found``; the report about one that does not; warnings."""
    agreed, lost = 0, 0
    ours = {str(key) for key in known}
    for each in signed:
        when = f"{clock.local(each.made_at):%Y-%m-%d %H:%M}"
        if each.size > found.count:
            why = f"The trail ends at event {found.count}, but {each.size} were there when it was signed on {when}."
            return agreed, _bad(Finding.CUT, found.count, found.count + 1, why), []
        if each.public_key not in ours:
            lost = each.size
            continue
        try:
            stood, _ = signed_notes.opened(each.note, known)
        except signed_notes.NotValid:
            stood = None
        if stood is None or (stood.size, stood.root) != (each.size, marks[each.size][1]):
            why = (
                f"These are not the events that were signed on {when}: the chain was rebuilt, or the signature changed."
            )
            return agreed, _bad(Finding.REPLACED, found.count, each.size, why), []
        agreed += 1
    words = f"Up to event {lost} the signatures of checkpoints cannot be checked: the key of that time was lost."
    return agreed, None, [words] if lost else []
