"""Users' lists as parallel arrays and sparse matrices: the one input shape of every model.

What belongs here: the container and its views. What does not: reading files, splitting, learning.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

IntArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float32]
PART_ROWS = 10_000_000
"""Rows that are held at once where all of them are summed over."""
_WIDEST_TABLE = 2**24
_ONE_LIST = 50_000
"""Rows up to which it is looked whether all are of one user."""
_Columns = tuple[IntArray, IntArray, npt.NDArray[np.int8]]
"""Of a batch's rows: the users' numbers, the titles' ids, the ratings (0 = none)."""


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

    @property
    def rated(self) -> Ratings:
        """Only the rows with a rating."""
        return self if self._is_all_rated else self._rated_rows

    @cached_property
    def _is_all_rated(self) -> bool:
        return bool(self.is_rated.all())

    @cached_property
    def _rated_rows(self) -> Ratings:
        # Kept here only where it is another object: one that holds itself would stay in memory until a full collection.
        return self.take(self.is_rated)

    @cached_property
    def listed_matrix(self) -> sp.csr_matrix:
        """CSR float32, shape (n_users, n_items): 1 for every list row, rated or not."""
        return self._matrix(np.ones(len(self), dtype=np.float32))

    @cached_property
    def rated_matrix(self) -> sp.csr_matrix:
        """CSR float32, shape (n_users, n_items): the ratings 1-10; what is absent is not rated."""
        return self.rated._matrix(self.rated.rating)

    def _matrix(self, values: FloatArray) -> sp.csr_matrix:
        """CSR (n_users, n_items) of a value a row; of rows by user and title without sorting them again."""
        shape = (self.n_users, self.n_items)
        step = np.diff(self.user)
        if not ((step > 0) | ((step == 0) & (self.item[1:] > self.item[:-1]))).all():
            return sp.csr_matrix((values, (self.user, self.item)), shape=shape)
        starts = np.searchsorted(self.user, np.arange(self.n_users + 1))
        return sp.csr_matrix((values.copy(), self.item.copy(), starts), shape=shape)


@dataclass(frozen=True)
class Index:
    """Which username and which anime stand behind the integer indexes of a `Ratings`."""

    usernames: pl.Series
    anime_ids: IntArray


def index_batches(
    batches: Iterable[pl.LazyFrame], *, rating: str = "score", anime_ids: IntArray | None = None
) -> tuple[Ratings, IntArray]:
    """The rows of all batches as `Ratings` and their titles' ids, one batch read at a time, no name kept.

    Users are numbered as they come, batch by batch (a user is in one batch only), titles as by `index_ratings`; 12 bytes
    a row, and as much again while the parts are put together.
    """
    return _together(list(_columns(batches, rating)), anime_ids)


def index_parts(
    batches: Iterable[pl.LazyFrame], anime_ids: IntArray, *, rating: str = "score", rows: int = PART_ROWS
) -> Iterator[Ratings]:
    """As `index_batches` with these titles, some users after others: as many batches as hold `rows` rows, at least one.

    For what is summed over users, so that no more than a part is held at once; each part numbers its users from 0.
    """
    part: list[_Columns] = []
    for columns in _columns(batches, rating):
        part.append(columns)
        if sum(len(ids) for _, ids, _ in part) >= rows:
            yield _together(part, anime_ids)[0]
            part = []
    if part:
        yield _together(part, anime_ids)[0]


def count_titles(batches: Iterable[pl.LazyFrame]) -> tuple[IntArray, IntArray]:
    """The titles of all batches, ascending, and on how many lists each stands."""
    found = pl.DataFrame(schema={"anime_id": pl.Int32, "lists": pl.Int32})
    a_title, lists = pl.col("anime_id").cast(pl.Int32), pl.len().cast(pl.Int32).alias("lists")
    for rows in one_ahead(batch.group_by(a_title).agg(lists) for batch in batches):
        found = pl.concat([found, rows]).group_by("anime_id").agg(pl.col("lists").sum())
    found = found.sort("anime_id")
    return found["anime_id"].to_numpy(), found["lists"].to_numpy()


def _columns(batches: Iterable[pl.LazyFrame], rating: str) -> Iterator[_Columns]:
    wanted = ("username", "anime_id", pl.col(rating).fill_null(0).cast(pl.Int8))
    for rows in one_ahead(batch.select(wanted) for batch in batches):
        yield user_numbers(rows["username"]), rows["anime_id"].cast(pl.Int32).to_numpy(), rows[rating].to_numpy()


