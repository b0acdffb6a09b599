"""Merkle trees as RFC 6962 has them: that a leaf is in a tree, and that an older tree is the beginning of a later one.

A tree is known by its size and its root. Proofs are short lists of hashes; whoever has size and root checks them alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

#: The hash of the leaves ``index * 2**level`` to ``(index + 1) * 2**level``, all of which are there.
Node = Callable[[int, int], bytes]
EMPTY = hashlib.sha256(b"").digest()
#: More hashes than a proof can have: no tree has 2**64 leaves.
LONGEST_PROOF = 64


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + content).digest()


def parent(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two others. Never that of a leaf, which begins with another byte."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)


def _over(node: Node, first: int, count: int) -> bytes:
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, first >> level)
    left = _split(count)
    return parent(_over(node, first, left), _over(node, first + left, count - left))


def root(node: Node, size: int) -> bytes:
    """The root of the tree of the first ``size`` leaves."""
    return _over(node, 0, size) if size else EMPTY


def inclusion(node: Node, index: int, size: int) -> list[bytes]:
    """The proof that leaf ``index`` (from 0) is in the tree of ``size`` leaves."""
    first, count, found = 0, size, list[bytes]()
    while count > 1:
        left = _split(count)
        if index < first + left:
            found.append(_over(node, first + left, count - left))
            count = left
        else:
            found.append(_over(node, first, left))
            first, count = first + left, count - left
    return found[::-1]


def consistency(node: Node, older: int, size: int) -> list[bytes]:
    """The proof that the tree of ``older`` leaves (at least 1) is the beginning of that of ``size``."""
    first, count, whole, found = 0, size, True, list[bytes]()
    while first + count != older:
        left = _split(count)
        if older <= first + left:
            found.append(_over(node, first + left, count - left))
            count = left
        else:
            found.append(_over(node, first, left))
            first, count, whole = first + left, count - left, False
    return ([] if whole else [_over(node, first, count)]) + found[::-1]


def root_by(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that a tree of ``size`` has if ``leaf`` is its leaf ``index`` by ``proof``; None: it proves nothing.

    RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = parent(each, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = parent(found, each)
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def is_beginning(older: int, older_root: bytes, size: int, size_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether ``proof`` shows that the tree of ``older`` leaves is the beginning of that of ``size``.

    RFC 9162, section 2.1.4.2.
    """
    if not 0 < older <= size:
        return False
    if older == size:
        return not proof and older_root == size_root
    hashes = [older_root, *proof] if older & (older - 1) == 0 else list(proof)
    if not hashes:
        return False
    place, last = older - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = hashes[0]
    for each in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = parent(each, old), parent(each, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = parent(new, each)
        place, last = place >> 1, last >> 1
    return last == 0 and old == older_root and new == size_root


class Growing:
    """The root of a tree whose leaves come one after the other: a hash for each level is kept, nothing else."""

    def __init__(self) -> None:
        self.size, self._whole = 0, list[bytes]()

    def add(self, leaf: bytes) -> None:
        """Another leaf, by its hash."""
        found, ones = leaf, self.size
        while ones & 1:
            found, ones = parent(self._whole.pop(), found), ones >> 1
        self._whole.append(found)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree of all leaves so far."""
        if not self._whole:
            return EMPTY
        found = self._whole[-1]
        for each in reversed(self._whole[:-1]):
            found = parent(each, found)
        return found
