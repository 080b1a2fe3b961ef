"""What `cf_metrics` and `dnn_metrics` share: models on the pipeline's hold-out, as rows of a metrics table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from malsugoi_assets.assets.plots import curves, intervals
from malsugoi_assets.evaluation.hold_out import HoldOut
from malsugoi_assets.evaluation.judge_intervals import LEVELS
from malsugoi_assets.evaluation.reports import metric_rows
from malsugoi_assets.evaluation.results import Mask, Result
from malsugoi_assets.recommend.baselines import Bias, GlobalMean, ItemMean, MalScore, UserMean
from malsugoi_assets.recommend.ratings import FloatArray

# What is cheap enough to be fitted beside every model: means and offsets.
BASELINES: dict[str, Any] = {
    "bias": Bias,
    "item-mean": ItemMean,
    "user-mean": UserMean,
    "global-mean": GlobalMean,
    "mal-score": MalScore,
}


def predictions_of(held: HoldOut, models: Mapping[str, Any]) -> dict[str, FloatArray]:
    """What each of the models (name → class) predicts for the targets, learnt from the train rows."""
    return {
        name: model(seed=0).fit(held.train, held.items).predict(held.user, held.item)
        for name, model in models.items()
    }


def measured(
    held: HoldOut,
    predictions: Mapping[str, FloatArray],
    model_id: str,
    marks: Mapping[str, Mask] | None = None,
    more: Sequence[Result] = (),
) -> pl.DataFrame:
    """Rows of a metrics table: the predictions, those of `BASELINES` beside them; `marks` are further segments, `more`
    further figures.
    """
    found = held.judge(predictions_of(held, BASELINES) | dict(predictions), marks=marks)
    rows = metric_rows([*found, *more])
    return rows.with_columns(model_id=pl.lit(model_id), computed_at=pl.lit(datetime.now(UTC)))


def build_id(kind: str, held: HoldOut, settings: str) -> str:
    """A name for what is learnt from these rows and titles with these settings: the same of all, the same name."""
    digest = hashlib.sha256(settings.encode())
    for array in (held.train.user, held.train.item, held.train.rating, held.items.anime_id):
        digest.update(np.ascontiguousarray(array).tobytes())
    for known in (held.items.features, held.items.relations):
        digest.update(known.hash_rows(seed=0).to_numpy().tobytes() if known.height else b"")
    return f"{kind}-{digest.hexdigest()[:12]}"


def metrics_metadata(rows: pl.DataFrame) -> dict[str, Any]:
    """The headline figures, and a plot of the models beside each other."""
    overall = _overall(rows).filter(pl.col("metric") == "mse")
    if overall.is_empty():
        return {"mse": dg.MetadataValue.text("no rating is held out yet")}
    ends = [pl.coalesce(end, "value") for end in ("ci_low", "ci_high")]  # a single user has no interval
    table = {m: (v, low, high) for m, v, low, high in overall.select("model", "value", *ends).iter_rows()}
    return {
        "held_out_ratings": int(overall["n"][0]),
        **{f"mse_{name}": round(value[0], 4) for name, value in table.items()},
        "mse_by_model": intervals(table, "mean squared error and its 95 % interval (lower is better)"),
    }


def error_along(rows: pl.DataFrame, what: str, models: Sequence[str], x: str) -> dg.MarkdownMetadataValue:
    """A plot of the models' mean squared error along the segments '{what} low-high', which `x` explains."""
    mine = rows.filter(
        pl.col("segment").str.starts_with(f"{what} ") & (pl.col("metric") == "mse") & (pl.col("versus") == "")
    )
    found = {
        (model, segment): value for model, segment, value in mine.select("model", "segment", "value").iter_rows()
    }
    segments = sorted({s for _, s in found}, key=lambda s: int(s.removeprefix(f"{what} ").split("-")[0].rstrip("+")))
    lines = {
        model: [(place, found[model, s]) for place, s in enumerate(segments) if (model, s) in found]
        for model in models
    }
    return curves(lines, x, "mean squared error", ticks=[s.removeprefix(f"{what} ") for s in segments])


def error_in(rows: pl.DataFrame, model: str, segments: Sequence[str]) -> dg.MarkdownMetadataValue:
    """A plot of one model's mean squared error in each of the segments, with the intervals."""
    found = _figures(rows, model, "mse")
    return intervals(
        {name: found[name] for name in segments if name in found}, f"mean squared error of {model}, 95 % interval"
    )


def reliability(rows: pl.DataFrame, model: str) -> dict[str, Any]:
    """How many true ratings lie inside of what the model states, and a plot of it beside what is stated."""
    found = {level: _figures(rows, model, f"covered@{level}") for level in LEVELS}
    there = [(float(level), 100 * figures["all"][0]) for level, figures in found.items() if "all" in figures]
    if not there:
        return {}
    lines = {"found": there, "stated": [(level, level) for level, _ in there]}
    return {
        "inside_of_90_percent_intervals": round(found[90]["all"][0], 4),
        "reliability": curves(lines, "stated probability, %", "ratings inside of the interval, %"),
    }


def _figures(rows: pl.DataFrame, model: str, metric: str) -> dict[str, tuple[float, float, float]]:
    """Value and interval by segment."""
    mine = rows.filter((pl.col("model") == model) & (pl.col("metric") == metric) & (pl.col("versus") == ""))
    ends = [pl.coalesce(end, "value") for end in ("ci_low", "ci_high")]  # a single user has no interval
    return {
        segment: (value, low, high)
        for segment, value, low, high in mine.select("segment", "value", *ends).iter_rows()
    }


def metrics_shown(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a model, the best first: its errors on all held-out ratings."""
    return (
        _overall(rows)
        .filter(pl.col("metric").is_in(("mse", "rmse", "mae", "r2")))
        .with_columns(pl.col("value").round(4))
        .pivot("metric", index="model", values="value", maintain_order=True)
    )


def _overall(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows about all held-out ratings and one model, by ascending error."""
    mine = rows.filter((pl.col("segment") == "all") & (pl.col("versus") == ""))
    best = mine.filter(pl.col("metric") == "mse").select("model", _mse="value")
    return mine.join(best, on="model", how="left").sort("_mse", "model", nulls_last=True, maintain_order=True)
