"""What the two databases say in different words: text in text, one of many numbers, a look into the index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, ColumnElement
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


class _is_one_of(FunctionElement[bool]):  # noqa: N801  a function of the database
    """Whether the first is one of the numbers in the second, a text such as ``[1,2,3]``."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002  the one way it is called
        """As it stands: SQLite looks into no index where it is compared with 1, as functions are there."""
        return self


@compiles(_is_one_of)
def _any(element: _is_one_of, compiler: Any, **kw: Any) -> str:
    """An array, not its rows: PostgreSQL takes it for a few and looks into the index, not for a hundred."""
    number, found = (compiler.process(each, **kw) for each in element.clauses)
    return f"({number} = ANY (CAST(translate({found}, '[]', '{{}}') AS bigint[])))"


@compiles(_is_one_of, "sqlite")
def _json_each(element: _is_one_of, compiler: Any, **kw: Any) -> str:
    number, found = (compiler.process(each, **kw) for each in element.clauses)
    return f"({number} IN (SELECT value FROM json_each({found})))"  # noqa: S608


def among(number: Any, found: Any) -> ColumnElement[bool]:
    """Whether a number is in ``found``, text such as ``numbers`` makes: one statement does for any."""
    return _is_one_of(number, found)


def numbers(found: Iterable[int]) -> str:
    """Whole numbers as ``among`` reads them."""
    return f"[{','.join(map(str, found))}]"


def like(text: str) -> str:
    """``text`` anywhere, as a pattern of LIKE with the escape ``/``."""
    return f"%{text.replace('/', '//').replace('%', '/%').replace('_', '/_')}%"
