"""Baselines against numbers worked by hand and a dense solver."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from malsugoi_assets.recommend.baselines import (
    Bias,
    BiasSettings,
    GlobalMean,
    ItemMean,
    MalScore,
    Popularity,
    UserMean,
    fit_bias,
    fit_title_bias,
)
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import Ratings

NAN = float("nan")


def ratings(*rows: tuple[int, int, float], users: int = 3, items: int = 3) -> Ratings:
    user, item, value = (np.array(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return Ratings(np.int32(user), np.int32(item), np.float32(value), users, items)  # type: ignore[arg-type]


def titles(*scores: float | None) -> Items:
    features = pl.DataFrame({"score": pl.Series(scores, dtype=pl.Float64)})
    return Items(np.arange(len(scores), dtype=np.int32), features, [[] for _ in scores], pl.DataFrame())


LISTS = ratings((0, 0, 8.0), (0, 1, 6.0), (1, 0, 10.0), (1, 2, NAN))
ASKED = np.array([0, 1, 2, 2], dtype=np.int32), np.array([0, 1, 0, 2], dtype=np.int32)


def test_means_by_hand() -> None:
    items = titles(None, None, None)
    assert GlobalMean().fit(LISTS, items).predict(*ASKED).tolist() == [8, 8, 8, 8]
    assert ItemMean().fit(LISTS, items).predict(*ASKED).tolist() == [9, 6, 9, 8]
    assert UserMean().fit(LISTS, items).predict(*ASKED).tolist() == [7, 10, 8, 8]


def test_the_sites_score_plus_the_users_offset_by_hand() -> None:
    """Residuals 8 - 7, 6 - 7, 10 - 7 have the mean 1; pull 3: user 0 (0 + 3) / 5, user 1 (3 + 3) / 4, user 2 1."""
    model = MalScore().fit(LISTS, titles(7.0, 7.0, 5.0))
    assert model.predict(*ASKED) == pytest.approx([7.6, 8.5, 8.0, 6.0])


def test_popularity_counts_listings_rated_or_not() -> None:
    scores = Popularity().fit(LISTS, titles(None, None, None)).scores(np.array([2, 0], dtype=np.int32))
    assert scores.tolist() == [[2, 1, 1], [2, 1, 1]]


def test_offsets_are_those_of_the_ridge_regression() -> None:
    """Beside numpy's dense solution of the same normal equations."""
    rng = np.random.default_rng(0)
    rows = [(u, i, float(rng.integers(1, 11))) for u in range(8) for i in range(6) if rng.random() < 0.6]
    lists = ratings(*rows, users=8, items=6)
    settings = BiasSettings(user_pull=2, item_pull=5, sweeps=500)
    found = fit_bias(lists, settings)
    design = np.zeros((len(rows), 14))
    design[np.arange(len(rows)), lists.user] = 1
    design[np.arange(len(rows)), 8 + lists.item] = 1
    pulls = np.diag([2.0] * 8 + [5.0] * 6)
    exact = np.linalg.solve(design.T @ design + pulls, design.T @ (lists.rating - found.mu))
    assert np.concatenate([found.user_bias, found.item_bias]) == pytest.approx(exact, abs=1e-4)


@given(data=st.data())
def test_the_titles_offsets_are_the_same_from_users_in_parts_and_rows_in_any_order(data: st.DataObject) -> None:
    pairs = data.draw(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 3))))
    rows = [(u, i, data.draw(st.sampled_from([1.0, 4.0, 10.0, NAN]))) for u, i in sorted(pairs)]
    lists = ratings(*data.draw(st.permutations(rows)), users=6, items=4)
    settings = BiasSettings(user_pull=1, item_pull=0)
    whole, parts = fit_bias(lists, settings), [lists.take(lists.user % 3 == k) for k in range(3)]
    found = fit_title_bias(parts, 4, settings)
    assert found.mu == pytest.approx(whole.mu)
    assert found.bias == pytest.approx(whole.item_bias, abs=1e-9)
    rated = lists.rated
    assert found.count.tolist() == np.bincount(rated.item, minlength=4).tolist()
    assert found.total.tolist() == np.bincount(rated.item, rated.rating, 4).tolist()


@pytest.mark.parametrize("model", [GlobalMean, ItemMean, UserMean, MalScore, Bias])
@given(data=st.data())
def test_predictions_are_ratings_whatever_the_lists(model: type[Bias], data: st.DataObject) -> None:
    pairs = data.draw(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2))))
    rows = [(u, i, data.draw(st.sampled_from([1.0, 10.0, NAN]))) for u, i in sorted(pairs)]
    fitted = model().fit(ratings(*rows), titles(None, 1.0, 10.0))
    user, item = (a.ravel().astype(np.int32) for a in np.mgrid[:3, :3])
    predicted = fitted.predict(user, item)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    assert predicted.min() >= 1
    assert predicted.max() <= 10
