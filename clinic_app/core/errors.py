"""The error tree. A kind decides HTTP status, exit code and what the page does; see docs/decisions/0003."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from clinic_app.core.counts import plural


class ErrorKind(StrEnum):
    """What sort of failure it is, in the domain's words."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    UNEXPECTED = "unexpected"


class ClinicError(Exception):
    """Something the caller is told about.

    ``code`` is stable and unique, ``title`` constant per class (the API's ``error``), ``detail`` one
    sentence for the reader. None of them holds a name, a number or another value of a record, except
    where a sentence has to name the existing username.
    """

    kind: ClassVar[ErrorKind]
    code: ClassVar[str]
    title: str
    detail: str = ""

    def __init__(self, detail: str | None = None) -> None:
        if detail is not None:
            self.detail = detail
        super().__init__(self.code)

    def extra(self) -> dict[str, Any]:
        """Further members of the API's answer."""
        return {}

    @property
    def fields(self) -> dict[str, str]:
        """Input field → sentence; empty where the error belongs to no field."""
        return {}


class InvalidInput(ClinicError):
    """Input broke a rule. ``fields`` says which, one sentence each; ``detail`` is the first of them."""

    kind = ErrorKind.INVALID
    code = "invalid_input"
    title = "Validation failed"

    def __init__(self, fields: dict[str, str], title: str | None = None) -> None:
        self._fields = dict(fields)
        super().__init__(next(iter(self._fields.values()), "The request could not be read."))
        if title is not None:
            self.title = title

    @property
    def fields(self) -> dict[str, str]:
        return self._fields


class AuthenticationRequired(ClinicError):
    """Nobody is signed in, or the session is over."""

    kind = ErrorKind.UNAUTHENTICATED
    code = "authentication_required"
    title = "Not signed in"
    detail = "Please sign in."


class PermissionDenied(ClinicError):
    """The caller's role does not allow it."""

    kind = ErrorKind.FORBIDDEN
    code = "permission_denied"
    title = "Not allowed"
    detail = "Your role does not allow this."


class ReauthenticationRequired(ClinicError):
    """Something delicate, and whoever is signed in has not shown lately that it is still them."""

    kind = ErrorKind.FORBIDDEN
    code = "reauthentication_required"
    title = "Confirm it is you"
    detail = "This needs your password again. Please confirm that it is you, or sign in again."


class NotFound(ClinicError):
    """It does not exist, or the caller may not know that it does."""

    kind = ErrorKind.NOT_FOUND
    code = "not_found"
    title = "Not found"
    detail = "Not found."


class Conflict(ClinicError):
    """It clashes with what is already there."""

    kind = ErrorKind.CONFLICT
    code = "conflict"
    title = "Conflict"


class TooManyAttempts(ClinicError):
    """Slow down. ``retry_after`` is in seconds."""

    kind = ErrorKind.THROTTLED
    code = "too_many_attempts"
    title = "Too many attempts"

    def __init__(self, retry_after: int) -> None:
        self.retry_after = max(1, retry_after)
        minutes = -(-self.retry_after // 60)
        super().__init__(f"Too many attempts. Please try again in {plural(minutes, 'minute')}.")


class TryAgainShortly(TooManyAttempts):
    """Not yet: it may be asked again in ``seconds``. Whoever cannot wait treats it as too many attempts."""

    code = "try_again_shortly"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(1)


class Unavailable(ClinicError):
    """A part is missing or overloaded; trying again later may work."""

    kind = ErrorKind.UNAVAILABLE
    code = "unavailable"
    title = "Temporarily unavailable"
    detail = "The system is busy. Please try again in a moment."
    retry_after = 5


class DatabaseAway(Unavailable):
    """The database does not answer, is changing its leader, or takes no more. It is our fault, and passes."""

    code = "database_away"
    detail = "The register cannot be reached just now. Please try again in a minute."
    retry_after = 10


class AlreadyExists(ClinicError):
    """A value that must be unique is taken. Told like a mistake in the form: it is mended there."""

    kind = ErrorKind.INVALID
    code = "already_exists"
    title = "It already exists."
    field: ClassVar[str] = ""

    @property
    def fields(self) -> dict[str, str]:
        end = "" if self.title.endswith(".") else "."
        return {self.field: f"{self.title}{end} {self.detail}".strip()} if self.field else {}


class Unexpected(ClinicError):
    """A fault of ours, already logged under ``reference``; nothing was saved."""

    kind = ErrorKind.UNEXPECTED
    code = "unexpected"
    title = "Something went wrong"

    def __init__(self, reference: str, title: str | None = None) -> None:
        super().__init__(f"Please try again. Reference: {reference}")
        if title is not None:
            self.title = title
