"""Views as the API writes them: names as in the views, dates and times in ISO 8601, times in UTC."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any

import phonenumbers

from clinic_app.api.endpoint import Ask, number
from clinic_app.core.errors import NotFound
from clinic_app.core.paging import PAGE_SIZE, PAGE_SIZE_AT_MOST, Page
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.browsing import TrailEvent
from clinic_app.services.notifications.kinds import Channel
from clinic_app.services.notifications.views import Delivery
from clinic_app.services.patients.forms import PATIENT_FIELDS, Kind
from clinic_app.services.patients.views import PatientProfile, PatientSummary
from clinic_app.services.portal.views import PortalPatient


def _reader(view: type, *left_out: str) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The names of what an answer holds of a ``view`` as it stands, and how to read them all at once."""
    names = ("name", *(field.name for field in dataclasses.fields(view) if field.name not in left_out))
    return names, attrgetter(*names)


_SUMMARY, _read_summary = _reader(PatientSummary, "portal", "access", "found_by")
_PROFILE, _read_profile = _reader(
    PatientProfile, "portal", "access", "activity", "national_id_counts", "deliveries", "merges"
)
_PHONES = tuple(name for name, field in PATIENT_FIELDS.items() if field.kind is Kind.PHONE)
_SUMMARY_PHONES = tuple(name for name in _PHONES if name in _SUMMARY)
_TRAIL = tuple(name for name in TrailEvent.__slots__ if name not in ("account", "asked_for"))  # words of the page


@lru_cache(maxsize=4096)
def _phone(number: str, region: str) -> str:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    if phonenumbers.country_code_for_region(region) != parsed.country_code:
        return number
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(c for c in written if c.isdigit())


def phone(number: str | None) -> str | None:
    """A phone number as its users write it: digits as dialled within the clinic's region, E.164 for other countries."""
    return _phone(number, get_settings().region) if number else None


def _person(view: Any, names: tuple[str, ...], read: Callable[[Any], tuple[Any, ...]], phones: Any) -> dict[str, Any]:
    """What a view holds of a patient, with numbers and birth date as the API writes them."""
    found = dict(zip(names, read(view), strict=True))
    for name in phones:
        found[name] = phone(found[name])
    born = view.date_of_birth
    found["date_of_birth"] = born.iso if born else None
    found["date_of_birth_estimated"] = born is not None and born.estimated
    return found


def summary(view: PatientSummary) -> dict[str, Any]:
    """A patient in a list."""
    found = _person(view, _SUMMARY, _read_summary, _SUMMARY_PHONES)
    found["portal_status"] = view.portal
    return found


def waiting(view: PatientSummary) -> dict[str, Any]:
    """Somebody who waits for verification: null for a patient ID, unless they are a patient already."""
    return {**summary(view), "patient_id": view.patient_id or None}


def patient(view: PatientProfile) -> dict[str, Any]:
    """One patient whole."""
    found = _person(view, _PROFILE, _read_profile, _PHONES)
    found["portal_status"] = view.access.status
    found["portal_username"] = view.access.username or None
    return found


def credentials(view: Credentials) -> dict[str, Any]:
    """What is handed over once."""
    return {
        "username": view.username,
        "temporary_password": view.temporary_password,
        "login_url": view.login_url,
        "expires_at": view.expires_at,
    }


def portal_patient(view: PortalPatient) -> dict[str, Any]:
    """The patient an account belongs to."""
    return {
        "id": view.id,
        "patient_id": view.patient_id,
        "name": view.name,
        "portal_enabled": view.portal_enabled,
    }


def delivery(view: Delivery) -> dict[str, Any]:
    """A message that was written, or kept back."""
    written = phone(view.address) if view.channel == Channel.SMS else view.address
    return {"channel": view.channel, "address": written, "state": view.state, "reason": view.reason or None}


def event(view: TrailEvent) -> dict[str, Any]:
    """One event of the trail."""
    return {name: getattr(view, name) for name in _TRAIL}


class NoSuchPage(NotFound):
    """There are fewer pages."""

    code = "no_such_page"
    detail = "There is no page with this number."


def paging(found: Mapping[str, Any]) -> tuple[int, int]:
    """``page`` and ``page_size`` among parameters or fields. Raises ``InvalidInput``."""
    return number(found, "page", 1, 10_000_000), number(found, "page_size", PAGE_SIZE, PAGE_SIZE_AT_MOST)


def listing(
    ask: Ask, page: Page[Any], asked: int, shape: Any, by_row: bool = False, /, **parameters: object
) -> dict[str, Any]:
    """One page of a list, with the addresses of its neighbours. Raises ``NoSuchPage`` for a page too far.

    ``by_row``: the next page begins behind the last row of this one.
    """
    if page.number != asked:
        raise NoSuchPage
    size = None if page.size == PAGE_SIZE else page.size

    def neighbour(number: int, after: int | None = None) -> str | None:
        if not 1 <= number <= page.pages:
            return None
        return ask.address(**parameters, page=number, page_size=size, after=after)

    return {
        "count": page.total,
        **({"count_is_exact": False} if page.more else {}),
        "next": neighbour(page.number + 1, page.items[-1].id if by_row and page.items else None),
        "previous": neighbour(page.number - 1),
        "results": [shape(item) for item in page.items],
    }
