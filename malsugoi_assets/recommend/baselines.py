"""What a model has to beat: predictions from means, offsets and counts, in closed form or a few sweeps.

What belongs here: models without neighbours, content or learning beyond one number a user and a title.
All of them follow the models' common face: `fit(ratings, items)`, then `predict(user, item)` (float32 ratings,
1-10) or `scores(users)` (float32 (n, n_items), higher = recommended earlier).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    of_user, of_item = _sums(rated.user, above, ratings.n_users), _sums(rated.item, above, ratings.n_items)
    # Sums of the others' offsets are products with the pattern of who rated what: few passes over many ratings.
    pattern = ratings.rated_matrix.astype(np.float64)
    pattern.data[:] = 1
    users, items = np.diff(pattern.indptr), np.bincount(rated.item, minlength=ratings.n_items)
    return BiasTerms(
        mu,
        *_alternate(of_user, of_item, users, items, settings, lambda b: pattern.T @ b, lambda b: pattern @ b),
    )


@dataclass(frozen=True)
class TitleSums:
    """Of each title, how many ratings it has, their sum, and its offset; and the mean of all ratings."""

    count: npt.NDArray[np.int64]
    total: Numbers
    bias: Numbers
    mu: float


def fit_title_bias(parts: Iterable[Ratings], n_items: int, settings: BiasSettings | None = None) -> TitleSums:
    """The titles' part of `fit_bias` from ratings that come some users at a time: 4 bytes of each are kept."""
    settings = settings or BiasSettings()
    count, total = np.zeros(n_items, np.int64), np.zeros(n_items)
    kept = [_Part(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0))]
    for part in parts:
        rated = part.rated
        count += np.bincount(rated.item, minlength=n_items)
        total += _sums(rated.item, rated.rating, n_items)
        kept.append(_Part.of(rated))
    ratings = int(count.sum())
    mu = float(total.sum() / ratings) if ratings else MIDDLE
    users = np.concatenate([part.count for part in kept])
    of_user = np.concatenate([part.total for part in kept]) - mu * users
    ends = np.cumsum([len(part.count) for part in kept])

    def of_items(user_bias: Numbers) -> Numbers:
        each = zip(kept, np.split(user_bias, ends[:-1]), strict=True)
        return sum((_sums(part.item, np.repeat(b, part.count), n_items) for part, b in each), np.zeros(n_items))

    def of_users(item_bias: Numbers) -> Numbers:
        return np.concatenate([part.sums(item_bias) for part in kept])

    _, bias = _alternate(of_user, total - mu * count, users, count, settings, of_items, of_users)
    return TitleSums(count, total, bias, mu)


@dataclass(frozen=True)
class _Part:
    """Of some users who rated something the titles, by user, and how many they are and their ratings' sum."""

    item: IntArray
    count: npt.NDArray[np.int64]
    total: Numbers

    @classmethod
    def of(cls, rated: Ratings) -> _Part:
        count = np.bincount(rated.user, minlength=rated.n_users)
        total = _sums(rated.user, rated.rating, rated.n_users)
        by_user = rated.item if (np.diff(rated.user) >= 0).all() else rated.item[np.argsort(rated.user)]
        return cls(by_user, count[count > 0], total[count > 0])

    def sums(self, of_item: Numbers) -> Numbers:
        """Of each user, the sum over the titles."""
        starts = np.cumsum(self.count) - self.count
        return np.add.reduceat(of_item[self.item], starts) if len(starts) else np.empty(0)


def _alternate(
    of_user: Numbers,
    of_item: Numbers,
    users: npt.NDArray[np.integer],
    items: npt.NDArray[np.integer],
    settings: BiasSettings,
    to_items: Callable[[Numbers], Numbers],
    to_users: Callable[[Numbers], Numbers],
) -> tuple[Numbers, Numbers]:
    """The users' and the titles' offsets.

    `of_…`: sums of the ratings above the mean; `users`, `items`: how many ratings each has; `to_items`: of each title
    the sum of its raters' offsets; `to_users`: of each user the sum of the rated titles'.
    """
    user_bias, item_bias = np.zeros(len(of_user)), np.zeros(len(of_item))
    for _ in range(settings.sweeps):
        before = user_bias
        item_bias = _shrunk(of_item - to_items(user_bias), items, settings.item_pull)
        user_bias = _shrunk(of_user - to_users(item_bias), users, settings.user_pull)
        if np.abs(user_bias - before).max(initial=0.0) < 1e-6:
            break
    return user_bias, item_bias


def _sums(index: IntArray, value: Numbers | FloatArray, size: int) -> Numbers:
    """For each index the sum of its values."""
    return np.bincount(index, value, size).astype(np.float64, copy=False)


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
