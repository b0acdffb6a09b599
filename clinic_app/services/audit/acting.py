"""The one way to write on somebody's behalf: whether they still may is asked again inside the transaction itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlmodel import Session

from clinic_app.core import context, db
from clinic_app.services.access import Actor
from clinic_app.services.audit import actor_check, recording
from clinic_app.services.audit.actor_check import RoleChanged, SessionOver
from clinic_app.services.audit.authorization import note_refusal


@contextlib.contextmanager
def transaction(
    actor: Actor, *, ends_own_session: bool = False, tried: bool = False, looks: bool = False
) -> Iterator[Session]:
    """Building block: one writing transaction on behalf of ``actor``, who is looked at once more in it.

    Looked at are account, role and session, under the lock on the end of the trail, which whoever ends a session takes
    too: of the two, one comes first, and what comes after the end is not kept. ``ends_own_session``: the work itself
    ends it, so it is looked at before. ``tried``: where it fails it is done again, so that no refusal is noted.
    ``looks``: the work writes nothing but its event. What was read of patients and left no event by then is recorded as
    a look.

    Raises ``SessionOver`` and ``RoleChanged``, each recorded as a refusal; nothing of the block is kept then.
    """
    try:
        writes = not looks or bool(context.current().intent)  # a press has a row of its own
        with db.transaction(writes=writes) as session:
            actor_check.expect(session, actor)
            if ends_own_session:
                actor_check.check(session)
            yield session
            session.flush()
            recording.settle(session, actor)
            recording.check_actor(session)
    except (SessionOver, RoleChanged) as gone:
        if not tried:
            note_refusal(actor, gone.code)
        raise
