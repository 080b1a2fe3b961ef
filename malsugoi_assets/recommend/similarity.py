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
    Memory: 16 bytes a title and title of a block, and the pairs that a block's titles share raters with.
    """
    settings = settings or SimilaritySettings()
    centred = _centred(ratings)
    raters = sp.csr_matrix(
        (np.ones(len(centred.data), dtype=np.int32), centred.indices, centred.indptr), shape=centred.shape
    )
    centred_by_title, raters_by_title = centred.T.tocsr(), raters.T.tocsr()
    parts = [_NONE]
    for start in range(0, ratings.n_items, settings.block):
        stop = min(start + settings.block, ratings.n_items)
        dots = (centred_by_title[start:stop] @ centred).toarray()
        support = (raters_by_title[start:stop] @ raters).tocoo()
        parts.append(_strongest(start, dots, support, settings))
    item, neighbour, rank, similarity, common = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Neighbours(
        item.astype(np.int32),
        neighbour.astype(np.int32),
        rank.astype(np.int16),
        similarity.astype(np.float32),
        common.astype(np.int32),
    )


def _centred(ratings: Ratings) -> sp.csr_matrix:
    """CSR float64 (n_users, n_items): ratings less their title's mean, each column of length one (or zero).

    Every rating keeps its entry, also where it is its title's mean. Σr and Σr² are exact sums of whole numbers, so
    means, lengths and "all alike" do not depend on the order of the rows.
    """
    rated = ratings.rated
    value = rated.rating.astype(np.float64)
    count = np.bincount(rated.item, minlength=ratings.n_items).astype(np.float64)
    total = np.bincount(rated.item, weights=value, minlength=ratings.n_items)
    squares = np.bincount(rated.item, weights=value**2, minlength=ratings.n_items)
    many = np.maximum(count, 1)
    mean = total / many
    variation = (count * squares - total**2) / many
    # Whole numbers give an exact 0 here; other ratings that are all alike leave rounding dust.
    flat = variation <= 1e-10 * np.maximum(squares, 1)
    length = np.sqrt(np.where(flat, 1.0, variation))
    centred = np.where(flat[rated.item], 0.0, (value - mean[rated.item]) / length[rated.item])
    order = np.lexsort((rated.item, rated.user))
    starts = np.concatenate([[0], np.cumsum(np.bincount(rated.user, minlength=ratings.n_users))])
    return sp.csr_matrix((centred[order], rated.item[order], starts), shape=(ratings.n_users, ratings.n_items))


_Columns = tuple[npt.NDArray[np.generic], ...]
_NONE: _Columns = tuple(np.empty(0) for _ in range(5))


def _strongest(
    start: int, dots: npt.NDArray[np.float64], support: sp.coo_matrix, settings: SimilaritySettings
) -> _Columns:
    """The strongest neighbours of the titles start, start + 1, …: item, neighbour, rank, similarity, support."""
    enough = (support.data >= settings.min_support) & (support.row + start != support.col)
    row, column, common = support.row[enough], support.col[enough], support.data[enough]
    # Rounded before they are compared, so that ties are ties whatever the order of summation was.
    shrunk = np.round(dots[row, column] * (common / (common + settings.shrinkage)), 9)
    found = np.flatnonzero(shrunk > 0)
    if len(found) > 2 * settings.neighbours * len(dots):
        # Most pairs are too weak to be kept: sorting is for the others.
        strength = np.zeros(dots.shape)
        strength[row[found], column[found]] = shrunk[found]
        cut = dots.shape[1] - settings.neighbours
        found = found[shrunk[found] >= np.partition(strength, cut, axis=1)[row[found], cut]]
    found = found[np.lexsort((column[found], -shrunk[found], row[found]))]
    row, column, common, shrunk = row[found], column[found], common[found], shrunk[found]
    first = np.searchsorted(row, row)
    rank = np.arange(len(row)) - first + 1
    kept = rank <= settings.neighbours
    return (row[kept] + start, column[kept], rank[kept], np.minimum(shrunk[kept], 1), common[kept])
