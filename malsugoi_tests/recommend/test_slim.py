"""SLIM against the conditions that define its weights, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.slim import Slim, SlimSettings, slim_matrix, slim_top_weights
from malsugoi_tests.recommend.deep_world import small_items, small_ratings
from malsugoi_tests.recommend.test_ease import of

CLOSE = {"tolerance": 1e-7, "sweeps": 5_000}


def test_a_worked_example() -> None:
    """Two titles on both of two lists: w = (2 - λ₁) / (2 + λ₂) = (2 - ½) / (2 + 1) = ½."""
    ratings = of([(0, 0), (0, 1), (1, 0), (1, 1)], 2, 2)
    titles, weights = slim_matrix(ratings, SlimSettings(lasso=0.5, ridge=1, **CLOSE))
    assert titles.tolist() == [0, 1]
    np.testing.assert_allclose(weights.toarray(), [[0, 0.5], [0.5, 0]], atol=1e-6)


@pytest.mark.parametrize(("lasso", "ridge", "liked"), [(0.2, 1.0, 0.0), (1.0, 0.1, 1.0), (0.0, 3.0, 0.5)])
def test_each_titles_weights_meet_the_conditions_of_the_optimum(lasso: float, ridge: float, liked: float) -> None:
    """Karush-Kuhn-Tucker: the slope is -λ₁ where a weight is positive, and no steeper where it is zero."""
    ratings = small_ratings()
    titles, weights = slim_matrix(ratings, SlimSettings(lasso=lasso, ridge=ridge, liked=liked, **CLOSE))
    is_liked = np.nan_to_num(ratings.rated_matrix.toarray()) >= 8
    lists = (ratings.listed_matrix.toarray() + liked * is_liked)[:, titles].astype(float)
    for title, w in enumerate(weights.toarray().astype(float)):
        slope = lists.T @ (lists[:, title] - lists @ w) - ridge * w
        others = np.arange(len(titles)) != title
        assert w[title] == 0
        np.testing.assert_allclose(slope[w > 0], lasso, atol=1e-3)
        assert (slope[others & (w == 0)] <= lasso + 1e-3).all()
    assert 0 < weights.nnz < weights.shape[0] ** 2


def test_threads_do_not_change_the_weights() -> None:
    one = slim_matrix(small_ratings(), SlimSettings(lasso=0.5), threads=1)[1]
    three = slim_matrix(small_ratings(), SlimSettings(lasso=0.5), threads=3)[1]
    np.testing.assert_array_equal(one.toarray(), three.toarray())


def test_few_candidates_are_the_nearest_by_cosine() -> None:
    """Title 0 shares three lists with 1 and one with 2: with one candidate only 1 has a weight."""
    ratings = of([(u, i) for u in range(3) for i in (0, 1)] + [(0, 2)], 3, 3)
    weights = slim_matrix(ratings, SlimSettings(lasso=0, candidates=1))[1]
    assert weights.toarray()[0].nonzero()[0].tolist() == [1]


@pytest.mark.parametrize("rows", [[], [(0, 0)], [(0, 0), (1, 1)]], ids=["empty", "one row", "nothing together"])
def test_lists_without_two_titles_together_have_no_weights(rows: list[tuple[int, int]]) -> None:
    ratings = of(rows, 2, 3)
    assert len(slim_top_weights(ratings).weight) == 0
    assert Slim().fit(ratings, small_items(3)).scores(np.array([0, 1], np.int32)).tolist() == [[0] * 3] * 2


def test_a_score_is_the_sum_of_the_weights_of_the_list() -> None:
    ratings: Ratings = small_ratings()
    settings = SlimSettings(lasso=0.5, ridge=5)
    found = slim_top_weights(ratings, settings)
    scores = Slim(settings=settings).fit(ratings, small_items()).scores(np.array([3], np.int32))[0]
    mine = set(ratings.item[ratings.user == 3].tolist())
    for title in range(ratings.n_items):
        chosen = (found.item == title) & np.isin(found.neighbour, list(mine))
        assert scores[title] == pytest.approx(found.weight[chosen].sum(), abs=1e-5)


def test_a_matrix_that_would_not_fit_is_refused_with_what_it_needs() -> None:
    with pytest.raises(MemoryError, match="raise `memory_gib`"):
        slim_matrix(small_ratings(), SlimSettings(memory_gib=1e-9))
