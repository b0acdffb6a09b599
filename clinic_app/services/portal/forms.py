"""What the portal use cases take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_app.core.errors import InvalidInput
from clinic_app.services.patients import fields
from clinic_app.services.portal.errors import EmailInvalid, EmailRequired


@dataclass(frozen=True, slots=True)
class PortalAccountRequest:
    """Email (the username to be) and, for SMS, a phone in E.164."""

    email: str
    phone: str | None = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> PortalAccountRequest:
        """Check ``data``. Raises ``EmailRequired``, ``EmailInvalid``, or ``InvalidInput`` for the phone."""
        unknown = [name for name in data if name not in ("email", "phone")]
        if unknown:
            name = unknown[0][:60] if unknown[0].isidentifier() else "form"
            raise InvalidInput(
                {name: f"{name} is not a known field." if name != "form" else "There is an unknown field."}
            )
        given = data.get("email")
        if given is None or (isinstance(given, str) and not given.strip()):
            raise EmailRequired
        try:
            email = fields.email(given)
        except ValueError:
            raise EmailInvalid from None
        if email is None:
            raise EmailRequired
        try:
            return cls(email, fields.phone(data.get("phone")))
        except ValueError as error:
            raise InvalidInput({"phone": str(error)}) from None
