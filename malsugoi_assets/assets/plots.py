"""Small plots for Dagster's page: SVG inside Markdown, drawn by hand to stay below what the page shows at once.

The page unfolds a Markdown entry in place only while it has fewer than 1,000 characters; anything longer hides behind
"[Show Markdown]". A PNG never fits, these do (`UNFOLDED`); where one does not, it still opens by a click.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from math import isfinite

import dagster as dg

UNFOLDED = 1000
"""Markdown of this many characters or more is folded away by Dagster's page."""
_WIDTH, _HEIGHT, _SHOWN_WIDTH = 420, 155, 340
_COLOURS = ("navy", "orangered", "dimgray")
_LETTER = 7.8  # the width of a monospaced letter of 13 px
_MOST_POINTS = 18


def bars(values: Mapping[str, float], x: str, y: str) -> dg.MarkdownMetadataValue:
    """One bar a key, its value above it; `x` and `y` say what they are, with the unit."""
    if not values:
        return dg.MetadataValue.md("*nothing to draw yet*")
    step = _WIDTH / len(values)
    top = max(*values.values(), 0) or 1
    heights = [round(95 * value / top) for value in values.values()]
    path = "".join(f"M{round(step * (i + 0.5))} 125v-{height}" for i, height in enumerate(heights))
    parts = [
        f"<path d='{path}' stroke='{_COLOURS[0]}' stroke-width='{round(step * 0.7)}'/>",
        _columns(list(values), 138),
        *(
            f"<text x='{round(step * (i + 0.5))}' y='{122 - height}' text-anchor='middle'>{_number(value)}</text>"
            for i, (height, value) in enumerate(zip(heights, values.values(), strict=True))
            if len(values) <= 6
        ),
    ]
    if len(values) > 6:
        # One text for all values: a text each would not fit into what the page unfolds.
        parts.append(_columns([_number(value) for value in values.values()], 27))
    return _figure(parts, y, x)


def curves(
    lines: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str, ticks: Sequence[str] = ()
) -> dg.MarkdownMetadataValue:
    """One line a name, over points (x, y); at most three lines. Points that are no number are left out.

    With `ticks` the points' x are 0, 1, … and the ticks are what they are called.
    """
    lines = {name: [(a, b) for a, b in line if isfinite(a) and isfinite(b)] for name, line in lines.items()}
    points = [point for line in lines.values() for point in line]
    if not points:
        return dg.MetadataValue.md("*nothing to draw yet*")
    (left, right), (low, high) = (_range([p[i] for p in points]) for i in (0, 1))

    def place(point: tuple[float, float]) -> tuple[int, int]:
        up = 120 - round(95 * (point[1] - low) / (high - low or 1))
        if ticks:  # under the middle of each word of `_columns`
            return round((point[0] + 0.5) * _WIDTH / len(ticks)), up
        return 40 + round(364 * (point[0] - left) / (right - left or 1)), up

    parts = [
        "<path d='M40 22V125H404' stroke='gray' fill='none'/>",
        f"<text y='29'>{_number(high)}</text><text y='124'>{_number(low)}</text>",
        _columns(ticks, 139)
        if ticks
        else f"<text x='40' y='139'>{_number(left)}</text><text x='390' y='139'>{_number(right)}</text>",
    ]
    for row, ((name, line), colour) in enumerate(zip(lines.items(), _COLOURS, strict=False)):
        if line:
            path = _relative([place(point) for point in _thinned(line)])
            parts += [
                f"<path d='{path}' stroke='{colour}' fill='none'/>",
                f"<text x='320' y='{12 + 15 * row}' fill='{colour}'>{escape(name)}</text>",
            ]
    return _figure(parts, y, x)


def intervals(
    found: Mapping[str, tuple[float | None, float | None, float | None]], x: str
) -> dg.MarkdownMetadataValue:
    """One row a name: its value, and the interval around it; `found` are (value, low, high), None = there is none."""
    values = {
        name: (value, value if low is None else low, value if high is None else high)
        for name, (value, low, high) in found.items()
        if value is not None
    }
    if not values:
        return dg.MetadataValue.md("*nothing to draw yet*")
    left, right = _range([v for value in values.values() for v in value])

    def place(value: float) -> int:
        return 160 + round(250 * (value - left) / (right - left or 1))

    step = min(18, 120 // len(values))
    rows = {name: 24 + step * i for i, name in enumerate(values)}
    spans = "".join(f"M{place(values[n][1])} {y}H{place(values[n][2])}" for n, y in rows.items())
    dots = "".join(f"M{place(values[n][0])} {y}h.1" for n, y in rows.items())
    parts = [
        f"<path d='{spans}' stroke='{_COLOURS[0]}' stroke-width='2'/>",
        f"<path d='{dots}' stroke='{_COLOURS[1]}' stroke-width='7' stroke-linecap='round'/>",
        *(f"<text y='{y + 4}'>{escape(n)} {values[n][0]:.3f}</text>" for n, y in rows.items()),
    ]
    return _figure(parts, "", x, height=24 + step * len(values) + 10)


def _range(numbers: Sequence[float]) -> tuple[float, float]:
    return min(numbers), max(numbers)


def _thinned(line: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `_MOST_POINTS` of the points, the first and the last among them."""
    if len(line) <= _MOST_POINTS:
        return list(line)
    last = len(line) - 1
    return [line[round(i * last / (_MOST_POINTS - 1))] for i in range(_MOST_POINTS)]


def _relative(places: Sequence[tuple[int, int]]) -> str:
    """A line through the places, each written as the way from the one before: half the length."""
    steps = [(x - px, y - py) for (px, py), (x, y) in pairwise(places)]
    return f"M{places[0][0]} {places[0][1]}l" + " ".join(f"{dx}{dy}" if dy < 0 else f"{dx} {dy}" for dx, dy in steps)


def _columns(words: Sequence[str], y: int) -> str:
    """Short words in columns of equal width, in one text: monospaced, and as many as fill the width unstretched."""
    width = max(*(len(word) + 2 for word in words), round(_WIDTH / _LETTER / len(words)))
    return (
        f"<text y='{y}' textLength='{_WIDTH}' lengthAdjust='spacingAndGlyphs' "
        f"style='white-space:pre;font-family:monospace'>{escape(''.join(word.center(width) for word in words))}</text>"
    )


def _number(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1000:.0f}k"
    return f"{value:.3g}" if value != int(value) else f"{int(value)}"


def _figure(parts: Sequence[str], above: str, below: str, height: int = _HEIGHT) -> dg.MarkdownMetadataValue:
    title = f"<text y='12'>{escape(above)}</text>" if above else ""
    label = f"<text x='{_WIDTH // 2}' y='{height - 1}' text-anchor='middle'>{escape(below)}</text>"
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_SHOWN_WIDTH}' viewBox='-5 -3 {_WIDTH + 10} {height + 8}' "
        f"style='background:white;font:13px sans-serif'>{title}{''.join(parts)}{label}</svg>"
    )
    # Inside <…> a Markdown address may hold anything but these; a data address wants % and # escaped as well.
    for sign in "%#<>":
        svg = svg.replace(sign, f"%{ord(sign):02X}")
    return dg.MetadataValue.md(f"![plot](<data:image/svg+xml,{svg}>)")
