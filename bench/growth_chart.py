"""A chart of how times grow with the register, as SVG: one panel for each database, both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, APART = 340, 260, 46, 40, 30
LOWEST, HIGHEST = 0.5, 100.0  # milliseconds
COLOURS = ("#1b6ca8", "#c0392b", "#1e8449", "#8e44ad", "#b9770e", "#34495e")


def _text(x: float, y: float, words: str, anchor: str = "middle", colour: str = "#222", size: int = 11) -> str:
    look = f'text-anchor="{anchor}" fill="{colour}" font-size="{size}"'
    return f'<text x="{x:.0f}" y="{y:.0f}" {look}>{escape(words)}</text>'


def _line(x: float, y: float, to_x: float, to_y: float, colour: str, dashed: str = "") -> str:
    dash = f' stroke-dasharray="{dashed}"' if dashed else ""
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}"{dash}/>'


def _y(value: float) -> float:
    share = math.log(max(LOWEST, min(HIGHEST, value)) / LOWEST) / math.log(HIGHEST / LOWEST)
    return TOP + HEIGHT * (1 - share)


def _panel(at: int, title: str, rows: list[dict[str, Any]], questions: Sequence[str], goal: float) -> list[str]:
    left = LEFT + at * (WIDTH + LEFT + APART)
    sizes = [row["patients"] for row in rows]
    low, high = math.log(min(sizes)), math.log(max(sizes))

    def x(size: int) -> float:
        return left + 20 + (WIDTH - 40) * ((math.log(size) - low) / (high - low) if high > low else 0.5)

    parts = [_text(left + WIDTH / 2, TOP - 14, f"{title}: p95 at the API, milliseconds", size=13)]
    for value in (0.5, 1, 2, 5, 10, 20, 50, 100):
        parts.append(_line(left, _y(value), left + WIDTH, _y(value), "#ddd"))
        parts.append(_text(left - 6, _y(value) + 4, f"{value:g}", "end"))
    parts.append(_line(left, _y(goal), left + WIDTH, _y(goal), "#c00", "5 4"))
    parts.append(_text(left + WIDTH - 4, _y(goal) - 4, "goal", "end", "#c00"))
    parts += [_text(x(size), TOP + HEIGHT + 18, f"{round(size, -3):,}") for size in sizes]
    parts.append(_text(left + WIDTH / 2, TOP + HEIGHT + 36, "patients"))
    for colour, question in zip(COLOURS, questions, strict=False):
        points = [(x(row["patients"]), _y(row["http"][question][1])) for row in rows]
        line = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>' for across, down in points]
    return parts


def drawn(found: list[dict[str, Any]], questions: Sequence[str], goal: float) -> str:
    """The chart of what ``bench/search.py`` has measured."""
    names = list(dict.fromkeys(one["database"] for one in found))
    width = LEFT + len(names) * (WIDTH + LEFT + APART)
    height = TOP + HEIGHT + 90
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        "<title>How long finding takes, by the number of patients</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for at, name in enumerate(names):
        parts += _panel(at, name, [one for one in found if one["database"] == name], questions, goal)
    each = (width - LEFT) / len(questions)
    for at, (colour, question) in enumerate(zip(COLOURS, questions, strict=False)):
        x, y = LEFT + at * each, height - 18
        parts += [_line(x, y - 4, x + 16, y - 4, colour), _text(x + 20, y, question, "start", colour)]
    return "\n".join([*parts, "</svg>", ""])
