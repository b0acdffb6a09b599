"""Errors as the API reports them: the status by kind, the body by status."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic_core import to_json

from clinic_app.core import logs, metrics, outage
from clinic_app.core.errors import ClinicError, ErrorKind, InvalidInput
from clinic_app.services.idempotency import KeyReused

STATUS: dict[ErrorKind, int] = {
    ErrorKind.INVALID: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.THROTTLED: 429,
    ErrorKind.UNEXPECTED: 500,
    ErrorKind.UNAVAILABLE: 503,
}
#: These say one sentence and nothing else.
_DETAIL_ONLY = frozenset({401, 403, 404, 405})


class BodyTooLarge(InvalidInput):
    """More than a request may hold."""

    code = "body_too_large"
    title = "Request too large"

    def __init__(self, limit: int) -> None:
        super().__init__({})
        self.detail = f"A request may hold at most {limit // 1024} KiB."


class NotJson(InvalidInput):
    """The content type is not JSON."""

    code = "not_json"
    title = "Unsupported content type"

    def __init__(self) -> None:
        super().__init__({})
        self.detail = "Send JSON, with the header Content-Type: application/json."


class Unreadable(InvalidInput):
    """It says it is JSON and is not, or not in a way that has one meaning."""

    code = "unreadable_body"
    title = "Validation failed"

    def __init__(self, detail: str) -> None:
        super().__init__({})
        self.detail = detail


class MethodNotAllowed(ClinicError):
    """The address exists, but does not do that."""

    kind = ErrorKind.NOT_FOUND
    code = "method_not_allowed"
    title = "Method not allowed"
    detail = "This address does not allow that method."


_EXCEPTIONS: dict[type[ClinicError], int] = {BodyTooLarge: 413, NotJson: 415, MethodNotAllowed: 405, KeyReused: 422}


def status_of(error: ClinicError) -> int:
    """The HTTP status that ``error`` is told with."""
    return _EXCEPTIONS.get(type(error)) or STATUS[error.kind]


def body_of(error: ClinicError) -> dict[str, Any]:
    """What the answer to ``error`` says."""
    if status_of(error) in _DETAIL_ONLY:
        return {"detail": error.detail}
    body: dict[str, Any] = {"success": False, "error": error.title, "detail": error.detail, **error.extra()}
    if error.fields:
        body["errors"] = error.fields
    return body


def json_response(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """``body`` as JSON, never kept by anybody on the way."""
    return Response(to_json(body), status, {"cache-control": "no-store", **(headers or {})}, "application/json")


def render(error: ClinicError, headers: dict[str, str] | None = None) -> Response:
    """The answer to ``error``."""
    metrics.count(metrics.REFUSALS, "api", str(error.kind))
    status, extra = status_of(error), dict(headers or {})
    if status == 401:
        extra["WWW-Authenticate"] = "Bearer"
    wait = getattr(error, "retry_after", None)
    if wait:
        extra["Retry-After"] = str(wait)
    return json_response(status, body_of(error), extra)


def failed(error: BaseException, handler: str) -> Response:
    """The answer to a fault of ours: logged under a reference, told without internals.

    503 and when to come back where the database is away. Then nobody knows whether a COMMIT without an answer was kept:
    the same request with the same ``Idempotency-Key`` tells.
    """
    return render(outage.told(error, logs.failure(error, handler)))
