"""Why somebody is in the work list, in a sentence, and since when."""

from __future__ import annotations

import datetime as dt

from clinic_app.core import clock, routes
from clinic_app.services.notifications.wording import REASONS
from clinic_app.services.patients import wording
from clinic_app.services.patients.portal_standing import URGENCY
from clinic_app.services.portal.work_list import Numbers, Stuck, WorkPage
from clinic_app.ui.view_models import Filter, WorkGroup, WorkRow

TITLES = {
    "locked": "Locked",
    "failed": "Message failed",
    "expired": "Password expired",
    "soon": "Password expires soon",
    "never": "Never signed in",
}
#: How credentials were handed over → in a sentence of its own, and before the moment.
_HANDED_OVER = {
    "in person": ("Handed over in person.", "Handed over in person, "),
    "phone": ("Handed over by phone.", "Told by phone, "),
    "post": ("Handed over by post.", "Sent by post, "),
}
_NOT_RECORDED = "Hand-over not recorded."


def _why(one: Stuck) -> tuple[str, str, str]:
    access, expires = one.patient.access, one.patient.access.expires_at
    if one.group == "locked":
        if access.locked_until is None:
            return "Too many wrong passwords. Locked until somebody unlocks it.", "", ""
        return "Too many wrong passwords. Locked until ", f"{clock.local(access.locked_until):%H:%M}", "."
    if one.group == "failed" and one.failed is not None:
        sms = one.failed.channel == "sms"
        address = wording.phone_words(one.failed.address) if sms else one.failed.address
        return f"{'SMS' if sms else 'Email'} to ", address, f": {REASONS.get(one.failed.reason, 'it was not sent')}."
    if one.group == "expired":
        return _expired(one), "", ""
    if one.group == "soon" and expires is not None:
        day, time = wording.day_and_time(expires)
        handed_over = _HANDED_OVER.get(access.handed_over, (_NOT_RECORDED,))[0]
        return f"Expires {day}, ", time, f". {handed_over}"
    return _never(one), "", ""


def _expired(one: Stuck) -> str:
    access, now = one.patient.access, clock.now()
    if one.tried_at is not None:
        return f"Tried to sign in {', '.join(wording.day_and_time(one.tried_at))}, with the expired password."
    if access.expires_at is None or access.expires_at > now:
        return "Too many wrong tries: the temporary password opens nothing any more."
    day, time = wording.day_and_time(access.expires_at)
    unused = access.last_sign_in_at is None or access.last_sign_in_at < (access.password_since or now)
    return f"Expired {day}{f', {time}' if day.isalpha() else ''}{', never used' if unused else ''}."


def _never(one: Stuck) -> str:
    access = one.patient.access
    if not access.temporary:
        return "Has a password, but has not signed in yet."
    good = f" Good until {', '.join(wording.day_and_time(access.expires_at))}." if access.expires_at else ""
    if access.handed_over and one.handed_over_at is not None:
        how = _HANDED_OVER.get(access.handed_over, ("", "Handed over, "))[1]
        return f"{how}{', '.join(wording.day_and_time(one.handed_over_at))}.{good}"
    if one.invited_at is not None:
        return f"Invitation sent {', '.join(wording.day_and_time(one.invited_at))}, not used yet.{good}"
    return f"{_NOT_RECORDED}{good}"


def _age(one: Stuck) -> str:
    access = one.patient.access
    at = {
        "locked": one.last_failed_at,
        "failed": one.failed.at if one.failed is not None else None,
        "expired": access.expires_at if access.expires_at and access.expires_at <= clock.now() else one.last_failed_at,
        "soon": access.expires_at,
        "never": access.password_since,
    }[one.group]
    return wording.span_words(at) if at is not None else ""


def row(one: Stuck) -> WorkRow:
    """Somebody in the list."""
    why, what, then = _why(one)
    patient = one.patient
    return WorkRow(
        patient_id=patient.patient_id,
        name=patient.name,
        initials=wording.initials(patient.first_name, patient.last_name),
        phone=wording.phone_words(patient.phone) or "no phone",
        href=routes.profile(patient.patient_id),
        why=why,
        what=what,
        channel=one.failed.channel if one.group == "failed" and one.failed is not None else "",
        then=then,
        age=_age(one),
        locked=one.group == "locked",
        stamp=patient.access.stamp,
    )


def groups(page: WorkPage) -> list[WorkGroup]:
    """Those on a page, in their groups."""
    found = {group: [row(one) for one in page.items if one.group == group] for group in URGENCY}
    return [
        WorkGroup(group, TITLES[group], f"{max(page.numbers.groups[group], len(rows)):,}", rows)
        for group, rows in found.items()
        if rows
    ]


def reasons(numbers: Numbers, chosen: str) -> list[Filter]:
    """The filters with how many each leaves."""
    every = Filter("", "All", f"{numbers.total:,}", not chosen)
    return [every, *[Filter(group, TITLES[group], f"{numbers.groups[group]:,}", group == chosen) for group in URGENCY]]


def changes_at(page: WorkPage, again: dt.datetime | None) -> dt.datetime | None:
    """When something the page says becomes another word by time alone: ages are in minutes at the finest."""
    now = clock.now()
    return min([one for one in (page.numbers.changes_at, again, now + dt.timedelta(minutes=1)) if one and one > now])
