"""The collaborative filtering of the original project (MALSugoi, 2024), as it was published: the yardstick `cf-original`.

    s(i, j) = cosine of the titles' raw ratings over all users, 0 = not rated
    r̂(u, i) = Σ_j s(i, j) r_uj / Σ_j s(i, j)   over all titles j that u rated

Its text says "Pearson", but it divides each title's row by its mean, which a cosine does not see. Kept as it was, for
comparison only: what it recommends first are titles that one like-minded user gave a 10.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from malsugoi_assets.recommend.baselines import global_mean
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

_LARGEST_CATALOGUE = 20_000


def original_similarity(ratings: Ratings) -> npt.NDArray[np.float64]:
    """Plain cosine of the titles' raw ratings, (n_items, n_items); rows of titles without a rating are 0.

    Raises MemoryError, saying how much is needed, for more titles than the dense matrix is meant for.
    """
    if ratings.n_items > _LARGEST_CATALOGUE:
        needed = ratings.n_items**2 * 8 / 2**30
        raise MemoryError(
            f"the original's dense similarity of {ratings.n_items:,} titles needs {needed:.0f} GiB; "
            f"it is meant for at most {_LARGEST_CATALOGUE:,} titles: leave `cf-original` out"
        )
    rated = ratings.rated
    value = rated.rating.astype(np.float64)
    norm = np.sqrt(np.bincount(rated.item, weights=value**2, minlength=ratings.n_items))
    dense = np.zeros((ratings.n_items, ratings.n_users))
    dense[rated.item, rated.user] = value / norm[rated.item]
    return dense @ dense.T


class OriginalCf:
    """The model `cf-original`; where the formula has no answer (no rated title in common) the mean of all ratings."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._similarity: npt.NDArray[np.float64] | None = None

    def fit(self, ratings: Ratings, items: Items) -> Self:
        """Compute the similarities; nothing is random and nothing of `items` is used."""
        self._similarity = original_similarity(ratings)
        self._ratings = ratings.rated_matrix.astype(np.float64)
        self._mean = global_mean(ratings)
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings, float32 in [1, 10], one a pair."""
        result = np.empty(len(user), dtype=np.float64)
        order = np.argsort(user, kind="stable")
        people, first = np.unique(user[order], return_index=True)
        for person, pairs in zip(people, np.split(order, first[1:]), strict=len(people) > 0):
            result[pairs] = self.predict_for(int(person), item[pairs])
        return result.clip(1, 10).astype(np.float32)

    def scores(self, users: IntArray) -> FloatArray:
        """The predicted ratings of all titles, float32 (len(users), n_items): the original ranked by them."""
        every = np.arange(self._fitted().shape[0], dtype=np.int32)
        return np.stack([self.predict_for(int(user), every) for user in users]).astype(np.float32)

    def predict_for(self, user: int, item: IntArray) -> npt.NDArray[np.float64]:
        """One user's predictions of the titles `item`, float64 as the original computed them."""
        similarity = self._fitted()
        first, last = self._ratings.indptr[user], self._ratings.indptr[user + 1]
        among, rating = self._ratings.indices[first:last], self._ratings.data[first:last]
        near = similarity[np.ix_(item, among)]
        near[item[:, None] == among[None, :]] = 0
        weight = near.sum(axis=1)
        return np.where(weight > 0, near @ rating / np.where(weight > 0, weight, 1), self._mean)

    def _fitted(self) -> npt.NDArray[np.float64]:
        if self._similarity is None:
            raise RuntimeError("fit() comes before predict() and scores()")
        return self._similarity
