"""Figures of predictions that come batch by batch: the same as of all of them together."""

from __future__ import annotations

import polars as pl
import pytest

from malsugoi_assets.assets.predicted_ratings import PredictedRatings

ROWS = pl.DataFrame(
    {
        "username": ["ann", "ann", "ben", "cai", "cai"],
        "anime_id": [1, 2, 1, 1, 3],
        "rank": [1, 2, 1, 1, 2],
        "predicted_rating": [7.0, 8.0, 9.0, 6.0, 5.0],
    }
)
TITLES = pl.DataFrame({"anime_id": [1, 2, 3], "title": ["Trigun", "Mushishi", "Monster"]})


def test_batches_add_up_to_the_whole() -> None:
    parts, whole = PredictedRatings(), PredictedRatings()
    for name in ("ann", "ben", "cai"):
        parts.add(ROWS.filter(pl.col("username") == name))
    whole.add(ROWS)
    assert (parts.batches, parts.users, whole.users) == (3, 3, 3)
    assert parts.histogram == whole.histogram
    assert parts.spread == pytest.approx(whole.spread) == pytest.approx(ROWS["predicted_rating"].std())
    assert parts.preview(TITLES) == whole.preview(TITLES)
    assert "| Trigun | 3 | 7.3 |" in str(whole.preview(TITLES).value)


def test_nothing_predicted_has_no_spread_and_an_empty_preview() -> None:
    nothing = PredictedRatings()
    nothing.add(ROWS.clear())
    assert nothing.spread is None
    assert sum(nothing.histogram.values()) == 0
    assert nothing.preview(TITLES).value == "*no rows*"
