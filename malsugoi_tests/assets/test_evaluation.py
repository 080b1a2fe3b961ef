"""What the metrics assets show on Dagster's page, also where there is next to nothing to measure: words, never NaN."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.assets.evaluation import BASELINES, error_along, measured, metrics_metadata
from malsugoi_assets.evaluation.hold_out import hold_out
from malsugoi_assets.files.catalogue import FEATURES, RELATIONS
from malsugoi_assets.warehouse.schema import conform
from malsugoi_assets.warehouse.tables import TABLES


@pytest.mark.parametrize(
    ("users", "titles", "score"), [(0, 0, 7), (1, 30, 7), (1, 2, 7), (12, 30, 7), (12, 30, None)]
)
def test_tables_and_metadata_hold_no_nan(users: int, titles: int, score: int | None) -> None:
    """One user, one row, equal ratings, no rating: R² and intervals are missing, and the page can read the rest."""
    rows = [(f"u{u}", t, score) for u in range(users) for t in range(titles)]
    lists = pl.DataFrame(rows, schema={"username": pl.String, "anime_id": pl.Int32, "score": pl.Int8}, orient="row")
    held = hold_out(lists, pl.DataFrame(schema=FEATURES), pl.DataFrame(schema=RELATIONS))
    table = conform(TABLES["cf_metrics"], measured(held, {"cf": np.full(len(held.user), 6, np.float32)}, "cf-1"))
    shown = metrics_metadata(table)
    json.dumps({key: value for key, value in shown.items() if isinstance(value, int | float)}, allow_nan=False)
    if len(held.user):
        assert set(table["model"]) == {"cf", *BASELINES}
        assert shown["mse_cf"] == pytest.approx(1)
        assert str(error_along(table, "title", ("cf", "bias"), "ratings").value)
    else:
        assert "nothing to draw" in str(error_along(table, "title", ("cf", "bias"), "ratings").value)
        assert "no rating" in shown["mse"].text
