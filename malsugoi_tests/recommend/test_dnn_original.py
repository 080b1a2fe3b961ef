"""The original's network is reproduced, and the leak in its set-up is shown open there and closed here."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from malsugoi_assets.recommend.dnn_original import DnnOriginal, history_sums, item_features, original_network
from malsugoi_assets.recommend.dnn_settings import DnnOriginalSettings
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.training import TrainingError
from malsugoi_tests.recommend.deep_world import small_items, small_ratings, without_features

QUICK = DnnOriginalSettings(epochs=2, threads=1)
WORLD = small_ratings(12)


def test_the_published_histories_give_the_test_ratings_away() -> None:
    """History × (n - 1) + own rating × features is one constant a user, so test ratings follow by division.

    In the published set-up every row's history is made of all other rows of the user, test rows included. A
    train row (rating known, inputs known) then yields the constant, and a test row's inputs yield its rating.
    """
    rated = WORLD.rated
    features = item_features(small_items(), np.bincount(rated.item, minlength=36)).astype(np.float64)
    sums = np.asarray(rated.rated_matrix.astype(np.float64) @ features)
    count = np.bincount(rated.user, minlength=12)[:, None]

    def published_history(row: int) -> np.ndarray:  # type: ignore[type-arg]
        user = rated.user[row]
        return (sums[user] - rated.rating[row] * features[rated.item[row]]) / (count[user] - 1)

    recovered, actual = [], []
    for user in range(12):
        train, *test = np.flatnonzero(rated.user == user)
        n = count[user] - 1
        constant = published_history(train) * n + rated.rating[train] * features[rated.item[train]]
        for row in test:
            target = features[rated.item[row]]
            recovered.append(float((constant - published_history(row) * n) @ target / (target @ target)))
            actual.append(float(rated.rating[row]))
    np.testing.assert_allclose(recovered, actual, atol=1e-9)


def test_here_a_test_rating_reaches_nothing() -> None:
    """Histories are the fitted rows: with other ratings on the test rows every prediction is the same."""
    rated = WORLD.rated
    test = np.arange(0, len(rated), 4)
    train = rated.take(np.setdiff1d(np.arange(len(rated)), test))
    scrambled = rated.rating.copy()
    scrambled[test] = np.random.default_rng(0).permutation(scrambled[test])
    other = Ratings(rated.user, rated.item, scrambled, rated.n_users, rated.n_items)
    other_train = other.take(np.setdiff1d(np.arange(len(rated)), test))
    predictions = [
        DnnOriginal(settings=QUICK).fit(rows, small_items()).predict(rated.user[test], rated.item[test])
        for rows in (train, other_train)
    ]
    np.testing.assert_array_equal(*predictions)


def test_a_fitted_rows_own_rating_is_left_out_of_its_history_when_asked_again() -> None:
    model = DnnOriginal(settings=QUICK).fit(WORLD, small_items())
    rated = WORLD.rated
    user, item = rated.user[:1], rated.item[:1]
    before = model.predict(user, item)
    target = model._features[item]
    model._sum[user] += 5 * target
    changed = rated.rating.copy()
    changed[0] += 5
    model._rated = Ratings(rated.user, rated.item, changed, rated.n_users, rated.n_items)
    np.testing.assert_allclose(model.predict(user, item), before, rtol=1e-5)


def test_the_network_is_the_published_one() -> None:
    """162-512-256-128-1 with BatchNorm: 83,456 + 131,328 + 32,896 + 129 weights and 2 × 896 of the norms."""
    network = original_network(162, 0.3)
    assert sum(value.numel() for value in network.parameters()) == 83_456 + 131_328 + 32_896 + 129 + 2 * 896
    out = network.eval()(torch.randn(50, 162) * 100)
    assert out.shape == (50, 1)
    assert ((out >= 1) & (out <= 10)).all()


def test_features_are_standardised_over_the_fitted_rows_and_unknown_is_the_mean() -> None:
    rows = np.zeros(36, dtype=np.int64)
    rows[[0, 1, 2]] = [3, 1, 2]
    features = item_features(without_features(small_items(), 5), rows)
    assert features.shape == (36, 5 + 4), "of the genres those of titles 0, 1 and 2: action, drama, comedy, shounen"
    assert not features[5].any()
    np.testing.assert_allclose(np.average(features, axis=0, weights=rows), 0, atol=1e-6)
    variance = np.average(features**2, axis=0, weights=rows)
    np.testing.assert_allclose(variance[variance > 0], 1, rtol=1e-5)


def test_history_sums_are_rating_times_features() -> None:
    ratings = Ratings(
        np.array([0, 0, 1], np.int32), np.array([0, 1, 1], np.int32), np.array([2, np.nan, 4], np.float32), 2, 2
    )
    sums, count = history_sums(ratings.rated, np.array([[1, 10], [3, 30]], dtype=np.float32))
    np.testing.assert_array_equal(sums, [[2, 20], [12, 120]])
    np.testing.assert_array_equal(count, [1, 1])


def test_the_same_seed_gives_the_same_predictions_and_another_one_others() -> None:
    first, again, other = (
        DnnOriginal(seed=seed, settings=QUICK).fit(WORLD, small_items()).predict(WORLD.user, WORLD.item)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_users_without_a_rating_and_batches_of_one_are_no_trouble() -> None:
    rated = WORLD.rated.take(np.arange(65))
    model = DnnOriginal(settings=QUICK).fit(rated, small_items())
    predicted = model.predict(np.array([11, 0], np.int32), np.array([3, 3], np.int32))
    assert np.isfinite(predicted).all()
    assert (predicted >= 1).all()
    assert (predicted <= 10).all()


def test_too_few_rows_and_an_unfitted_model_say_so() -> None:
    with pytest.raises(TrainingError, match="1 rated rows are too few"):
        DnnOriginal().fit(WORLD.rated.take(np.arange(1)), small_items())
    with pytest.raises(ValueError, match="not fitted"):
        DnnOriginal().predict(WORLD.user, WORLD.item)


def test_titles_that_nobody_rated_make_no_other_network() -> None:
    """A second catalogue's further titles brought 78 further words: other widths, other weights, other figures."""
    items, rows = small_items(), np.zeros(36, dtype=np.int64)
    rows[:12] = 3
    strange = items.features.with_row_index("row").with_columns(
        genres=pl.when(pl.col("row") < 12).then("genres").otherwise(pl.lit(["Avant Garde"]))
    )
    wider = Items(items.anime_id, strange.drop("row"), items.names, items.relations)
    np.testing.assert_array_equal(item_features(items, rows)[:12], item_features(wider, rows)[:12])
