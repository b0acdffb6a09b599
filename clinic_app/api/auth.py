"""Signing in and out, and the next pair of tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from clinic_app.api import schemas
from clinic_app.api.endpoint import Answer, Anyone, Ask, Call, Needs, Route
from clinic_app.api.openapi import takes
from clinic_app.core.errors import InvalidInput
from clinic_app.services.access import Permission
from clinic_app.services.accounts import tokens

router = APIRouter(prefix="/v1/auth", route_class=Route, tags=["Signing in"])
_LABELS = {"username": "Username", "password": "Password", "refresh": "Refresh token", "otp": "Authentication code"}


def _texts(ask: Ask, *names: str, optional: str = "") -> list[str]:
    """The texts under ``names``, all needed but ``optional``, which comes last. Raises ``InvalidInput`` by field."""
    names = (*names, optional) if optional else names
    body = ask.body(*names)
    problems = {}
    for name in names:
        value = body.get(name)
        if value is None or value == "":
            if name == optional:
                body[name] = ""
                continue
            problems[name] = f"{_LABELS[name]} is required."
        elif not isinstance(value, str):
            problems[name] = f"{_LABELS[name]} must be text."
    if problems:
        raise InvalidInput(problems)
    return [body[name] for name in names]


def _pair(made: tokens.Tokens) -> dict[str, str]:
    return {"access": made.access, "refresh": made.refresh}


def _login(ask: Ask) -> Answer:
    typed = _texts(ask, "username", "password", optional="otp")
    return 200, _pair(tokens.issue_tokens(*typed, waited=ask.waited))


def _refresh(ask: Ask) -> Answer:
    return 200, _pair(tokens.refresh_tokens(*_texts(ask, "refresh")))


def _logout(ask: Ask) -> Answer:
    if not isinstance(ask.body("refresh", optional=True).get("refresh"), str | None):
        raise InvalidInput({"refresh": "Refresh token must be text."})
    tokens.end_tokens(ask.actor)
    return 200, {"success": True, "message": "Signed out successfully"}


@router.post(
    "/login/", operation_id="sign_in",
    response_model=schemas.Tokens,
    responses={
        401: {"content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/Detail"},
            "example": {"detail": "Incorrect username or password."},
        }}},
        403: {},
        429: {"content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": {
                "success": False,
                "error": "Too many attempts",
                "detail": "Too many attempts. Please try again in 2 minutes.",
            },
        }}},
    },
    openapi_extra=takes(schemas.SignIn),
)  # fmt: skip
async def sign_in(call: Annotated[Call, Depends(Anyone("this route issues the token"))]) -> Response:
    """Sign in with username and password, and `otp` where the account has two-factor sign-in.

    Unknown names, wrong passwords and turned-off accounts all get the same answer.
    """
    return await call.answer(_login)


@router.post(
    "/refresh/",
    operation_id="refresh_tokens",
    response_model=schemas.Tokens,
    responses={401: {}},
    openapi_extra=takes(schemas.Refresh),
)
async def refresh(call: Annotated[Call, Depends(Anyone("the refresh token is the proof"))]) -> Response:
    """Exchange a refresh token for the next pair. Using a token twice ends the session: it has been copied."""
    return await call.answer(_refresh)


@router.post(
    "/logout/",
    operation_id="sign_out",
    response_model=schemas.Done,
    openapi_extra=takes(schemas.SignOut, optional=True),
)
async def sign_out(call: Annotated[Call, Depends(Needs(Permission.OWN_SESSION))]) -> Response:
    """End the session: its access and refresh tokens stop working at once."""
    return await call.answer(_logout)
