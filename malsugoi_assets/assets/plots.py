"""Small plots for Dagster's page: PNG inside Markdown, well under 100 kB, readable without colour."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#555555"


def bars(values: Mapping[object, float], x: str, y: str) -> dg.MarkdownMetadataValue:
    """One bar a key."""
    keys = [str(k) for k in values]
    return _plot(lambda axes: axes.bar(keys, list(values.values()), color=_BLUE), x, y)


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str) -> dg.MarkdownMetadataValue:
    """One line a name, over points (x, y)."""

    def draw(axes: Axes) -> None:
        for (name, points), colour, style in zip(
            lines.items(), (_BLUE, _ORANGE, _GREY), ("-", "--", ":"), strict=False
        ):
            axes.plot(
                [p[0] for p in points], [p[1] for p in points], style, color=colour, label=name, marker="o", ms=3
            )
        axes.legend(frameon=False)

    return _plot(draw, x, y)


def intervals(values: Mapping[str, tuple[float, float, float]], x: str) -> dg.MarkdownMetadataValue:
    """One row a name: value with its interval (value, low, high)."""
    names = list(values)[::-1]

    def draw(axes: Axes) -> None:
        for row, name in enumerate(names):
            value, low, high = values[name]
            axes.plot([low, high], [row, row], color=_BLUE, lw=2)
            axes.plot([value], [row], "o", color=_ORANGE)
        axes.set_yticks(range(len(names)), names)

    return _plot(draw, x, "")


def _plot(draw: Callable[[Axes], object], x: str, y: str) -> dg.MarkdownMetadataValue:
    # A figure of its own, without pyplot's global state: assets may run in threads.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return dg.MetadataValue.md(f"![{y or x}](data:image/png;base64,{base64.b64encode(png.getvalue()).decode()})")
