"""Co-listing counted by compiled code is the matrix product that it stands for."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.recommend.co_listing import CoListing, co_listed
from malsugoi_assets.recommend.ease import preferences
from malsugoi_assets.recommend.ratings import Ratings

cells = st.tuples(st.integers(0, 6), st.integers(0, 8))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(cells, st.sampled_from([np.nan, 3.0, 8.0, 10.0])), st.sets(st.integers(0, 8)),
    st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 3), st.randoms(use_true_random=False),
)  # fmt: skip
def test_it_is_the_product_of_the_matrix_with_itself(
    rows: dict[tuple[int, int], float], titles: set[int], liked: float, threads: int, random: object
) -> None:
    user, item = (np.array([cell[k] for cell in rows], np.int32) for k in (0, 1))
    ratings = Ratings(user, item, np.array(list(rows.values()), np.float32), 7, 9)
    order = np.arange(len(ratings))
    random.shuffle(order)  # type: ignore[attr-defined]
    chosen = np.array(sorted(titles), np.int64)
    x = preferences(ratings, liked, 8).toarray()[:, chosen]
    np.testing.assert_array_equal(co_listed(ratings.take(order), chosen, liked, 8, threads), x.T @ x)
    in_parts = CoListing(np.bincount(item, minlength=9), chosen, liked, 8, threads)
    for part in range(3):
        in_parts.add(ratings.take(user % 3 == part))
    np.testing.assert_array_equal(in_parts.gram(), x.T @ x)
