"""The description for machines, and as a page for people: plain HTML made on the server, without any script."""

from __future__ import annotations

import functools
import json
from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import HTMLResponse

from clinic_app.api.endpoint import Anyone, Call, Route
from clinic_app.api.openapi import describe
from clinic_app.core.settings import get_settings

router = APIRouter(prefix="/v1", route_class=Route, include_in_schema=False)
Public = Annotated[Call, Depends(Anyone("the description holds nothing about anybody"))]
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:light-dark(#0b6470,#6fd3de)}
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:2px solid var(--accent)}h3{margin:2rem 0 .5rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}
pre{background:var(--soft);padding:.75rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.method{display:inline-block;min-width:4.5ch;font-weight:700;color:var(--accent)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}caption{text-align:left;font-weight:600;padding:.5rem 0}
th,td{border:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top}
a{color:var(--accent)}section{break-inside:avoid-page}
"""


@functools.lru_cache(maxsize=2)
def _described(origin: str, _: str) -> tuple[bytes, str]:
    """The description as JSON and as a page; made once for an origin and a clinic's name."""
    from clinic_app.api.app import ROUTERS

    found = describe([route for part in ROUTERS for route in part.routes])
    return json.dumps(found, indent=1).encode(), _page(found, origin)


def _both() -> tuple[bytes, str]:
    settings = get_settings()
    return _described(settings.origin, settings.name)


@router.get("/openapi.json/")
async def openapi(_: Public) -> Response:
    """The description, OpenAPI 3.1."""
    return Response(_both()[0], media_type="application/json")


@router.get("/docs/")
async def docs(_: Public) -> Response:
    """The description, to be read."""
    return HTMLResponse(_both()[1], headers={"content-security-policy": POLICY})


# --- the page -------------------------------------------------------------------------------------


def _words(text: str) -> str:
    """Text with `code` in it, as HTML."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_words(part)}</p>" for part in text.split("\n\n") if part.strip())


def _table(caption: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(item) for item in schema["anyOf"]))
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    if "enum" in schema:
        return "one of " + ", ".join(str(item) for item in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if "const" in schema:
        return json.dumps(schema["const"])
    limits = [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
    return ", ".join([str(schema.get("format") or schema.get("type") or "anything"), *limits])


class _Page:
    """Turns one description into HTML."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.shapes: dict[str, Any] = found["components"]["schemas"]

    def example(self, schema: dict[str, Any]) -> Any:
        """An example of ``schema``, put together from those of its fields."""
        if "$ref" in schema:
            return self.example(self.shapes[schema["$ref"].rsplit("/", 1)[-1]])
        if schema.get("examples"):
            return schema["examples"][0]
        if "properties" in schema:
            return {name: self.example(part) for name, part in schema["properties"].items()}
        if "anyOf" in schema:
            return self.example(schema["anyOf"][0])
        if schema.get("type") == "array":
            return [self.example(schema.get("items", {}))]
        if "const" in schema or "enum" in schema:
            return schema.get("const", (schema.get("enum") or [None])[0])
        simple = {"integer": 1, "boolean": True, "object": {}, "null": None}
        if schema.get("format") == "date-time":
            return "2026-06-18T09:00:00Z"
        return simple.get(schema.get("type", ""), schema.get("default") or "text")

    def _block(self, media: dict[str, Any], name: str) -> str:
        given = media.get("examples") or {"": {"value": media.get("example", self.example(media.get("schema", {})))}}
        found = ""
        for title, item in given.items():
            label = f"{name}: {title}" if title else name
            found += (
                f"<p>{escape(label)}</p><pre>{escape(json.dumps(item['value'], indent=2, ensure_ascii=False))}</pre>"
            )
        return found

    def operation(self, method: str, path: str, what: dict[str, Any]) -> str:
        """One operation as a section."""
        rows = [
            (f"<code>{escape(p['name'])}</code>", p["in"], escape(_kind(p["schema"])), _words(p.get("description", "")))
            for p in what.get("parameters", ())
        ]
        parts = [
            f'<section id="{escape(what["operationId"])}"><h3><span class="method">{method.upper()}</span> '
            f"<code>{escape(path)}</code></h3>",
            _paragraphs(what.get("description") or what.get("summary", "")),
            _table("Parameters", ("Name", "In", "Type", "Meaning"), rows),
        ]
        if "requestBody" in what:
            media = what["requestBody"]["content"]["application/json"]
            shape = self.shapes[media["schema"]["$ref"].rsplit("/", 1)[-1]]
            needed = shape.get("required", ())
            fields = [
                (
                    f"<code>{escape(name)}</code>",
                    "yes" if name in needed else "no",
                    escape(_kind(field)),
                    _words(field.get("description", "")),
                )
                for name, field in shape.get("properties", {}).items()
            ]
            parts += [_table("Body", ("Field", "Needed", "Type", "Meaning"), fields), self._block(media, "Example")]
        statuses = [(status, _words(answer["description"])) for status, answer in sorted(what["responses"].items())]
        parts.append(_table("Answers", ("Status", "When"), statuses))
        for status, answer in sorted(what["responses"].items()):
            media = answer.get("content", {}).get("application/json")
            if media and (status < "300" or "examples" in media):
                parts.append(self._block(media, f"Answer {status}"))
        return "".join(parts) + "</section>"


def _page(found: dict[str, Any], origin: str) -> str:
    page, groups = _Page(found), {}  # type: ignore[var-annotated]
    for path, methods in found["paths"].items():
        for method, what in methods.items():
            groups.setdefault(what["tags"][0], []).append((method, path, what))
    index = "".join(
        f'<li><a href="#{escape(what["operationId"])}"><code>{method.upper()} {escape(path)}</code></a></li>'
        for group in groups.values()
        for method, path, what in group
    )
    body = "".join(
        f"<h2>{escape(name)}</h2>" + "".join(page.operation(*operation) for operation in group)
        for name, group in groups.items()
    )
    title = escape(found["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body><main>'
        f"<h1>{title}</h1>{_paragraphs(found['info']['description'])}"
        f'<p>Server: <code>{escape(origin)}</code>. Machine-readable: <a href="openapi.json">openapi.json</a>.</p>'
        f'<nav aria-label="Operations"><ul>{index}</ul></nav>{body}</main></body></html>'
    )
