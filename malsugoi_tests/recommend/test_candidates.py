"""The compiled kernels against numpy, line by line."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from malsugoi_assets.recommend.candidates import find_candidates
from malsugoi_assets.recommend.dense_products import multiply_into

RANDOM = np.random.default_rng(5)
SCORES = RANDOM.normal(size=(3, 7, 40)).astype(np.float32)
FREE = RANDOM.random((7, 40)) < 0.7
FREE[6] = False
PICKS = np.array([1.0, 0.0, 0.5], dtype=np.float32)


@pytest.mark.parametrize("threads", [1, 3])
def test_candidates_are_the_free_titles_of_the_largest_sum_of_standardised_scores(threads: int) -> None:
    found = find_candidates(SCORES, FREE, PICKS, 12, threads)
    for user in range(6):
        free = np.flatnonzero(FREE[user])
        own = SCORES[:, user, free].astype(float)
        z = (own - own.mean(1, keepdims=True)) / own.std(1, keepdims=True)
        best = np.sort(free[np.argsort(-(PICKS @ z), kind="stable")[:12]])
        assert found.item[user].tolist() == best.tolist()
        np.testing.assert_allclose(found.scores[user], z[:, np.isin(free, best)].T, atol=1e-4)
    assert (found.item[6] == -1).all()
    assert np.isneginf(found.picked[~FREE]).all()


def test_of_equals_the_lower_index_is_a_candidate_and_few_free_titles_leave_places_empty() -> None:
    same = np.ones((1, 1, 6), dtype=np.float32)
    free = np.array([[True, False, True, True, True, False]])
    ones = np.ones(1, dtype=np.float32)
    assert find_candidates(same, free, ones, 2).item.tolist() == [[0, 2]]
    assert find_candidates(same, free, ones, 6).item.tolist() == [[0, 2, 3, 4, -1, -1]]


def test_among_named_titles_only_those_that_are_candidates_stay_with_their_scores() -> None:
    scores = np.array([[[5, 1, 4, 3, 2, 0]], [[0, 1, 2, 3, 4, 5]]], dtype=np.float32)
    found = find_candidates(scores, np.ones((1, 6), bool), np.array([1, 0], np.float32), 3)
    assert found.item.tolist() == [[0, 2, 3]]
    some = found.among([np.array([3, 5, 0])])
    assert some.item.tolist() == [[0, 3]]
    np.testing.assert_array_equal(some.scores, found.scores[:, [0, 2]])
    assert found.among([np.array([1])]).item.shape == (1, 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_product_of_sparse_matrices_is_that_of_the_dense_ones(threads: int) -> None:
    left = sp.random(9, 20, 0.3, random_state=1, format="csr", dtype=np.float32)
    right = sp.random(20, 15, 0.3, random_state=2, format="csr", dtype=np.float32)
    out = np.full((9, 15), 7, dtype=np.float32)
    multiply_into(left, right, out, threads)
    np.testing.assert_allclose(out, left.toarray() @ right.toarray(), rtol=1e-5)
