"""XᵀX of the list matrix, compiled: for each two titles, how much stands on the same lists. EASE and SLIM are solved on it.

As in `pairs`, titles are numbered by popularity and each is met with those before it on its listers' lists.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.compiled import compiled, on_threads
from malsugoi_assets.recommend.pair_kernels import lists_by_place
from malsugoi_assets.recommend.pairs import Lists, by_popularity, lay_out, work_of
from malsugoi_assets.recommend.ratings import FloatArray, Ratings
from malsugoi_assets.recommend.strongest import shares_of


class CoListing:
    """Σ_u x_ui · x_uj over the `chosen` titles (ascending), counted some users after others.

    x is 1 for a listed title, 1 + `liked` where it is rated `liked_from` or higher. Exact, and so the same for any
    threads, order of rows and parts, for whole and half values of `liked` up to millions of lists. Memory: 4 bytes a pair
    of titles in either order, twice while the result is put together, and 25 a list row of a part.
    """

    def __init__(
        self,
        listed: npt.NDArray[np.integer],
        chosen: npt.NDArray[np.int64],
        liked: float,
        liked_from: float,
        threads: int | None = None,
    ) -> None:
        """`listed`: on how many lists each title stands; any numbers will do, these are the quickest."""
        self._n = len(chosen)
        self._value = np.array([1.0, 1.0 + liked])
        self._liked_from = liked_from
        self._threads = threads or available_threads()
        self._order = by_popularity(listed[chosen])
        self._place = np.full(len(listed), -1, dtype=np.int32)
        self._place[chosen[self._order]] = np.arange(self._n, dtype=np.int32)
        self._sums = np.zeros((self._n, self._n), dtype=np.float32)

    def add(self, lists: Ratings) -> None:
        """Count the lists of users who were not counted yet."""
        place = self._place[lists.item]
        rows = place >= 0
        # Two kinds of entries, as ratings 1 and 2.
        kind = (1 + (np.nan_to_num(lists.rating[rows]) >= self._liked_from)).astype(np.int8)
        layout = lay_out(Lists(*lists_by_place(lists.user[rows], place[rows], kind, lists.n_users, self._n)), self._n)
        shares = shares_of(work_of(layout), self._threads)
        arrays = (layout.entries, layout.of_title, layout.begins, layout.first, self._value)
        on_threads(lambda t: _add_rows(shares[t], *arrays, self._sums), len(shares))

    def gram(self) -> FloatArray:
        """XᵀX: float32 (n, n)."""
        made = np.empty_like(self._sums)
        rows = np.array_split(np.arange(self._n), self._threads)
        on_threads(lambda t: _mirror(rows[t], self._order, self._sums, made), len(rows))
        return made


def co_listed(
    ratings: Ratings,
    chosen: npt.NDArray[np.int64],
    liked: float,
    liked_from: float,
    threads: int | None = None,
) -> FloatArray:
    """`CoListing` of all lists at once."""
    listed = np.bincount(ratings.item, minlength=ratings.n_items)
    counted = CoListing(listed, chosen, liked, liked_from, threads)
    counted.add(ratings)
    return counted.gram()


@compiled
def _add_rows(rows, entries, of_title, begins, first, value, total):  # type: ignore[no-untyped-def]
    """Add to `total`, by place, what each title has in common with those before it, and with itself."""
    sums = np.zeros(len(total), np.float64)
    for i in rows:
        own = 0.0
        for position in range(first[i], first[i + 1]):
            e = of_title[position]
            mine = value[entries[e] & np.uint32(15)]
            own += mine * mine
            for k in range(begins[position], e):
                entry = entries[k]
                sums[entry >> np.uint32(4)] += mine * value[entry & np.uint32(15)]
        total[i, i] += own
        for j in range(i):
            total[i, j] += sums[j]
            sums[j] = 0.0


@compiled
def _mirror(rows, order, total, gram):  # type: ignore[no-untyped-def]
    for i in rows:
        for j in range(i + 1):
            gram[order[i], order[j]] = total[i, j]
            gram[order[j], order[i]] = total[i, j]
