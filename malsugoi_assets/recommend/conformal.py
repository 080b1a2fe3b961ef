"""How wide an interval has to be, from errors on rows that nothing was fitted to (split conformal prediction).

Sources: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World" (2005); Lei, G'Sell, Rinaldo, Tibshirani, Wasserman,
"Distribution-free predictive inference for regression" (JASA 2018). The promise is exact where rows are exchangeable; ratings
of one user hang together, so that here it holds on average over many users.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
COVER = 0.9
LEAST_CALIBRATED = 40
"""Errors below which nothing is calibrated."""


def covering_quantile(errors: Floats, share: float) -> float:
    """The ⌈(n + 1) share⌉-th smallest of n > 0 errors: below it a further one lies with the probability `share` at least.

    The largest where there are too few errors to promise as much.
    """
    place = min(len(errors), math.ceil((len(errors) + 1) * share)) - 1
    return float(np.partition(errors, place)[place])
