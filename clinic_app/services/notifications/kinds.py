"""What messages there are, and by what they go."""

from __future__ import annotations

from enum import StrEnum

from clinic_app.core.settings import get_settings


class Kind(StrEnum):
    """What a message is about. Stored as written here."""

    INVITATION = "INVITATION"
    REMINDER = "REMINDER"
    PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105  a kind
    USERNAME_CHANGED = "USERNAME_CHANGED"
    FORGOT_PASSWORD = "FORGOT_PASSWORD"  # noqa: S105  a kind
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105  a kind
    CONFIRM_EMAIL = "CONFIRM_EMAIL"
    CONFIRM_REGISTRATION = "CONFIRM_REGISTRATION"
    EMAIL_CHANGED = "EMAIL_CHANGED"
    WRONG_PASSWORDS = "WRONG_PASSWORDS"
    PASSKEY_ADDED = "PASSKEY_ADDED"
    PASSKEY_REMOVED = "PASSKEY_REMOVED"


class Channel(StrEnum):
    """By what a message goes."""

    EMAIL = "email"
    SMS = "sms"


#: What the desk sends to let somebody in: whoever misses one needs the desk. Not what strangers can ask for.
OPENING = frozenset({Kind.INVITATION, Kind.REMINDER, Kind.PASSWORD_RESET})
#: What the patient may forbid. All others are asked for by, or warn, the account's own owner.
WITH_CONSENT = frozenset({Kind.INVITATION, Kind.REMINDER})


def open_channels() -> tuple[Channel, ...]:
    """The channels that the settings have something to send with, email first."""
    settings = get_settings()
    found = ((Channel.EMAIL, settings.smtp_host), (Channel.SMS, settings.sms_url.get_secret_value()))
    return tuple(channel for channel, configured in found if configured)
