"""Figures against numbers worked by hand, and intervals against what is known of the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from malsugoi_assets.evaluation import metrics
from malsugoi_assets.evaluation.intervals import interval, resampled_totals


def test_errors_of_three_rows_by_hand() -> None:
    truth, predicted = np.array([8.0, 6.0, 10.0]), np.array([7.0, 6.0, 7.0])
    place = np.array([0, 0, 1])
    sums = metrics.error_sums(truth, predicted, place, 2).sum(axis=0)
    around = metrics.truth_sums(truth, place, 2, 8.0).sum(axis=0)
    found = {name: float(value) for name, value in metrics.errors(sums, around).items()}
    assert found == pytest.approx({"mse": 10 / 3, "rmse": (10 / 3) ** 0.5, "mae": 4 / 3, "r2": 1 - 10 / 8})


def test_r2_is_not_defined_where_all_ratings_are_equal() -> None:
    truth = np.full(4, 7.0)
    place = np.zeros(4, dtype=np.intp)
    found = metrics.errors(
        metrics.error_sums(truth, truth + 1, place, 1)[0], metrics.truth_sums(truth, place, 1, 7.0)[0]
    )
    assert np.isnan(found["r2"])
    assert found["mse"] == 1


def test_a_ranked_list_by_hand() -> None:
    """Hits on places 1 and 3, three relevant: DCG 1 + 1/2, ideal 1 + 0.63093 + 0.5; AP (1 + 2/3) / 3."""
    hit = np.zeros(20, dtype=bool)
    hit[[0, 2]] = True
    assert metrics.ranking_metrics(hit, 3) == pytest.approx([1.5 / 2.1309298, 2 / 3, 2 / 3, 5 / 9])


def test_more_relevant_titles_than_places_can_still_be_perfect() -> None:
    perfect = metrics.ranking_metrics(np.ones(20, dtype=bool), 40)
    assert perfect == pytest.approx([1, 0.25, 0.5, 1])


def test_a_short_list_and_a_hit_behind_place_ten() -> None:
    assert metrics.ranking_metrics(np.array([True, False]), 1) == pytest.approx([1, 1, 1, 1])
    late = np.zeros(20, dtype=bool)
    late[10] = True
    assert metrics.ranking_metrics(late, 1) == pytest.approx([0, 0, 1, 0])


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, float("nan"), -np.inf]), min_size=1, max_size=60))
def test_the_best_places_are_those_of_a_full_sort(scores: list[float]) -> None:
    values = np.array(scores)
    tie = np.random.default_rng(0).random(len(values))
    full = np.lexsort((tie, -np.where(np.isnan(values), -np.inf, values)))[:20]
    assert metrics.top(values, tie).tolist() == full.tolist()


def test_the_bootstrap_draws_whole_users_and_is_the_same_for_the_same_seed() -> None:
    """The mean of n values has the standard error s / √n; the interval is ± 1.96 of it."""
    values = np.random.default_rng(1).normal(size=400)
    sums = np.stack([np.ones(400), values], axis=1)
    totals = resampled_totals(sums, 7)
    assert np.array_equal(totals, resampled_totals(sums, 7))
    assert (totals[:, 0] == 400).all()
    low, high = interval(totals[:, 1] / totals[:, 0])
    assert low is not None
    assert high is not None
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert interval(np.array([np.nan])) == (None, None)
