"""EASE: item weights in closed form from who lists what (Steck 2019, "Embarrassingly shallow autoencoders").

    B = I - P · diag(1 / diag(P)),   P = (XᵀX + λI)⁻¹

X is the list matrix: 1 = listed, 1 + `liked` where the user rated it `liked_from` or higher. A title's score is the
product of the user's row of X with B: with `liked` = 0, as the weights are stored, the plain sum of B[neighbour, title]
over the list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg import get_lapack_funcs

from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

_ROWS_AT_A_TIME = 512


class EaseSettings(BaseModel):
    """How EASE's weights are learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    liked: float = Field(0.0, ge=0, description="What a liked title counts more than one that is merely listed.")
    liked_from: float = Field(8.0, ge=1, le=10, description="The rating from which a title is liked.")
    ridge: float = Field(100.0, gt=0, description="λ: how strongly weights are drawn to zero.")
    max_titles: int = Field(8_000, ge=2, description="Only the most listed titles; memory grows with their square.")
    top_k: int = Field(200, ge=1, description="Weights kept a title, the strongest.")
    memory_gib: float = Field(8.0, gt=0, description="Memory that the dense matrices may take; checked beforehand.")


@dataclass(frozen=True)
class ItemWeights:
    """Parallel arrays: what `neighbour` on a list adds to the score of `item`; sorted by item and neighbour."""

    item: IntArray
    neighbour: IntArray
    weight: FloatArray


def ease_matrix(ratings: Ratings, settings: EaseSettings) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """The titles that have weights (indexes), and B over them: float32, row = neighbour, column = scored title.

    Raises MemoryError, before any work, where the matrices would not fit `settings.memory_gib`.
    """
    chosen = most_listed(ratings, settings.max_titles)
    need_memory("EASE", len(chosen), ease_memory_gib(len(chosen)), settings.memory_gib)
    return chosen, _weights(gram_of(ratings, chosen, settings.liked, settings.liked_from), settings)


def _weights(gram: FloatArray, settings: EaseSettings) -> FloatArray:
    """B from XᵀX; the inverse is taken in float64 up to 2,000 titles, in float32 beyond."""
    precision: type[np.floating] = np.float64 if len(gram) <= 2_000 else np.float32
    system: npt.NDArray[np.floating] = gram.astype(precision)
    system[np.diag_indices(len(gram))] += settings.ridge
    inverse = _inverse(system)
    weights = -inverse / np.diag(inverse)
    weights[np.diag_indices(len(gram))] = 0.0
    return weights.astype(np.float32)


def _inverse(system: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The inverse of a positive definite matrix, by Cholesky's factor: half of what a general inverse takes.

    `system` is overwritten.
    """
    if not len(system):
        return system
    potrf, potri = get_lapack_funcs(("potrf", "potri"), (system,))
    # The matrix is symmetric: its transpose is itself in the order that LAPACK wants.
    factor, failed = potrf(system.T, lower=1, clean=0, overwrite_a=1)
    lower, failed_too = potri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise np.linalg.LinAlgError("the Gram matrix with its ridge is not positive definite; raise `ridge`")
    for start in range(0, len(lower), _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        lower[:start, rows] = lower[rows, :start].T
        block = lower[rows, rows]
        block[...] = np.tril(block) + np.tril(block, -1).T
    inverse: npt.NDArray[np.floating] = lower
    return inverse


def ease_top_weights(ratings: Ratings, settings: EaseSettings | None = None) -> ItemWeights:
    """The strongest `top_k` weights of each scored title, by size; ties go to the lower index."""
    settings = settings or EaseSettings()
    return _top(*ease_matrix(ratings, settings), settings)


def ease_top_of(chosen: npt.NDArray[np.int64], gram: FloatArray, settings: EaseSettings) -> ItemWeights:
    """As `ease_top_weights`, of XᵀX over the `chosen` titles."""
    return _top(chosen, _weights(gram, settings), settings)


def _top(chosen: npt.NDArray[np.int64], weights: FloatArray, settings: EaseSettings) -> ItemWeights:
    by_title = np.ascontiguousarray(weights.T)
    row, column = _strongest(by_title, settings.top_k)
    value = by_title[row, column]
    kept = value != 0
    return ItemWeights(
        chosen[row[kept]].astype(np.int32), chosen[column[kept]].astype(np.int32), value[kept].astype(np.float32)
    )


def _strongest(weights: FloatArray, most: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of the `most` largest of each row by size, ties to the lower column; sorted by both.

    By partition, some rows at a time: sorting 8,000 rows of 8,000 took a tenth of all of EASE.
    """
    most = min(most, weights.shape[1])
    rows, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(weights) if most else 0, _ROWS_AT_A_TIME):
        size = np.abs(weights[start : start + _ROWS_AT_A_TIME])
        least = np.partition(size, -most, axis=1)[:, -most, None]
        is_above, is_least = size > least, size == least
        room = most - is_above.sum(axis=1, keepdims=True)
        row, column = np.nonzero(is_above | (is_least & (is_least.cumsum(axis=1, dtype=np.int32) <= room)))
        rows.append(row + start)
        columns.append(column)
    return np.concatenate(rows), np.concatenate(columns)


