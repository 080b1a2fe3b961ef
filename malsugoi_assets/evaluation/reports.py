"""Results for readers: the JSON file, rows of a metrics table, plots as PNG bytes (matplotlib comes only for these)."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.disk import replace_file
from malsugoi_assets.evaluation.results import Result

LARGEST_PNG_BYTES = 100_000
# Okabe, Ito (2008): told apart with every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MARKERS = "os^Dvp*X"


def write_json(results: Sequence[Result], path: Path) -> None:
    """Write the results as a JSON list, by rename: the file is either whole or untouched. No NaN."""
    text = json.dumps([result.as_json() for result in results], indent=1, allow_nan=False)
    with replace_file(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")


def metric_rows(results: Sequence[Result]) -> pl.DataFrame:
    """Results as rows: model, protocol, segment, metric, versus ('' or the model subtracted), value, interval, n.

    A figure without a value has no row; differences to other models have one for the MSE only.
    """
    rows: list[tuple[object, ...]] = []
    for r in results:
        if r.value is None:
            continue
        which = (r.model, r.protocol, r.segment, r.metric)
        rows.append((*which, "", r.value, r.ci_low, r.ci_high, r.n))
        if r.metric == "mse":
            rows += [(*which, o, d.difference, d.ci_low, d.ci_high, r.n) for o, d in r.paired.items()]
    words = dict.fromkeys(("model", "protocol", "segment", "metric", "versus"), pl.String)
    numbers = dict.fromkeys(("value", "ci_low", "ci_high"), pl.Float64)
    return pl.DataFrame(rows, schema={**words, **numbers, "n": pl.Int32}, orient="row")


def plot_models(results: Sequence[Result], metric: str, segment: str = "all") -> bytes:
    """The models beside each other with their intervals, the best on top."""
    chosen = [r for r in results if r.metric == metric and r.segment == segment and r.value is not None]
    upwards = metric in ("mse", "rmse", "mae")
    chosen.sort(key=lambda r: r.value or 0.0, reverse=upwards)
    figure, axes = _figure(0.8 + 0.32 * max(len(chosen), 3))
    for place, result in enumerate(chosen):
        value = result.value or 0.0
        ends = [[value - (result.ci_low or value)], [(result.ci_high or value) - value]]
        axes.errorbar([value], [place], xerr=ends, fmt="o", color=COLOURS[0], capsize=3)
    axes.set_yticks(range(len(chosen)), [r.model for r in chosen])
    axes.set_xlabel(f"{metric}, {'lower' if upwards else 'higher'} is better (95 % interval)")
    return _png(figure)


def plot_segments(results: Sequence[Result], what: str, metric: str = "mse") -> bytes:
    """A metric along the buckets of `what` ('history' or 'title': ratings learnt of the user, or of the title)."""
    chosen = [r for r in results if r.metric == metric and r.segment.startswith(f"{what} ") and r.value is not None]
    segments = list(dict.fromkeys(r.segment for r in chosen))
    figure, axes = _figure(3.4)
    for number, model in enumerate(dict.fromkeys(r.model for r in chosen)):
        own = {r.segment: r.value for r in chosen if r.model == model}
        x = [i for i, s in enumerate(segments) if s in own]
        style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        axes.plot(x, [own[segments[i]] for i in x], label=model, **style)
    axes.set_xticks(range(len(segments)), [s.removeprefix(f"{what} ") for s in segments])
    axes.set_xlabel(
        "ratings of the user to learn from" if what == "history" else "ratings of the title to learn from"
    )
    axes.set_ylabel(metric)
    if segments:
        axes.legend(fontsize=7, ncols=2, frameon=False)
    return _png(figure)


def plot_predicted(truth: npt.NDArray[Any], predicted: npt.NDArray[Any], model: str) -> bytes:
    """For each true rating the middle, the quartiles and the 5-95 % range of what was predicted."""
    figure, axes = _figure(3.4)
    axes.plot([1, 10], [1, 10], color=COLOURS[-1], linewidth=0.8, linestyle="--", label="predicted = actual")
    for rating in range(1, 11):
        there = predicted[truth == rating]
        if len(there):
            low, first, middle, third, high = np.quantile(there, [0.05, 0.25, 0.5, 0.75, 0.95])
            axes.plot([rating, rating], [low, high], color=COLOURS[5], linewidth=1.5)
            axes.plot([rating, rating], [first, third], color=COLOURS[0], linewidth=5)
            axes.plot([rating], [middle], "o", color=COLOURS[1], markersize=4)
    axes.set_xticks(range(1, 11))
    axes.set_xlabel("actual rating")
    axes.set_ylabel(f"predicted by {model}")
    axes.legend(fontsize=7, frameon=False)
    return _png(figure)


def _figure(height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _png(figure: Any) -> bytes:
    for dpi in (110, 80, 50):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi)
        if buffer.tell() < LARGEST_PNG_BYTES:
            break
    return buffer.getvalue()
