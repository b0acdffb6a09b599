"""What whoever writes a proof and whoever checks it agree on. See docs/decisions/0018."""

from __future__ import annotations

FORMAT = "clinic-audit-proof/1"


def leaf_content(content: bytes, mark: str) -> bytes:
    """What is hashed for an event that is written as ``content`` and has this hash in the chain.

    Whoever has the event can check it without a key. The chain's hash, which nobody can make without one, keeps others
    from guessing the neighbour whose hash stands in a proof.
    """
    return content + b"\n" + mark.encode()
