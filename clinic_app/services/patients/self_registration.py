"""*Register as a patient*: for anybody, where the clinic has switched it on.

Nobody is looked up: whether somebody of this name, phone or email is a patient changes neither what is said, nor when,
nor what is sent. Only the desk compares.
"""

from __future__ import annotations

import datetime as dt
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlmodel import Session

from clinic_app.core import clock, context, crypto, db
from clinic_app.core.errors import InvalidInput, NotFound, TooManyAttempts
from clinic_app.core.settings import get_settings
from clinic_app.core.text_rules import trimmed
from clinic_app.models.notifications import OUTBOX_MESSAGES
from clinic_app.models.registrations import SELF_REGISTRATIONS, RegistrationState, SelfRegistration
from clinic_app.services import challenges
from clinic_app.services.access import ANONYMOUS
from clinic_app.services.accounts import sign_in_throttle
from clinic_app.services.accounts.sign_in_throttle import Budget
from clinic_app.services.accounts.signing_in import compared
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import note_failure
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications import links, outbox
from clinic_app.services.notifications.kinds import Channel, open_channels
from clinic_app.services.patients import waiting
from clinic_app.services.patients.errors import RegistrationOver
from clinic_app.services.patients.forms import PATIENT_FIELDS, PatientDetails

#: What is asked, in the order of the list of fields: the desk fills in the rest with the person.
ASKED = tuple(
    name for name, field in PATIENT_FIELDS.items() if field.own and not name.endswith("_allowed") and name != "address"
)
REACHED = "A phone or an email is needed, so that we can reach you."
NOT_RIGHT = (
    "This code is not right. Check it against the message: three groups of four. "
    "A registration that nobody confirms within a day is forgotten: then register again."
)
#: How long the link in the email works; what nobody confirms is forgotten then.
LIFE = dt.timedelta(hours=24)
#: So long the browser that sent it may ask for the email again.
BROWSER_LIFE = dt.timedelta(minutes=30)
#: Emails to one address within an hour and a day, however often somebody registers with it.
AT_MOST = {dt.timedelta(hours=1): 3, dt.timedelta(hours=24): 6}
_READ = 1000


class NotOffered(NotFound):
    """The clinic does not take registrations here."""

    code = "self_registration_off"


@dataclass(frozen=True, slots=True)
class Received:
    """What the browser that registered is told: the first name that was typed, and by which way it goes on.

    ``way``: ``email``, where a link has to be opened first; ``phone``, where the reception calls; ``desk`` otherwise.
    ``to`` is that email, or phone (E.164). ``token`` names the registration to this browser, for ``seconds`` from now.
    """

    first_name: str
    way: str
    to: str
    token: str = ""
    seconds: int = int(BROWSER_LIFE.total_seconds())


def offered() -> bool:
    """Whether people can register themselves."""
    return get_settings().self_registration


def _demand_offered() -> None:
    if not offered():
        raise NotOffered


def parse(data: Mapping[str, Any]) -> PatientDetails:
    """What somebody typed about themselves, checked like any registration. Raises ``InvalidInput`` by field."""
    typed = {name: data[name] for name in ASKED if data.get(name) not in (None, "")}
    problems: dict[str, str] = {}
    if not any(str(data.get(name) or "").strip() for name in ("phone", "email")):
        problems["phone"] = REACHED
    try:
        found = PatientDetails.parse(typed)
    except InvalidInput as error:
        problems = {**error.fields, **problems}
    else:
        if not problems:
            return found
    raise InvalidInput({name: problems[name] for name in PATIENT_FIELDS if name in problems} or problems)


def _way(details: PatientDetails) -> tuple[str, str]:
    """How it goes on, and with which address."""
    if details.email and Channel.EMAIL in open_channels():
        return "email", details.email
    return ("phone", details.phone) if details.phone else ("desk", "")


# --- sending it ---------------------------------------------------------------------------------------


def _count(session: Session, budget: Budget) -> int:
    """Count one question; seconds to wait, 0 where it may go on."""
    return sign_in_throttle.count_try(session, budget).wait


def _write(session: Session, row_id: int, email: str, email_digest: str, until: dt.datetime) -> bool:
    """Send the link that confirms the email, unless this address was sent enough of them."""
    if _count(session, sign_in_throttle.of_confirming(email_digest)):  # its row also has others wait for this count
        return False
    messages, rows = OUTBOX_MESSAGES.c, SELF_REGISTRATIONS.c
    for span, most in AT_MOST.items():
        sent = session.execute(
            select(func.count())
            .select_from(OUTBOX_MESSAGES.join(SELF_REGISTRATIONS, rows.id == messages.registration_id))
            .where(rows.email_digest == email_digest, messages.created_at > clock.now() - span)
        ).scalar_one()
        if sent >= most:
            return False
    outbox.confirm_registration(session, row_id, email, until)
    return True


