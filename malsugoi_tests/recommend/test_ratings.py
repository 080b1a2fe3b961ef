"""Lists as arrays, in one piece and batch by batch: the same numbers either way."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.recommend.ratings import (
    Ratings,
    count_titles,
    index_batches,
    index_parts,
    index_ratings,
    nobody,
    places_of,
    user_numbers,
)

SCHEMA = {"username": pl.String, "anime_id": pl.Int32, "score": pl.Int8}
scores = st.one_of(st.none(), st.integers(1, 10))
pairs = st.tuples(st.sampled_from(["Ann", "ann", "Rin", "zoe"]), st.sampled_from([-9, 1, 7, 30_000_000]))


def frame(rows: dict[tuple[str, int], int | None], batch: int) -> pl.DataFrame:
    values = [(f"{name}{batch}", anime_id, score) for (name, anime_id), score in rows.items()]
    return pl.DataFrame(values, schema=SCHEMA, orient="row")


@given(st.lists(st.dictionaries(pairs, scores, max_size=8), max_size=3))
def test_batches_hold_what_all_rows_together_hold(batches: list[dict[tuple[str, int], int | None]]) -> None:
    """Users may have other numbers: what each has on the list is the same."""
    frames = [frame(rows, n) for n, rows in enumerate(batches)]
    apart, ids = index_batches(f.lazy() for f in frames)
    together, index = index_ratings(pl.concat([pl.DataFrame(schema=SCHEMA), *frames]))
    assert ids.tolist() == index.anime_ids.tolist()
    assert (apart.n_users, apart.n_items) == (together.n_users, together.n_items)

    def lists(ratings: object) -> list[str]:
        user, item, rating, n_users, _ = vars(ratings).values()
        return sorted(str(sorted(zip(item[user == u], rating[user == u], strict=True))) for u in range(n_users))

    assert lists(apart) == lists(together)


@settings(deadline=None)
@given(st.lists(st.dictionaries(pairs, scores, max_size=8), max_size=4), st.integers(1, 9))
def test_parts_hold_the_rows_of_their_batches(batches: list[dict[tuple[str, int], int | None]], most: int) -> None:
    frames = [frame(rows, n) for n, rows in enumerate(batches)]
    ids, listed = count_titles(f.lazy() for f in frames)
    whole, whole_ids = index_batches(f.lazy() for f in frames)
    assert ids.tolist() == whole_ids.tolist()
    assert listed.tolist() == np.bincount(whole.item, minlength=whole.n_items).tolist()
    parts = list(index_parts((f.lazy() for f in frames), ids, rows=most))
    assert [p.n_items for p in parts] == [len(ids)] * len(parts)
    assert all(len(part) >= most for part in parts[:-1])
    for name in ("item", "rating"):
        got = np.concatenate([np.empty(0), *(getattr(part, name) for part in parts)])
        np.testing.assert_array_equal(got, getattr(whole, name))
    before = np.cumsum([0, *(part.n_users for part in parts)])
    got = np.concatenate([np.empty(0), *(part.user + n for part, n in zip(parts, before, strict=False))])
    np.testing.assert_array_equal(got, whole.user)


def test_with_titles_given_the_rows_of_others_are_left_out_and_their_users_stay() -> None:
    rows = pl.DataFrame({"username": ["a", "b", "b"], "anime_id": [5, 1, 9], "score": [7, None, 8]}, schema=SCHEMA)
    ratings, ids = index_batches([rows.lazy()], anime_ids=np.array([1, 9], np.int32))
    assert ids.tolist() == [1, 9]
    assert (ratings.user.tolist(), ratings.item.tolist(), ratings.n_users) == ([1, 1], [0, 1], 2)
    assert np.isnan(ratings.rating[0])
    assert ratings.rating[1] == 8


@pytest.mark.parametrize("rows", [[], [pl.DataFrame(schema=SCHEMA)]], ids=["no batches", "an empty batch"])
def test_no_rows_are_nobody(rows: list[pl.DataFrame]) -> None:
    ratings, ids = index_batches(r.lazy() for r in rows)
    assert (len(ratings), ratings.n_users, len(ids)) == (0, 0, 0)
    assert len(nobody(3)) == 0


def test_users_are_numbered_as_they_first_appear_also_where_their_rows_lie_apart() -> None:
    assert user_numbers(pl.Series(["b", "b", "a", "b", "c", "a"])).tolist() == [0, 0, 1, 0, 2, 1]
    assert user_numbers(pl.Series([], dtype=pl.String)).tolist() == []


@given(st.lists(st.integers(-50, 50)), st.lists(st.integers(-50, 50), unique=True), st.sampled_from([1, 40_000_000]))
def test_places_are_where_a_value_stands(values: list[int], among: list[int], factor: int) -> None:
    """Both ways: by a table where the values lie close, by search where they are far apart."""
    expected = [among.index(v) if v in among else -1 for v in values]
    scaled = np.array(values, np.int32) * np.int32(factor)
    assert places_of(scaled, np.array(among, np.int32) * np.int32(factor)).tolist() == expected


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 4), st.integers(0, 5)), st.sampled_from([np.nan, 1.0, 7.0]), max_size=20
    ),
    st.randoms(use_true_random=False),
)
def test_the_matrices_hold_the_rows_in_whatever_order_they_come(
    rows: dict[tuple[int, int], float], dice: Any
) -> None:
    """Sorted rows take a shorter way to the same matrix; what is done to it does nothing to the rows."""
    in_order = sorted(rows.items())
    listed, rated = np.zeros((5, 6), np.float32), np.zeros((5, 6), np.float32)
    for (user, item), rating in in_order:
        listed[user, item], rated[user, item] = 1, np.nan_to_num(rating)
    for some in (in_order, dice.sample(in_order, len(in_order))):
        user, item = (np.array([pair[k] for pair, _ in some], np.int32) for k in (0, 1))
        ratings = Ratings(user, item, np.array([rating for _, rating in some], np.float32), 5, 6)
        for matrix, expected in ((ratings.listed_matrix, listed), (ratings.rated_matrix, rated)):
            np.testing.assert_array_equal(matrix.toarray(), expected)
            assert matrix.has_canonical_format
            matrix.data[:] = 3
        assert ratings.user.tolist() == [pair[0] for pair, _ in some]
        assert [str(r) for r in ratings.rating.tolist()] == [str(rating) for _, rating in some]
