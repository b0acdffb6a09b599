"""Building blocks for portal accounts, used inside the use cases of patients and portal."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import update
from sqlmodel import Session

from clinic_app.core import clock, crypto
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS, Account, Role
from clinic_app.services.accounts.views import Credentials


def prepare_credentials(username: str) -> tuple[Credentials, str]:
    """New credentials for ``username`` and the hash to keep. Slow (one hash): call it before the transaction."""
    password = crypto.temporary_password()
    expires = clock.now() + dt.timedelta(hours=get_settings().temporary_password_hours)
    return Credentials(username, password, expires), crypto.hash_password(password)


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


def rename_portal_account(session: Session, patient_id: int, full_name: str) -> None:
    """Building block: give the patient's account, if there is one, the patient's present name."""
    session.execute(
        update(ACCOUNTS).where(ACCOUNTS.c.patient_id == patient_id).values(full_name=full_name, updated_at=clock.now())
    )
