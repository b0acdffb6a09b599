"""Passwords people choose: what is good enough, why not, and saving one.

Length and guessability, no composition rules (NIST SP 800-63B-4, 3.1.1.2; ASVS 5.0 6.2).
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterable

from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core import clock, context, crypto, db
from clinic_app.core.errors import AuthenticationRequired, InvalidInput
from clinic_app.core.settings import get_settings
from clinic_app.core.text_rules import normalised, trimmed
from clinic_app.core.user_agents import device_words
from clinic_app.models.accounts import ACCOUNTS, LOGIN_SESSIONS, Account, LoginSession, Role
from clinic_app.models.patients import BirthPrecision, Patient
from clinic_app.services.access import ANONYMOUS, Actor, Permission
from clinic_app.services.accounts import blocklist, guessability, reauthentication, sessions
from clinic_app.services.accounts.errors import WrongPassword
from clinic_app.services.accounts.views import SignedIn, Strength
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, demand_fresh
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications import links, outbox, recipients
from clinic_app.services.notifications.kinds import Kind

SHORTEST, LONGEST = 15, 128  # code points
_WORDS = ("Very weak", "Weak", "Could be stronger", "Strong", "Very strong")
#: Names, and passwords, are shorter: so much of either is looked at.
_FOLDED = 1000
#: Too many questions at once: asking again a moment later helps.
_NOT_YET = Strength(0, "Not checked yet", "This could not be checked just now. Please try again in a moment.", False)


def _folded(text: str) -> str:
    plain = normalised(text, _FOLDED, "NFKD").casefold()
    return "".join(c for c in plain if c.isalnum())


def _birth_digits(born: dt.date, precision: str) -> list[str]:
    """A birth date as people type it into passwords: as much of it as is known."""
    if precision == BirthPrecision.DAY:
        return [f"{born:%d%m%Y}", f"{born:%Y%m%d}"]
    return [f"{born:%m%Y}", f"{born:%Y%m}"] if precision == BirthPrecision.MONTH else [f"{born:%Y}"]


def _personal_words(actor: Actor, patient: Patient | None) -> list[str]:
    """Words others know about the person or the place: they make a password easy to guess."""
    settings = get_settings()
    sources = [actor.name, actor.username.split("@")[0], settings.name, "clinic", "portal", "patient", "password"]
    if patient is not None:
        phone = patient.phone or ""
        sources += [patient.patient_id, phone, phone[-9:], patient.national_id or ""]  # with and without the country
        if patient.date_of_birth:
            sources += _birth_digits(patient.date_of_birth, patient.date_of_birth_precision)
    words = {word for source in sources for word in [_folded(source), *map(_folded, re.split(r"[\W_]+", source))]}
    return sorted(word for word in words if len(word) >= 4)


def _without(password: str, words: Iterable[str]) -> tuple[str, bool]:
    """``password`` folded, with every personal word taken out, and whether there was one."""
    rest = folded = _folded(password)
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "")
    return rest, rest != folded


def _assess(password: str, words: list[str]) -> Strength:
    length = len(password)
    if length > LONGEST:
        return Strength(0, _WORDS[0], f"At most {LONGEST} characters.", False)
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in password):
        return Strength(0, _WORDS[0], "It contains a character that cannot be typed on every keyboard.", False)
    if length < SHORTEST:
        missing = SHORTEST - length
        more = f"{missing} more character{'' if missing == 1 else 's'} needed. Three or four words are easiest."
        return Strength(0 if length < SHORTEST // 2 else 1, _WORDS[0 if length < SHORTEST // 2 else 1], more, False)
    if blocklist.is_common(password):
        return Strength(
            0, _WORDS[0], "Many people use this one, so attackers try it first. Use unrelated words.", False
        )
    if blocklist.is_pattern(password):
        return Strength(1, _WORDS[1], "It repeats itself or runs along the keyboard. Use unrelated words.", False)
    found = guessability.guess(password, words)
    if found is None:
        return _NOT_YET
    score = found.score
    rest, personal = _without(password, words)
    if personal:
        alone = guessability.guess(rest, []) if rest else guessability.NOTHING
        if alone is None:
            return _NOT_YET
        score = min(score, alone.score, 2 if len(rest) < SHORTEST else 4)
        if score < 3:
            why = "It contains a name, date or word linked to you or the clinic. Add unrelated words."
            return Strength(score, _WORDS[score], why, False)
    if score < 3:
        hint = found.warning or "It is easy to guess."
        return Strength(
            score,
            _WORDS[score],
            f"{hint.rstrip('.')}. Add two more words that have nothing to do with each other.",
            False,
        )
    return Strength(
        score, _WORDS[score], "Hard to guess and easy to remember." if score == 4 else "Hard to guess.", True
    )


def _own_patient(actor: Actor) -> Patient | None:
    if actor.patient_id is None:
        return None
    with db.reading() as session:
        return session.get(Patient, actor.patient_id)


def assess_password(actor: Actor, password: str) -> Strength:
    """How good ``password`` would be for ``actor``, with the reason. For whoever is signed in, about themselves.

    Blanks at both ends do not count. Nothing is kept or logged. Raises ``AuthenticationRequired`` for nobody, and
    ``TooManyAttempts`` for an account that asks faster than anybody types.
    """
    demand(actor, Permission.OWN_PASSWORD)
    guessability.spend(actor.account_id)
    return _assess(trimmed(password, _FOLDED)[: LONGEST + 1], _personal_words(actor, _own_patient(actor)))


def assess_for_link(code: str, password: str) -> Strength:
    """How good ``password`` would be for whoever sets one by a one-time link. For anybody: nobody is signed in yet.

    Judged without the words of whoever's link it is, so that the answer says nothing of the code, which only says
    whose questions are counted together. Raises ``TooManyAttempts`` where too many come with one code, from one
    address, or altogether.
    """
    guessability.spend_stranger(crypto.keyed_digest(links.plain_code(code), "limit"), context.current().address)
    return _assess(trimmed(password, _FOLDED)[: LONGEST + 1], _personal_words(ANONYMOUS, None))


def _check_new(actor: Actor, new: str, again: str) -> None:
    """Raise ``InvalidInput`` for a new password that is missing, too easy to guess, or not the same both times."""
    if not new or not trimmed(new, _FOLDED):
        raise InvalidInput({"new_password": "New password is required."})
    strength = assess_password(actor, new)
    if not strength.good_enough:
        raise InvalidInput({"new_password": strength.why})
    if trimmed(new, _FOLDED) != trimmed(again or "", _FOLDED):
        raise InvalidInput({"confirm_password": "The two passwords are not the same."})


def check_for(account: Account, new: str, again: str) -> None:
    """Building block: the same for the owner of an account who has shown who they are and is not signed in yet."""
    _check_new(sessions.actor_of(account, None), new, again)


def after_change(session: Session, account: Account) -> None:
    """Building block: links that would set another password open nothing any more, and a patient is told."""
    if account.role == Role.PATIENT:
        links.end_links(session, account.id or 0, links.EVERY)
        device = device_words(context.current().user_agent)
        to = recipients.recipient(account)
        outbox.tell(session, to, Kind.PASSWORD_CHANGED, {"device": device})


def put_own_password(session: Session, account: Account, password_hash: str) -> None:
    """Building block: the account has a password of its owner's from now on; its sessions end, and so do its links."""
    account.password_hash = password_hash
    account.password_temporary, account.password_expires_at, account.temporary_failures = False, None, 0
    account.password_changed_at = account.updated_at = clock.now()
    sessions.end_sessions(session, account.id or 0, sessions.PASSWORD_CHANGED)
    after_change(session, account)


