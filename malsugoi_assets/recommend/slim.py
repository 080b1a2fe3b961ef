"""SLIM: sparse, non-negative item weights from who lists what (Ning and Karypis 2011, "Sparse linear methods").

For each title i, over the other titles j that are listed together with it:

    minimise  ½ ‖x_i - X w‖² + ½ ridge ‖w‖² + lasso ‖w‖₁,   w ≥ 0, w_i = 0

X is the list matrix of `ease` (1 = listed, 1 + `liked` where rated `liked_from` or higher); a title's score is the
user's row of X times w. Solved by coordinate descent on XᵀX (Friedman, Hastie and Tibshirani 2010, section 2.2), which
meets each title's conditions of optimality to `tolerance`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.ease import ItemWeights, ListRanker, gram_of, most_listed, need_memory, preferences
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, Ratings


class SlimSettings(BaseModel):
    """How SLIM's weights are learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    liked: float = Field(0.0, ge=0, description="What a liked title counts more than one that is merely listed.")
    liked_from: float = Field(8.0, ge=1, le=10, description="The rating from which a title is liked.")
    lasso: float = Field(2.0, ge=0, description="λ₁: the larger, the fewer titles have a weight.")
    ridge: float = Field(20.0, ge=0, description="λ₂: how strongly weights are drawn to zero.")
    candidates: int = Field(
        400, ge=1, description="Titles that may have a weight for a title: its nearest by the cosine of the lists."
    )
    max_titles: int = Field(8_000, ge=2, description="Only the most listed titles; memory grows with their square.")
    sweeps: int = Field(60, ge=1, description="Rounds of coordinate descent a title, at most.")
    tolerance: float = Field(1e-3, gt=0, description="The change of a weight at which a title is settled.")
    memory_gib: float = Field(8.0, gt=0, description="Memory that the dense matrix may take; checked beforehand.")


def slim_matrix(
    ratings: Ratings, settings: SlimSettings, threads: int | None = None
) -> tuple[npt.NDArray[np.int64], sp.csr_matrix]:
    """The titles that have weights (indexes), and W over them: CSR float32, row = scored title, column = neighbour.

    Raises MemoryError, before any work, where XᵀX would not fit `settings.memory_gib`.
    """
    chosen = most_listed(ratings, settings.max_titles)
    need_memory("SLIM", len(chosen), slim_memory_gib(len(chosen)), settings.memory_gib)
    return chosen, _weights(gram_of(ratings, chosen, settings.liked, settings.liked_from), settings, threads)


def _weights(gram: FloatArray, settings: SlimSettings, threads: int | None = None) -> sp.csr_matrix:
    """W from XᵀX."""
    from malsugoi_assets.recommend.descent import sparse_columns  # compiled code takes a moment to load

    return sparse_columns(
        gram,
        settings.lasso,
        settings.ridge,
        settings.candidates,
        settings.sweeps,
        settings.tolerance,
        threads or available_threads(),
    )


def slim_memory_gib(n_titles: int) -> float:
    """What SLIM over so many titles needs: one dense float32 matrix."""
    return 4 * n_titles**2 / 2**30


def slim_top_weights(ratings: Ratings, settings: SlimSettings | None = None) -> ItemWeights:
    """Each scored title's weights; sorted by item and neighbour."""
    return _top(*slim_matrix(ratings, settings or SlimSettings()))


def slim_top_of(chosen: npt.NDArray[np.int64], gram: FloatArray, settings: SlimSettings) -> ItemWeights:
    """As `slim_top_weights`, of XᵀX over the `chosen` titles."""
    return _top(chosen, _weights(gram, settings))


def _top(chosen: npt.NDArray[np.int64], weights: sp.csr_matrix) -> ItemWeights:
    coo = weights.tocoo()
    return ItemWeights(
        chosen[coo.row].astype(np.int32), chosen[coo.col].astype(np.int32), coo.data.astype(np.float32)
    )


class Slim(ListRanker):
    """The model `slim`: ranks by the weights; by default a liked title counts half more, in learning and in scoring."""

    def __init__(self, seed: int = 0, settings: SlimSettings | None = None) -> None:
        self.settings = settings or SlimSettings(liked=0.5)

    def fit(self, ratings: Ratings, items: Items) -> Slim:
        """Learn from the listings in `ratings`; nothing is random."""
        titles, weights = slim_matrix(ratings, self.settings)
        self.keep(preferences(ratings, self.settings.liked, self.settings.liked_from), titles, weights.T.tocsr())
        return self
