"""Portal accounts when two patients' records become one, and when they become two again. Building blocks.

One account at most opens a record. Where both have one, the one that stays belongs to the record that stays, and the
other to the record that goes: turned off, and without its username, which is free for others from then on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from sqlalchemy import delete, or_, select, update
from sqlmodel import Session

from clinic_app.core import clock
from clinic_app.models.accounts import ACCOUNTS, FORMER_USERNAMES, Account, Role
from clinic_app.services.accounts import passkey_ceremonies, sessions
from clinic_app.services.accounts.portal_accounts import change_username
from clinic_app.services.notifications import links, outbox

MERGED = "merged"
#: What stands in for a username that was given up: nobody can register it, and no message goes there.
_FREED = "@merged.invalid"
#: For a moment, while two accounts change places: a patient has one account, and one of theirs has a patient.
_BETWEEN = "MOVING"


@dataclass(frozen=True, slots=True)
class Logins:
    """Which accounts two records had when they were merged, and what the one that went was. Ids; 0 for none."""

    survivor: int = 0
    other: int = 0
    stays: int = 0
    goes: int = 0
    username: str = ""  # of the one that goes; here, and nowhere in plain
    was_active: bool = False

    def as_json(self) -> dict[str, Any]:
        """To be kept."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What was kept."""
        return cls(**kept)


def username_is_freed(username: str) -> bool:
    """Whether an account has no username of its own any more."""
    return username.endswith(_FREED)


def lock_accounts(session: Session, patient_ids: Collection[int]) -> dict[int, Account]:
    """The accounts of these patients, locked in one order, by patient."""
    found = session.execute(
        select(Account).where(ACCOUNTS.c.patient_id.in_(sorted(patient_ids))).order_by(ACCOUNTS.c.id).with_for_update()
    )
    return {account.patient_id or 0: account for account in found.scalars()}


def likely_to_stay(mine: Account, theirs: Account) -> Account:
    """Which of two is kept unless somebody chooses: the one in use; of equals, that of the record that stays."""

    def use(account: Account) -> tuple[bool, bool, bool]:
        return account.is_active, not account.password_temporary, account.last_sign_in_at is not None

    return theirs if use(theirs) > use(mine) else mine


def keep_one(
    session: Session, survivor_id: int, other_id: int, accounts: Mapping[int, Account], stays: Account | None
) -> Logins:
    """One account stays, and belongs to the survivor; returns what undoing it needs. All are locked.

    Of an account that goes, sessions and links end, and messages that wait are dropped.
    """
    mine, theirs = accounts.get(survivor_id), accounts.get(other_id)
    stays = stays or mine or theirs
    goes = next((one for one in (mine, theirs) if one is not None and one is not stays), None)
    kept = Logins(
        survivor=mine.id or 0 if mine else 0,
        other=theirs.id or 0 if theirs else 0,
        stays=stays.id or 0 if stays else 0,
        goes=goes.id or 0 if goes else 0,
        username=goes.username if goes else "",
        was_active=bool(goes and goes.is_active),
    )
    if goes is not None:
        _end(session, goes)
    if theirs is not None and stays is theirs:
        _change_places(session, theirs, mine, survivor_id, other_id)
    return kept


def _end(session: Session, account: Account) -> None:
    ident = account.id or 0
    if account.is_active:
        account.is_active = False
        account.turned_off_at, account.turned_off_reason = clock.now(), MERGED
    sessions.end_sessions(session, ident, MERGED)
    passkey_ceremonies.forget_challenges(session, ident)  # its passkeys open nothing while it is off
    links.end_links(session, ident, links.EVERY)
    outbox.drop_waiting(session, ident)
    shown = account.email_shown_at
    change_username(session, account, f"{ident}{_FREED}")
    account.email_shown_at = shown  # it counts again if the username comes back


def _change_places(session: Session, moves: Account, leaves: Account | None, to: int, instead: int) -> None:
    """``moves`` belongs to the patient ``to`` from now on, and ``leaves``, if there is one, to ``instead``."""
    session.flush()
    now = clock.now()
    if leaves is not None:
        _place(session, leaves, role=_BETWEEN, patient_id=None, updated_at=now)
    _place(session, moves, patient_id=to, updated_at=now)
    if leaves is not None:
        _place(session, leaves, role=Role.PATIENT, patient_id=instead, updated_at=now)


def _place(session: Session, account: Account, **values: Any) -> None:
    session.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account.id).values(values))
    session.refresh(account)


def put_back(session: Session, survivor_id: int, other_id: int, accounts: Mapping[int, Account], kept: Logins) -> bool:
    """Each account belongs to the record it belonged to; the one that went is as it was at the merge.

    An account that was made since stays where it is. False where its username does not come back because somebody else
    has it: then the account stays off. Raises ``IntegrityError`` where somebody takes the username at this moment.
    """
    mine, theirs = accounts.get(survivor_id), accounts.get(other_id)
    if mine is not None and mine.id == kept.other:  # it came from the other record
        _change_places(session, mine, theirs, other_id, survivor_id)
    goes = next((one for one in (mine, theirs) if one is not None and one.id == kept.goes), None)
    if goes is None or not username_is_freed(goes.username):
        return True
    if session.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.username == kept.username)).first() is not None:
        return False
    goes.username, goes.updated_at = kept.username, clock.now()
    if kept.was_active:
        goes.is_active = True
        goes.turned_off_at = goes.turned_off_by_id = goes.turned_off_reason = None
    session.flush()
    former = FORMER_USERNAMES.c
    session.execute(
        delete(FORMER_USERNAMES).where(
            former.account_id == goes.id, or_(former.username == kept.username, former.username.endswith(_FREED))
        )
    )
    return True
