"""What messages say, as plain text, as HTML, and in the 160 characters of a text message. Nothing medical.

Made when a message is sent, from what is known then. The temporary password is in none of them.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from clinic_app.core import clock, routes, templates
from clinic_app.core.calendar_words import MONTHS, SHORT_MONTHS, WEEKDAYS
from clinic_app.core.settings import get_settings
from clinic_app.services.notifications.kinds import Kind

NEVER = "We never ask for your password, by phone, SMS or email."
_NEVER_SHORT = "We never ask for your password."
_SAFETY = "Sent for your safety, whatever you chose about messages."
_PAPER = "You were given a temporary password on paper? Use either. One of them is enough."
_pages = templates.beside(__file__)
_WIDTH = 72
_SMS = 160  # characters of one text message, GSM 03.38


@dataclass(frozen=True, slots=True)
class Known:
    """What a message is made of: the patient's first name, the username, the link's code and end, and facts.

    ``at`` is when it happened. Instants UTC; ``code`` is empty where there is no link.
    """

    first_name: str
    username: str
    at: dt.datetime
    code: str = field(default="", repr=False)
    until: dt.datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Letter:
    """One email: what ``templates/email.html`` and ``as_text`` put in their places."""

    subject: str
    heading: str
    body: tuple[str, ...]
    foot: str
    facts: tuple[tuple[str, str], ...] = ()
    button: str = ""
    link: str = field(default="", repr=False)
    after: tuple[str, ...] = ()

    @property
    def preview(self) -> str:
        """What mail programs show beside the subject."""
        return self.body[-1]


def _long(instant: dt.datetime) -> str:
    """``Thursday 18 June 2026, 16:40``."""
    there = clock.local(instant)
    return f"{WEEKDAYS[there.weekday()]} {there.day} {MONTHS[there.month - 1]} {there.year}, {there:%H:%M}"


def _short(instant: dt.datetime) -> str:
    """``18 Jun 16:40``."""
    there = clock.local(instant)
    return f"{there.day} {SHORT_MONTHS[there.month - 1]} {there:%H:%M}"


def _then(instant: dt.datetime, join: str = " at ") -> str:
    """``today at 10:31``; on another day ``on 16 June at 10:31``."""
    there = clock.local(instant)
    day = "today" if there.date() == clock.today() else f"on {there.day} {MONTHS[there.month - 1]}"
    return f"{day}{join}{there:%H:%M}"


def _left(until: dt.datetime) -> tuple[str, str]:
    """How long a link still works: for a heading and for a text message."""
    hours = max(1, round((until - clock.now()).total_seconds() / 3600))
    if hours > 20:
        days = max(1, round(hours / 24))
        return (f"{days} days", f"{days} days") if days > 1 else ("One day", "1 day")
    return (f"{hours} hours", f"{hours} hours") if hours > 1 else ("One hour", "1 hour")


def link_to(path: str, code: str) -> str:
    """The link with a code in its fragment, which browsers keep to themselves."""
    return f"{get_settings().origin}{path}#{code}"


def _host() -> str:
    return urlsplit(get_settings().origin).netloc


def _call(first: str, then: str = "") -> str:
    return f"{first} Call us at once: {get_settings().telephone}.{f' {then}' if then else ''}"


def _with_link(known: Known, path: str, button: str) -> dict[str, Any]:
    return {
        "button": button,
        "link": link_to(path, known.code),
        "facts": (
            ("Your username", known.username),
            ("Code from the message", known.code),
            ("Later, sign in at", f"{_host()}{routes.PORTAL_SIGN_IN}"),
        ),
    }


def _typed(path: str) -> str:
    return f"The button does not work? Open {_host()}{path} and type the code."


def _invitation(known: Known, until: dt.datetime) -> Letter:
    return Letter(
        subject=f"Your sign-in at {get_settings().name}",
        heading="Set your password",
        body=(
            "The reception has made a sign-in for you. With it you see what the clinic has about you, and can correct "
            "your phone and address.",
            f"Set your password by {_long(until)}. It takes two minutes.",
        ),
        after=(_typed(routes.ACTIVATE), _PAPER, "You do not know about this? Call us, and do not open the link."),
        foot="You get this because the reception made a sign-in with this email.",
        **_with_link(known, routes.ACTIVATE, "Set my password"),
    )


def _reminder(known: Known, until: dt.datetime) -> Letter:
    left = _left(until)[0]
    return Letter(
        subject=f"Your link ends soon: {get_settings().name}",
        heading=f"{left} left to set your password",
        body=(f"Your sign-in is ready, but has no password of yours yet. The link works until {_long(until)}.",),
        after=(
            "Too late, or no wish to? Nothing happens. The reception can send a new link at any time.",
            "No reminders? Tell the reception.",
        ),
        foot="This is the only reminder.",
        **_with_link(known, routes.ACTIVATE, "Set my password"),
    )


def _reset(known: Known, until: dt.datetime | None) -> Letter:
    body = [
        f"The reception gave you a new temporary password, {_then(known.at)}. The one before opens nothing any more, "
        "and you were signed out everywhere.",
    ]
    linked: dict[str, Any] = {}
    if known.code and until is not None:
        body.append(f"With this link you choose a password of your own. It works until {_long(until)}.")
        linked = _with_link(known, routes.ACTIVATE, "Set my password")
    paper = (_typed(routes.ACTIVATE), _PAPER) if linked else ()
    return Letter(
        subject="You have a new temporary password",
        heading="You have a new temporary password",
        body=tuple(body),
        after=(_call("You did not ask for this?"), *paper),
        foot=_SAFETY,
        **linked,
    )


def _forgot(known: Known, until: dt.datetime) -> Letter:
    return Letter(
        subject="Choose a new password",
        heading="Choose a new password",
        body=(
            f"Somebody, probably you, said {_then(known.at)} that the password of your sign-in at the clinic is "
            "forgotten. Your old password works until you choose a new one.",
            f"Choose a new password by {_long(until)}.",
        ),
        after=(_typed(routes.ACTIVATE), "That was not you? There is nothing to do. Nobody else gets this message."),
        foot="You get this because somebody asked for it with this email.",
        **_with_link(known, routes.ACTIVATE, "Choose a new password"),
    )


def _confirm_email(known: Known, until: dt.datetime) -> Letter:
    return Letter(
        subject="Confirm your email",
        heading="Confirm your email",
        body=(
            "You gave this email to the clinic. Until you confirm it, the one before stays.",
            f"Confirm it by {_long(until)}.",
        ),
        after=(
            _typed(routes.CONFIRM_EMAIL),
            "You did not do that? Then somebody mistyped theirs. Do not open the link, and nothing happens.",
        ),
        foot="You get this because somebody gave this email to the clinic.",
        button="Confirm this email",
        link=link_to(routes.CONFIRM_EMAIL, known.code),
        facts=(("Code from the message", known.code),),
    )


def _confirm_registration(known: Known, until: dt.datetime) -> Letter:
    """Nothing of what was typed is in it: whoever typed this email may not be its owner."""
    name = get_settings().name
    return Letter(
        subject=f"Confirm your registration: {name}",
        heading="Confirm your registration",
        body=(
            f"Somebody, probably you, registered at {name} {_then(known.at)} and gave this email. The reception gets "
            "the registration once you confirm it.",
            f"Confirm it by {_long(until)}. After that it is forgotten.",
        ),
        after=(
            _typed(routes.CONFIRM_REGISTRATION),
            "That was not you? Then somebody mistyped theirs. Do not open the link, and nothing happens.",
        ),
        foot="You get this because somebody registered with this email.",
        button="Confirm my registration",
        link=link_to(routes.CONFIRM_REGISTRATION, known.code),
        facts=(("Code from the message", known.code),),
    )


def _password_changed(known: Known, _: dt.datetime | None) -> Letter:
    device = known.facts.get("device")
    where = f", in {device}" if device and device != "A browser" else ""
    return Letter(
        subject="Your password was changed",
        heading="Your password was changed",
        body=(
            f"The password of your sign-in at the clinic was changed {_then(known.at)}{where}.",
            "If that was you, there is nothing to do.",
        ),
        after=(_call("It was not you?", "We can close the sign-in while we look into it."),),
        foot=_SAFETY,
    )


def _username_changed(known: Known, _: dt.datetime | None) -> Letter:
    return Letter(
        subject="You sign in with another email now",
        heading="You sign in with another email now",
        body=(
            f"The reception changed the email you sign in with, {_then(known.at)}. You were signed out everywhere.",
            _call("You did not ask for this?"),
        ),
        facts=(
            ("Until now", str(known.facts.get("before", ""))),
            ("From now on", str(known.facts.get("after", known.username))),
        ),
        after=("This message goes to both addresses. The next steps are in another one, to the new address.",),
        foot=_SAFETY,
    )


def _email_changed(known: Known, _: dt.datetime | None) -> Letter:
    before, after = str(known.facts.get("before") or "none"), str(known.facts.get("after") or "none")
    return Letter(
        subject="The clinic has another email of yours now",
        heading="The clinic has another email of yours now",
        body=(
            f"Your email at the clinic was changed {_then(known.at)}. You still sign in with the same one as before.",
            _call("You did not ask for this?"),
        ),
        facts=(("Until now", before), ("From now on", after)),
        after=("This message goes to both addresses.",),
        foot=_SAFETY,
    )


def _wrong_passwords(known: Known, _: dt.datetime | None) -> Letter:
    return Letter(
        subject="Wrong passwords for your sign-in",
        heading="Somebody typed wrong passwords",
        body=(
            f"Somebody typed wrong passwords for your sign-in at the clinic, last {_then(known.at)}. Whoever did "
            "has to wait now. Where you have signed in before, you still can.",
            "If that was you, wait a few minutes, or ask for a link to choose a new password.",
        ),
        after=(_call("It was not you?"),),
        foot=_SAFETY,
    )


def _passkey(known: Known, added: bool) -> Letter:
    done = "added to" if added else "removed from"
    return Letter(
        subject=f"A passkey was {done} your sign-in",
        heading=f"A passkey was {done} your sign-in",
        body=(
            f"A passkey was {done} your sign-in at the clinic {_then(known.at)}.",
            "If that was you, there is nothing to do.",
        ),
        after=(_call("It was not you?", "We can close the sign-in while we look into it."),),
        foot=_SAFETY,
    )


_LETTERS: dict[Kind, Any] = {
    Kind.INVITATION: _invitation,
    Kind.REMINDER: _reminder,
    Kind.PASSWORD_RESET: _reset,
    Kind.FORGOT_PASSWORD: _forgot,
    Kind.CONFIRM_EMAIL: _confirm_email,
    Kind.CONFIRM_REGISTRATION: _confirm_registration,
    Kind.PASSWORD_CHANGED: _password_changed,
    Kind.USERNAME_CHANGED: _username_changed,
    Kind.EMAIL_CHANGED: _email_changed,
    Kind.WRONG_PASSWORDS: _wrong_passwords,
    Kind.PASSKEY_ADDED: lambda known, _: _passkey(known, True),
    Kind.PASSKEY_REMOVED: lambda known, _: _passkey(known, False),
}


def letter(kind: Kind, known: Known) -> Letter:
    """The email of this kind."""
    made: Letter = _LETTERS[kind](known, known.until)
    return made


def _greeting(known: Known) -> str:
    return f"Hello {known.first_name}," if known.first_name else "Hello,"


def as_html(written: Letter, known: Known) -> str:
    """The letter as a page, every value escaped."""
    greeted = Letter(
        written.subject,
        written.heading,
        (_greeting(known), *written.body),
        written.foot,
        written.facts,
        written.button,
        written.link,
        written.after,
    )
    return _pages.get_template("email.html").render(m=greeted, clinic=get_settings(), never=NEVER)


def as_text(written: Letter, known: Known) -> str:
    """The letter as plain text, 72 characters a line."""
    settings = get_settings()
    wrapped = [textwrap.fill(words, _WIDTH, break_long_words=False, break_on_hyphens=False) for words in written.body]
    after = [textwrap.fill(words, _WIDTH, break_long_words=False, break_on_hyphens=False) for words in written.after]
    link = [f"{written.button}:\n{written.link}"] if written.link else []
    facts = ["\n".join(f"{label}: {value}" for label, value in written.facts)] if written.facts else []
    place = ", ".join(part for part in (settings.name, settings.address, settings.telephone) if part)
    foot = f"-- \n{written.foot}\n{place}\n{NEVER}"
    return "\n\n".join([written.heading, _greeting(known), *wrapped, *link, *facts, *after, foot]) + "\n"


def _fits(clinic: str, *ways: str) -> str:
    """The first of these that fits into one text message after the clinic's name; the last where none does."""
    return next(
        (f"{clinic}: {words}" for words in ways if len(clinic) + 2 + len(words) <= _SMS), f"{clinic}: {ways[-1]}"
    )


