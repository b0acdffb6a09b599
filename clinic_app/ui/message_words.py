"""Messages to patients and how passwords were handed over, in words for the desk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from clinic_app.core import clock
from clinic_app.services.notifications import wording as message_wording
from clinic_app.services.notifications.kinds import Channel, open_channels
from clinic_app.services.notifications.views import Delivery
from clinic_app.services.patients import wording
from clinic_app.services.patients.views import PortalStanding
from clinic_app.services.portal import wording as portal_wording
from clinic_app.ui.view_models import Message, Sent


def handed_over(how: str, by: str, at: dt.datetime | None) -> str:
    """``By post, by Grace Wanjiru. Yesterday, 16:45.``; empty where it is not recorded."""
    whose = f", by {by}" if by else ""
    return f"{portal_wording.HAND_OVERS[how]}{whose}. {wording.moment_words(at)}." if how else ""


#: State of a message → tone and icon of its badge.
_BADGES = {"QUEUED": ("idle", "clock"), "SENT": ("good", "check"), "FAILED": ("bad", "circle-alert")}
#: A try to send takes so long; it is waited for so long.
_A_TRY, _PATIENCE = dt.timedelta(seconds=5), dt.timedelta(minutes=2)
IN_PERSON = "Nothing was sent: hand these credentials over in person."
#: Kind → what is said of one that goes out now.
_NOTICE = "notice"  # a reset that is told without a link
_GOES = {
    _NOTICE: "A notice without a link goes to",
    "INVITATION": "An invitation goes to",
    "PASSWORD_RESET": "A message about the new password goes to",
    "USERNAME_CHANGED": "A notice of the new username goes to",
    "EMAIL_CHANGED": "A notice of the other email goes to",
}


def _address(channel: str, address: str) -> str:
    return wording.phone_words(address) if channel == Channel.SMS else address


#: Channel → what is said of a message that waits while nothing can be sent that way.
_OFF = {
    Channel.EMAIL: "Emails are switched off in the clinic's settings: it waits until they are on.",
    Channel.SMS: "Text messages are switched off in the clinic's settings: it waits until they are on.",
}
_MOVED = "Messages go to another address now."


def _reason(one: Delivery) -> str:
    if one.state == "QUEUED" and one.channel not in open_channels():
        return _OFF.get(Channel(one.channel), "")
    if not one.reason or one.state == "SENT":
        return ""
    if one.state == "HELD":
        return f"{portal_wording.kept_back([one.channel])}."
    words = message_wording.REASONS.get(one.reason, "")
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _when(one: Delivery) -> str:
    if one.next_at is None:
        return wording.moment_words(one.at)
    times = "once" if one.tries == 1 else f"{one.tries:,} times"
    then = f", next at {clock.local(one.next_at):%H:%M}" if one.next_at > clock.now() else ""
    return f"Since {wording.earlier_words(one.at)}. Tried {times}{then}"


def changes_at(deliveries: Iterable[Delivery]) -> dt.datetime | None:
    """When a message that waits may have been tried again: pages are told how it ended, not of each try.

    None where none waits, or whoever should try it does not: then nobody looks every few seconds.
    """
    now = clock.now()
    due = [one.next_at or one.at for one in deliveries if one.state == "QUEUED"]
    return min((max(at, now) + _A_TRY for at in due if at > now - _PATIENCE), default=None)


def messages(deliveries: Iterable[Delivery], standing: PortalStanding) -> list[Message]:
    """*Messages*: the latest for each address. The one that failed can be put right where it still goes there."""
    latest: dict[tuple[str, str], Delivery] = {}
    for one in deliveries:
        latest.setdefault((one.channel, one.address), one)
    reach = {} if standing.status == "off" else {one.channel: one.address for one in standing.reach}
    found = []
    for one in sorted(latest.values(), key=lambda one: one.channel):  # emails first
        tone, mark = _BADGES.get(one.state, ("idle", ""))
        failed, now_to = one.state == "FAILED", reach.get(one.channel, "")
        moved = [_MOVED] if failed and now_to and now_to != one.address else []
        found.append(
            Message(
                channel=one.channel,
                lost=failed,
                what=message_wording.KINDS.get(one.kind, "Message"),
                address=_address(one.channel, one.address),
                when=_when(one),
                state=message_wording.state_words(one.state, one.reason),
                tone=tone,
                mark=mark,
                reason=" ".join(filter(None, [_reason(one), *moved])),
                correct=failed and now_to == one.address,
            )
        )
    return found


def _written(deliveries: Sequence[Delivery]) -> list[Sent]:
    """What goes where, and what was kept back and why."""
    found, goes = list[Sent](), dict[str, list[Delivery]]()
    for one in deliveries:
        if one.state == "QUEUED":
            goes.setdefault(_NOTICE if one.kind == "PASSWORD_RESET" and not one.linked else one.kind, []).append(one)
    for kind, ones in goes.items():
        mark = "mail" if any(one.channel == Channel.EMAIL for one in ones) else "message-square"
        where = _joined([_address(one.channel, one.address) for one in ones])
        found.append(Sent(mark, f"{_GOES.get(kind, 'A message goes to')} {where}."))
    for one in deliveries:
        if one.state == "HELD":
            why = portal_wording.kept_back([one.channel])
            found.append(Sent("hand", f"Nothing goes to {_address(one.channel, one.address)}: {why}."))
    return found


def sent(deliveries: Sequence[Delivery]) -> list[Sent]:
    """What a success screen says about messages; where no link went out, that the credentials must be handed over."""
    found = _written(deliveries)
    if not any(one.state == "QUEUED" and one.linked for one in deliveries):
        found.append(Sent("hand", "Hand these credentials over in person." if found else IN_PERSON))
    return found


def told(deliveries: Sequence[Delivery]) -> str:
    """The same in one line, where no credentials are shown."""
    return " ".join(one.words for one in _written(deliveries)) or "Nothing was sent."


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def goes_where(standing: PortalStanding) -> str:
    """Where the message about a new temporary password goes, in a sentence."""
    if not standing.reach:
        return "No message is sent: the new password must be handed over in person."
    allowed = _joined([_address(one.channel, one.address) for one in standing.reach if one.allowed])
    others = _joined([_address(one.channel, one.address) for one in standing.reach if not one.allowed])
    links = [f"A new invitation goes to {allowed}."] if allowed else []
    return " ".join([*links, *([f"A notice without a link goes to {others}."] if others else [])])