def _replace(
    new: str,
    session_token_hash: str,
    still: Callable[[Account], bool],
    *,
    was_temporary: bool,
    forgiven: Actor | None = None,
) -> SignedIn:
    """Keep ``new`` for the account behind the session, if what was checked is ``still`` so once its row is locked.

    All sessions of the account end and a new one is opened; the wrong tries of whoever is ``forgiven`` are forgotten.
    One hash, outside of the transaction. Raises ``AuthenticationRequired`` where something has changed meanwhile.
    """
    fresh = crypto.hash_password(new)
    with db.transaction() as session:
        found = session.execute(
            select(Account, LOGIN_SESSIONS.c.kind)
            .join(LoginSession, LOGIN_SESSIONS.c.account_id == ACCOUNTS.c.id)
            .where(LOGIN_SESSIONS.c.token_hash == session_token_hash, LOGIN_SESSIONS.c.ended_at.is_(None))
            .with_for_update()
        ).one_or_none()
        account, kind = found if found is not None else (None, "")
        if (
            account is None
            or not account.is_active
            or account.password_temporary != was_temporary
            or not still(account)
        ):
            raise AuthenticationRequired
        if forgiven is not None:
            reauthentication.forgive(session, forgiven)
        put_own_password(session, account, fresh)
        token, row = sessions.open_session(session, account, kind)
        own = sessions.actor_in(account, row)
        record(
            session,
            own,
            Action.PASSWORD_CHOSEN,
            resource_type="account",
            resource_id=own.account_id,
            details={"was_temporary": was_temporary},
            changes_lists=True,
        )
    return SignedIn(token, own, row.expires_at)


