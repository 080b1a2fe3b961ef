"""What two titles' raters have in common, as exact whole numbers: counts and sums over the users who rated both.

For each pair (i, j): n = users who rated both; A_i = Σ r_ui and A_j = Σ r_uj over them; S = Σ r_ui · r_uj. Every
similarity of centred ratings follows from these and the titles' own sums, and they can be added to and taken from.

What belongs here: laying out lists, counting, and keeping the strongest. What does not: the formula (`similarity`).

The kernels are compiled (numba): titles are numbered by popularity, and a title is paired with those before it on
each of its raters' lists, so that every pair is met once and the busy part of the sums stays in the cache. All four
sums of a pair share one 64-bit word, which is emptied before it could run over (`_MOST_RATERS`). Kernels let go of the
interpreter's lock and are run on plain threads; no result depends on how many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.compiled import compiled, on_threads
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

# Ratings count from 0 (0-9) in the word: 13 bits for n, 16 for A_i, 16 for A_j, 19 for S hold so many raters.
_MOST_RATERS = 6_472

Rows = npt.NDArray[np.int64]
"""Places whose pairs with all earlier places one thread works on."""


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
class Layout:
    """Lists ready for counting. Places are titles numbered by `order` (place → title).

    `entries`: uint32 (n,), place · 16 + (rating - 1), by user and, within a user, by place; `of_title`: positions in
    `entries` by place; `begins`: for each of those, where its user's list begins; `first`: (n_items + 1,), where a
    place's positions begin in `of_title`; `sums`: by place.
    """

    order: IntArray
    entries: npt.NDArray[np.uint32]
    of_title: npt.NDArray[np.uint32]
    begins: npt.NDArray[np.uint32]
    first: npt.NDArray[np.int64]
    sums: TitleSums

    @property
    def n_items(self) -> int:
        """Titles."""
        return len(self.order)


@dataclass(frozen=True)
class Strongest:
    """The K strongest partners of each title: (n_items, K) arrays of `size` (n_items,) entries a row, the best first."""

    size: IntArray
    partner: IntArray
    strength: FloatArray
    support: IntArray


def lay_out(ratings: Ratings, order: IntArray | None = None) -> Layout:
    """The rated rows of `ratings`, titles in `order` (default: the most rated first, ties by index).

    Raises ValueError where a rating is not a whole number from 1 to 10.
    """
    rated = ratings.rated
    value = rated.rating.astype(np.int64)
    if len(value) and ((value != rated.rating).any() or value.min() < 1 or value.max() > 10):
        raise ValueError("similarity counts whole ratings from 1 to 10; others have to be rounded first")
    value -= 1
    count = np.bincount(rated.item, minlength=ratings.n_items)
    if order is None:
        order = np.lexsort((np.arange(ratings.n_items), -count)).astype(np.int32)
    place = np.empty(ratings.n_items, dtype=np.int32)
    place[order] = np.arange(ratings.n_items, dtype=np.int32)
    entries, of_title, begins, first = _sorted(
        rated.user, place[rated.item], value.astype(np.uint32), ratings.n_users, ratings.n_items
    )
    total = np.bincount(rated.item, weights=value, minlength=ratings.n_items)
    squares = np.bincount(rated.item, weights=value**2, minlength=ratings.n_items)
    return Layout(
        order, entries, of_title, begins, first,
        TitleSums(count[order], total[order].astype(np.int64), squares[order].astype(np.int64)),
    )  # fmt: skip


@compiled
def _sorted(user, place, value, n_users, n_items):  # type: ignore[no-untyped-def]
    """Two counting sorts, by place and then by user, which keeps places in order within a user."""
    n = len(user)
    first = np.zeros(n_items + 1, np.int64)
    start = np.zeros(n_users + 1, np.int64)
    for k in range(n):
        first[place[k] + 1] += 1
        start[user[k] + 1] += 1
    for i in range(n_items):
        first[i + 1] += first[i]
    for u in range(n_users):
        start[u + 1] += start[u]
    by_place = np.empty(n, np.uint32)
    free = first[:-1].copy()
    for k in range(n):
        by_place[free[place[k]]] = k
        free[place[k]] += 1
    entries = np.empty(n, np.uint32)
    of_title = np.empty(n, np.uint32)
    begins = np.empty(n, np.uint32)
    free = start[:-1].copy()
    for position in range(n):
        k = by_place[position]
        u = user[k]
        e = free[u]
        free[u] += 1
        entries[e] = np.uint32(place[k] * 16) + value[k]
        of_title[position] = e
        begins[position] = start[u]
    return entries, of_title, begins, first


@compiled
def count_row(i, first, last, entries, of_title, begins, words, n, a, b, s):  # type: ignore[no-untyped-def]
    """Sums of title i with every title before it, over its raters first … last, added to n, a (of i), b, s."""
    for chunk in range(first, last, _MOST_RATERS):
        for position in range(chunk, min(chunk + _MOST_RATERS, last)):
            e = of_title[position]
            mine = np.uint64(entries[e] & np.uint32(15))
            always = np.uint64(1) + (mine << np.uint64(13))
            times = (np.uint64(1) << np.uint64(29)) + (mine << np.uint64(45))
            for k in range(begins[position], e):
                entry = entries[k]
                words[entry >> np.uint32(4)] += always + times * np.uint64(entry & np.uint32(15))
        for j in range(i):
            word = words[j]
            if word != 0:
                n[j] += np.int64(word & np.uint64(0x1FFF))
                a[j] += np.int64((word >> np.uint64(13)) & np.uint64(0xFFFF))
                b[j] += np.int64((word >> np.uint64(29)) & np.uint64(0xFFFF))
                s[j] += np.int64(word >> np.uint64(45))
                words[j] = 0


@compiled
def _is_worse(strength, partner, than_strength, than_partner):  # type: ignore[no-untyped-def]
    return strength < than_strength or (strength == than_strength and partner > than_partner)


@compiled
def _put(item, place, strength, partner, support, partners, strengths, supports):  # type: ignore[no-untyped-def]
    strengths[item, place], partners[item, place], supports[item, place] = strength, partner, support


@compiled
def _move(item, place, source, partners, strengths, supports):  # type: ignore[no-untyped-def]
    strengths[item, place] = strengths[item, source]
    partners[item, place] = partners[item, source]
    supports[item, place] = supports[item, source]


@compiled
def _sift_down(item, held, partner, strength, support, partners, strengths, supports):  # type: ignore[no-untyped-def]
    """Put a partner in the place of the worst, of `held` on the item's heap, and let it sink."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= held:
            break
        if child + 1 < held and _is_worse(
            strengths[item, child + 1], partners[item, child + 1], strengths[item, child], partners[item, child]
        ):
            child += 1
        if not _is_worse(strengths[item, child], partners[item, child], strength, partner):
            break
        _move(item, place, child, partners, strengths, supports)
        place = child
    _put(item, place, strength, partner, support, partners, strengths, supports)