def most_listed(ratings: Ratings, most: int) -> npt.NDArray[np.int64]:
    """Indexes of the listed titles, only the `most` that stand on the most lists, ascending."""
    return most_of(np.bincount(ratings.item, minlength=ratings.n_items), most)


def most_of(counts: npt.NDArray[np.integer], most: int) -> npt.NDArray[np.int64]:
    """Indexes of the `most` largest of the counts above 0, ascending; ties go to the lower index."""
    chosen = np.sort(np.argsort(-counts, kind="stable")[:most])
    return chosen[counts[chosen] > 0]


def gram_of(ratings: Ratings, chosen: npt.NDArray[np.int64], liked: float, liked_from: float) -> FloatArray:
    """XᵀX over the chosen titles, float32."""
    from malsugoi_assets.recommend.co_listing import co_listed  # compiled code takes a moment to load

    return co_listed(ratings, chosen, liked, liked_from)


def preferences(ratings: Ratings, liked: float, liked_from: float) -> sp.csr_matrix:
    """X: CSR float32 (n_users, n_items)."""
    value = np.where(np.nan_to_num(ratings.rating) >= liked_from, 1 + liked, 1)
    shape = (ratings.n_users, ratings.n_items)
    return sp.csr_matrix((value.astype(np.float32), (ratings.user, ratings.item)), shape=shape)


def ease_memory_gib(n_titles: int) -> float:
    """What EASE over so many titles needs: four dense matrices, float64 up to 2,000 titles, float32 beyond."""
    return 4 * n_titles**2 * (8 if n_titles <= 2_000 else 4) / 2**30


def need_memory(what: str, n_titles: int, needed_gib: float, allowed_gib: float) -> None:
    """Raise MemoryError where dense matrices over the titles are more than is allowed."""
    if needed_gib > allowed_gib:
        raise MemoryError(
            f"{what} over {n_titles:,} titles needs {needed_gib:.1f} GiB, {allowed_gib:g} are allowed: "
            "raise `memory_gib` or lower `max_titles`"
        )


class ListRanker:
    """Ranks users by the sum of their lists' weights: what `Ease` and `Slim` share once their weights are learnt."""

    _lists: sp.csr_matrix | None = None

    def keep(self, lists: sp.csr_matrix, titles: npt.NDArray[np.int64], weights: FloatArray | sp.csr_matrix) -> None:
        """`lists`: X; `weights`: over `titles`, row = neighbour, column = scored title."""
        self._lists, self._titles, self._weights = lists, titles, weights

    def scores(self, users: IntArray) -> FloatArray:
        """Scores over all titles, float32 (len(users), n_items); titles without weights score 0."""
        if self._lists is None:
            raise RuntimeError("fit() comes before scores()")
        lists = self._lists[users]
        found = lists[:, self._titles] @ self._weights
        result = np.zeros(lists.shape, dtype=np.float32)
        result[:, self._titles] = found.toarray() if sp.issparse(found) else found
        return result


class Ease(ListRanker):
    """The model `ease`: ranks by the full weights; by default a liked title counts twice, in learning and in scoring.

    The stored weights are sums over plain lists and do without: liked titles in learning alone rank worse.
    """

    def __init__(self, seed: int = 0, settings: EaseSettings | None = None) -> None:
        self.settings = settings or EaseSettings(liked=1.0, ridge=200.0)

    def fit(self, ratings: Ratings, items: Items) -> Ease:
        """Learn from the listings in `ratings`; nothing is random."""
        lists = preferences(ratings, self.settings.liked, self.settings.liked_from)
        self.keep(lists, *ease_matrix(ratings, self.settings))
        return self
