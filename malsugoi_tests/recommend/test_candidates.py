"""The compiled kernels against numpy, line by line."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from malsugoi_assets.recommend.block_kernels import add_block, fill_block
from malsugoi_assets.recommend.candidates import find_candidates
from malsugoi_assets.recommend.dense_products import multiply_into
from malsugoi_assets.recommend.row_kernels import strongest_of_rows

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


@pytest.mark.parametrize("threads", [1, 2])
def test_a_product_of_sparse_matrices_is_that_of_the_dense_ones(threads: int) -> None:
    left = sp.random(9, 20, 0.3, random_state=1, format="csr", dtype=np.float32)
    right = sp.random(20, 15, 0.3, random_state=2, format="csr", dtype=np.float32)
    out = np.full((9, 15), 7, dtype=np.float32)
    multiply_into(left, right, out, threads)
    np.testing.assert_allclose(out, left.toarray() @ right.toarray(), rtol=1e-5)


def test_the_strongest_of_a_row_are_the_largest_by_size_and_of_equals_the_first() -> None:
    block = np.array([[1, -3, 0, 3, 3, 2], [0, 0, 0.5, 0, 0, 0]], dtype=np.float32)
    size, columns = np.zeros(2, np.int32), np.zeros((2, 3), np.int32)
    values = np.zeros((2, 3), np.float32)
    strongest_of_rows(np.arange(2), block, size, columns, values)
    assert size.tolist() == [3, 1]
    assert columns[0].tolist() == [1, 3, 4]
    assert values[0].tolist() == [-3, 3, 3]
    assert (columns[1, 0], values[1, 0]) == (2, 0.5)
    strongest_of_rows(np.arange(1), block, size, columns[:, :2], values[:, :2])
    assert columns[0, :2].tolist() == [1, 3]


def test_blocks_come_out_of_a_sparse_matrix_and_go_into_a_dense_one_where_they_have_a_place() -> None:
    matrix = sp.random(12, 12, 0.5, random_state=3, format="csr", dtype=np.float32)
    place = np.full(12, -1, dtype=np.int32)
    place[[7, 2, 9]] = [0, 1, 2]
    rows, block = np.array([4, 0, 4], dtype=np.int32), np.zeros((3, 3), dtype=np.float32)
    fill_block(matrix.indptr, matrix.indices, matrix.data, rows, place, block)
    np.testing.assert_array_equal(block, matrix.toarray()[rows][:, [7, 2, 9]])
    total = np.ones((4, 4))
    add_block(total, np.array([3, -1, 0]), np.arange(9.0).reshape(3, 3))
    assert total[[3, 3, 0, 0], [3, 0, 3, 0]].tolist() == [1, 3, 7, 9]
    assert total.sum() == 16 + 0 + 2 + 6 + 8
