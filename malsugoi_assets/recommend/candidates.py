"""A user's candidates among all titles, and their scores in the user's own measure, compiled.

What belongs here: the kernel behind `ranking`, called for every list that is scored. What does not: what scores mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from malsugoi_assets.recommend.compiled import compiled, on_threads, threads_for
from malsugoi_assets.recommend.list_scores import HIGHEST, LOWEST

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Candidates:
    """The candidates of some users.

    `item`: int32 (users, most), ascending, -1 behind the last where there are fewer; `scores`: float32
    (users, most, n_scores), in units of the spread over the user's free titles; `picked`: float32 (users, n_items), what
    chose them, -inf for titles that are not free.
    """

    item: npt.NDArray[np.int32]
    scores: Matrix
    picked: Matrix


def find_candidates(
    scores: Matrix, free: npt.NDArray[np.bool_], picks: Matrix, most: int, threads: int | None = None
) -> Candidates:
    """The `most` free titles of the largest Σ picks[k] · z_k; of equals the lower index.

    `scores`: (n_scores, users, n_items); `free`: (users, n_items); `picks`: (n_scores,). z is a score less its mean over
    the user's free titles, divided by its spread there, cut to -5 … 30. The result does not depend on `threads`.
    """
    n_scores, n_users, n_items = scores.shape
    most = min(most, n_items)
    item = np.full((n_users, most), -1, np.int32)
    chosen = np.full((n_users, most, n_scores), LOWEST, np.float32)
    picked = np.full((n_users, n_items), -np.inf, np.float32)
    threads = min(threads or threads_for(n_users), max(n_users, 1))
    on_threads(
        lambda t: _describe(np.arange(t, n_users, threads), scores, free, picks, most, item, chosen, picked), threads
    )
    return Candidates(item, chosen, picked)


@compiled
def _describe(users, scores, free, picks, most, item, chosen, picked):  # type: ignore[no-untyped-def]
    n_scores, _, n_items = scores.shape
    mean, spread = np.empty(n_scores), np.empty(n_scores)
    for u in users:
        count = 0
        for i in range(n_items):
            count += free[u, i]
        if count == 0:
            continue
        for k in range(n_scores):
            total = 0.0
            for i in range(n_items):
                if free[u, i]:
                    total += scores[k, u, i]
            mean[k] = total / count
            square = 0.0
            for i in range(n_items):
                if free[u, i]:
                    square += (scores[k, u, i] - mean[k]) ** 2
            spread[k] = np.sqrt(square / count) + 1e-6
        for i in range(n_items):
            if free[u, i]:
                value = 0.0
                for k in range(n_scores):
                    if picks[k] != 0.0:
                        value += picks[k] * min(max((scores[k, u, i] - mean[k]) / spread[k], LOWEST), HIGHEST)
                picked[u, i] = value
        wanted = min(most, count)
        # The weakest that still is a candidate; what equals it comes in from the lowest index on.
        weakest = np.partition(picked[u], n_items - wanted)[n_items - wanted]
        equals = wanted - np.sum(picked[u] > weakest)
        place = 0
        for i in range(n_items):
            value = picked[u, i]
            if value > weakest or (value == weakest and equals > 0):
                equals -= value == weakest
                item[u, place] = i
                for k in range(n_scores):
                    z = (scores[k, u, i] - mean[k]) / spread[k]
                    chosen[u, place, k] = min(max(z, LOWEST), HIGHEST)
                place += 1
