"""The strongest partners of each title, kept on heaps, one set a thread, while the rows of pairs are worked off.

A row's similarities are worked out in one sweep that the processor does several at a time. Only those that may get
onto one of the two titles' heaps are looked at closer: heaps that every pair is offered to cost many times the sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from malsugoi_assets.recommend.compiled import on_threads
from malsugoi_assets.recommend.pair_kernels import merge_heaps
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
    merge_heaps(*heaps)
    size, partner, strength, support = (part[0] for part in heaps)
    return Strongest(size, partner, strength, support)


def shares_of(work: npt.NDArray[np.float64], threads: int) -> list[Rows]:
    """Rows for each thread, of about equal work: dealt out from the dearest on, forth and back."""
    dearest = np.argsort(-work, kind="stable")
    turn = np.arange(len(work)) % (2 * threads)
    owner = np.where(turn < threads, turn, 2 * threads - 1 - turn)
    return [np.sort(dearest[owner == t]) for t in range(threads)]
