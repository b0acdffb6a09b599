"""What browsers post to and get from, as one application, to be put around Reflex's."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from clinic_app.web import (
    activating,
    choosing_password,
    downloads,
    forgotten,
    importing,
    own_account,
    own_contact,
    own_email,
    own_record,
    own_sign_in,
    passkeys,
    patient_card,
    self_registration,
    session_routes,
    signing_in,
    slips,
    two_factor,
)
from clinic_app.web.requests import Route, changes

ROUTERS = (
    signing_in.router,
    choosing_password.router,
    activating.router,
    forgotten.router,
    self_registration.router,
    session_routes.router,
    own_account.router,
    two_factor.router,
    passkeys.router,
    downloads.router,
    importing.router,
    slips.router,
    patient_card.router,
    own_record.router,
    own_contact.router,
    own_email.router,
    own_sign_in.router,
)


def _refuse_unchecked(router: APIRouter) -> None:
    """Raise ``RuntimeError`` for a route that may change something and does not ask where the request came from."""
    for route in router.routes:
        reads = isinstance(route, APIRoute) and not changes(route)
        if not reads and not isinstance(route, Route):
            raise RuntimeError(f"{getattr(route, 'path', route)} does not check that a page of ours sent the request.")


def create_web(*routers: APIRouter) -> FastAPI:
    """The routes for browsers, and ``routers`` besides.

    Raises ``RuntimeError`` for a route that would change something for other sites' pages too.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for router in (*ROUTERS, *routers):
        _refuse_unchecked(router)
        app.include_router(router)
    return app
