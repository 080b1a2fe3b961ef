"""The quantile that covers: its place by hand, and what it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from malsugoi_assets.recommend.conformal import covering_quantile


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 5.0), (0.81, 9.0), (0.9, 9.0), (0.99, 9.0), (0.05, 1.0)],
    ids=["the fifth of 10", "just beyond the eighth", "the ninth of 10", "more than nine can promise", "the first"],
)
def test_the_place_is_that_of_one_row_more(share: float, expected: float) -> None:
    assert covering_quantile(np.arange(9, 0, -1, dtype=np.float64), share) == expected


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=60, unique=True), st.floats(0.05, 0.95))
def test_of_rows_in_any_order_the_last_lies_below_as_often_as_promised(errors: list[float], share: float) -> None:
    """Each of n + 1 rows in turn is the new one, which is what exchangeable means; unless n rows are too few to promise it."""
    every = np.array(errors)
    below = [every[new] <= covering_quantile(np.delete(every, new), share) for new in range(len(every))]
    if math.ceil(len(every) * share) < len(every):
        assert np.mean(below) >= share
