"""The API's description (OpenAPI 3.1), complete enough to generate a client from."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from clinic_app.api import schemas
from clinic_app.api.endpoint import PREFIX, WITH_BODY, Anyone, Needs, Route
from clinic_app.core.settings import get_settings
from clinic_app.services.access import PERMISSIONS, REFUSALS

TITLE = "Clinic front desk API"
ABOUT = """Sign in with `POST /api/v1/auth/login/` and send the access token as `Authorization: Bearer …`. It is \
valid for 15 minutes and stops working at once when the session ends; the refresh token gets the next pair and can be \
used once. An account with a temporary password cannot sign in here.

Request bodies are JSON, at most 1 MiB; unknown fields are refused. Times are UTC (ISO 8601). Every response carries \
`X-Request-ID`. A `POST` with an `Idempotency-Key` takes effect at most once in 24 hours: sent again, it gets the same \
response without the password. Paths work with and without the trailing slash."""

#: The program comes without a licence: nobody but its owner has been given rights to it.
LICENCE = {"name": "All rights reserved"}

_PROBLEMS: dict[int, tuple[str, type[BaseModel]]] = {
    400: ("The input breaks a rule, or clashes with an existing record.", schemas.Problem),
    401: ("Not signed in, or the token is no longer valid.", schemas.Detail),
    403: ("The account's role does not allow it.", schemas.Detail),
    404: ("Nothing was found at this address.", schemas.Detail),
    409: (
        "It conflicts with a change made in the meantime, or with the current state, or may be there already.",
        schemas.Problem,
    ),
    413: ("The body is larger than 1 MiB.", schemas.Problem),
    415: ("The body is not JSON.", schemas.Problem),
    422: ("The idempotency key was already used for a different request.", schemas.Problem),
    429: ("Too many requests: wait as long as `Retry-After` says.", schemas.Problem),
    500: ("An error on our side, logged under the reference in `detail`. Nothing was saved.", schemas.Problem),
    503: ("Overloaded: wait as long as `Retry-After` says.", schemas.Problem),
}
_EXAMPLES: dict[int, dict[str, Any]] = {
    401: {"detail": "Please sign in."},
    404: {"detail": "No patient has this number."},
    409: {
        "success": False,
        "error": "Changed meanwhile",
        "detail": "Somebody else changed this record while you were editing. Nothing you typed is lost.",
    },
    413: {"success": False, "error": "Request too large", "detail": "A request may hold at most 1024 KiB."},
    415: {
        "success": False,
        "error": "Unsupported content type",
        "detail": "Send JSON, with the header Content-Type: application/json.",
    },
    422: {
        "success": False,
        "error": "Idempotency-Key already used",
        "detail": "This key was already sent with a different request. Use a new key for each new request.",
    },
    429: {
        "success": False,
        "error": "Too many requests",
        "detail": "Too many requests. Please try again in 30 seconds.",
    },
    500: {
        "success": False,
        "error": "Something went wrong",
        "detail": "Please try again. Reference: 6f1c0a5be2d94c77",
    },
    503: {
        "success": False,
        "error": "Temporarily unavailable",
        "detail": "The system is busy. Please try again in a moment.",
    },
}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The id (digits) or the patient ID, such as `LMC000123`.",
    "schema": {"type": "string", "minLength": 1},
    "example": "123",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Up to 255 printable characters; a new one for each separate request.",
    "schema": {"type": "string"},
    "example": "7d3f0c1e-register-john",
}
_HEADERS = {
    "X-Request-ID": {
        "description": "Identifies this request in our logs and in the audit trail.",
        "schema": {"type": "string"},
    }
}
_WAIT = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def takes(
    body: type[BaseModel] | None = None,
    *,
    repeatable: bool = False,
    parameters: tuple[dict[str, Any], ...] = (),
    optional: bool = False,
) -> dict[str, Any]:
    """``openapi_extra`` of a route: its body, its parameters, and whether it takes an idempotency key."""
    found: dict[str, Any] = {"parameters": [*parameters, *([_KEY] if repeatable else [])]}
    if body is not None:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}}
        found["requestBody"] = {"required": not optional, "content": content}
        _BODIES[body.__name__] = body
    return found


_BODIES: dict[str, type[BaseModel]] = {}


def parameter(name: str, description: str, schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    """One optional parameter of an address."""
    found = {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
    return found if example is None else {**found, "example": example}


PAGING = (
    parameter(
        "page", "Page number, starting at 1.", {"type": "integer", "minimum": 1, "maximum": 10_000_000, "default": 1}
    ),
    parameter("page_size", "Rows per page.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
)


def roles(need: Needs) -> list[str]:
    """The roles that hold what ``need`` asks for."""
    return [str(role) for role, held in PERMISSIONS.items() if need.permission in held]


def _statuses(route: Route, need: Needs | Anyone, operation: dict[str, Any]) -> list[int]:
    found = {500, 503}
    if isinstance(need, Needs):
        found |= {401, 403, 429}
    if WITH_BODY & set(route.methods or ()):
        found |= {413}
    if "requestBody" in operation:
        found |= {400, 415}
    if any(p["in"] == "query" for p in operation.get("parameters", ())):
        found |= {400}
    if "{id}" in route.path_format:
        found |= {404}
    if any(p["name"] == "page" for p in operation.get("parameters", ())):
        found |= {404}
    if _KEY in operation.get("parameters", ()):
        found |= {400, 409, 422}
    return sorted(found | {int(status) for status in route.responses})


def _refusal(need: Needs | Anyone) -> dict[str, Any]:
    words = REFUSALS.get(need.permission) if isinstance(need, Needs) else None
    return {"detail": words or "Choose a password of your own first."}


def _complete(operation: dict[str, Any], route: Route, need: Needs | Anyone) -> None:
    """Add security, every status with its shape and example, and who may call."""
    if isinstance(need, Needs):
        operation["security"] = [{"bearer": []}]
        operation["description"] = (
            f"{operation.get('description', '')}\n\nAllowed for: {', '.join(roles(need))}.".strip()
        )
    else:
        operation["security"] = []
    answers = operation["responses"]
    answers.pop("422", None)
    for status in _statuses(route, need, operation):
        words, model = _PROBLEMS.get(status, ("", schemas.Problem))
        given = answers.setdefault(str(status), {})
        given.setdefault("description", words)
        if status >= 400:
            example = _refusal(need) if status == 403 else _EXAMPLES.get(status)
            shown = {"example": example} if example and "content" not in given else {}
            media = given.setdefault("content", {}).setdefault("application/json", shown)
            media.setdefault("schema", {"$ref": f"#/components/schemas/{model.__name__}"})
    for status, answer in answers.items():
        answer.setdefault("description", "Done.")
        answer["headers"] = {**_HEADERS, **(_WAIT if status in ("429", "503") else {})}


def _models() -> dict[str, Any]:
    from pydantic.json_schema import models_json_schema

    wanted = {**_BODIES, "Problem": schemas.Problem, "Detail": schemas.Detail}
    _, found = models_json_schema(
        [(model, "validation") for model in wanted.values()], ref_template="#/components/schemas/{model}"
    )
    return found["$defs"]


def _version() -> str:
    try:
        return version("clinic-app")
    except PackageNotFoundError:
        return "1"


def describe(given: Iterable[object]) -> dict[str, Any]:
    """The description of every one of these routes that is part of the API."""
    routes = [route for route in given if isinstance(route, Route) and route.include_in_schema]
    settings = get_settings()
    found = get_openapi(
        title=f"{settings.name}: {TITLE.lower()[0]}{TITLE[1:]}",
        version=_version(),
        description=ABOUT,
        routes=routes,
        servers=[{"url": settings.origin, "description": settings.name}],
        license_info=LICENCE,
        separate_input_output_schemas=False,
    )
    paths = found.pop("paths")
    for route in routes:
        for method in route.methods or ():
            need = route.need
            assert need is not None  # noqa: S101  create_api has checked it
            operation = paths[route.path_format][method.lower()]
            if "{id}" in route.path_format:
                operation["parameters"] = [_ID, *operation.get("parameters", ())]
            _complete(operation, route, need)
    components = found.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    components.update(_models())
    found["components"]["schemas"] = dict(sorted(components.items()))
    found["components"]["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of `POST /api/v1/auth/login/`.",
        }
    }
    found["paths"] = {PREFIX + path: item for path, item in paths.items()}
    return found
