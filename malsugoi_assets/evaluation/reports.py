"""Results for readers: the JSON file, rows of a metrics table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from malsugoi_assets.disk import replace_file
from malsugoi_assets.evaluation.results import Result


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
