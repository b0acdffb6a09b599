"""What every route begins with: who asks, whether they may, how often, and what they sent.

All of it, the use case included, happens in one thread: one change of threads a request, and neither a hash
nor a slow database ever holds the event loop. The order is fixed: who (401), may they (403), how often (429),
and only then is the body looked at. How often one use case may be asked for, the use case says itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from clinic_app.api import json_body, problems
from clinic_app.core import group_commit, waiting_room
from clinic_app.core.errors import AuthenticationRequired, ClinicError, DatabaseAway, InvalidInput
from clinic_app.core.settings import get_settings
from clinic_app.services.access import ANONYMOUS, Actor, Permission
from clinic_app.services.accounts import tokens
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.repeats import note_repeated
from clinic_app.services.audit.together import Left, leaving
from clinic_app.services.idempotency import once
from clinic_app.services.rates import rates

Answer = tuple[int, dict[str, Any]]
WITH_BODY = frozenset({"POST", "PATCH"})
#: Seconds until a use case that has not come back counts as lost with the database: far above what hashing a password
#: takes while a hundred others wait, and below what callers and proxies put up with.
PATIENCE = 30.0
PREFIX = "/api"


class Ask:
    """One request, for a handler: who asks and what they sent, and for how many seconds it has been held up."""

    def __init__(self, request: Request, actor: Actor, raw: bytes, waited: float = 0.0) -> None:
        self.actor, self.waited = actor, waited
        self._request, self._raw = request, raw
        self._sent: dict[str, Any] | None = None
        #: What was looked up for it with that of others.
        self.found: Any = None

    @property
    def patient(self) -> int | str:
        """The patient the path names: an id (digits only) or a patient ID."""
        text = self._request.path_params["id"]
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text

    def body(self, *allowed: str, optional: bool = False) -> dict[str, Any]:
        """The JSON object sent; with ``allowed``, only these fields; ``optional``: nothing is an empty object.

        Raises ``InvalidInput``.
        """
        found = self.sent(optional=optional)
        if allowed or optional:
            _refuse_unknown(found, allowed, "field")
        return found

    def sent(self, *, optional: bool = False) -> dict[str, Any]:
        """The JSON object sent, as it is."""
        if self._sent is None:
            content_type = self._request.headers.get("content-type", "")
            self._sent = json_body.parse(self._raw, content_type, optional=optional)
        return self._sent

    def query(self, *allowed: str) -> dict[str, str]:
        """The parameters of the address. Raises ``InvalidInput`` for one that is unknown or given twice."""
        pairs = self._request.query_params.multi_items()
        found = dict(pairs)
        _refuse_unknown(found, allowed, "parameter")
        if len(found) != len(pairs):
            raise InvalidInput({"query": "A query parameter is given twice."})
        return found

    def address(self, **parameters: object) -> str:
        """The full address of this path with other parameters, on the origin people use."""
        path = self._request.scope["path"]
        path = path if path.startswith(PREFIX + "/") else PREFIX + path
        return (
            f"{get_settings().origin}{path}?{urlencode({k: v for k, v in parameters.items() if v not in (None, '')})}"
        )


def _refuse_unknown(found: Mapping[str, Any], allowed: tuple[str, ...], what: str) -> None:
    for name in found:
        if name not in allowed:
            known = name[:60] if name.isidentifier() and name.isascii() else ""
            raise InvalidInput(
                {known or what: f"{known} is not a known {what}." if known else f"There is an unknown {what}."}
            )


def number(found: Mapping[str, Any], name: str, default: int, most: int) -> int:
    """The whole number from 1 to ``most`` under ``name``. Raises ``InvalidInput``."""
    value = found.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidInput({name: f"{name} must be a whole number from 1 to {most}."})
    return value


@dataclass(frozen=True, slots=True)
class Together:
    """How requests that arrive at the same time are answered with one commit, each of them as if it were alone.

    ``may_be`` says from the body alone whether it is worth trying. ``begin`` checks what was sent, outside of the
    transaction. ``together`` is given in the common one what ``begin`` returned for all of them, does what is done for
    many at once, and hands on to each what ``work`` goes on with. That is short, and it neither reads nor writes in a
    transaction of its own beside the common one. What it returns is the answer, or what is to be called for it, by
    itself, after the common commit. ``failed`` is told what ``begin`` returned and the error, where the common commit
    fails: nothing is kept then.
    """

    may_be: Callable[[bytes], bool]
    begin: Callable[[Ask], Any]
    together: Callable[[list[Any]], list[Any]]
    work: Callable[[Any], Answer | Callable[[], Answer]]
    failed: Callable[[Any, Exception], None]


class Call:
    """A request on its way to its handler."""

    def __init__(self, request: Request, permission: Permission | None) -> None:
        self._request, self._permission = request, permission

    @property
    def app(self) -> Starlette:
        """The application that serves this request."""
        return self._request.app

    async def answer(
        self,
        work: Callable[[Ask], Answer],
        *,
        repeatable: bool = False,
        grouped: Callable[[list[Ask]], list[Ask]] | None = None,
        together: Together | None = None,
        brief: Callable[[Mapping[str, str]], bool] | None = None,
    ) -> Response:
        """Do ``work`` for whoever asks, if they may, and answer with what it returns.

        ``repeatable``: with an ``Idempotency-Key`` it is done at most once. ``grouped``: with others that arrive
        at the same time, committed at once; for short work that records something. It is called with all of them once
        before, in the transaction, to look up what they need. ``together``: so where it can be,
        as it says. ``brief`` says of the parameters of the address whether the answer is quickly read: then, where that
        saves threads, it is read with others of the kind, one after the other in one thread, and what ``work`` records
        alone (``audit.together``) is committed at once.
        """
        request, name = self._request, work.__name__.strip("_")
        try:
            raw = await json_body.read(request) if request.method in WITH_BODY and grouped is None else b""
            async with asyncio.timeout(PATIENCE):
                if grouped is not None:
                    done = await group_commit.RECORDS.run(
                        lambda: Ask(request, self._admitted(), b""), work, grouped, self._ahead()
                    )
                    return problems.json_response(*done)
                if (
                    together is not None
                    and group_commit.is_one_commit()
                    and together.may_be(raw)
                    and not self._key(repeatable)
                ):
                    return problems.json_response(*await self._at_once(together, raw))
                if brief is not None and group_commit.saves_threads() and brief(request.query_params):
                    return await waiting_room.patiently(lambda waited: self._with_others(work, waited))
                return await waiting_room.patiently(
                    lambda waited: asyncio.to_thread(self._serve, work, raw, repeatable, waited)
                )
        except TimeoutError:
            return problems.render(DatabaseAway())
        except ClinicError as error:
            return problems.render(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception as error:  # noqa: BLE001  whatever it is, the caller gets a sentence and the log the rest
            return problems.failed(error, name)

    def _serve(self, work: Callable[[Ask], Answer], raw: bytes, repeatable: bool, waited: float) -> Response:
        ask = Ask(self._request, self._admitted(), raw, waited)
        key = self._key(repeatable)
        if key is None:
            return problems.json_response(*work(ask))
        path = self._request.scope["path"]

        def repeated(seq: int | None) -> None:
            note_repeated(ask.actor, seq)

        sent = ask.sent(optional=True)
        return problems.json_response(*once(ask.actor, path, key, sent, lambda: work(ask), repeated))

    async def _with_others(self, work: Callable[[Ask], Answer], waited: float) -> Response:
        def read() -> tuple[Response | Exception, Left]:
            with leaving() as left:
                try:
                    return self._serve(work, b"", False, waited), left
                except Exception as error:
                    if not left:
                        raise
                    return error, left  # what was read is recorded, whatever is told of it

        def record(done: tuple[Response | Exception, Left]) -> Response:
            response, left = done
            left.record()
            if isinstance(response, Exception):
                raise response
            return response

        return await group_commit.LISTS.run(read, record, ahead=self._ahead())

    async def _at_once(self, together: Together, raw: bytes) -> Answer:
        begun: list[Any] = []

        def begin() -> Any:
            begun.append(together.begin(Ask(self._request, self._admitted(), raw)))
            return begun[0]

        try:
            done = await group_commit.RECORDS.run(begin, together.work, together.together, self._ahead())
        except ClinicError:
            raise
        except Exception as error:
            if begun:
                await asyncio.to_thread(together.failed, begun[0], error)
            raise
        return await asyncio.to_thread(done) if callable(done) else done

    def _key(self, repeatable: bool) -> str | None:
        return self._request.headers.get("idempotency-key") if repeatable else None

    def _admitted(self) -> Actor:
        if self._permission is None:
            return ANONYMOUS
        actor = tokens.resolve_access(self._token())
        rates().spend(actor, "any")
        demand(actor, self._permission)
        return actor

    def _token(self) -> str:
        scheme, _, token = self._request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise AuthenticationRequired
        return token.strip()

    def _ahead(self) -> group_commit.Ahead | None:
        """The session behind the token: it is looked up with those of the others of a group."""
        try:
            return None if self._permission is None else (tokens.resolving, self._token())
        except AuthenticationRequired:
            return None


class Route(APIRoute):
    """A route whose handler takes its ``Call`` and nothing else: read the path and the body from there.

    So FastAPI's way through dependencies and forms is not needed, which would take as long as a query. It goes on
    describing the route.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = [d.call for d in self.dependant.dependencies if isinstance(d.call, Needs | Anyone)]
        #: What the route says it needs; None where it says nothing, or more than one thing.
        self.need: Needs | Anyone | None = found[0] if len(found) == 1 else None
        self.app = self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.need is None:
            raise RuntimeError("a route that names no permission")  # create_api will not have one
        response = await self.endpoint(await self.need(Request(scope, receive, send)))
        await response(scope, receive, send)


class Needs:
    """Dependency of a route: the permission it asks for. The handler gets a ``Call``, never an actor by itself."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> Call:
        return Call(request, self.permission)


class Anyone:
    """Dependency of a route that asks for no permission, and why it needs none."""

    permission = None

    def __init__(self, why: str) -> None:
        self.why = why

    async def __call__(self, request: Request) -> Call:
        return Call(request, None)
