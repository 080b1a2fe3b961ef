"""Which few titles to ask somebody about of whom nothing is known: known to many, liked by some, and unlike each other.

    worth(i) = n_i · s_i,   s_i² = (Σ (r - mean_i)² + 10 · σ²) / (n_i + 10)

over the n_i ratings of a title, σ² their variance within titles: how likely somebody knows it, times by how much their
rating may differ from what is expected. Chosen are, one after the other, the titles of the largest worth · (1 - the
largest cosine to those chosen before), at most one a franchise: what is rated by nobody, or alike by everybody, tells
little, and what is loved by the same people tells it twice (after Rashid et al. 2002, "Getting to know you", who take
ln n_i: of the first dozen somebody then knows one or two).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from malsugoi_assets.recommend.ratings import FloatArray, IntArray

_PRIOR_RATINGS = 10.0


def worth_asking(ratings: IntArray, variance: FloatArray) -> npt.NDArray[np.float64]:
    """`worth` of each title; `ratings`: how many it has, `variance`: theirs (population variance), both (n,)."""
    count = ratings.astype(np.float64)
    within = float((count * variance).sum() / max(count.sum(), 1))
    spread = np.sqrt((count * variance + _PRIOR_RATINGS * within) / (count + _PRIOR_RATINGS))
    return np.asarray(count * spread)


def choose_starters(
    worth: npt.NDArray[np.float64], vectors: FloatArray, franchise: IntArray, how_many: int
) -> list[int]:
    """Indexes of the titles to ask about, the most telling first, fewer where there are no more.

    `vectors`: (n, d), rows of length ≤ 1, whose products say how alike titles' audiences are; `franchise`: (n,).
    """
    left = np.ones(len(worth), dtype=np.float64)
    open_to = worth > 0
    chosen: list[int] = []
    while len(chosen) < how_many and open_to.any():
        best = int(np.argmax(np.where(open_to, worth * left, -np.inf)))
        chosen.append(best)
        left = np.minimum(left, 1 - np.clip(vectors @ vectors[best], 0, 1))
        open_to &= franchise != franchise[best]
    return chosen