def _together(parts: list[_Columns], anime_ids: IntArray | None) -> tuple[Ratings, IntArray]:
    """The parts' rows, their users numbered on; `parts` is emptied, so that no row is held longer than needed."""
    users, ids, values = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.empty(0, np.int8)]
    n_users = 0
    for user, its_ids, its_values in parts:
        users.append(user + np.int32(n_users))
        n_users += int(user.max(initial=-1)) + 1
        ids.append(its_ids)
        values.append(its_values)
    parts.clear()
    user, found, value = np.concatenate(users), np.concatenate(ids), np.concatenate(values)
    del users, ids, values
    if anime_ids is None:
        anime_ids = _distinct(found)
    item = places_of(found, anime_ids)
    if not (kept := item >= 0).all():
        user, item, value = user[kept], item[kept], value[kept]
    scores = value.astype(np.float32)
    scores[value == 0] = np.nan
    return Ratings(user, item, scores, n_users, len(anime_ids)), anime_ids


def one_ahead(frames: Iterable[pl.LazyFrame]) -> Iterator[pl.DataFrame]:
    """The frames' rows, one read while the one before it is worked on."""
    with ThreadPoolExecutor(1) as reader:
        coming: deque[Future[pl.DataFrame]] = deque()
        for frame in frames:
            coming.append(reader.submit(frame.collect))
            if len(coming) > 1:
                yield coming.popleft().result()
        if coming:
            yield coming.popleft().result()


def _distinct(values: IntArray) -> IntArray:
    """The different values, ascending; by marks, which takes a tenth of sorting, where they lie near each other."""
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    if high - low >= _WIDEST_TABLE:
        return np.unique(values)
    marks = np.zeros(high - low + 1, dtype=bool)
    marks[values - low] = True
    found: IntArray = (np.flatnonzero(marks) + low).astype(np.int32)
    return found


def nobody(n_items: int) -> Ratings:
    """No lists at all, over so many titles."""
    return Ratings(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32), 0, n_items)


def user_numbers(usernames: pl.Series) -> IntArray:
    """0, 1, … for the users of a column, in the order in which they first appear."""
    runs = usernames.rle_id().to_numpy()
    names = usernames.gather(np.flatnonzero(np.diff(runs, prepend=-1)))
    if names.is_duplicated().any():
        number = {name: n for n, name in enumerate(names.unique(maintain_order=True))}
        runs = np.array([number[name] for name in names], dtype=np.int32)[runs]
    return runs.astype(np.int32)


def places_of(values: npt.NDArray[np.integer], among: IntArray) -> IntArray:
    """Where each value stands in `among` (unique, in any order); -1 where it does not."""
    if not len(among):
        return np.full(len(values), -1, dtype=np.int32)
    low, high = int(among.min()), int(among.max())
    if high - low < _WIDEST_TABLE:
        table = np.full(high - low + 3, -1, dtype=np.int32)
        table[among - low + 1] = np.arange(len(among), dtype=np.int32)
        found: IntArray = table[np.clip(values, low - 1, high + 1) - (low - 1)]
        return found
    order = np.argsort(among, kind="stable").astype(np.int32)
    place = order[np.minimum(np.searchsorted(among, values, sorter=order), len(among) - 1)]
    return np.where(among[place] == values, place, np.int32(-1))


def index_ratings(
    rows: pl.DataFrame, *, rating: str = "score", anime_ids: IntArray | None = None
) -> tuple[Ratings, Index]:
    """Turn list rows (`username`, `anime_id`, a rating; NULL = unrated) into `Ratings` and `Index`.

    Users and titles are numbered in sorted order, so the result does not depend on the order of the rows.
    With `anime_ids` (sorted ascending) the titles are those, and rows of other titles are left out (their users stay).
    """
    if anime_ids is not None and 0 < rows.height <= _ONE_LIST and len(names := set(rows["username"].to_list())) == 1:
        return _of_one(rows, names.pop(), rating, anime_ids)
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


def _of_one(rows: pl.DataFrame, username: str, rating: str, anime_ids: IntArray) -> tuple[Ratings, Index]:
    """As `index_ratings`, of one user's rows: a query over so few costs more than all else that is asked of them."""
    ids = rows["anime_id"].to_numpy()
    item = np.minimum(np.searchsorted(anime_ids, ids), max(len(anime_ids) - 1, 0)).astype(np.int32)
    known = np.flatnonzero(anime_ids[item] == ids) if len(anime_ids) else np.empty(0, np.int64)
    known = known[np.argsort(ids[known], kind="stable")]
    values = np.array(rows[rating].to_list(), dtype=np.float32)[known]  # None becomes NaN
    ratings = Ratings(np.zeros(len(known), np.int32), item[known], values, 1, len(anime_ids))
    return ratings, Index(pl.Series("username", [username], dtype=pl.String), anime_ids)