def choose_password(actor: Actor, new: str, again: str, *, session_token_hash: str) -> SignedIn:
    """Replace ``actor``'s temporary password by one of their own.

    For the account whose password is temporary, from the session behind ``session_token_hash``. All sessions
    of the account end and a new one is opened. Raises ``InvalidInput`` (fields ``new_password``,
    ``confirm_password``), ``AuthenticationRequired`` when the session has ended meanwhile or the password is
    no longer temporary.
    """
    demand(actor, Permission.OWN_PASSWORD)
    _check_new(actor, new, again)
    with db.reading() as session:
        kept = session.execute(
            select(ACCOUNTS.c.password_hash).where(ACCOUNTS.c.id == actor.account_id, ACCOUNTS.c.password_temporary)
        ).scalar_one_or_none()
    if kept is None:  # before comparing: this must not tell whether a guess is one's own password
        raise AuthenticationRequired
    if crypto.verify_password(new, kept):
        raise InvalidInput({"new_password": "Choose a password that is different from the temporary one."})

    def still(account: Account) -> bool:
        expires = account.password_expires_at
        return account.password_hash == kept and expires is not None and expires > clock.now()

    return _replace(new, session_token_hash, still, was_temporary=True)


def change_password(actor: Actor, current: str, new: str, again: str, *, session_token_hash: str) -> SignedIn:
    """Replace one's own password by another one. All sessions of the account end and a new one is opened.

    For whoever is signed in, from the session behind ``session_token_hash``; with a second factor, only if they
    confirmed recently. A wrong ``current`` counts as when confirming. Raises ``InvalidInput`` (fields
    ``current_password``, ``new_password``, ``confirm_password``), ``TooManyAttempts``,
    ``ReauthenticationRequired``, ``AuthenticationRequired``.
    """
    demand(actor, Permission.OWN_PASSWORD)
    if not current or not trimmed(current, _FOLDED):
        raise InvalidInput({"current_password": "Current password is required."})
    _check_new(actor, new, again)
    with db.reading() as session:
        second = session.execute(select(ACCOUNTS.c.totp_enabled_at).where(ACCOUNTS.c.id == actor.account_id)).scalar()
    if second is not None:
        demand_fresh(actor)
    try:
        checked = reauthentication.check_own_password(actor, current)
    except WrongPassword as error:
        raise InvalidInput({"current_password": error.detail}) from None
    if trimmed(current, _FOLDED) == trimmed(new, _FOLDED):
        raise InvalidInput({"new_password": "Choose a password that is different from your current one."})

    def still(account: Account) -> bool:
        return account.id == checked.id and account.password_changed_at == checked.password_changed_at

    return _replace(new, session_token_hash, still, was_temporary=False, forgiven=actor)