def _add(
    session: Session, details: PatientDetails, *, confirms: bool, token: str = "", confirmed: bool = False
) -> SelfRegistration:
    seed, now = secrets.token_hex(16), clock.now()
    digest = crypto.keyed_digest(details.email.casefold(), "registered email") if details.email else None
    row = SelfRegistration(
        state=RegistrationState.UNCONFIRMED if confirms else RegistrationState.WAITING,
        seed=seed,
        details=waiting.sealed(details, seed),
        email_digest=digest,
        browser_digest=crypto.digest(token) if token else None,
        email_confirmed_at=now if confirmed else None,
        created_at=now,
        waiting_since=None if confirms else now,
        expires_at=now + LIFE if confirms else None,
    )
    session.add(row)
    session.flush()
    return row


def _record_received(session: Session, row: SelfRegistration, way: str, more: Mapping[str, object]) -> None:
    record(
        session,
        ANONYMOUS,
        Action.SELF_REGISTERED,
        resource_type="registration",
        resource_id=row.id,
        details={"way": way, **more},
        changes_lists=row.state == RegistrationState.WAITING,
    )


def add_waiting(session: Session, details: PatientDetails, *, confirmed: bool = False) -> int:
    """Building block: somebody who registered and waits for the desk. Recorded; returns the number they are known by.

    ``confirmed``: the email has been shown to be theirs.
    """
    row = _add(session, details, confirms=False, confirmed=confirmed)
    _record_received(session, row, "email" if confirmed else _way(details)[0], {})
    return waiting.number_of(row.id or 0)


def register_oneself(details: PatientDetails, solution: str, before: str = "", form: str = "") -> Received:
    """Take in what somebody typed about themselves, for the desk to decide about.

    For anybody, where it is switched on. With an email that can be written to, it waits for the link there to be opened
    first, and is forgotten after ``LIFE``; else it is with the reception at once. ``solution`` is that of a challenge
    (``challenges``), which counts once. ``before`` is the token this browser was given last, ``form`` the one that came
    with the form (``crypto.new_token``): sent again unchanged, as after going back, or because the answer was lost on
    the way, a registration that nobody has decided about stays the one it is. Whoever has only seen the form, on a
    device that many use, can ask nothing by its token: the browser is given another, that follows from it. Raises
    ``NotOffered``, ``ChallengeNotSolved``, ``TooManyAttempts``.
    """
    _demand_offered()
    known_by, over = challenges.check(solution)
    way, to = _way(details)
    confirms = way == "email"
    follows = crypto.keyed_digest(form, "registration form") if form else ""
    with db.transaction() as session:
        wait = _count(session, sign_in_throttle.of_registering(context.current().address))
        if not wait:
            for token in (before, follows):  # whoever sends the same at once waits for the count above
                if seconds := _sent_before(session, token, details):
                    return Received(details.first_name, way, to, token, seconds)
            challenges.use_up(session, known_by, over)
            token = follows if follows and _unused(session, follows) else crypto.new_token()
            row = _add(session, details, confirms=confirms, token=token)
            sent = confirms and _write(session, row.id or 0, to, row.email_digest or "", clock.now() + LIFE)
            _record_received(session, row, way, {"sent": sent} if confirms else {})
    if wait:
        raise TooManyAttempts(wait)
    return Received(details.first_name, way, to, token)


def _of_browser(session: Session, token: str) -> tuple[Any, PatientDetails] | None:
    """The registration that this browser sent a moment ago, and what was typed."""
    if not token:
        return None
    rows = SELF_REGISTRATIONS.c
    row = session.execute(
        select(SELF_REGISTRATIONS).where(
            rows.browser_digest == crypto.digest(token), rows.created_at > clock.now() - BROWSER_LIFE
        )
    ).one_or_none()
    details = waiting.opened(row) if row is not None else None
    return None if details is None else (row, details)


def _unused(session: Session, token: str) -> bool:
    """Whether a token names no registration yet."""
    named = select(SELF_REGISTRATIONS.c.id).where(SELF_REGISTRATIONS.c.browser_digest == crypto.digest(token))
    return session.execute(named).one_or_none() is None


def _sent_before(session: Session, token: str, details: PatientDetails) -> int:
    """For how many seconds this browser, which has sent the same a moment ago, may still ask about it; else 0."""
    found = _of_browser(session, token)
    if found is None or any(getattr(found[1], name) != getattr(details, name) for name in ASKED):
        return 0
    return math.ceil((found[0].created_at + BROWSER_LIFE - clock.now()).total_seconds())


