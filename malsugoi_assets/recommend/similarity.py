"""Item-item similarity: the centred cosine of two titles' ratings, shrunk by how many users rated both.

    s(i, j) = n_ij / (n_ij + shrinkage) · Σ_u (r_ui - m_i)(r_uj - m_j) / (‖r_i - m_i‖ · ‖r_j - m_j‖)

The sum runs over the n_ij users who rated both, m_i is the title's mean and the norms run over all of its raters
(Sarwar et al. 2001, "Item-based collaborative filtering recommendation algorithms", with the title's mean in the
place of the user's, as the original project's text describes; shrinkage: Bell and Koren 2007). A title whose
ratings are all alike has no direction: it has no neighbours.

Why not over the common raters only (Pearson's own norms): with two or three of them it is ±1 by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

if TYPE_CHECKING:
    from malsugoi_assets.recommend.strongest import Strongest


class SimilaritySettings(BaseModel):
    """How similar titles are found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    neighbours: int = Field(100, ge=1, le=2_000, description="Neighbours kept a title, the most similar.")
    shrinkage: float = Field(20.0, ge=0, description="Co-raters at which a similarity is halved.")
    min_support: int = Field(3, ge=1, description="Co-raters below which two titles are no neighbours.")
    memory_gib: float | None = Field(
        None,
        gt=0,
        description="Memory that counting may take, checked beforehand; four fifths of the machine by default.",
    )


@dataclass(frozen=True)
class Neighbours:
    """Parallel arrays, sorted by item and rank (1 = the most similar); `support` = users who rated both."""

    item: IntArray
    neighbour: IntArray
    rank: npt.NDArray[np.int16]
    similarity: FloatArray
    support: IntArray

    def matrix(self, n_items: int) -> sp.csr_matrix:
        """CSR float32 (n_items, n_items): row = item, column = neighbour, value = similarity."""
        return sp.csr_matrix((self.similarity, (self.item, self.neighbour)), shape=(n_items, n_items))


def similar_titles(
    ratings: Ratings, settings: SimilaritySettings | None = None, threads: int | None = None
) -> Neighbours:
    """The `settings.neighbours` most similar titles of each title, those with a positive similarity.

    Exact; ties go to the lower index; the result does not depend on threads or the order of the rows. `threads`:
    as many as the process may use by default. Memory: 12 bytes a rating, and 32 bytes a neighbour and thread.
    Raises ValueError where a rating is not a whole number from 1 to 10.
    """
    from malsugoi_assets.recommend import pairs  # compiled code takes a moment to load

    chosen = settings or SimilaritySettings()
    order = pairs.by_popularity(np.bincount(ratings.rated.item, minlength=ratings.n_items))
    layout = pairs.lay_out(pairs.lists_of(ratings, order), ratings.n_items)
    return as_neighbours(
        pairs.strongest_pairs(layout, order, chosen.neighbours, chosen.shrinkage, chosen.min_support, threads)
    )


def as_neighbours(found: Strongest) -> Neighbours:
    """The table's columns."""
    item = np.repeat(np.arange(len(found.size), dtype=np.int32), found.size)
    first = np.repeat(np.cumsum(found.size) - found.size, found.size)
    place = np.arange(len(item)) - first
    return Neighbours(
        item,
        found.partner[item, place],
        (place + 1).astype(np.int16),
        found.strength[item, place],
        found.support[item, place],
    )
