"""Users' lists as parallel arrays and sparse matrices: the one input shape of every model.

What belongs here: the container and its views. What does not: reading files, splitting, learning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

IntArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Ratings:
    """List rows of `n_users` users over `n_items` titles, in three arrays of one length.

    `user`, `item`: int32 indexes, unique as pairs; `rating`: float32 1-10, NaN = listed but not rated.
    """

    user: IntArray
    item: IntArray
    rating: FloatArray
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> Ratings:
        """The same users and titles with only the chosen rows (boolean mask or positions)."""
        return Ratings(self.user[rows], self.item[rows], self.rating[rows], self.n_users, self.n_items)

    @cached_property
    def is_rated(self) -> npt.NDArray[np.bool_]:
        """Boolean mask over the rows: which of them carry a rating."""
        return ~np.isnan(self.rating)

    @cached_property
    def rated(self) -> Ratings:
        """Only the rows with a rating."""
        return self.take(self.is_rated)

    @cached_property
    def listed_matrix(self) -> sp.csr_matrix:
        """CSR float32, shape (n_users, n_items): 1 for every list row, rated or not."""
        ones = np.ones(len(self), dtype=np.float32)
        return sp.csr_matrix((ones, (self.user, self.item)), shape=(self.n_users, self.n_items))

    @cached_property
    def rated_matrix(self) -> sp.csr_matrix:
        """CSR float32, shape (n_users, n_items): the ratings 1-10; what is absent is not rated."""
        rated = self.rated
        return sp.csr_matrix((rated.rating, (rated.user, rated.item)), shape=(self.n_users, self.n_items))


@dataclass(frozen=True)
class Index:
    """Which username and which anime stand behind the integer indexes of a `Ratings`."""

    usernames: pl.Series
    anime_ids: IntArray


def index_ratings(
    rows: pl.DataFrame, *, rating: str = "score", anime_ids: IntArray | None = None
) -> tuple[Ratings, Index]:
    """Turn list rows (`username`, `anime_id`, a rating; NULL = unrated) into `Ratings` and `Index`.

    Users and titles are numbered in sorted order, so the result does not depend on the order of the rows.
    With `anime_ids` (sorted ascending) the titles are those, and rows of other titles are left out (their users stay).
    """
    usernames = rows["username"].unique().sort()
    if anime_ids is None:
        anime_ids = rows["anime_id"].unique().sort().to_numpy().astype(np.int32)
    else:
        rows = rows.filter(pl.col("anime_id").is_in(pl.Series(anime_ids).implode()))
    rows = rows.sort("username", "anime_id")
    user = usernames.search_sorted(rows["username"]).to_numpy().astype(np.int32)
    item = np.searchsorted(anime_ids, rows["anime_id"].to_numpy()).astype(np.int32)
    values = rows[rating].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    return Ratings(user, item, values, len(usernames), len(anime_ids)), Index(usernames, anime_ids)
