"""What two titles' raters have in common, as exact whole numbers: counts and sums over the users who rated both.

For each pair (i, j): n = users who rated both; A_i = Σ r_ui and A_j = Σ r_uj over them; S = Σ r_ui · r_uj. Every
similarity of centred ratings follows from these and the titles' own sums, and they can be added to and taken from.

What belongs here: laying out lists and counting all their pairs. What does not: keeping the sums (`pair_sums`).

Titles are numbered by popularity, and a title is paired with those before it on each of its raters' lists, so that
every pair is met once and the busy part of the sums stays in the cache. All four sums of a pair share one 64-bit word,
which is emptied before it could run over. Kernels let go of the interpreter's lock and are run on plain threads; no
result depends on how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.pair_kernels import lists_by_place, raters_by_place, strongest_of_rows
from malsugoi_assets.recommend.ratings import IntArray, Ratings
from malsugoi_assets.recommend.strongest import Rows, Strongest, shares_of, strongest_offered


@dataclass(frozen=True)
class TitleSums:
    """Sums over each title's raters, ratings counted from 0: int64 (n_items,) each."""

    count: npt.NDArray[np.int64]
    total: npt.NDArray[np.int64]
    squares: npt.NDArray[np.int64]

    def centring(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The mean, and one over the length of the centred ratings (0 where they are all alike)."""
        many = np.maximum(self.count, 1)
        variation = self.count * self.squares - self.total**2
        scale = np.where(variation > 0, np.sqrt(many / np.maximum(variation, 1)), 0.0)
        return self.total / many, scale


@dataclass(frozen=True)
class Lists:
    """Rated lists in 4 bytes a rating, without names; places are titles numbered by somebody's order.

    `entries`: uint32 (n,), place · 16 + (rating - 1), by user and, within a user, by place; `starts`: int64
    (n_users + 1,), where each user's entries begin.
    """

    entries: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.entries)

    @classmethod
    def together(cls, parts: Sequence[Lists]) -> Lists:
        """The users of all parts, which number titles alike."""
        ends = np.cumsum([0, *(len(part) for part in parts)])
        starts = [part.starts[:-1] + end for part, end in zip(parts, ends[:-1], strict=True)]
        entries = np.concatenate([np.empty(0, np.uint32), *(part.entries for part in parts)])
        return cls(entries, np.concatenate([*starts, ends[-1:]]))


@dataclass(frozen=True)
class Layout:
    """Lists ready for counting.

    `of_title`: positions in the entries by place; `begins`: for each of those, where its user's list begins; `first`:
    (n_items + 1,), where a place's positions begin in `of_title`; `sums`: by place.
    """

    entries: npt.NDArray[np.uint32]
    of_title: npt.NDArray[np.uint32]
    begins: npt.NDArray[np.uint32]
    first: npt.NDArray[np.int64]
    sums: TitleSums

    @property
    def n_items(self) -> int:
        """Titles."""
        return len(self.first) - 1


def by_popularity(count: npt.NDArray[np.integer]) -> IntArray:
    """Titles in the order in which counting is quick: the most rated first, ties by index."""
    return np.lexsort((np.arange(len(count)), -count)).astype(np.int32)


def lists_of(ratings: Ratings, order: IntArray) -> Lists:
    """The rated rows of `ratings`, titles numbered by `order` (place → title).

    Raises ValueError where a rating is not a whole number from 1 to 10.
    """
    rated = ratings if ratings.is_rated.all() else ratings.rated
    value = rated.rating.astype(np.int8)
    if len(value) and ((value != rated.rating).any() or value.min() < 1 or value.max() > 10):
        raise ValueError("similarity counts whole ratings from 1 to 10; others have to be rounded first")
    place = np.empty(ratings.n_items, dtype=np.int32)
    place[order] = np.arange(ratings.n_items, dtype=np.int32)
    return Lists(*lists_by_place(rated.user, place[rated.item], value, ratings.n_users, ratings.n_items))


def lay_out(lists: Lists, n_items: int) -> Layout:
    """Make lists over `n_items` places ready. Raises ValueError where a user has a title twice, or too high a place."""
    if len(lists) and int(lists.entries.max()) >> 4 >= n_items:
        raise ValueError(f"the lists hold titles beyond the {n_items:,} that there is room for")
    of_title, begins, first, sums = raters_by_place(lists.entries, lists.starts, n_items)
    if not len(first):
        raise ValueError("a user has rated a title twice: each pair of a user and a title counts once")
    return Layout(lists.entries, of_title, begins, first, TitleSums(*sums))


def strongest_pairs(
    layout: Layout, order: IntArray, most: int, shrinkage: float, min_support: int, threads: int | None = None
) -> Strongest:
    """The `most` strongest partners of each title by shrunk centred cosine; exact, ties to the lower index.

    `order`: place → title, as the lists were numbered.
    """
    mean, scale = layout.sums.centring()

    def offer(rows: Rows, *notes: npt.NDArray[np.generic]) -> None:
        strongest_of_rows(
            rows, order, layout.entries, layout.of_title, layout.begins, layout.first, mean, scale, float(shrinkage),
            min_support, *notes,
        )  # fmt: skip

    return strongest_offered(shares_of(work_of(layout), threads or available_threads()), most, offer)


def work_of(layout: Layout) -> npt.NDArray[np.float64]:
    """Steps that a title's row costs: those before it on its raters' lists, and every earlier title once."""
    steps = layout.of_title.astype(np.float64) - layout.begins
    total = np.concatenate([[0.0], np.cumsum(steps)])
    steps_of_title: npt.NDArray[np.float64] = np.diff(total[layout.first])
    return steps_of_title + 2.0 * np.arange(layout.n_items)
