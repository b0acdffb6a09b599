"""Views as the API writes them: field names as other systems know them, ISO 8601, instants in UTC."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import phonenumbers

from clinic_app.api.endpoint import Ask, number
from clinic_app.core.errors import NotFound
from clinic_app.core.paging import PAGE_SIZE, PAGE_SIZE_AT_MOST, Page
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.browsing import TrailEvent
from clinic_app.services.patients.views import PatientProfile, PatientSummary
from clinic_app.services.portal.views import PortalPatient

_SUMMARY = (
    "id",
    "patient_id",
    "name",
    "first_name",
    "last_name",
    "date_of_birth",
    "gender",
    "phone",
    "email",
    "portal_enabled",
    "verification_status",
    "created_at",
)
_PROFILE = (
    *_SUMMARY,
    "national_id",
    "address",
    "next_of_kin_name",
    "next_of_kin_phone",
    "is_active",
    "updated_at",
    "registered_by",
    "version",
)
_TRAIL = TrailEvent.__slots__


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
    """A phone as other systems expect it: digits as dialled within the clinic's region, E.164 for other countries."""
    return _phone(number, get_settings().region) if number else None


def summary(view: PatientSummary) -> dict[str, Any]:
    """A patient in a list."""
    found = {name: getattr(view, name) for name in _SUMMARY}
    found["phone"] = phone(view.phone)
    found["portal_status"] = view.portal
    return found


def patient(view: PatientProfile) -> dict[str, Any]:
    """One patient whole."""
    found = {name: getattr(view, name) for name in _PROFILE}
    found["phone"] = phone(view.phone)
    found["next_of_kin_phone"] = phone(view.next_of_kin_phone)
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


def event(view: TrailEvent) -> dict[str, Any]:
    """One event of the trail."""
    return {name: getattr(view, name) for name in _TRAIL}


class NoSuchPage(NotFound):
    """There are fewer pages."""

    code = "no_such_page"
    detail = "There is no page with this number."


def paging(found: dict[str, Any]) -> tuple[int, int]:
    """``page`` and ``page_size`` among parameters or fields. Raises ``InvalidInput``."""
    return number(found, "page", 1, 10_000_000), number(found, "page_size", PAGE_SIZE, PAGE_SIZE_AT_MOST)


def listing(ask: Ask, page: Page[Any], asked: int, shape: Any, **parameters: object) -> dict[str, Any]:
    """One page of a list, with the addresses of its neighbours. Raises ``NoSuchPage`` for a page too far."""
    if page.number != asked:
        raise NoSuchPage
    size = None if page.size == PAGE_SIZE else page.size

    def neighbour(number: int) -> str | None:
        return ask.address(**parameters, page=number, page_size=size) if 1 <= number <= page.pages else None

    return {
        "count": page.total,
        "next": neighbour(page.number + 1),
        "previous": neighbour(page.number - 1),
        "results": [shape(item) for item in page.items],
    }
