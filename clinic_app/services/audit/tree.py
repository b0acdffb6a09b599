"""The Merkle tree over the trail: leaf n is event n + 1. See docs/decisions/0018.

Hashes over 64 events and more are kept; those below are made from the events when they are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from clinic_app.core import db, merkle
from clinic_app.core.prepared import Prepared
from clinic_app.models.audit import AUDIT_EVENTS, AUDIT_HEAD, AUDIT_TREE_NODES
from clinic_app.services.audit.errors import NotTheSignedTrail
from clinic_app.services.audit.proof_format import leaf_content
from clinic_app.services.audit.recording import canonical

#: The lowest level that is kept: a hash for every 64 events, so that a proof reads no more than those.
KEPT = 6
_BLOCK = 1 << KEPT
_BLOCKS_AT_ONCE = 128
#: Hashes remembered while proofs are made.
_REMEMBERED = 50_000
_NODE = Prepared(
    select(AUDIT_TREE_NODES.c.hash).where(
        AUDIT_TREE_NODES.c.level == bindparam("level_wanted"), AUDIT_TREE_NODES.c.number == bindparam("number_wanted")
    )
)
_EVENTS = Prepared(
    select(AUDIT_EVENTS)
    .where(AUDIT_EVENTS.c.seq > bindparam("after"), AUDIT_EVENTS.c.seq <= bindparam("last"))
    .order_by(AUDIT_EVENTS.c.seq)
)


def leaf(row: Mapping[str, Any]) -> bytes:
    """The hash of an event's leaf."""
    return merkle.leaf_hash(leaf_content(canonical(row), row["hash"]))


class Tree:
    """The tree as ``session`` sees it. Its events are never changed, so what was read once stays right."""

    def __init__(self, session: Session) -> None:
        self._session, self._found = session, dict[tuple[int, int], bytes]()

    def node(self, level: int, number: int) -> bytes:
        """The hash over these events. Raises ``NotTheSignedTrail`` where events are missing."""
        place = (level, number)
        if place not in self._found:
            if len(self._found) > _REMEMBERED:
                self._found.clear()
            self._find(level, number)
        return self._found[place]

    def _find(self, level: int, number: int) -> None:
        kept = _NODE.one_or_none(self._session, level_wanted=level, number_wanted=number) if level >= KEPT else None
        if kept is not None:
            self._found[level, number] = bytes.fromhex(kept.hash)
        elif level > KEPT:
            self._found[level, number] = merkle.parent(
                self.node(level - 1, 2 * number), self.node(level - 1, 2 * number + 1)
            )
        else:
            self._hash_block(number >> (KEPT - level))
            if (level, number) not in self._found:
                raise NotTheSignedTrail

    def _hash_block(self, block: int) -> None:
        """All hashes over fewer events that are in this block."""
        first = block * _BLOCK
        hashes = _leaves(self._session, first, first + _BLOCK)
        for level in range(KEPT + 1):
            start = first >> level
            self._found.update({(level, start + place): each for place, each in enumerate(hashes)})
            hashes = [merkle.parent(hashes[place], hashes[place + 1]) for place in range(0, len(hashes) - 1, 2)]

    def root(self, size: int) -> bytes:
        """The root of the tree of the first ``size`` events."""
        return merkle.root(self.node, size)


def _leaves(session: Session, after: int, last: int) -> list[bytes]:
    rows = [row._asdict() for row in _EVENTS.all(session, after=after, last=last)]
    if any(row["seq"] != after + place for place, row in enumerate(rows, start=1)):
        raise NotTheSignedTrail
    return [leaf(row) for row in rows]


def grow() -> bool:
    """Keep hashes of some more events, 8,192 at most; whether there are more to come. Safe to do twice at once.

    For the server and the command line. Raises ``NotTheSignedTrail`` where events are missing.
    """
    nodes = AUDIT_TREE_NODES.c
    with db.reading() as session:
        newest = session.execute(select(func.max(nodes.number)).where(nodes.level == KEPT)).scalar_one()
        size = session.execute(select(AUDIT_HEAD.c.seq).where(AUDIT_HEAD.c.id == 1)).scalar_one()
        first = 0 if newest is None else newest + 1
        last = min(size // _BLOCK, first + _BLOCKS_AT_ONCE)
        if first >= last:
            return False
        found = _whole(Tree(session), first, _leaves(session, first * _BLOCK, last * _BLOCK))
    rows = [{"level": level, "number": number, "hash": each.hex()} for (level, number), each in found.items()]
    with db.transaction() as session:
        of_kind = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        session.execute(of_kind(AUDIT_TREE_NODES).on_conflict_do_nothing(), rows)
    return last < size // _BLOCK


def _whole(tree: Tree, first: int, leaves: list[bytes]) -> dict[tuple[int, int], bytes]:
    """The hashes to be kept of these leaves, which begin with those of block ``first``."""
    found: dict[tuple[int, int], bytes] = {}
    for place in range(0, len(leaves), _BLOCK):
        block = merkle.Growing()
        for each in leaves[place : place + _BLOCK]:
            block.add(each)
        level, number, here = KEPT, first + place // _BLOCK, block.root()
        found[level, number] = here
        while number & 1:
            before = found.get((level, number - 1)) or tree.node(level, number - 1)
            level, number, here = level + 1, number >> 1, merkle.parent(before, here)
            found[level, number] = here
    return found


def forget() -> None:
    """Remove every hash that is kept, to make them anew from the events."""
    with db.transaction() as session:
        session.execute(delete(AUDIT_TREE_NODES))