@compiled
def _offer(item, partner, strength, support, size, partners, strengths, supports):  # type: ignore[no-untyped-def]
    """Put a partner on the item's heap (the worst on top) if it is among the strongest so far."""
    held, most = size[item], partners.shape[1]
    if held == most:
        if _is_worse(strengths[item, 0], partners[item, 0], strength, partner):
            _sift_down(item, held, partner, strength, support, partners, strengths, supports)
        return
    place = held
    size[item] = held + 1
    while place > 0:
        parent = (place - 1) // 2
        if not _is_worse(strength, partner, strengths[item, parent], partners[item, parent]):
            break
        _move(item, place, parent, partners, strengths, supports)
        place = parent
    _put(item, place, strength, partner, support, partners, strengths, supports)


@compiled
def offer_row(i, n, a, b, s, order, mean, scale, shrinkage, min_support, size, partners, strengths, supports):  # type: ignore[no-untyped-def]
    """Offer title i and each title before it to each other; clears nothing.

    The order of the operations is the same whichever of the two comes first, so that both see the same number.
    """
    for j in range(i):
        common = n[j]
        if common < min_support or common == 0:
            continue
        cross = mean[j] * a[j] + mean[i] * b[j]
        dot = (s[j] - cross) + common * (mean[i] * mean[j])
        exact = dot * (scale[i] * scale[j]) * (common / (common + shrinkage))
        # Rounded, so that ties are ties whatever the summation left behind.
        strength = np.float32(min(np.rint(exact * 1e9) / 1e9, 1.0))
        if strength <= 0:
            continue
        one, other = order[i], order[j]
        _offer(one, other, strength, common, size, partners, strengths, supports)
        _offer(other, one, strength, common, size, partners, strengths, supports)


