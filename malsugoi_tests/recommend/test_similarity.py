"""Similarity: hand-worked numbers, a ten-line definition, and what must not change the result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.similarity import Neighbours, SimilaritySettings, similar_titles

PLAIN = SimilaritySettings(shrinkage=0, min_support=1)


def of(rows: list[tuple[int, int, float]], n_users: int, n_items: int) -> Ratings:
    user, item, rating = zip(*rows, strict=True) if rows else ((), (), ())
    return Ratings(np.array(user, np.int32), np.array(item, np.int32), np.array(rating, np.float32), n_users, n_items)


def table(found: Neighbours) -> dict[tuple[int, int], tuple[int, float, int]]:
    columns = (found.item, found.neighbour, found.rank, found.similarity, found.support)
    return {(i, j): (r, s, n) for i, j, r, s, n in zip(*(c.tolist() for c in columns), strict=True)}


def defined(ratings: Ratings, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """The module's formula, written out."""
    dense = ratings.rated_matrix.toarray().astype(float)
    rated = dense > 0
    n = rated.T.astype(int) @ rated.astype(int)
    centred = np.where(rated, dense - dense.sum(0) / np.maximum(rated.sum(0), 1), 0)
    length = np.linalg.norm(centred, axis=0)
    length[length < 1e-9] = np.inf
    cosine = (centred / length).T @ (centred / length)
    return cosine * np.divide(n, n + shrinkage, out=np.zeros(n.shape), where=n > 0), n


def test_a_worked_example() -> None:
    """Titles (2, 4, 6), (1, 3, 8 by another), (6, 4, 2); the first two share users 0 and 1.

    Centred: (-2, 0, 2) of length √8; (-3, -1, ., 4) of length √26; (2, 0, -2). Dot of the first two: 6.
    """
    ratings = of(
        [(0, 0, 2), (1, 0, 4), (2, 0, 6), (0, 1, 1), (1, 1, 3), (3, 1, 8), (0, 2, 6), (1, 2, 4), (2, 2, 2)], 4, 3
    )
    found = table(similar_titles(ratings, PLAIN))
    assert set(found) == {(0, 1), (1, 0)}
    assert found[0, 1] == (1, pytest.approx(6 / np.sqrt(8 * 26), abs=1e-7), 2)
    shrunk = table(similar_titles(ratings, SimilaritySettings(shrinkage=2, min_support=1)))
    assert shrunk[0, 1][1] == pytest.approx(6 / np.sqrt(8 * 26) / 2, abs=1e-7)


def test_too_few_common_raters_make_no_neighbours() -> None:
    ratings = of([(0, 0, 2), (1, 0, 4), (0, 1, 2), (1, 1, 4)], 2, 2)
    assert len(similar_titles(ratings, SimilaritySettings(shrinkage=0, min_support=3)).item) == 0
    assert table(similar_titles(ratings, SimilaritySettings(shrinkage=0, min_support=2)))[0, 1] == (1, 1.0, 2)


def test_support_counts_ratings_that_equal_their_title_mean() -> None:
    """A rating that is the title's mean adds nothing to the dot, but its user is a common rater."""
    ratings = of([(u, i, r) for i in (0, 1) for u, r in enumerate((2, 4, 6))], 3, 2)
    assert table(similar_titles(ratings, PLAIN))[0, 1] == (1, pytest.approx(1), 3)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(0, 0, 7)],
        [(0, i, 7) for i in range(4)],
        [(u, i, 7) for u in range(4) for i in range(4)],
        [(0, 0, float("nan")), (1, 1, float("nan"))],
        [(u, i, 3 + i) for u in range(4) for i in range(4)],
    ],
    ids=["empty", "one rating", "one user", "all equal", "nothing rated", "constant titles"],
)
def test_what_has_no_direction_has_no_neighbours(rows: list[tuple[int, int, float]]) -> None:
    found = similar_titles(of(rows, 4, 4), PLAIN)
    assert len(found.item) == 0
    assert found.matrix(4).shape == (4, 4)


def test_no_titles_at_all() -> None:
    assert len(similar_titles(of([], 0, 0)).item) == 0