def text_message(kind: Kind, known: Known) -> str:
    """The same for a phone. Not all kinds go there: raises ``KeyError`` for the others."""
    settings, link = get_settings(), link_to(routes.SHORT_ACTIVATE, known.code)
    phone = "".join(settings.telephone.split())
    not_you, never = f" Not you? Call {phone} at once.", f" {_NEVER_SHORT}"
    until = _short(known.until) if known.until else ""
    if kind == Kind.INVITATION:
        named = f"your sign-in is {known.username}. Set your password by {until}: {link}"
        short = f"set your password by {until}: {link} Username: {known.username}"  # long names: it takes two messages
        return _fits(settings.name, f"{named} Help: {phone}", named, short)
    if kind == Kind.REMINDER:
        left = f"{_left(known.until)[1]} left to set your password: {link}" if known.until else link
        return _fits(settings.name, f"{left} Until {until}. Help: {phone}", f"{left} Help: {phone}", left)
    if kind == Kind.PASSWORD_RESET:
        given = f"the reception gave you a new temporary password {_then(known.at, ' ')}."
        works = f" It works until {until}." if until else ""
        if known.code:
            made = f"new temporary password {_then(known.at, ' ')}. Or set your own by {until}: {link}"
            return _fits(settings.name, f"{made} Not you? Call {phone}", f"{made} Help: {phone}", made)
        return _fits(settings.name, f"{given}{works} Not you? Call {phone}.", f"{given} Not you? Call {phone}.")
    happened = {
        Kind.USERNAME_CHANGED: f"the email you sign in with was changed {_then(known.at, ' ')}.",
        Kind.PASSWORD_CHANGED: f"your password was changed {_then(known.at, ' ')}.",
        Kind.EMAIL_CHANGED: f"your email at the clinic was changed {_then(known.at, ' ')}.",
        Kind.WRONG_PASSWORDS: f"somebody typed wrong passwords for your sign-in {_then(known.at, ' ')}.",
        Kind.PASSKEY_ADDED: f"a passkey was added to your sign-in {_then(known.at, ' ')}.",
        Kind.PASSKEY_REMOVED: f"a passkey was removed from your sign-in {_then(known.at, ' ')}.",
    }[kind]
    return _fits(settings.name, f"{happened}{not_you}{never}", f"{happened}{not_you}")