@compiled
def _strongest_of_rows(  # type: ignore[no-untyped-def]
    rows, order, entries, of_title, begins, first, mean, scale, shrinkage, min_support, size, partners, strengths,
    supports,
):  # fmt: skip
    n_items = len(order)
    words = np.zeros(n_items, np.uint64)
    n = np.zeros(n_items, np.int64)
    a, b, s = n.copy(), n.copy(), n.copy()
    for i in rows:
        count_row(i, first[i], first[i + 1], entries, of_title, begins, words, n, a, b, s)
        offer_row(i, n, a, b, s, order, mean, scale, shrinkage, min_support, size, partners, strengths, supports)
        n[:i] = 0
        a[:i] = 0
        b[:i] = 0
        s[:i] = 0


@compiled
def _merged(sizes, partners, strengths, supports):  # type: ignore[no-untyped-def]
    """The threads' heaps as one table, the best first."""
    threads, n_items, _ = partners.shape
    for item in range(n_items):
        for t in range(1, threads):
            for k in range(sizes[t, item]):
                _offer(
                    item, partners[t, item, k], strengths[t, item, k], supports[t, item, k],
                    sizes[0], partners[0], strengths[0], supports[0],
                )  # fmt: skip
        # The worst on top goes behind those that are left, again and again: the best come to stand first.
        for last in range(sizes[0, item] - 1, 0, -1):
            strength, partner, support = strengths[0, item, last], partners[0, item, last], supports[0, item, last]
            _move(item, last, 0, partners[0], strengths[0], supports[0])
            _sift_down(item, last, partner, strength, support, partners[0], strengths[0], supports[0])


def strongest_pairs(
    layout: Layout, most: int, shrinkage: float, min_support: int, threads: int | None = None
) -> Strongest:
    """The `most` strongest partners of each title by shrunk centred cosine; exact, ties to the lower index."""
    mean, scale = layout.sums.centring()

    def offer(rows: Rows, *heaps: npt.NDArray[np.generic]) -> None:
        _strongest_of_rows(
            rows, layout.order, layout.entries, layout.of_title, layout.begins, layout.first, mean, scale,
            float(shrinkage), min_support, *heaps,
        )  # fmt: skip

    return strongest_offered(shares_of(work_of(layout), threads or available_threads()), most, offer)


def strongest_offered(shares: Sequence[Rows], most: int, offer: Callable[..., None]) -> Strongest:
    """The `most` strongest partners among those that `offer(rows, size, partners, strengths, supports)` offers.

    `shares`: the rows (titles) of each thread, all of them together; every thread fills heaps of its own.
    """
    n_items = sum(map(len, shares))
    shape = (len(shares), n_items, max(1, min(most, n_items - 1)))
    heaps = (
        np.zeros(shape[:2], np.int32),
        np.empty(shape, np.int32),
        np.empty(shape, np.float32),
        np.empty(shape, np.int32),
    )
    on_threads(lambda t: offer(shares[t], *(part[t] for part in heaps)), len(shares))
    _merged(*heaps)
    size, partner, strength, support = (part[0] for part in heaps)
    return Strongest(size, partner, strength, support)


def work_of(layout: Layout) -> npt.NDArray[np.float64]:
    """Steps that a title's row costs: those before it on its raters' lists, and every earlier title once."""
    steps = layout.of_title.astype(np.float64) - layout.begins
    total = np.concatenate([[0.0], np.cumsum(steps)])
    steps_of_title: npt.NDArray[np.float64] = np.diff(total[layout.first])
    return steps_of_title + 4.0 * np.arange(layout.n_items)


def shares_of(work: npt.NDArray[np.float64], threads: int) -> list[Rows]:
    """Rows for each thread, of about equal work: dealt out from the dearest on, forth and back."""
    dearest = np.argsort(-work, kind="stable")
    turn = np.arange(len(work)) % (2 * threads)
    owner = np.where(turn < threads, turn, 2 * threads - 1 - turn)
    return [np.sort(dearest[owner == t]) for t in range(threads)]
