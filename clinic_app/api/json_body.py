"""Reading JSON that strangers send: quickly, within limits, and only if it has one meaning."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from typing import Any

from fastapi import Request

from clinic_app.api.problems import BodyTooLarge, NotJson, Unreadable

LIMIT = 1024 * 1024  # bytes


async def read(request: Request) -> bytes:
    """The body, at most ``LIMIT`` bytes. Raises ``BodyTooLarge``."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and (len(said) > 12 or int(said) > LIMIT):
        raise BodyTooLarge(LIMIT)
    parts, total = [], 0
    async for part in request.stream():
        total += len(part)
        if total > LIMIT:
            raise BodyTooLarge(LIMIT)
        parts.append(part)
    return b"".join(parts)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("The body names a field twice.")
    return found


def _no_constant(_: str) -> None:
    raise Unreadable("NaN and Infinity are not valid JSON.")


def parse(raw: bytes, content_type: str, *, optional: bool = False) -> dict[str, Any]:
    """The JSON object in ``raw``; with ``optional`` an empty body is an empty object.

    A byte order mark in front, which some programs write, does not count (RFC 8259, 8.1). Raises ``NotJson`` for
    another content type and ``Unreadable`` for anything that is not a JSON object or not UTF-8, is nested too deeply,
    or names a field twice.
    """
    if optional and not raw.removeprefix(BOM_UTF8).strip():
        return {}
    kind, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise NotJson
    try:
        found = json.loads(
            raw.removeprefix(BOM_UTF8).decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant
        )
    except RecursionError:
        raise Unreadable("The body is nested too deeply.") from None
    except ValueError:  # also UnicodeDecodeError, and numbers of thousands of digits
        raise Unreadable("The body is not valid JSON.") from None
    if not isinstance(found, dict):
        raise Unreadable("The body must be a JSON object.")
    return found
