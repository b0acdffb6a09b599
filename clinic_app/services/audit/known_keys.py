"""Whether the keys at hand are those of the clinic in this database. Asked before anything is written with them."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, select
from sqlmodel import Session

from clinic_app.core import clock, db, keys
from clinic_app.core.errors import Conflict
from clinic_app.core.settings import get_settings
from clinic_app.models.audit import AUDIT_HEAD
from clinic_app.models.clinic_keys import CLINIC_KEYS
from clinic_app.services.audit import chain

_WITHOUT = {
    "pepper": "nobody could sign in",
    "audit_key": "the audit trail would be broken for good",
    "token_key": "what is encrypted could not be read",
}


class OtherKeys(Conflict):
    """These are not the keys of this clinic. Nothing was written."""

    code = "other_keys"
    title = "These are not the keys of this clinic."


def check() -> None:
    """See that the keys at hand are those of the bound database, and note them where none are noted yet.

    For whatever starts: server and commands, before they write. Missing keys are generated for a new clinic only.
    Raises ``OtherKeys``, which says which key is another one and what to do.
    """
    known, begun = _known()
    if (known or begun) and (missing := [name for name in keys.NAMES if name not in keys.at_hand(get_settings())]):
        raise OtherKeys(
            f"The keys of this clinic are missing ({_named(missing)}): put its keys.json into "
            f"{get_settings().data_dir}, or set them. Nothing was changed."
        )
    if known:
        keys.use_next(get_settings(), known)  # where changing them was interrupted
    if other := [name for name, fingerprint in known.items() if keys.fingerprint(name) != fingerprint]:
        raise OtherKeys(_sentence(other))
    if set(known) == set(keys.NAMES):
        return
    with db.reading() as session:
        found, _ = chain.verify_end(session.connection(), at_most=1)
    if begun and not found.ok:
        raise OtherKeys(_sentence(["audit_key"]))
    with db.transaction() as session:
        _note(session)


def check_noted() -> None:
    """The same for a database whose tables may be older, or not there: it is compared where keys are noted."""
    with db.reading() as session:
        noted = inspect(session.connection()).has_table(CLINIC_KEYS.name)
    if noted:
        check()


def fingerprints() -> dict[str, str]:
    """The fingerprint of each key of the clinic in the bound database."""
    return _known()[0]


def noted_in(connection: Connection) -> dict[str, str]:
    """The fingerprint of each key in use that is noted in any database of a clinic."""
    rows = connection.execute(select(CLINIC_KEYS).order_by(CLINIC_KEYS.c.version))
    return {row.name: row.fingerprint for row in rows}


def _known() -> tuple[dict[str, str], bool]:
    """The fingerprint of each key in use, and whether the trail has begun."""
    with db.reading() as session:
        noted = noted_in(session.connection())
        seq = session.execute(select(AUDIT_HEAD.c.seq).where(AUDIT_HEAD.c.id == 1)).scalar_one_or_none()
    return noted, bool(seq)


def _note(session: Session) -> None:
    for name in keys.NAMES:  # two that start at once note the same
        row = {"name": name, "version": 1, "fingerprint": keys.fingerprint(name), "noted_at": clock.now()}
        db.upsert(session, CLINIC_KEYS, row)


def _named(names: list[str]) -> str:
    return ", ".join(f"CLINIC_{name.upper()}" for name in names)


def _sentence(names: list[str]) -> str:
    settings = get_settings()
    given = [name for name in names if getattr(settings, name) is not None]
    where = "in the environment" if given else f"in {settings.data_dir / 'keys.json'}"
    return (
        f"{_named(names)}: what is {where} is not the key of the clinic in this database; with it "
        f"{' and '.join(_WITHOUT[name] for name in names)}. Put the clinic's own keys back. Nothing was changed."
    )
