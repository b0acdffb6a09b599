"""Proofs for somebody outside that events are in the trail: a file that ``audit check`` reads, without this clinic.

Its form is in docs/decisions/0018. It is on record before the first line leaves.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from clinic_app.core import db, merkle, signed_notes
from clinic_app.core.errors import InvalidInput
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit import checkpoints
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, demand_fresh
from clinic_app.services.audit.browsing import AuditQuery, conditions
from clinic_app.services.audit.checkpoints import SignedCheckpoint
from clinic_app.services.audit.errors import NothingToProve, NotTheSignedTrail
from clinic_app.services.audit.proof_format import FORMAT
from clinic_app.services.audit.recording import canonical, record
from clinic_app.services.audit.tree import Tree, leaf

_CHUNK = 100  # events read at a time: what memory holds, however many are proved


@dataclass(frozen=True, slots=True)
class AuditProof:
    """A proof that is on record: how many events it has, the checkpoint they are in, and its text piece by piece."""

    count: int
    checkpoint: SignedCheckpoint
    pieces: Iterator[str]


def prove_audit(actor: Actor, query: AuditQuery | None, *, event: int | None = None, older: str = "") -> AuditProof:
    """Every event that ``query`` asks for (its page is ignored), or the one numbered ``event``, each with its proof.

    With ``older``, a checkpoint handed out before, also that the trail then is the beginning of the trail now; that
    needs no event. For administrators and the command line. Recorded, about the patient it is of, before anything is
    read out. Raises ``PermissionDenied``, ``ReauthenticationRequired``, ``InvalidInput``, ``NothingToProve``,
    ``NotTheSignedTrail``.
    """
    demand(actor, Permission.AUDIT_SEE)
    demand_fresh(actor)
    before = _opened(older) if older else None
    where = _conditions(query, event)
    with transaction(actor) as session:
        counted = select(func.count(), func.max(AUDIT_EVENTS.c.seq)).select_from(AUDIT_EVENTS).where(*where)
        count, last = session.execute(counted).one()
        if not count and before is None:
            raise NothingToProve
        details: dict[str, Any] = {"count": count, "through": last or 0}
        details |= {"event": event} if event is not None else {}
        details |= {"since": query.since.isoformat()} if query is not None and query.since is not None else {}
        about = _about(session, where) if count else ("audit", None)
        record(session, actor, Action.AUDIT_PROVED, resource_type=about[0], resource_id=about[1], details=details)
    checkpoint = checkpoints.make_checkpoint()
    path = _consistency(before, checkpoint) if before is not None else None
    header = {"format": FORMAT, "checkpoint": checkpoint.note, "events": count}
    if before is not None and path is not None:
        header["older"] = {"size": before.size, "path": _encoded(path)}
    return AuditProof(count, checkpoint, _pieces(header, where, last or 0, checkpoint))


def _opened(older: str) -> signed_notes.Checkpoint:
    try:
        return signed_notes.opened(older, checkpoints.public_keys())[0]
    except signed_notes.NotValid as error:
        raise InvalidInput({"older": f"The older checkpoint: {error}"}) from None


def _conditions(query: AuditQuery | None, event: int | None) -> list[ColumnElement[bool]]:
    if event is not None:
        return [AUDIT_EVENTS.c.seq == (event if 0 < event < 2**63 else 0)]
    return conditions(query) if query is not None else [AUDIT_EVENTS.c.seq == 0]


def _about(session: Any, where: Sequence[ColumnElement[bool]]) -> tuple[str, int | None]:
    """The patient whom all these events are about, if they are about one."""
    kinds = select(AUDIT_EVENTS.c.resource_type, AUDIT_EVENTS.c.resource_id).where(*where).distinct().limit(2)
    found = session.execute(kinds).all()
    if len(found) == 1 and found[0].resource_type == "patient":
        return "patient", found[0].resource_id
    return "audit", None


def _consistency(before: signed_notes.Checkpoint, now: SignedCheckpoint) -> list[bytes]:
    with db.reading() as session:
        node = Tree(session).node
        path = merkle.consistency(node, before.size, now.size) if 0 < before.size <= now.size else []
    if not merkle.is_beginning(before.size, before.root, now.size, now.root, path):
        raise NotTheSignedTrail(
            "The older checkpoint is not of the beginning of this trail: events were lost or replaced since it was "
            "signed, as when a backup was restored. `audit verify` says more."
        )
    return path


def _encoded(path: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(each).decode() for each in path]


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":")) + "\n"


def _pieces(
    header: dict[str, Any], where: list[ColumnElement[bool]], last: int, checkpoint: SignedCheckpoint
) -> Iterator[str]:
    yield _line(header)
    seen = 0
    while seen < last:
        with db.reading() as session:
            chosen = select(AUDIT_EVENTS).where(*where, AUDIT_EVENTS.c.seq > seen, AUDIT_EVENTS.c.seq <= last)
            rows = session.execute(chosen.order_by(AUDIT_EVENTS.c.seq).limit(_CHUNK)).mappings().all()
            if not rows:
                return
            there = Tree(session)
            for row in rows:
                yield _proved(there, row, checkpoint)
        seen = rows[-1]["seq"]


def _proved(there: Tree, row: Any, checkpoint: SignedCheckpoint) -> str:
    index = row["seq"] - 1
    path = merkle.inclusion(there.node, index, checkpoint.size)
    if merkle.root_by(leaf(row), index, checkpoint.size, path) != checkpoint.root:
        raise NotTheSignedTrail("An event does not fit the checkpoint: run `audit verify`. Nothing was proved.")
    return _line({"event": canonical(row).decode(), "hash": row["hash"], "path": _encoded(path)})
