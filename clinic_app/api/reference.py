"""The description for machines, and as a page for people: plain HTML made on the server, without any script."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import HTMLResponse
from starlette.applications import Starlette

from clinic_app.api.endpoint import Anyone, Call, Route
from clinic_app.api.openapi import describe
from clinic_app.core import templates
from clinic_app.core.settings import get_settings

router = APIRouter(prefix="/v1", route_class=Route, include_in_schema=False)
Public = Annotated[Call, Depends(Anyone("the description holds nothing about anybody"))]
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
TEMPLATES = templates.beside(__file__)


@functools.lru_cache(maxsize=2)
def _described(app: Starlette, origin: str, _: str) -> tuple[bytes, str]:
    """What ``app`` serves, as JSON and as a page; made once for an origin and a clinic's name."""
    found = describe(app.routes)
    return json.dumps(found, indent=1).encode(), page(found, origin)


def _both(call: Call) -> tuple[bytes, str]:
    settings = get_settings()
    return _described(call.app, settings.origin, settings.name)


@router.get("/openapi.json/")
async def openapi(call: Public) -> Response:
    """The description, OpenAPI 3.1."""
    return Response(_both(call)[0], media_type="application/json")


@router.get("/docs/")
async def docs(call: Public) -> Response:
    """The description, to be read."""
    return HTMLResponse(_both(call)[1], headers={"content-security-policy": POLICY})


# --- the page -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation as the page shows it: rows of its tables, and examples with their labels."""

    method: str
    path: str
    id: str
    about: str
    parameters: list[tuple[str, ...]]
    fields: list[tuple[str, ...]]
    sent: list[tuple[str, str]]
    statuses: list[tuple[str, ...]]
    answered: list[tuple[str, str]]


def page(found: dict[str, Any], origin: str) -> str:
    """The description ``found`` as HTML."""
    shapes, groups = found["components"]["schemas"], dict[str, list[_Operation]]()
    for path, methods in found["paths"].items():
        for method, what in methods.items():
            groups.setdefault(what["tags"][0], []).append(_operation(method.upper(), path, what, shapes))
    about = found["info"]
    return TEMPLATES.get_template("reference.html").render(
        title=about["title"], about=about["description"], origin=origin, groups=groups
    )


def _operation(method: str, path: str, what: dict[str, Any], shapes: dict[str, Any]) -> _Operation:
    fields, sent, answers = [], [], sorted(what["responses"].items())
    if "requestBody" in what:
        media = what["requestBody"]["content"]["application/json"]
        shape = shapes[_name(media["schema"])]
        needed = shape.get("required", ())
        fields = [
            (f"`{name}`", "yes" if name in needed else "no", _kind(field), field.get("description", ""))
            for name, field in shape.get("properties", {}).items()
        ]
        sent = list(_samples("Example", media, shapes))
    answered = [
        sample
        for status, answer in answers
        if (media := answer.get("content", {}).get("application/json")) and (status < "300" or "examples" in media)
        for sample in _samples(f"Answer {status}", media, shapes)
    ]
    return _Operation(
        method=method,
        path=path,
        id=what["operationId"],
        about=what.get("description") or what.get("summary", ""),
        parameters=[
            (f"`{one['name']}`", one["in"], _kind(one["schema"]), one.get("description", ""))
            for one in what.get("parameters", ())
        ],
        fields=fields,
        sent=sent,
        statuses=[(status, answer["description"]) for status, answer in answers],
        answered=answered,
    )


def _samples(name: str, media: dict[str, Any], shapes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The examples of a body with their labels; without any, one put together from its schema."""
    single = {"": {"value": media.get("example", _example(media.get("schema", {}), shapes))}}
    for title, item in (media.get("examples") or single).items():
        yield f"{name}: {title}" if title else name, json.dumps(item["value"], indent=2, ensure_ascii=False)


def _name(schema: dict[str, Any]) -> str:
    return schema["$ref"].rsplit("/", 1)[-1]


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(item) for item in schema["anyOf"]))
    if "$ref" in schema:
        return _name(schema)
    if "enum" in schema:
        return "one of " + ", ".join(str(item) for item in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if "const" in schema:
        return json.dumps(schema["const"])
    limits = [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
    return ", ".join([str(schema.get("format") or schema.get("type") or "anything"), *limits])


def _example(schema: dict[str, Any], shapes: dict[str, Any]) -> Any:
    """An example of ``schema``, put together from those of its fields."""
    if "$ref" in schema:
        return _example(shapes[_name(schema)], shapes)
    if schema.get("examples"):
        return schema["examples"][0]
    if "properties" in schema:
        return {name: _example(part, shapes) for name, part in schema["properties"].items()}
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], shapes)
    if schema.get("type") == "array":
        return [_example(schema.get("items", {}), shapes)]
    if "const" in schema or "enum" in schema:
        return schema.get("const", (schema.get("enum") or [None])[0])
    simple = {"integer": 1, "boolean": True, "object": {}, "null": None}
    if schema.get("format") == "date-time":
        return "2026-06-18T09:00:00Z"
    return simple.get(schema.get("type", ""), schema.get("default") or "text")
