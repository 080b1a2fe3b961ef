"""What a model has to beat: predictions from means, offsets and counts, in closed form or a few sweeps.

What belongs here: models without neighbours, content or learning beyond one number a user and a title.
All of them follow the models' common face: `fit(ratings, items)`, then `predict(user, item)` (float32 ratings,
1-10) or `scores(users)` (float32 (n, n_items), higher = recommended earlier).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

Numbers = npt.NDArray[np.float64]
MIDDLE = 5.5


class BiasSettings(BaseModel, frozen=True, extra="forbid"):
    """How strongly offsets are pulled to zero, in ratings: an offset from n ratings is scaled by n / (n + pull)."""

    user_pull: float = Field(4.0, ge=0, description="Pull on a user's offset, in ratings")
    item_pull: float = Field(8.0, ge=0, description="Pull on a title's offset, in ratings")
    sweeps: int = Field(20, ge=1, le=1000, description="Rounds of the alternating solution; affects time")


@dataclass(frozen=True)
class BiasTerms:
    """mu + user_bias[u] + item_bias[i], in rating points; float64 (n_users,) and (n_items,)."""

    mu: float
    user_bias: Numbers
    item_bias: Numbers

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings of the pairs, clipped to 1-10."""
        return _as_ratings(self.mu + self.user_bias[user] + self.item_bias[item])


def global_mean(ratings: Ratings) -> float:
    """The mean of all ratings; the scale's middle where there is none."""
    rated = ratings.rated
    return float(rated.rating.mean(dtype=np.float64)) if len(rated) else MIDDLE


def shrunk_means(index: IntArray, value: Numbers, size: int, towards: float, pull: float) -> Numbers:
    """For each index (sum of its values + pull · towards) / (count + pull); `towards` where both are zero."""
    count = np.bincount(index, minlength=size).astype(np.float64)
    total = np.bincount(index, weights=value, minlength=size) + pull * towards
    weight = count + pull
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), towards)


def fit_bias(ratings: Ratings, settings: BiasSettings | None = None) -> BiasTerms:
    """Minimise Σ (r - mu - b_u - b_i)² + user_pull Σ b_u² + item_pull Σ b_i² by alternating exact solutions.

    Source: Koren, "Factorization meets the neighborhood" (KDD 2008), eq. 1-2. Unrated rows don't count.
    """
    settings = settings or BiasSettings()
    rated = ratings.rated
    mu = global_mean(ratings)
    above = rated.rating.astype(np.float64) - mu
    of_user, of_item = (
        np.bincount(i, above, n) for i, n in ((rated.user, ratings.n_users), (rated.item, ratings.n_items))
    )
    # Sums of the others' offsets are products with the pattern of who rated what: few passes over many ratings.
    pattern = ratings.rated_matrix.astype(np.float64)
    pattern.data[:] = 1
    users, items = np.diff(pattern.indptr), np.bincount(rated.item, minlength=ratings.n_items)
    user_bias, item_bias = np.zeros(ratings.n_users), np.zeros(ratings.n_items)
    for _ in range(settings.sweeps):
        before = user_bias
        item_bias = _shrunk(of_item - pattern.T @ user_bias, items, settings.item_pull)
        user_bias = _shrunk(of_user - pattern @ item_bias, users, settings.user_pull)
        if np.abs(user_bias - before).max(initial=0.0) < 1e-6:
            break
    return BiasTerms(mu, user_bias, item_bias)


def _shrunk(total: Numbers, count: npt.NDArray[np.integer], pull: float) -> Numbers:
    """Total over count + pull; 0 where both are zero."""
    weight = count + pull
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), 0.0)


class GlobalMean:
    """The model `global-mean`: the mean of all ratings for every pair."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, ratings: Ratings, items: Items) -> GlobalMean:
        """Take the mean."""
        self._mean = global_mean(ratings)
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """The same rating for every pair."""
        return np.full(len(user), self._mean, dtype=np.float32)


class ItemMean:
    """The model `item-mean`: a title's mean rating; one without ratings has the mean of all."""

    def __init__(self, seed: int = 0, pull: float = 0.0) -> None:
        self.seed = seed
        self.pull = pull

    def fit(self, ratings: Ratings, items: Items) -> ItemMean:
        """Take the means."""
        rated = ratings.rated
        value = rated.rating.astype(np.float64)
        self._means = shrunk_means(rated.item, value, ratings.n_items, global_mean(ratings), self.pull)
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Each title's mean."""
        return _as_ratings(self._means[item])


class UserMean:
    """The model `user-mean`: a user's mean rating; one without ratings has the mean of all."""

    def __init__(self, seed: int = 0, pull: float = 0.0) -> None:
        self.seed = seed
        self.pull = pull

    def fit(self, ratings: Ratings, items: Items) -> UserMean:
        """Take the means."""
        rated = ratings.rated
        value = rated.rating.astype(np.float64)
        self._means = shrunk_means(rated.user, value, ratings.n_users, global_mean(ratings), self.pull)
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Each user's mean."""
        return _as_ratings(self._means[user])


class MalScore:
    """The model `mal-score`: the site's mean score of a title plus how far the user's ratings lie from such scores.

    The offset is the shrunk mean of (rating - score). A title without a score stands with its shrunk mean here.
    """

    def __init__(self, seed: int = 0, user_pull: float = 3.0, item_pull: float = 3.0) -> None:
        self.seed = seed
        self.user_pull = user_pull
        self.item_pull = item_pull

    def fit(self, ratings: Ratings, items: Items) -> MalScore:
        """Take the scores and the users' offsets from them."""
        rated = ratings.rated
        value = rated.rating.astype(np.float64)
        own = shrunk_means(rated.item, value, ratings.n_items, global_mean(ratings), self.item_pull)
        score = items.features["score"].to_numpy().astype(np.float64)
        self._score = np.where(np.isnan(score), own, score)
        residual = value - self._score[rated.item]
        typical = float(residual.mean()) if len(residual) else 0.0
        self._offset = shrunk_means(rated.user, residual, ratings.n_users, typical, self.user_pull)
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Score plus offset."""
        return _as_ratings(self._score[item] + self._offset[user])


class Bias:
    """The model `bias`: `fit_bias` behind the models' common face."""

    def __init__(self, seed: int = 0, settings: BiasSettings | None = None) -> None:
        self.seed = seed
        self.settings = settings or BiasSettings()

    def fit(self, ratings: Ratings, items: Items) -> Bias:
        """Solve for the offsets."""
        self.terms = fit_bias(ratings, self.settings)
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Mean plus both offsets."""
        return self.terms.predict(user, item)


class Popularity:
    """The model `popularity`: titles in the order of how many users list them, the same for everybody."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, ratings: Ratings, items: Items) -> Popularity:
        """Count the listings, rated or not."""
        self._count = np.bincount(ratings.item, minlength=ratings.n_items).astype(np.float32)
        return self

    def scores(self, users: IntArray) -> FloatArray:
        """The counts, once a user."""
        return np.tile(self._count, (len(users), 1))


def _as_ratings(value: Numbers) -> FloatArray:
    return value.clip(1, 10).astype(np.float32)
