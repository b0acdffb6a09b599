"""The API as one ASGI application, to be mounted at ``/api``."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi import Request, Response
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from clinic_app.api import audit, auth, patients, portal, possible_duplicates, problems, reference
from clinic_app.api.endpoint import PREFIX, Route
from clinic_app.core import context, metrics
from clinic_app.core.addresses import client_address
from clinic_app.core.errors import NotFound
from clinic_app.core.settings import get_settings

ROUTERS = (auth.router, patients.router, portal.router, possible_duplicates.router, audit.router, reference.router)


class Api(Starlette):
    """The API: FastAPI describes its routes, Starlette serves them.

    Paths answer with and without their last slash; alone, it brings a request context of its own.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if not scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"] + "/"}
        if context.current().source != "system":  # the outermost layer of the server has set it
            await self._serve(scope, receive, send)
            return
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"").decode("latin-1")
        here = context.RequestContext("api", client_address(scope, get_settings().trusted_proxy_hops), agent[:200])

        async def named(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"x-request-id", here.request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        with context.use(here):
            await self._serve(scope, receive, named)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A route that fits answers by itself. The rest is Starlette's, and faults the outermost layer's."""
        for route in self.routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found, app=self)
                metrics.name_route(scope, PREFIX + getattr(route, "path", ""))
                await route.handle(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


async def _refused(request: Request, error: Exception) -> Response:
    """Unknown addresses and methods, in the API's own words."""
    status = getattr(error, "status_code", 500)
    if status == 404:
        return problems.render(NotFound())
    if status == 405:
        return problems.render(problems.MethodNotAllowed(), {"Allow": ", ".join(_allowed(request))})
    return problems.failed(error, "http")


def _allowed(request: Request) -> list[str]:
    """The methods this address takes, whichever routes they belong to."""
    fitting = [route for route in request.app.router.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in fitting if isinstance(route, Route) for method in route.methods or ()})


def _deny_by_default(app: Api) -> None:
    """Raise ``RuntimeError`` for a route that does not say which permission it needs, or that it needs none."""
    for route in app.router.routes:
        if not isinstance(route, Route) or route.need is None:
            raise RuntimeError(f"{getattr(route, 'path', route)} names no permission: every route of the API must.")


def create_api(*routers: Any) -> Api:
    """The API with all its routes, and ``routers`` besides.

    Raises ``RuntimeError`` for a route that does not say what permission it needs.
    """
    routes = [route for router in (*ROUTERS, *routers) for route in router.routes]
    app = Api(routes=routes, exception_handlers={HTTPException: _refused})
    app.router.redirect_slashes = False
    _deny_by_default(app)
    return app
