"""A list without one entry at a time, scored from the sums of the whole list: what the entry put in is taken out.

    Σ_{j≠e} w_j x_j = Σ_j w_j x_j - w_e x_e

Where x is by how much a rating lies above what the user's level lets expect, the level shifts with the entry, by d for all
others: Σ_{j≠e} w_j (x_j + d) = Σ_j w_j x_j - w_e x_e + d (Σ_j w_j - w_e). So each further list costs one row of the
weights instead of all of them. In the same way mean and spread over the catalogue follow from those of the whole list, and
no score is looked at but those of the titles asked for; what comes out is that of `ListScores` but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.recommend.list_scores import (
    GENRES,
    HIGHEST,
    LIKED_COUNTS,
    LIKED_FROM,
    LOWEST,
    SCORES,
    USER_PULL,
    ListScores,
    Matrix,
)
from malsugoi_assets.recommend.once import once

WHOLE = -1
Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
_WEIGHTED = {
    name: (place, of) for place, (name, of) in enumerate(SCORES.items()) if name != GENRES and of != "ratings"
}
_BY_RATINGS = [place for place, of in enumerate(SCORES.values()) if of == "above"]
_PROPER = {"listed", "more", "liked"}
"""What never lifts a title where an entry is missing: sums over entries of weights that are not negative."""
_ROUNDING = 1e-5


@dataclass(frozen=True)
class _Frame:
    """What a list's scores are measured by: their mean and spread over its free titles, float64 (len(SCORES),).

    `enough`: what is picked by more than that is a candidate for certain.
    """

    mean: Numbers
    spread: Numbers
    enough: float


@dataclass(frozen=True)
class Described:
    """Titles as each of some lists sees them.

    `scores`: float32 (lists, titles, len(SCORES)), in units of the spread over the list's free titles; `picked`: float32
    (lists, titles), what chooses candidates, -inf for listed titles; `is_candidate`: which are.
    """

    scores: Matrix
    picked: Matrix
    is_candidate: npt.NDArray[np.bool_]


class ListsWithout:
    """One user's list without single entries, of which several may be asked for, again and again.

    An entry is named by its place, counted from the user's first row; `WHOLE`: none is missing.
    """

    def __init__(self, whole: ListScores, row: int, picks: Matrix, most: int) -> None:
        """The list of user `row` of `whole`. Candidates are the `most` free titles of the largest Σ picks[k] · z_k, of equals
        the lower ones; z is a score in units of its spread, cut to `LOWEST` … `HIGHEST`.
        """
        if any(pick and name not in _WEIGHTED for name, pick in zip(SCORES, picks.tolist(), strict=True)):
            raise ValueError("candidates can be picked by scores with weights of their own only")
        lists = whole.lists
        mine = slice(*np.searchsorted(lists.user, [row, row + 1]).tolist())
        self.titles, self.n_items = whole.titles, whole.n_items
        self._whole, self._row, self._picks, self._most = whole, row, picks, most
        self._item, self._given = lists.item[mine], lists.rating[mine].astype(np.float64)
        self._is_rated = ~np.isnan(self._given)
        self._is_liked = np.nan_to_num(self._given) >= LIKED_FROM
        self._residual = self._given - self.titles.mu - self.titles.item_bias[self._item].astype(np.float64)
        self._frames: dict[int, _Frame] = {}

    def user_numbers(self, missing: Sequence[int]) -> Matrix:
        """As `ListScores.user_numbers` of the lists."""
        places = np.asarray(missing, dtype=np.int64)
        _, _, bias = self._levels(self._residual, USER_PULL, places)
        given = self._is_rated.sum() - _of_missing(places, self._is_rated)
        fond = self._is_liked.sum() - _of_missing(places, self._is_liked)
        return np.column_stack(
            [np.log1p(self.lengths(missing)), np.log1p(given), fond / np.maximum(given, 1), bias]
        ).astype(np.float32)

    def lengths(self, missing: Sequence[int]) -> Places:
        """How many entries each list has."""
        found: Places = len(self._item) - (np.asarray(missing, dtype=np.int64) != WHOLE).astype(np.int64)
        return found

    def facts(self, missing: Sequence[int], item: Places) -> Matrix:
        """Float32 (len(missing), len(item), len(series.FACTS)) of the titles `item`."""
        places = np.arange(len(self._item))
        above, shift, _ = self._levels(self._residual, USER_PULL, np.asarray(missing, dtype=np.int64))
        kept = [places if k == WHOLE else np.delete(places, k) for k in missing]
        rated = [some[self._is_rated[some]] for some in kept]
        listed = self._over_titles(kept, [np.ones(len(some)) for some in kept])
        scored = self._over_titles(rated, [above[some] + by for by, some in zip(shift, rated, strict=True)])
        return self.titles.series.facts(listed, scored, np.tile(item, (len(missing), 1)))

    def describe(self, missing: Sequence[int], item: Places) -> Described:
        """What each list says of the titles `item`, each named once."""
        places = np.asarray(missing, dtype=np.int64)
        frames = self._frames_of(places)
        value = self._values(places, item)
        mean, spread = (np.stack([getattr(f, name) for f in frames], axis=1) for name in ("mean", "spread"))
        z = np.clip((value - mean[:, :, None]) / spread[:, :, None], LOWEST, HIGHEST)
        # Where no rating is left, rounding is, in units of a spread of nothing.
        z[_BY_RATINGS] *= (self._is_rated.sum() > _of_missing(places, self._is_rated))[:, None]
        picked = np.zeros(z.shape[1:])
        for k in np.flatnonzero(self._picks):
            picked += self._picks[k] * z[k]
        listed = self._listed[item][None, :] & (item[None, :] != self._titles_of(places)[:, None])
        picked = np.where(listed, -np.inf, picked.astype(np.float32)).astype(np.float32)
        chosen = picked > np.array([frame.enough for frame in frames])[:, None]
        unsure = np.flatnonzero((~chosen & ~listed).any(axis=1))
        if len(unsure):
            weakest, last = (
                end[:, None] for end in self._weakest(places[unsure], mean[:, unsure], spread[:, unsure])
            )
            some = picked[unsure]
            chosen[unsure] = (some > weakest) | ((some == weakest) & (item[None, :] <= last))
        return Described(np.moveaxis(z, 0, 2).astype(np.float32), picked, chosen & np.isfinite(picked))

    @once
    def _scores(self) -> Matrix:
        """The whole list's scores, float32 (len(SCORES), n_items)."""
        return self._whole.of_one(self._row)

    @once
    def _listed(self) -> npt.NDArray[np.bool_]:
        found = np.zeros(self.n_items, dtype=np.bool_)
        found[self._item] = True
        return found

    @once
    def _together(self) -> dict[str, Matrix]:
        """For the scores that go by ratings above the level, the weights of all rated entries together, (n_items,)."""
        from malsugoi_assets.recommend.dense_products import multiply_into  # compiled code takes a moment to load

        rated = self._item[self._is_rated]
        ends = np.array([0, len(rated)])
        rows = sp.csr_matrix((np.ones(len(rated), np.float32), rated, ends), shape=(1, self.n_items))
        found = {
            name: np.empty((1, self.n_items), np.float32) for name, (_, of) in _WEIGHTED.items() if of == "above"
        }
        for name, into in found.items():
            multiply_into(rows, self.titles.weights_of(name), into)
        return {name: into[0] for name, into in found.items()}

    @once
    def _sums(self) -> tuple[Numbers, Numbers]:
        """Σ x and Σ x² of each score over the free titles of the whole list, (len(SCORES),)."""
        free = self._scores.astype(np.float64)
        free[:, self._item] = 0
        return free.sum(axis=1), np.einsum("kn,kn->k", free, free)

    def _titles_of(self, places: Places) -> Places:
        """The missing titles, -1 where none is."""
        if not len(self._item):
            return np.full(len(places), -1)
        return np.where(places == WHOLE, -1, self._item[np.maximum(places, 0)].astype(np.int64))

    def _over_titles(self, kept: Sequence[Places], values: Sequence[Numbers]) -> sp.csr_matrix:
        """Csr float32 (len(kept), n_items): in each row values of the entries at these places."""
        starts = np.cumsum([0, *map(len, kept)])
        items = self._item[np.concatenate([np.empty(0, np.int64), *kept])]
        data = np.concatenate([np.empty(0), *values]).astype(np.float32)
        return sp.csr_matrix((data, items, starts), shape=(len(kept), self.n_items))

    def _levels(self, value: Numbers, pull: float, places: Places) -> tuple[Numbers, Numbers, Numbers]:
        """By how much each rating lies above the level, how much more so for want of the missing one, and the levels."""
        total, count = np.nansum(value), float(self._is_rated.sum())
        gone, fewer = _of_missing(places, np.nan_to_num(value)), _of_missing(places, self._is_rated)
        level = total / (count + pull) if count + pull else 0.0
        weight = count - fewer + pull
        levels = np.where(weight > 0, (total - gone) / np.where(weight > 0, weight, 1), 0.0)
        above: Numbers = np.nan_to_num(value - level)
        return above, np.asarray(level - levels), np.asarray(levels)

    def _taken_out(self, places: Places) -> Callable[[str], tuple[Any, ...]]:
        """What the kernels take of a score with weights of its own, by its name: x, together, shift, put_in, the missing
        titles, the weights.
        """
        nothing = np.zeros(len(places), np.float32)
        one, liked, rated = (
            _of_missing(places, counted).astype(np.float32)
            for counted in (np.ones(len(self._item)), self._is_liked, self._is_rated)
        )
        above, shift, _ = self._levels(self._residual, USER_PULL, places)
        shifted = (shift * rated).astype(np.float32)
        put_in = {
            "listed": one,
            "more": one + LIKED_COUNTS * liked,
            "liked": liked,
            "above": (rated * (_of_missing(places, above) + shift)).astype(np.float32),
        }
        entry = self._titles_of(places)

        def of(name: str) -> tuple[Any, ...]:
            k, kind = _WEIGHTED[name]
            x, weights = self._scores[k], _arrays(self.titles.weights_of(name))
            together, by = (self._together[name], shifted) if kind == "above" else (x, nothing)
            return x, together, by, put_in[kind], entry, *weights

        return of

    def _tastes(self, places: Places) -> Numbers:
        """What each list says of the genres, (len(places), genres)."""
        mine, rated = self.titles.genres[self._item].astype(np.float64), self._is_rated
        above, shift, _ = self._levels(self._residual, USER_PULL, places)
        own = self.titles.genres[self._titles_of(places)].astype(np.float64)  # of none any: it does not count
        counts = _of_missing(places, rated)[:, None]
        less = _of_missing(places, above)[:, None] * own - shift[:, None] * (mine[rated].sum(axis=0) - own)
        found: Numbers = above @ mine - counts * less
        return found

    def _genre_sums(self, places: Places) -> tuple[Numbers, Numbers]:
        """Σ x and Σ x² of the genres' score over each list's free titles: x is a product, so is its square."""
        taste, (total, square) = self._tastes(places), self.titles.genre_sums
        mine = self.titles.genres[self._item].astype(np.float64)
        entry = self._titles_of(places)
        back = np.where(entry >= 0, np.einsum("mg,mg->m", taste, self.titles.genres[entry].astype(np.float64)), 0)
        squares = ((taste @ (square - mine.T @ mine)) * taste).sum(axis=1)
        return taste @ (total - mine.sum(axis=0)) + back, squares + back**2

    @once
    def _behind(self) -> tuple[Any, ...]:
        """What stands behind the whole list's predicted ratings: `pull`, `weight`, `count`, `base`, `evidence`, `logs`."""
        predictor = self._whole.predictor
        pull, weight, count = predictor.sums_of(self._row)
        logs = np.log1p(np.arange(count.max(initial=0) + 1, dtype=np.float64)).astype(np.float32)
        return pull, weight, count, predictor.base, np.float32(predictor.settings.evidence), logs

    def _rating(self, places: Places) -> tuple[Any, ...]:
        """What the kernels take to predict ratings: what is behind them, level, shift, residual, missing titles, rated."""
        predictor = self._whole.predictor
        above = self._given - predictor.baselines.global_mean - predictor.baselines.bias[self._item]
        residual, shift, level = self._levels(above, predictor.settings.user_shrinkage, places)
        rated = _of_missing(places, self._is_rated)
        own = _of_missing(places, residual) * rated
        changed = (values.astype(np.float32) for values in (level, shift * rated, own))
        return *self._behind, *changed, self._titles_of(places), rated > 0

    def _frames_of(self, places: Places) -> list[_Frame]:
        new = [k for k in dict.fromkeys(places.tolist()) if k not in self._frames]
        if new:
            self._frames.update(zip(new, self._new_frames(np.array(new, dtype=np.int64)), strict=True))
        return [self._frames[k] for k in places.tolist()]

    def _new_frames(self, places: Places) -> list[_Frame]:
        from malsugoi_assets.recommend import without_kernels as kernels  # compiled code takes a moment to load

        count = self.n_items - len(self._item) + (places != WHOLE)
        total, square = (np.repeat(whole[:, None], len(places), axis=1) for whole in self._sums)
        total[-2:] = square[-2:] = 0
        mean, spread = np.empty_like(total), np.empty_like(total)

        def measure(k: int) -> None:
            mean[k] = total[k] / np.maximum(count, 1)
            spread[k] = np.sqrt(np.maximum(square[k] / np.maximum(count, 1) - mean[k] ** 2, 0)) + 1e-6

        taken_out = self._taken_out(places)
        for name, (k, _) in _WEIGHTED.items():
            x, together, shift, *out = taken_out(name)
            if shift.any():
                free = np.where(self._listed, 0, together).astype(np.float64)
                total[k] += shift * free.sum()
                square[k] += 2 * shift * (free @ x) + shift**2 * (free @ free)
            kernels.add_up(x, together, shift, *out, self._listed, total[k], square[k])
            measure(k)
        genres = list(SCORES).index(GENRES)
        total[genres], square[genres] = self._genre_sums(places)
        near = _arrays(self._whole.predictor.spread.matrix)
        kernels.rate(*self._rating(places), self._listed, *near, total[-2:], square[-2:])
        for k in (genres, -2, -1):
            measure(k)
        enough = self._enough(places, mean, spread).tolist()
        return [_Frame(*parts) for parts in zip(mean.T, spread.T, enough, strict=True)]

    def _enough(self, places: Places, mean: Numbers, spread: Numbers) -> Numbers:
        """For each list a value such that a title which more picks is a candidate; `mean`, `spread`: (len(SCORES), lists).

        In a list's own measure z' ≤ a z + b, a and b by how much mean and spread differ from the whole list's; of the titles
        that are picked by more than the next to last candidate of the whole list and what these rise by at most, there are
        fewer than candidates, also with the missing one.
        """
        bar, lowest, highest = self._bar
        if np.isinf(bar):
            return np.full(len(places), bar)
        picks, (mean_before, spread_before) = np.flatnonzero(self._picks), self._measure
        scale = spread_before[picks, None] / spread[picks] - 1
        moved = (mean_before[picks, None] - mean[picks]) / spread[picks]
        rise = np.maximum(scale * lowest[:, None], scale * highest[:, None]) + moved
        found: Numbers = bar + self._picks[picks].astype(np.float64) @ np.maximum(rise, 0) + _ROUNDING
        return found

    @once
    def _bar(self) -> tuple[float, Numbers, Numbers]:
        """What picks the next to last candidate of the whole list, and between what the z of the scores that pick lie."""
        picks, (mean, spread) = np.flatnonzero(self._picks), self._measure
        kinds = [kind for k, kind in _WEIGHTED.values() if self._picks[k]]
        some = self._most - 1
        if not _PROPER.issuperset(kinds) or (self._picks < 0).any() or not 0 < some < self.n_items - len(self._item):
            return np.inf, mean, spread
        picked = self._picked(np.array([WHOLE]), mean[:, None], spread[:, None])[0]
        picked[self._item] = -np.inf
        z = np.clip((self._scores[picks] - mean[picks, None]) / spread[picks, None], LOWEST, HIGHEST)
        return float(np.partition(picked, -some)[-some]), z.min(axis=1), z.max(axis=1)

    def _weakest(self, places: Places, mean: Numbers, spread: Numbers) -> tuple[Matrix, Places]:
        """The weakest candidate of each list, by what picks them and by title; `mean`, `spread`: (len(SCORES), lists)."""
        from malsugoi_assets.recommend import without_kernels as kernels

        picked, entry = self._picked(places, mean, spread).astype(np.float32), self._titles_of(places)
        picked[self._listed & (np.arange(self.n_items) != entry[:, None])] = -np.inf
        free = self.n_items - len(self._item) + (places != WHOLE)
        weakest, last = np.empty(len(places), np.float32), np.empty(len(places), np.int64)
        kernels.weakest_of(picked, np.minimum(self._most, free), weakest, last)
        return weakest, last

    def _picked(self, places: Places, mean: Numbers, spread: Numbers) -> Numbers:
        """What picks each title, (len(places), n_items)."""
        from malsugoi_assets.recommend import without_kernels as kernels

        picked, taken_out = np.zeros((len(places), self.n_items)), self._taken_out(places)
        for name, (k, _) in _WEIGHTED.items():
            if pick := float(self._picks[k]):
                kernels.add_pick(*taken_out(name), mean[k], spread[k], LOWEST, HIGHEST, pick, picked)
        return picked

    @once
    def _measure(self) -> tuple[Numbers, Numbers]:
        """Mean and spread over the whole list's free titles, (len(SCORES),), of the scores that pick."""
        total, square = self._sums
        count = max(self.n_items - len(self._item), 1)
        mean = total / count
        return mean, np.sqrt(np.maximum(square / count - mean**2, 0)) + 1e-6

    def _values(self, places: Places, item: Places) -> Matrix:
        """The scores of the titles `item`, (len(SCORES), len(places), len(item))."""
        from malsugoi_assets.recommend import without_kernels as kernels

        found = np.empty((len(SCORES), len(places), len(item)), dtype=np.float32)
        slot = np.full(self.n_items, -1, dtype=np.int64)
        slot[item] = np.arange(len(item))
        taken_out = self._taken_out(places)
        for name, (k, _) in _WEIGHTED.items():
            kernels.take(*taken_out(name), item, slot, found[k])
        found[list(SCORES).index(GENRES)] = self._tastes(places).astype(np.float32) @ self.titles.genres[item].T
        near = _arrays(self._whole.predictor.spread.matrix)
        kernels.rate_some(*self._rating(places), *near, item, slot, found[-2:])
        return found


def _of_missing(places: Places, values: npt.NDArray[np.generic]) -> Numbers:
    """Each list's missing entry's value, 0 where none is missing."""
    if not len(values):
        return np.zeros(len(places))
    return np.where(places == WHOLE, 0.0, values[np.maximum(places, 0)].astype(np.float64))


def _arrays(matrix: sp.csr_matrix) -> tuple[Any, Any, Any]:
    return matrix.indptr, matrix.indices, matrix.data
