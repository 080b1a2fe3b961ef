"""The pairs' whole numbers kept, so that new lists change the similarity without the old ones being read again.

Adding and taking away are exact: after any sequence of them `strongest` equals that of all the ratings together, to
the last float32, whatever the order in which they came. Titles are numbered by the caller; new ones go to the end.

Memory: 16 bytes a pair of titles, 2.5 GB for 17,500 titles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from malsugoi_assets.disk import replace_file
from malsugoi_assets.machine import available_threads, memory_bytes
from malsugoi_assets.recommend.compiled import compiled, on_threads
from malsugoi_assets.recommend.pairs import (
    Layout,
    Rows,
    Strongest,
    TitleSums,
    count_row,
    lay_out,
    offer_row,
    shares_of,
    strongest_offered,
    work_of,
)
from malsugoi_assets.recommend.ratings import Ratings


class PairSums:
    """`pairs`: int32 (n_items · (n_items - 1) / 2, 4), for i > j at i(i-1)/2 + j: n, Σ r_i, Σ r_j, Σ r_i · r_j."""

    def __init__(self, n_items: int) -> None:
        """Nothing counted yet. Raises MemoryError, before any work, where the sums would not fit the machine."""
        needed = n_items * (n_items - 1) // 2 * 16
        if needed > 0.8 * memory_bytes():
            raise MemoryError(
                f"pair sums over {n_items:,} titles need {needed / 2**30:.1f} GiB, the machine has "
                f"{memory_bytes() / 2**30:.1f}: compute the similarity anew instead of keeping its sums"
            )
        self.n_items = n_items
        self.pairs: npt.NDArray[np.int32] = np.zeros((n_items * (n_items - 1) // 2, 4), np.int32)
        self.titles = TitleSums(*(np.zeros(n_items, np.int64) for _ in range(3)))

    def grow(self, n_items: int) -> None:
        """Make room for titles that are new; they get the numbers from the old `n_items` on."""
        if n_items <= self.n_items:
            return
        more = n_items * (n_items - 1) // 2 - len(self.pairs)
        self.pairs = np.concatenate([self.pairs, np.zeros((more, 4), np.int32)])
        extra = np.zeros(n_items - self.n_items, np.int64)
        self.titles = TitleSums(*(np.concatenate([part, extra]) for part in self._parts()))
        self.n_items = n_items

    def add(self, ratings: Ratings, threads: int | None = None) -> None:
        """Count these users' ratings; they must not be counted already (take away what they rated before first)."""
        self._count(ratings, 1, threads)

    def take_away(self, ratings: Ratings, threads: int | None = None) -> None:
        """Undo `add` of the same ratings. Raises ValueError, with nothing changed, where they can't all be counted."""
        rated = ratings.rated
        if (np.bincount(rated.item, minlength=self.n_items) > self.titles.count).any():
            raise ValueError("these ratings were never counted: count all lists anew")
        self._count(ratings, -1, threads)

    def strongest(self, most: int, shrinkage: float, min_support: int, threads: int | None = None) -> Strongest:
        """As `pairs.strongest_pairs` of everything counted."""
        mean, scale = self.titles.centring()

        def offer(rows: Rows, *heaps: npt.NDArray[np.generic]) -> None:
            _strongest_of_sums(rows, self.pairs, mean, scale, float(shrinkage), min_support, *heaps)

        work = np.arange(self.n_items, dtype=np.float64)
        return strongest_offered(shares_of(work, threads or available_threads()), most, offer)

    def save(self, path: Path) -> None:
        """Write the sums, whole or not at all."""
        with replace_file(path) as draft, draft.open("wb") as file:
            parts: tuple[npt.NDArray[np.integer], ...] = (*self._parts(), self.pairs)
            for part in parts:
                np.lib.format.write_array(file, part, allow_pickle=False)

    @classmethod
    def load(cls, path: Path) -> PairSums:
        """Read what `save` wrote. Raises ValueError where the file is something else."""
        try:
            with path.open("rb") as file:
                *parts, pairs = (np.lib.format.read_array(file, allow_pickle=False) for _ in range(4))
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path} holds no pair sums ({error})") from error
        found = cls(0)
        found.n_items, found.titles, found.pairs = len(parts[0]), TitleSums(*parts), pairs
        if pairs.shape != (found.n_items * (found.n_items - 1) // 2, 4) or pairs.dtype != np.int32:
            raise ValueError(f"{path} holds no pair sums (shape {pairs.shape}, {pairs.dtype})")
        return found

    def _parts(self) -> tuple[npt.NDArray[np.int64], ...]:
        return self.titles.count, self.titles.total, self.titles.squares

    def _count(self, ratings: Ratings, sign: int, threads: int | None) -> None:
        if ratings.n_items != self.n_items:
            raise ValueError(f"ratings of {ratings.n_items:,} titles, sums of {self.n_items:,}: `grow` comes first")
        layout = lay_out(ratings, np.arange(self.n_items, dtype=np.int32))
        shares = shares_of(work_of(layout), threads or available_threads())
        on_threads(lambda t: _add_rows(shares[t], *_arrays(layout), self.pairs, sign), len(shares))
        added = (layout.sums.count, layout.sums.total, layout.sums.squares)
        self.titles = TitleSums(*(old + sign * new for old, new in zip(self._parts(), added, strict=True)))


def _arrays(layout: Layout) -> tuple[npt.NDArray[np.integer], ...]:
    return layout.entries, layout.of_title, layout.begins, layout.first


@compiled
def _add_rows(rows, entries, of_title, begins, first, pairs, sign):  # type: ignore[no-untyped-def]
    n_items = len(first) - 1
    words = np.zeros(n_items, np.uint64)
    n = np.zeros(n_items, np.int64)
    a, b, s = n.copy(), n.copy(), n.copy()
    for i in rows:
        if first[i] == first[i + 1]:
            continue
        count_row(i, first[i], first[i + 1], entries, of_title, begins, words, n, a, b, s)
        start = i * (i - 1) // 2
        for j in range(i):
            if n[j] != 0:
                pairs[start + j, 0] += sign * n[j]
                pairs[start + j, 1] += sign * a[j]
                pairs[start + j, 2] += sign * b[j]
                pairs[start + j, 3] += sign * s[j]
                n[j] = 0
                a[j] = 0
                b[j] = 0
                s[j] = 0


@compiled
def _strongest_of_sums(  # type: ignore[no-untyped-def]
    rows, pairs, mean, scale, shrinkage, min_support, size, partners, strengths, supports
):
    order = np.arange(len(mean)).astype(np.int32)
    for i in rows:
        start = i * (i - 1) // 2
        row = pairs[start : start + i]
        offer_row(
            i, row[:, 0], row[:, 1], row[:, 2], row[:, 3], order, mean, scale, shrinkage, min_support, size,
            partners, strengths, supports,
        )  # fmt: skip
