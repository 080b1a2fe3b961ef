"""Item-item similarity: the centred cosine of two titles' ratings, shrunk by how many users rated both.

    s(i, j) = n_ij / (n_ij + shrinkage) · Σ_u (r_ui - m_i)(r_uj - m_j) / (‖r_i - m_i‖ · ‖r_j - m_j‖)

The sum runs over the n_ij users who rated both, m_i is the title's mean and the norms run over all of its raters
(Sarwar et al. 2001, "Item-based collaborative filtering recommendation algorithms", with the title's mean in the
place of the user's, as the original project's text describes; shrinkage: Bell and Koren 2007). A title whose
ratings are all alike has no direction: it has no neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings


class SimilaritySettings(BaseModel):
    """How similar titles are found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    neighbours: int = Field(100, ge=1, le=2_000, description="Neighbours kept a title, the most similar.")
    shrinkage: float = Field(20.0, ge=0, description="Co-raters at which a similarity is halved.")
    min_support: int = Field(3, ge=1, description="Co-raters below which two titles are no neighbours.")
    block: int = Field(512, ge=1, description="Titles worked on at a time; changes memory, never the result.")


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


def similar_titles(ratings: Ratings, settings: SimilaritySettings | None = None) -> Neighbours:
    """The `settings.neighbours` most similar titles of each title, those with a positive similarity.

    Exact; ties go to the lower index; the result does not depend on threads, block size or the order of the rows.
    """
    settings = settings or SimilaritySettings()
    centred = _centred(ratings)
    rated = ratings.rated_matrix.astype(bool).astype(np.int32).tocsc()
    columns = centred.tocsc()
    by_user = centred.tocsr()
    counts_by_user = rated.tocsr()
    parts = []
    for start in range(0, ratings.n_items, settings.block):
        stop = min(start + settings.block, ratings.n_items)
        dots = (columns[:, start:stop].T.tocsr() @ by_user).tocsr()
        support = (rated[:, start:stop].T.tocsr() @ counts_by_user).tocsr()
        parts.append(_strongest(start, stop, dots, support, settings))
    item, neighbour, rank, similarity, common = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Neighbours(
        item.astype(np.int32),
        neighbour.astype(np.int32),
        rank.astype(np.int16),
        similarity.astype(np.float32),
        common.astype(np.int32),
    )


def _centred(ratings: Ratings) -> sp.csr_matrix:
    """CSR float64 (n_users, n_items): ratings less their title's mean, each column of length one (or absent)."""
    rated = ratings.rated
    count = np.bincount(rated.item, minlength=ratings.n_items)
    total = np.bincount(rated.item, weights=rated.rating, minlength=ratings.n_items)
    mean = total / np.maximum(count, 1)
    values = rated.rating.astype(np.float64) - mean[rated.item]
    norm = np.sqrt(np.bincount(rated.item, weights=values**2, minlength=ratings.n_items))
    # Ratings that are all alike leave rounding dust, not a direction.
    flat = norm < 1e-6 * np.sqrt(np.maximum(count, 1))
    values = np.where(flat[rated.item], 0.0, values / np.where(flat, 1.0, norm)[rated.item])
    return sp.csr_matrix((values, (rated.user, rated.item)), shape=(ratings.n_users, ratings.n_items))


def _strongest(
    start: int, stop: int, dots: sp.csr_matrix, support: sp.csr_matrix, settings: SimilaritySettings
) -> tuple[npt.NDArray[np.generic], ...]:
    """The strongest neighbours of the titles start…stop-1: item, neighbour, rank, similarity, support."""
    rows: list[tuple[npt.NDArray[np.generic], ...]] = []
    dense_dots, dense_support = dots.toarray(), support.toarray()
    for offset in range(stop - start):
        n = dense_support[offset]
        shrunk = dense_dots[offset] * (n / (n + settings.shrinkage + (n == 0)))
        shrunk[(n < settings.min_support)] = 0.0
        shrunk[start + offset] = 0.0
        # Rounded before they are compared, so that ties are ties whatever the order of summation was.
        shrunk = np.round(shrunk, 9)
        found = np.flatnonzero(shrunk > 0)
        best = found[np.argsort(-shrunk[found], kind="stable")[: settings.neighbours]]
        rows.append(
            (
                np.full(len(best), start + offset),
                best,
                np.arange(1, len(best) + 1),
                np.minimum(shrunk[best], 1),
                n[best],
            )
        )
    return tuple(np.concatenate(column) for column in zip(*rows, strict=True))
