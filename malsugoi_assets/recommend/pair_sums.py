"""The pairs' whole numbers kept, so that new lists change the similarity without the old ones being read again.

Adding and taking away are exact: after any sequence of them `strongest` equals that of all the ratings together, to
the last float32, whatever the order in which they came. New titles go to the end.

Memory: 8 bytes a pair of titles, and 16 for each pair of a title that more than `MOST_RATERS` rated with one before
it: 1.3 GB for 17,500 titles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.checked_arrays import read_arrays, write_arrays
from malsugoi_assets.recommend.compiled import on_threads
from malsugoi_assets.recommend.pair_kernels import MOST_RATERS, add_rows, strongest_of_sums, widen
from malsugoi_assets.recommend.pairs import Lists, TitleSums, lay_out, work_of
from malsugoi_assets.recommend.ratings import IntArray
from malsugoi_assets.recommend.strongest import Rows, Strongest, shares_of, strongest_offered

_KIND = "pair sums 1"
_NOTHING = Lists(np.empty(0, np.uint32), np.zeros(1, np.int64))


class PairSums:
    """Sums of all pairs of places (i, j < i), counted from lists that number titles by place.

    The row of place i begins at `start[i]` and has i entries: in `words` (uint64, see `pairs`), or in `wide` (int32
    (4, n): n, Σ r_i, Σ r_j, Σ r_i · r_j) where `is_wide[i]`, since one word does not hold so many raters.
    """

    def __init__(self, raters: npt.NDArray[np.integer]) -> None:
        """Nothing counted yet. `raters`: int (n_items,), how many each title is going to have, as far as is known."""
        n_items = len(raters)
        self.n_items = n_items
        self.titles = TitleSums(*np.zeros((3, n_items), np.int64))
        self.is_wide = np.asarray(raters > MOST_RATERS)
        length = np.arange(n_items, dtype=np.int64)
        self.start = np.zeros(n_items, np.int64)
        for kind in (self.is_wide, ~self.is_wide):
            self.start[kind] = np.cumsum(length[kind]) - length[kind]
        self.words = np.zeros(length[~self.is_wide].sum(), np.uint64)
        self.wide = np.zeros((4, length[self.is_wide].sum()), np.int32)

    def grow(self, n_items: int) -> None:
        """Make room for titles that are new; they get the places from the old `n_items` on."""
        if n_items <= self.n_items:
            return
        length = np.arange(self.n_items, n_items, dtype=np.int64)
        self.start = np.concatenate([self.start, len(self.words) + np.cumsum(length) - length])
        self.words = np.concatenate([self.words, np.zeros(length.sum(), np.uint64)])
        self.is_wide = np.concatenate([self.is_wide, np.zeros(len(length), bool)])
        self.titles = TitleSums(*np.concatenate([self._titles(), np.zeros((3, len(length)), np.int64)], axis=1))
        self.n_items = n_items

    def add(self, lists: Lists, threads: int | None = None) -> None:
        """Count these users' ratings; they must not be counted already (take away what they rated before first)."""
        self._count(lists, 1, threads)

    def take_away(self, lists: Lists, threads: int | None = None) -> None:
        """Undo `add` of the same ratings. Raises ValueError, with nothing changed, where they can't all be counted."""
        self._count(lists, -1, threads)

    def strongest(
        self,
        order: IntArray,
        most: int,
        shrinkage: float,
        min_support: int,
        threads: int | None = None,
        more: Lists | None = None,
    ) -> Strongest:
        """As `pairs.strongest_pairs` of everything counted; `order`: place → title.

        `more`: lists that count as if they had been added, and are not.
        """
        layout = lay_out(more or _NOTHING, self.n_items)
        titles = self.with_lists(more)
        mean, scale = titles.centring()

        def offer(rows: Rows, *notes: npt.NDArray[np.generic]) -> None:
            strongest_of_sums(
                rows, order, self.start, self.is_wide, self.words, self.wide, layout.entries, layout.of_title,
                layout.begins, layout.first, titles.count, mean, scale, float(shrinkage), min_support, *notes,
            )  # fmt: skip

        work = np.arange(self.n_items, dtype=np.float64)
        return strongest_offered(shares_of(work, threads or available_threads()), most, offer)

    def with_lists(self, more: Lists | None) -> TitleSums:
        """The titles' own sums, as if these lists had been added."""
        if more is None:
            return self.titles
        added = lay_out(more, self.n_items).sums
        return TitleSums(*(self._titles() + np.stack([added.count, added.total, added.squares])))

    def save(self, path: Path, about: dict[str, Any]) -> None:
        """Write the sums, whole or not at all, with what the caller wants to know `about` them (JSON)."""
        write_arrays(path, _KIND, about, [self._titles(), self.start, self.is_wide, self.words, self.wide])

    @classmethod
    def load(cls, path: Path) -> tuple[PairSums, dict[str, Any]]:
        """Read what `save` wrote, and what it is about. Raises ValueError where the file is something else."""
        about, arrays = read_arrays(path, _KIND)
        return cls._of(*arrays), about

    @classmethod
    def _of(
        cls,
        titles: npt.NDArray[np.int64],
        start: npt.NDArray[np.int64],
        is_wide: npt.NDArray[np.bool_],
        words: npt.NDArray[np.uint64],
        wide: npt.NDArray[np.int32],
    ) -> PairSums:
        found = cls.__new__(cls)
        found.n_items, found.titles = len(start), TitleSums(*titles)
        found.start, found.is_wide, found.words, found.wide = start, is_wide, words, wide
        return found

    def _titles(self) -> npt.NDArray[np.int64]:
        return np.stack([self.titles.count, self.titles.total, self.titles.squares])

    def _count(self, lists: Lists, sign: int, threads: int | None) -> None:
        layout = lay_out(lists, self.n_items)
        raters = self.titles.count + sign * layout.sums.count
        if (raters < 0).any():
            raise ValueError("these ratings were never counted: count all lists anew")
        self._widen(np.flatnonzero((raters > MOST_RATERS) & ~self.is_wide))
        shares = shares_of(work_of(layout), threads or available_threads())
        arrays = (layout.entries, layout.of_title, layout.begins, layout.first)
        tables = (self.start, self.is_wide, self.words, self.wide)
        on_threads(lambda t: add_rows(shares[t], *arrays, *tables, np.int32(sign)), len(shares))
        added = np.stack([layout.sums.count, layout.sums.total, layout.sums.squares])
        self.titles = TitleSums(*(self._titles() + sign * added))

    def _widen(self, places: npt.NDArray[np.intp]) -> None:
        """Move rows that get too many raters for words; their old room stays empty."""
        if not len(places):
            return
        starts = self.wide.shape[1] + np.cumsum(places) - places
        self.wide = np.concatenate([self.wide, np.zeros((4, places.sum()), np.int32)], axis=1)
        for place, start in zip(places.tolist(), starts.tolist(), strict=True):
            old = self.start[place]
            widen(self.words[old : old + place], self.wide[:, start : start + place])
            self.words[old : old + place] = 0
            self.start[place], self.is_wide[place] = start, True


def bytes_needed(raters: npt.NDArray[np.integer]) -> int:
    """Memory that sums over titles with so many raters (by place) take."""
    return int((np.arange(len(raters), dtype=np.int64) * np.where(raters > MOST_RATERS, 16, 8)).sum())
