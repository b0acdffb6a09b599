"""CSV that a spreadsheet cannot mistake for formulas (OWASP CSV Injection; ASVS 5.0 1.2.10; RFC 4180)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

#: Spreadsheets that do not read UTF-8 by themselves do with this in front.
BYTE_ORDER_MARK = "\ufeff"
# What a spreadsheet may calculate: also behind space, and as typed on East Asian keyboards. Quotes already in
# front count too, so that taking one away always gives back what there was.
_CALCULATED = re.compile("'*[\\s\0]*[=+\\-@\t\r\n\0＝＋－＠]")


def cell(value: object) -> str:
    """``value`` as the text of one cell: nothing for None, and an apostrophe in front of what may be calculated."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    text = str(value)
    return f"'{text}" if _CALCULATED.match(text) else text


def original(text: str) -> str:
    """What ``cell`` was given, from what it made: for reading an export back."""
    return text[1:] if text.startswith("'") and _CALCULATED.match(text) else text


def lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Each row as one line, all cells in quotes, ended by CRLF."""
    for row in rows:
        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([cell(value) for value in row])
        yield out.getvalue()
