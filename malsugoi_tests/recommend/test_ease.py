"""EASE against its definition, and the cut to the strongest weights."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.recommend.ease import Ease, EaseSettings, ease_matrix, ease_top_weights
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_tests.recommend.deep_world import small_items, small_ratings


def of(rows: list[tuple[int, int]], n_users: int, n_items: int) -> Ratings:
    user, item = zip(*rows, strict=True) if rows else ((), ())
    rating = np.full(len(rows), np.nan, dtype=np.float32)
    return Ratings(np.array(user, np.int32), np.array(item, np.int32), rating, n_users, n_items)


def test_a_worked_example() -> None:
    """Two titles on both of two lists: G + λ = [[3, 2], [2, 3]], P = [[3, -2], [-2, 3]] / 5, so B₀₁ = 2/3."""
    titles, weights = ease_matrix(of([(0, 0), (0, 1), (1, 0), (1, 1)], 2, 2), EaseSettings(ridge=1))
    assert titles.tolist() == [0, 1]
    assert weights == pytest.approx(np.array([[0, 2 / 3], [2 / 3, 0]]), abs=1e-6)


def test_each_column_is_the_ridge_regression_of_the_title_on_all_others() -> None:
    ratings = small_ratings()
    titles, weights = ease_matrix(ratings, EaseSettings(ridge=3, liked=0.5, liked_from=9))
    liked = np.nan_to_num(ratings.rated_matrix.toarray()) >= 9
    lists = (ratings.listed_matrix.toarray() + 0.5 * liked)[:, titles].astype(float)
    for title in range(len(titles)):
        others = np.arange(len(titles)) != title
        gram = lists[:, others].T @ lists[:, others] + 3 * np.eye(others.sum())
        expected = np.linalg.solve(gram, lists[:, others].T @ lists[:, title])
        np.testing.assert_allclose(weights[others, title], expected, atol=2e-5)
        assert weights[title, title] == 0


def test_the_strongest_weights_by_size_are_kept_signed() -> None:
    ratings = small_ratings()
    settings = EaseSettings(ridge=3, top_k=4)
    titles, weights = ease_matrix(ratings, settings)
    kept = ease_top_weights(ratings, settings)
    for column, title in enumerate(titles):
        mine = kept.item == title
        assert mine.sum() == 4
        strongest = np.sort(np.abs(weights[:, column]))[-4:]
        np.testing.assert_array_equal(np.sort(np.abs(kept.weight[mine])), strongest)
        place = np.searchsorted(titles, kept.neighbour[mine])
        np.testing.assert_array_equal(kept.weight[mine], weights[place, column])
    assert (kept.weight < 0).any()


def test_of_equal_weights_those_of_the_lower_titles_are_kept() -> None:
    """Everybody lists everything: all weights are the same."""
    kept = ease_top_weights(of([(u, i) for u in range(3) for i in range(5)], 3, 5), EaseSettings(top_k=2))
    pairs = list(zip(kept.item.tolist(), kept.neighbour.tolist(), strict=True))
    # Of title 0 the weight for itself, 0, is the least; it is never stored.
    assert pairs == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (3, 0), (3, 1), (4, 0), (4, 1)]


def test_only_the_most_listed_titles_have_weights() -> None:
    ratings = of([(u, 2) for u in range(4)] + [(0, 0), (1, 0), (0, 1)], 4, 4)
    titles, weights = ease_matrix(ratings, EaseSettings(max_titles=2))
    assert titles.tolist() == [0, 2]
    assert weights.shape == (2, 2)


def test_no_listings_no_weights() -> None:
    assert len(ease_top_weights(of([], 0, 0)).item) == 0
    assert len(ease_top_weights(of([], 3, 5)).item) == 0
    assert len(ease_top_weights(of([(0, 1)], 3, 5)).item) == 0


def test_fewer_titles_than_weights_asked_for_keeps_all() -> None:
    kept = ease_top_weights(of([(0, 0), (0, 1), (1, 1)], 2, 2), EaseSettings(top_k=1000))
    assert list(zip(kept.item.tolist(), kept.neighbour.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_the_order_of_the_rows_does_not_matter() -> None:
    ratings = small_ratings()
    shuffled = ratings.take(np.random.default_rng(0).permutation(len(ratings)))
    np.testing.assert_array_equal(ease_top_weights(ratings).weight, ease_top_weights(shuffled).weight)


def test_the_model_scores_lists_by_the_weights() -> None:
    ratings = small_ratings()
    model = Ease().fit(ratings, small_items())
    titles, weights = ease_matrix(ratings, model.settings)
    users = np.array([3, 1], dtype=np.int32)
    liked = ratings.rated_matrix[users].toarray() >= 8
    expected = (ratings.listed_matrix[users].toarray() + liked)[:, titles] @ weights
    np.testing.assert_allclose(model.scores(users)[:, titles], expected, atol=1e-5)
    with pytest.raises(RuntimeError, match="fit"):
        Ease().scores(users)


def test_too_little_memory_says_what_is_needed() -> None:
    """8,000 titles of two dense matrices and a work copy: the error comes before the work."""
    with pytest.raises(MemoryError, match="max_titles"):
        ease_matrix(small_ratings(), EaseSettings(memory_gib=1e-6))
