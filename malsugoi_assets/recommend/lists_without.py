"""A list without one entry at a time, scored from the sums of the whole list: what the entry put in is taken out.

    Σ_{j≠e} w_j x_j = Σ_j w_j x_j - w_e x_e

Where x is by how much a rating lies above what the user's level lets expect, the level shifts with the entry, by d for all
others: Σ_{j≠e} w_j (x_j + d) = Σ_j w_j x_j - w_e x_e + d (Σ_j w_j - w_e). So each further list costs one row of the
weights instead of all of them; the result is that of `ListScores` but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.recommend.list_scores import (
    GENRES,
    LIKED_COUNTS,
    LIKED_FROM,
    SCORES,
    USER_PULL,
    ListScores,
    Matrix,
)
from malsugoi_assets.recommend.ratings import IntArray

WHOLE = -1
Numbers = npt.NDArray[np.float64]


class ListsWithout:
    """As `ListScores` for the lists that `missing` says: one user's of `whole`, each without one entry.

    List k is that of user `row` without the entry at `missing[k]`, counted from the user's first row; `WHOLE`: all of it.
    """

    def __init__(self, whole: ListScores, row: int, missing: Sequence[int] | IntArray) -> None:
        lists = whole.lists
        mine = slice(*np.searchsorted(lists.user, [row, row + 1]).tolist())
        self.titles, self.n_items = whole.titles, whole.n_items
        self._whole, self._row = whole, row
        self._item, self._rating = lists.item[mine], lists.rating[mine].astype(np.float64)
        self._missing = np.asarray(missing, dtype=np.int64)
        self._is_rated = ~np.isnan(self._rating)
        self._is_liked = np.nan_to_num(self._rating) >= LIKED_FROM
        titles = whole.titles
        residual = self._rating - titles.mu - titles.item_bias[self._item].astype(np.float64)
        self._above, self._shift, bias = self._levels(residual, USER_PULL)
        places = np.arange(len(self._item))
        kept = [places if k == WHOLE else np.delete(places, k) for k in self._missing]
        self.listed = self._over_titles(kept, [np.ones(len(some)) for some in kept])
        length = np.diff(self.listed.indptr)
        given = self._is_rated.sum() - self._of_missing(self._is_rated)
        fond = self._is_liked.sum() - self._of_missing(self._is_liked)
        self.user_numbers: Matrix = np.column_stack(
            [np.log1p(length), np.log1p(given), fond / np.maximum(given, 1), bias]
        ).astype(np.float32)

    def facts(self, users: IntArray, item: IntArray) -> Matrix:
        """Float32 (len(users), m, len(series.FACTS)) of the titles `item` (len(users), m)."""
        rated = np.flatnonzero(self._is_rated)
        kept = [rated[rated != self._missing[k]] for k in users]
        above = self._over_titles(
            kept, [self._above[some] + self._shift[k] for k, some in zip(users, kept, strict=True)]
        )
        ones = self._over_titles(kept, [np.ones(len(some)) for some in kept])
        return self.titles.series.facts(self.listed[users], above, ones, item)

    def of(self, users: IntArray) -> Matrix:
        """Float32 (len(SCORES), len(users), n_items)."""
        whole, some = self._whole, np.asarray(users, dtype=np.int64)
        found = np.repeat(whole.of(np.array([self._row], dtype=np.int32)), len(some), axis=1)
        for place, (name, of) in enumerate(SCORES.items()):
            if name == GENRES:
                found[place] = self._genres(some)
            elif of != "ratings":
                self._take_out(found[place], name, of, some)
        found[-2], found[-1] = self._predicted(some)
        return found

    def _over_titles(self, kept: Sequence[npt.NDArray[np.int64]], values: Sequence[Numbers]) -> sp.csr_matrix:
        """Csr float32 (len(kept), n_items): in each row values of the entries at these places."""
        starts = np.cumsum([0, *map(len, kept)])
        items = self._item[np.concatenate([np.empty(0, np.int64), *kept])]
        data = np.concatenate([np.empty(0), *values]).astype(np.float32)
        return sp.csr_matrix((data, items, starts), shape=(len(kept), self.n_items))

    def _levels(self, value: Numbers, pull: float) -> tuple[Numbers, Numbers, Numbers]:
        """By how much each rating lies above the level, how much more so for want of the missing one, and the levels."""
        total, count = np.nansum(value), float(self._is_rated.sum())
        gone, fewer = self._of_missing(np.nan_to_num(value)), self._of_missing(self._is_rated)
        level = total / (count + pull) if count + pull else 0.0
        weight = count - fewer + pull
        levels = np.where(weight > 0, (total - gone) / np.where(weight > 0, weight, 1), 0.0)
        above: Numbers = np.nan_to_num(value - level)
        return above, np.asarray(level - levels), np.asarray(levels)

    def _of_missing(self, values: npt.NDArray[np.generic]) -> Numbers:
        """Each list's missing entry's value, 0 where none is missing."""
        return np.where(self._missing == WHOLE, 0.0, values[np.maximum(self._missing, 0)].astype(np.float64))

    def _take_out(self, scores: Matrix, name: str, of: str, some: npt.NDArray[np.int64]) -> None:
        """From the whole list's scores (len(some), n_items) what the missing entries put into them."""
        weights = self.titles.weights_of(name)
        together = self._together(weights) if of == "above" else None
        for row, k in enumerate(some):
            entry = self._missing[k]
            if entry == WHOLE:
                continue
            at = slice(weights.indptr[self._item[entry]], weights.indptr[self._item[entry] + 1])
            put_in = self._put_in(of, int(entry))
            if together is not None and self._is_rated[entry]:
                scores[row] += np.float32(self._shift[k]) * together
                put_in += self._shift[k]
            if put_in:
                scores[row, weights.indices[at]] -= np.float32(put_in) * weights.data[at]

    def _put_in(self, of: str, entry: int) -> float:
        """What the entry counts in a score of this kind."""
        liked = float(self._is_liked[entry])
        counts = {"listed": 1.0, "more": 1.0 + float(LIKED_COUNTS) * liked, "liked": liked}
        return counts.get(of, float(self._above[entry]) if self._is_rated[entry] else 0.0)

    def _together(self, weights: sp.csr_matrix) -> Matrix:
        """The weights of all rated entries together, float32 (n_items,)."""
        from malsugoi_assets.recommend.dense_products import multiply_into  # compiled code takes a moment to load

        rated = self._item[self._is_rated]
        rows = sp.csr_matrix(
            (np.ones(len(rated), np.float32), rated, np.array([0, len(rated)])), shape=(1, self.n_items)
        )
        found = np.empty((1, self.n_items), dtype=np.float32)
        multiply_into(rows, weights, found)
        whole: Matrix = found[0]
        return whole

    def _genres(self, some: npt.NDArray[np.int64]) -> Matrix:
        genres, rated = self.titles.genres, self._is_rated
        mine = genres[self._item].astype(np.float64)
        every, together = self._above @ mine, mine[rated].sum(axis=0)
        entry = np.maximum(self._missing[some], 0)
        counts = ((self._missing[some] != WHOLE) & rated[entry])[:, None]
        shift = self._shift[some][:, None]
        less = every - counts * (self._above[entry][:, None] * mine[entry] - shift * (together - mine[entry]))
        found: Matrix = less.astype(np.float32) @ genres.T
        return found

    def _predicted(self, some: npt.NDArray[np.int64]) -> tuple[Matrix, Matrix]:
        """The predicted ratings and log(1 + neighbours behind them), float32 (len(some), n_items)."""
        predictor = self._whole.predictor
        above = self._rating - predictor.baselines.global_mean - predictor.baselines.bias[self._item]
        residual, shift, level = self._levels(above, predictor.settings.user_shrinkage)
        weights = predictor.spread.matrix
        pull, total, support = predictor.sums_of(self._row)
        predicted, behind = (np.empty((len(some), self.n_items), np.float32) for _ in range(2))
        evidence = np.float32(predictor.settings.evidence)
        for row, k in enumerate(some):
            entry, mine, all_of, count = self._missing[k], pull.copy(), total.copy(), support.copy()
            if entry != WHOLE and self._is_rated[entry]:
                at = slice(weights.indptr[self._item[entry]], weights.indptr[self._item[entry] + 1])
                where, weight = weights.indices[at], weights.data[at]
                mine[where] -= np.float32(residual[entry]) * weight
                all_of[where] -= weight
                count[where] -= 1
                mine += np.float32(shift[k]) * all_of
                # What is left of nothing but rounding would be a neighbour.
                mine[count == 0] = all_of[count == 0] = 0
            rating = predictor.base + np.float32(level[k]) + mine / (all_of + evidence)
            predicted[row], behind[row] = np.clip(rating, 1, 10), np.log1p(count)
        return predicted, behind
