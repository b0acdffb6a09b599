"""What the two databases say in different words: text in text, one of many numbers, a look into the index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class holds(FunctionElement[bool]):  # noqa: N801  a function of the database
    """Whether the first text has the second in it, letter by letter as it stands."""

    type = Boolean()
    inherit_cache = True


@compiles(holds)
def _strpos(element: holds, compiler: Any, **kw: Any) -> str:
    return f"(strpos({compiler.process(element.clauses, **kw)}) > 0)"


@compiles(holds, "sqlite")
def _instr(element: holds, compiler: Any, **kw: Any) -> str:
    return f"(instr({compiler.process(element.clauses, **kw)}) > 0)"


class _each(FunctionElement[int]):  # noqa: N801  a function of the database
    """The numbers in a text such as ``[1,2,3]``, each a row."""

    type = Integer()
    inherit_cache = True


@compiles(_each)
def _unnest(element: _each, compiler: Any, **kw: Any) -> str:
    return f"(SELECT unnest(CAST(translate({compiler.process(element.clauses, **kw)}, '[]', '{{}}') AS bigint[])))"


@compiles(_each, "sqlite")
def _json_each(element: _each, compiler: Any, **kw: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **kw)}))"  # noqa: S608


def among(number: Any, found: Any) -> ColumnElement[bool]:
    """Whether a number is in ``found``, text such as ``numbers`` makes: one statement does for any."""
    return number.bool_op("IN")(_each(found))


def numbers(found: Iterable[int]) -> str:
    """Whole numbers as ``among`` reads them."""
    return f"[{','.join(map(str, found))}]"


def like(text: str) -> str:
    """``text`` anywhere, as a pattern of LIKE with the escape ``/``."""
    return f"%{text.replace('/', '//').replace('%', '/%').replace('_', '/_')}%"
