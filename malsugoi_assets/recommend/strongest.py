"""The strongest partners of each title, noted by each thread for itself while the rows of pairs are worked off.

A row's similarities are worked out in one sweep that the processor does several at a time. Only those that may be among
the strongest of one of the two titles are noted; where a title's notes are full, the better half stays and says from which
similarity on more are wanted. (Heaps, which are exact at every step, took half as long again.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from malsugoi_assets.recommend.compiled import on_threads
from malsugoi_assets.recommend.pair_kernels import best_of_threads
from malsugoi_assets.recommend.ratings import FloatArray, IntArray

Rows = npt.NDArray[np.int64]
"""Places whose pairs with all earlier places one thread works on."""


@dataclass(frozen=True)
class Strongest:
    """The K strongest partners of each title: (n_items, K) arrays of `size` (n_items,) entries a row, the best first."""

    size: IntArray
    partner: IntArray
    strength: FloatArray
    support: IntArray


def strongest_offered(shares: Sequence[Rows], most: int, offer: Callable[..., None]) -> Strongest:
    """The `most` strongest partners among those that `offer(rows, size, notes)` notes.

    `shares`: the rows (titles) of each thread, all of them together; every thread has notes of its own, twice as many a
    title as are asked for, 16 bytes each: strength and partner in one number, that sorts, and the support beside it.
    """
    n_items, threads = sum(map(len, shares)), len(shares)
    most = max(1, min(most, n_items - 1))
    sizes, notes = np.zeros((threads, n_items), np.int32), np.empty((threads, n_items, 2 * most, 2), np.uint64)
    on_threads(lambda t: offer(shares[t], sizes[t], notes[t]), threads)
    size, strength = np.zeros(n_items, np.int32), np.zeros((n_items, most), np.float32)
    partner, support = np.zeros((n_items, most), np.int32), np.zeros((n_items, most), np.int32)
    on_threads(
        lambda t: best_of_threads(np.arange(t, n_items, threads), sizes, notes, size, partner, strength, support),
        threads,
    )
    return Strongest(size, partner, strength, support)


def shares_of(work: npt.NDArray[np.float64], threads: int) -> list[Rows]:
    """Rows for each thread, of about equal work: dealt out from the dearest on, forth and back."""
    dearest = np.argsort(-work, kind="stable")
    turn = np.arange(len(work)) % (2 * threads)
    owner = np.where(turn < threads, turn, 2 * threads - 1 - turn)
    return [np.sort(dearest[owner == t]) for t in range(threads)]
