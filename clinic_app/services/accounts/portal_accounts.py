"""Building blocks for portal accounts, used inside the use cases of patients and portal."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Select, delete, select, update
from sqlmodel import Session

from clinic_app.core import clock, crypto
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS, FORMER_USERNAMES, Account, FormerUsername, Role
from clinic_app.models.notifications import LinkPurpose
from clinic_app.services.accounts import known_devices, passkey_ceremonies, sessions, sign_in_throttle
from clinic_app.services.accounts.shown import mark_of
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.notifications import links, outbox, recipients
from clinic_app.services.notifications.kinds import Kind
from clinic_app.services.notifications.views import Delivery


def prepare_credentials(username: str, *, in_bulk: bool = False) -> tuple[Credentials, str]:
    """New credentials for ``username`` and the hash to keep. Slow (one hash): call it before the transaction.

    ``in_bulk``: one of many that nobody at a desk waits for.
    """
    password = crypto.temporary_password()
    expires = clock.now() + dt.timedelta(hours=get_settings().temporary_password_hours)
    hashed = crypto.hash_password(password, in_bulk=in_bulk)
    return Credentials(username, password, expires, mark=mark_of(hashed)), hashed


def add_portal_account(
    session: Session,
    *,
    patient_id: int,
    full_name: str,
    phone: str | None,
    credentials: Credentials,
    password_hash: str,
    created_by_id: int | None,
) -> Account:
    """Add the portal account of a patient; the constraints decide whether username and patient are free."""
    now = clock.now()
    account = Account(
        username=credentials.username,
        full_name=full_name,
        role=Role.PATIENT,
        patient_id=patient_id,
        phone=phone,
        password_hash=password_hash,
        password_temporary=True,
        password_expires_at=credentials.expires_at,
        password_changed_at=now,
        created_at=now,
        updated_at=now,
        created_by_id=created_by_id,
    )
    session.add(account)
    session.flush()
    return account


def put_temporary_password(
    session: Session, account: Account, credentials: Credentials, password_hash: str, reason: str
) -> None:
    """Building block: the account opens with ``credentials`` and nothing else; its sessions end for ``reason``.

    Its passkeys are gone, for whoever added them may be why it is reset. The tries of others are forgotten: whoever
    was locked out gets in with what is handed over now.
    """
    account.password_hash = password_hash
    account.password_temporary = True
    account.password_expires_at = credentials.expires_at
    account.temporary_failures = 0
    account.password_changed_at = account.updated_at = clock.now()
    account.handed_over, account.handed_over_at, account.handed_over_by_id = None, None, None
    sessions.end_sessions(session, account.id or 0, reason)
    links.end_links(session, account.id or 0, (LinkPurpose.EMAIL,))  # asked for in a session that has ended
    passkey_ceremonies.forget(session, account.id or 0)
    sign_in_throttle.unlock(session, account.username, account.id)


def change_username(session: Session, account: Account, username: str) -> None:
    """Building block: give the account another username; the constraint decides whether it is free.

    The former one is free from now on, without what was counted against it, and kept as a former one. The browsers it
    signed in with are known no longer: they may be somebody else's. A username that
    an account gets back is no former one of its any more. Flushes: raises ``IntegrityError`` where it is taken.
    """
    former, now = account.username, clock.now()
    account.username, account.updated_at, account.email_shown_at = username, now, None
    account.contact_email = None  # messages go to the new username
    session.flush()
    sign_in_throttle.unlock(session, former, account.id)
    known_devices.forget(session, account.id or 0)
    session.add(FormerUsername(account_id=account.id or 0, username=former, ended_at=now))
    session.execute(
        delete(FORMER_USERNAMES).where(
            FORMER_USERNAMES.c.account_id == account.id, FORMER_USERNAMES.c.username == username
        )
    )


def former_usernames(session: Session, patient_id: int) -> tuple[str, ...]:
    """Building block: the usernames that the patient's account had before, the latest first."""
    found = session.execute(
        select(FORMER_USERNAMES.c.username)
        .join(ACCOUNTS, ACCOUNTS.c.id == FORMER_USERNAMES.c.account_id)
        .where(ACCOUNTS.c.patient_id == patient_id)
        .order_by(FORMER_USERNAMES.c.ended_at.desc(), FORMER_USERNAMES.c.username)
    )
    return tuple(found.scalars())


def formerly_named(username: str) -> Select[tuple[int]]:
    """Building block: the ids of the patients whose account had this username before, for use in a search."""
    return (
        select(ACCOUNTS.c.patient_id)
        .join(FORMER_USERNAMES, FORMER_USERNAMES.c.account_id == ACCOUNTS.c.id)
        .where(FORMER_USERNAMES.c.username == username)
    )


def rename_portal_account(session: Session, patient_id: int, full_name: str) -> None:
    """Building block: give the patient's account, if there is one, the patient's present name."""
    session.execute(
        update(ACCOUNTS).where(ACCOUNTS.c.patient_id == patient_id).values(full_name=full_name, updated_at=clock.now())
    )


def follow_phone(session: Session, patient_id: int, before: str | None, now: str | None) -> None:
    """Building block: messages go to the patient's new phone where they went to the former one."""
    session.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.patient_id == patient_id, ACCOUNTS.c.phone == before)
        .values(phone=now, updated_at=clock.now())
    )


def follow_email(session: Session, patient_id: int, before: str | None, now: str | None) -> None:
    """Building block: the same for emails that go to the patient's own one, and not to the username.

    Where the patient has none any more they go on to the former one: the username reaches nobody.
    """
    if not (before and now):
        return
    session.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.patient_id == patient_id, ACCOUNTS.c.contact_email == before)
        .values(contact_email=now, updated_at=clock.now())
    )


def emails_go_to(session: Session, patient_id: int) -> str:
    """Building block: where emails to the owner of the patient's account go; empty where there is none."""
    accounts = ACCOUNTS.c
    wanted = select(accounts.contact_email, accounts.username).where(accounts.patient_id == patient_id)
    found = session.execute(wanted).one_or_none()
    return recipients.email_of(found) if found is not None else ""


def tell_of_other_email(session: Session, patient_id: int, before: str) -> tuple[Delivery, ...]:
    """Building block: tell the owner of the patient's account where emails go now, and ``before``, where they went.

    A link for a forgotten password goes there too, so whoever has a password of their own must hear of it. Nothing
    where it is the same, or where the password is a temporary one: then the desk is about to hand one over.
    """
    wanted = select(Account).where(ACCOUNTS.c.patient_id == patient_id).execution_options(populate_existing=True)
    account = session.execute(wanted).scalar_one_or_none()
    if account is None or account.password_temporary or not account.is_active or not before:
        return ()
    to = recipients.recipient(account)
    if to.email == before:
        return ()
    return outbox.tell(session, to, Kind.EMAIL_CHANGED, {"before": before, "after": to.email}, also=[before])


def end_waiting_email(session: Session, patient_id: int) -> None:
    """Building block: the patient's email is another one: what waits to be confirmed does not replace it."""
    account_id = session.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.patient_id == patient_id)).scalar_one_or_none()
    if account_id is not None:
        links.end_links(session, account_id, (LinkPurpose.EMAIL,))
