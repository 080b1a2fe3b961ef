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


def co_listed(
    ratings: Ratings,
    chosen: npt.NDArray[np.int64],
    liked: float,
    liked_from: float,
    threads: int | None = None,
) -> FloatArray:
    """Σ_u x_ui · x_uj over the `chosen` titles (ascending): float32 (n, n).

    x is 1 for a listed title, 1 + `liked` where it is rated `liked_from` or higher. Exact, and so the same for any
    threads and order of rows, for whole and half values of `liked` up to millions of lists. Memory: 4 bytes a pair of
    titles in either order, and 25 a list row.
    """
    n = len(chosen)
    number = np.full(ratings.n_items, -1, dtype=np.int32)
    number[chosen] = np.arange(n, dtype=np.int32)
    order = by_popularity(np.bincount(ratings.item, minlength=ratings.n_items)[chosen])
    place = np.empty(n, dtype=np.int32)
    place[order] = np.arange(n, dtype=np.int32)
    rows = number[ratings.item] >= 0
    item = place[number[ratings.item[rows]]]
    # Two kinds of entries, as ratings 1 and 2.
    kind = (1 + (np.nan_to_num(ratings.rating[rows]) >= liked_from)).astype(np.int8)
    layout = lay_out(Lists(*lists_by_place(ratings.user[rows], item, kind, ratings.n_users, n)), n)
    gram = np.empty((n, n), dtype=np.float32)
    shares = shares_of(work_of(layout), threads or available_threads())
    arrays = (layout.entries, layout.of_title, layout.begins, layout.first, order, np.array([1.0, 1.0 + liked]))
    on_threads(lambda t: _rows(shares[t], *arrays, gram), len(shares))
    return gram


@compiled
def _rows(rows, entries, of_title, begins, first, order, value, gram):  # type: ignore[no-untyped-def]
    sums = np.zeros(len(order), np.float64)
    for i in rows:
        own = 0.0
        for position in range(first[i], first[i + 1]):
            e = of_title[position]
            mine = value[entries[e] & np.uint32(15)]
            own += mine * mine
            for k in range(begins[position], e):
                entry = entries[k]
                sums[entry >> np.uint32(4)] += mine * value[entry & np.uint32(15)]
        gram[order[i], order[i]] = own
        for j in range(i):
            gram[order[i], order[j]] = sums[j]
            gram[order[j], order[i]] = sums[j]
            sums[j] = 0.0
