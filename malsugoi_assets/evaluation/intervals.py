"""95 % intervals by bootstrap over users: their rows hang together, so whole users are drawn, not rows.

Source: Efron, Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 13 (percentile intervals); Field, Welsh,
"Bootstrapping clustered data" (JRSS B 2007) for drawing clusters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
DRAWS = 1_000
_CELLS_AT_ONCE = 4_000_000


def resampled_totals(sums: Numbers, seed: int, draws: int = DRAWS) -> Numbers:
    """Column totals of `sums` (n_users, k) in each of `draws` samples of n_users users with replacement: (draws, k)."""
    n = len(sums)
    rng = np.random.default_rng(seed)
    totals = np.empty((draws, sums.shape[1]))
    step = max(1, _CELLS_AT_ONCE // max(n, 1))
    for start in range(0, draws, step):
        count = min(step, draws - start)
        chosen = rng.integers(n, size=(count, n)) + np.arange(count)[:, None] * n
        weights = np.bincount(chosen.ravel(), minlength=count * n).reshape(count, n)
        totals[start : start + count] = weights @ sums
    return totals


def interval(values: Numbers) -> tuple[float, float] | tuple[None, None]:
    """The middle 95 % of resampled values; (None, None) where none of them is a number."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None, None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