def received(token: str) -> Received | None:
    """What became of the registration that this browser sent; None where that is over, or there is none.

    For whoever has the token. Raises ``NotOffered``.
    """
    _demand_offered()
    with db.reading() as session:
        found = _of_browser(session, token)
    if found is None:
        return None
    row, details = found
    way, to = ("email", details.email or "") if row.state == RegistrationState.UNCONFIRMED else _way(details)
    if row.email_confirmed_at is not None:
        way, to = "confirmed", ""
    return Received(details.first_name, way, to)


def send_again(token: str) -> None:
    """*Send the email again*: the same link, to the address that was typed, unless that was sent enough of them.

    For the browser that registered. Nothing happens where there is nothing to confirm. Raises ``NotOffered``,
    ``TooManyAttempts``.
    """
    _demand_offered()
    with db.transaction() as session:
        wait = _count(session, sign_in_throttle.of_asking(context.current().address))
        found = None if wait else _of_browser(session, token)
        if found is not None:
            row, details = found
            if row.state == RegistrationState.UNCONFIRMED and row.expires_at > clock.now() and details.email:
                _write(session, row.id, details.email, row.email_digest or "", row.expires_at)
    if wait:
        raise TooManyAttempts(wait)


# --- confirming it ------------------------------------------------------------------------------------


def _find(session: Session, code: str) -> Any:
    plain = links.plain_code(code)
    if not plain:
        return None
    rows = SELF_REGISTRATIONS.c
    return session.execute(select(SELF_REGISTRATIONS).where(rows.code_digest == links.digest_of(plain))).one_or_none()


def _confirmed(row_id: int, budget: Budget) -> bool:
    """Whether the reception has it now; of several at once, one hands it over."""
    rows, now = SELF_REGISTRATIONS.c, clock.now()
    with db.transaction() as session:
        sign_in_throttle.forgive(session, budget)
        done = session.execute(
            update(SELF_REGISTRATIONS)
            .where(rows.id == row_id, rows.state == RegistrationState.UNCONFIRMED, rows.expires_at > now)
            .values(state=RegistrationState.WAITING, email_confirmed_at=now, waiting_since=now, expires_at=None)
            .returning(rows.id)
        ).one_or_none()
        if done is None:
            confirmed = select(rows.id).where(rows.id == row_id, rows.state != RegistrationState.UNCONFIRMED)
            return session.execute(confirmed).one_or_none() is not None
        record(
            session,
            ANONYMOUS,
            Action.REGISTRATION_CONFIRMED,
            resource_type="registration",
            resource_id=row_id,
            changes_lists=True,
        )
    return True


def confirm_registration(code: str, *, waited: float = math.inf) -> None:
    """Give the reception the registration that the code was sent for. Doing it twice changes nothing.

    For anybody who has the code. Counted before anything slow, as other codes are; one check of the code in every case,
    outside of transactions. Raises ``NotOffered``, ``InvalidInput`` (field ``code``), ``RegistrationOver`` after the
    right code of one that is over, ``TooManyAttempts``, ``TryAgainShortly`` (ask again then).
    """
    _demand_offered()
    if not trimmed(code, _READ):
        raise InvalidInput({"code": "Code from the message is required."})
    found, budget = _counted(code, waited)
    with compared(budget):
        right = links.matches(code, found.code_hash if found is not None else None)
    if not right or found is None:
        _note_refused(budget, None, "wrong")
        raise InvalidInput({"code": NOT_RIGHT})
    if not _confirmed(found.id, budget):
        _note_refused(budget, found.id, "expired")
        raise RegistrationOver


def _counted(code: str, waited: float) -> tuple[Any, Budget]:
    """The registration of a code, by its digest alone, and what the try counts under. Counted before anything slow."""
    with db.transaction() as session:
        found = _find(session, code)
        budget = sign_in_throttle.of_code(context.current().address, f"registration-{found.id}" if found else None)
        wait = sign_in_throttle.count_try(session, budget, waited=waited).wait
    if wait:
        raise TooManyAttempts(wait)
    return found, budget


def _note_refused(budget: Budget, row_id: int | None, reason: str) -> None:
    """Record that a code confirmed nothing: a wrong try stays counted."""
    note_failure(
        ANONYMOUS,
        Action.LINK_REFUSED,
        resource_type="registration",
        resource_id=row_id,
        details={"reason": reason},
        also=lambda session: sign_in_throttle.settle(session, budget),
    )
