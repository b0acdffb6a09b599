"""Building blocks of passkeys (WebAuthn Level 3): what a browser is asked to sign, once, and what it answers."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

import webauthn
from sqlalchemy import delete, select
from sqlmodel import Session
from webauthn.helpers import bytes_to_base64url, parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.parse_authentication_credential_json import parse_authentication_credential_json
from webauthn.helpers.parse_registration_credential_json import parse_registration_credential_json
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from clinic_app.core import addresses, clock, crypto
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import PASSKEY_CHALLENGES, PASSKEYS, Account, Passkey, PasskeyChallenge
from clinic_app.services.accounts.errors import PasskeysUnavailable

#: So long an authenticator may take to answer.
LIFE = dt.timedelta(minutes=5)
#: Characters of an answer that is looked at: one with an attestation has some thousands.
_LONGEST = 20_000
#: Bytes of a public key; one of RSA with 8192 bits has 1,040.
_LONGEST_KEY = 1100
#: Known to every authenticator, and quick to check.
_ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
#: What a challenge of an account is for, part of what is kept of it: an answer to one is none to the other.
ADDING, CONFIRMING = "", "confirm "
Answer = RegistrationCredential | AuthenticationCredential


def site() -> str:
    """The name that our passkeys are made for. Raises ``PasskeysUnavailable`` where there can be none."""
    found = addresses.passkey_site(get_settings())
    if not found:
        raise PasskeysUnavailable
    return found


# --- challenges ---------------------------------------------------------------------------------


def _mark(token: str, purpose: str) -> str:
    return crypto.digest(purpose + token)


def ask(session: Session, account_id: int | None, purpose: str = ADDING) -> bytes:
    """A fresh challenge, for somebody to sign in, or for this account to add a passkey or to confirm who it is.

    The account's last one counts no more: whoever asks while there is room adds one at most.
    """
    token = crypto.new_token()
    if account_id is not None:
        session.execute(delete(PASSKEY_CHALLENGES).where(PASSKEY_CHALLENGES.c.account_id == account_id))
    session.add(
        PasskeyChallenge(challenge_hash=_mark(token, purpose), account_id=account_id, expires_at=clock.now() + LIFE)
    )
    return webauthn.base64url_to_bytes(token)


def take(session: Session, challenge: bytes, account_id: int | None, purpose: str = ADDING) -> bool:
    """Use a challenge up: whether it was asked for this purpose and was not used yet. Of two at once, one gets True."""
    whose = PASSKEY_CHALLENGES.c.account_id
    gone = session.execute(
        delete(PASSKEY_CHALLENGES)
        .where(
            PASSKEY_CHALLENGES.c.challenge_hash == _mark(bytes_to_base64url(challenge), purpose),
            whose.is_(None) if account_id is None else whose == account_id,
        )
        .returning(PASSKEY_CHALLENGES.c.expires_at)
    ).scalar_one_or_none()
    return gone is not None and gone > clock.now()


def forget_challenges(session: Session, account_id: int) -> None:
    """What its browsers were asked to sign is asked no more."""
    session.execute(delete(PASSKEY_CHALLENGES).where(PASSKEY_CHALLENGES.c.account_id == account_id))


def forget(session: Session, account_id: int) -> None:
    """The account has no passkeys any more: its password was replaced by the clinic, or it is in other hands or off."""
    for table in (PASSKEY_CHALLENGES, PASSKEYS):
        session.execute(delete(table).where(table.c.account_id == account_id))


# --- what a browser is asked ----------------------------------------------------------------------


def kept_ids(session: Session, account_id: int) -> list[str]:
    """The credential ids of the account's passkeys."""
    found = session.execute(select(PASSKEYS.c.credential_id).where(PASSKEYS.c.account_id == account_id))
    return list(found.scalars())


def options_to_add(account: Account, challenge: bytes, kept: list[str]) -> str:
    """What ``navigator.credentials.create`` is given, as JSON: a key its owner unlocks, and that says whose it is."""
    options = webauthn.generate_registration_options(
        rp_id=site(),
        rp_name=get_settings().name,
        user_name=account.username,
        user_display_name=account.full_name,
        user_id=webauthn.base64url_to_bytes(account.passkey_handle or ""),
        challenge=challenge,
        timeout=int(LIFE.total_seconds() * 1000),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=webauthn.base64url_to_bytes(one)) for one in kept],
        supported_pub_key_algs=_ALGORITHMS,
    )
    return webauthn.options_to_json(options)


def options_to_sign_in(challenge: bytes, kept: list[str] | None = None) -> str:
    """What ``navigator.credentials.get`` is given, as JSON: any passkey, or one of ``kept``, unlocked by its owner."""
    options = webauthn.generate_authentication_options(
        rp_id=site(),
        challenge=challenge,
        timeout=int(LIFE.total_seconds() * 1000),
        user_verification=UserVerificationRequirement.REQUIRED,
        allow_credentials=[PublicKeyCredentialDescriptor(id=webauthn.base64url_to_bytes(one)) for one in kept or []],
    )
    return webauthn.options_to_json(options)


# --- what it answers ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """An answer that can be read; nothing in it is true yet."""

    answer: Any
    challenge: bytes
    credential_id: str


def read(text: str, *, new: bool) -> Read | None:
    """What a browser sent, for a ``new`` passkey or to sign in; None for what is no such answer."""
    if len(text) > _LONGEST:
        return None
    try:
        sent = json.loads(text)
        found: Answer = parse_registration_credential_json(sent) if new else parse_authentication_credential_json(sent)
        client = parse_client_data_json(found.response.client_data_json)
    except Exception:  # noqa: BLE001  anybody may send anything, and the parsers raise what they come upon
        return None
    return None if client.cross_origin else Read(found, client.challenge, bytes_to_base64url(found.raw_id))


def check_new(given: Read) -> VerifiedRegistration | None:
    """The passkey that was made, if the answer proves one: for our site, unlocked by its owner; else None."""
    settings = get_settings()
    try:
        made = webauthn.verify_registration_response(
            credential=given.answer,
            expected_challenge=given.challenge,
            expected_rp_id=site(),
            expected_origin=addresses.normal_origin(settings.origin),
            require_user_verification=True,
            supported_pub_key_algs=_ALGORITHMS,
        )
    except Exception:  # noqa: BLE001  as above: certificates and CBOR of strangers
        return None
    return made if len(made.credential_public_key) <= _LONGEST_KEY else None


def check(given: Read, passkey: Passkey) -> int | None:
    """How often the authenticator says it has signed, if it proves ``passkey``: for our site, unlocked; else None."""
    try:
        proved = webauthn.verify_authentication_response(
            credential=given.answer,
            expected_challenge=given.challenge,
            expected_rp_id=site(),
            expected_origin=addresses.normal_origin(get_settings().origin),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # compared by the caller, who tells it apart
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001  as above
        return None
    return proved.new_sign_count