def test_more_neighbours_than_titles_keeps_all() -> None:
    ratings = of([(u, i, 2 + 2 * u) for u in range(3) for i in range(3)], 3, 3)
    found = similar_titles(ratings, SimilaritySettings(neighbours=2000, min_support=1))
    assert len(found.item) == 6


def test_ties_go_to_the_lower_index() -> None:
    ratings = of([(u, i, 2 + 2 * u) for u in range(3) for i in range(5)], 3, 5)
    found = similar_titles(ratings, SimilaritySettings(neighbours=2, min_support=1))
    assert found.neighbour.tolist() == [1, 2, 0, 2, 0, 1, 0, 1, 0, 1]


@st.composite
def many_ratings(draw: st.DrawFn) -> Ratings:
    n_users, n_items = draw(st.integers(1, 8)), draw(st.integers(1, 7))
    cells = [(u, i) for u in range(n_users) for i in range(n_items)]
    chosen = draw(st.lists(st.sampled_from(cells), unique=True))
    return of([(u, i, draw(st.integers(1, 10))) for u, i in chosen], n_users, n_items)


@settings(max_examples=60, deadline=None)
@given(many_ratings(), st.sampled_from([0.0, 3.0]))
def test_it_is_the_definition(ratings: Ratings, shrinkage: float) -> None:
    found = table(similar_titles(ratings, SimilaritySettings(shrinkage=shrinkage, min_support=1)))
    expected, support = defined(ratings, shrinkage)
    np.fill_diagonal(expected, 0)
    assert set(found) >= {(i, j) for i, j in np.argwhere(expected > 1e-7).tolist()}
    for (i, j), (_, similarity, n) in found.items():
        assert similarity == pytest.approx(expected[i, j], abs=1e-6)
        assert n == support[i, j]
        assert 0 < similarity <= 1
        assert found[j, i][1] == similarity


@settings(max_examples=40, deadline=None)
@given(many_ratings(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_neither_threads_nor_the_order_of_the_rows_matter(ratings: Ratings, threads: int, random: object) -> None:
    order = np.arange(len(ratings))
    random.shuffle(order)  # type: ignore[attr-defined]
    one = similar_titles(ratings, SimilaritySettings(min_support=1), threads=1)
    other = similar_titles(ratings.take(order), SimilaritySettings(min_support=1), threads=threads)
    for left, right in zip(vars(one).values(), vars(other).values(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_few_strongest_of_many_are_those_of_a_full_sort() -> None:
    """With few neighbours asked for, the weakest makes room for a stronger one: the same table, cut."""
    random = np.random.default_rng(3)
    rows = [(u, i, int(random.integers(1, 11))) for u in range(30) for i in range(25) if random.random() < 0.6]
    ratings = of(rows, 30, 25)
    every = similar_titles(ratings, SimilaritySettings(neighbours=25, min_support=1))
    few = similar_titles(ratings, SimilaritySettings(neighbours=2, min_support=1))
    kept = every.rank <= 2
    for left, right in zip(vars(few).values(), vars(every).values(), strict=True):
        np.testing.assert_array_equal(left, right[kept])


@pytest.mark.parametrize("rating", [7.5, 0, 11])
def test_only_whole_ratings_from_one_to_ten_are_counted(rating: float) -> None:
    with pytest.raises(ValueError, match="whole ratings from 1 to 10"):
        similar_titles(of([(0, 0, 7), (0, 1, rating)], 1, 2))


def test_a_title_with_more_raters_than_one_word_of_sums_holds() -> None:
    """All four sums of a pair share 64 bits, emptied every 6,472 raters: all tens, then nines, ran over first."""
    n = 20_000
    rows = [(u, i, 10 - (u % 3 == i)) for u in range(n) for i in (0, 1)]
    found = table(similar_titles(of(rows, n, 2), SimilaritySettings(shrinkage=0)))
    assert found == {}
    opposite = [(u, i, 10 - 9 * (u % 2)) for u in range(n) for i in (0, 1)]
    assert table(similar_titles(of(opposite, n, 2), PLAIN))[0, 1] == (1, 1.0, n)
