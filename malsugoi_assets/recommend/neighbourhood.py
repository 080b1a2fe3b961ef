"""Rating prediction from the user's own ratings of similar titles.

    r̂(u, i) = b(u, i) + Σ_j s_ij (r_uj - b(u, j)) / (λ + Σ_j s_ij),   b(u, i) = μ + b_i + b_u

over the neighbours j of i that u rated (Koren 2010, "Factor in the neighbors"); λ draws thin evidence towards the
baseline. The ranking `score` is the prediction less a margin for what is not known:

    score = r̂ - margin · (1/√(1 + support) + 1/√(1 + ratings_i / 10)) / 2

since ordering by r̂ alone puts titles with a single 10 first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.baselines import BiasSettings, fit_title_bias, shrunk_means
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.joint import JointNeighbourhood, JointSettings
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.similarity import Neighbours, SimilaritySettings, similar_titles

_USERS_AT_A_TIME = 256
_PAIRS_AT_A_TIME = 20_000


class PredictionSettings(BaseModel):
    """How ratings are predicted from neighbours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    evidence: float = Field(
        0.5, gt=0, description="λ: the sum of similarities at which a neighbour residual counts half."
    )
    margin: float = Field(1.0, ge=0, description="Points taken off the score of a title of which nothing is known.")
    top_n: int = Field(100, ge=1, le=10_000, description="Titles kept a user.")
    user_shrinkage: float = Field(5.0, ge=0, description="Ratings at which a user's own level counts half.")
    title_shrinkage: float = Field(5.0, ge=0, description="Ratings at which a title's own level counts half.")
    most_joint: int = Field(
        10_000_000, ge=0, description="Ratings of all users beyond which the similarity table predicts alone."
    )


@dataclass(frozen=True)
class TitleBaselines:
    """One entry a title: how many ratings, their mean (NaN = none), the shrunk mean, the bias; and the global mean."""

    ratings: IntArray
    mean: FloatArray
    shrunk_mean: FloatArray
    bias: FloatArray
    global_mean: float


@dataclass(frozen=True)
class TopTitles:
    """Parallel arrays, sorted by user and rank (1 = the best, by score)."""

    user: IntArray
    item: IntArray
    rank: npt.NDArray[np.int16]
    score: FloatArray
    predicted_rating: FloatArray
    support: IntArray


def title_baselines(ratings: Ratings, settings: PredictionSettings | None = None) -> TitleBaselines:
    """The titles' part of the baseline, by ridge regression of user and title offsets."""
    return title_baselines_of([ratings], ratings.n_items, settings)


def title_baselines_of(
    parts: Iterable[Ratings], n_items: int, settings: PredictionSettings | None = None
) -> TitleBaselines:
    """As `title_baselines`, from ratings that come some users at a time."""
    settings = settings or PredictionSettings()
    pulls = BiasSettings(user_pull=settings.user_shrinkage, item_pull=settings.title_shrinkage)
    sums = fit_title_bias(parts, n_items, pulls)
    count, total, mu, bias = sums.count, sums.total, sums.mu, sums.bias
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    shrunk = (total + settings.title_shrinkage * mu) / np.maximum(count + settings.title_shrinkage, 1e-9)
    return TitleBaselines(
        count.astype(np.int32), mean.astype(np.float32), shrunk.astype(np.float32), bias.astype(np.float32), mu
    )


@dataclass(frozen=True)
class _Block:
    """Predictions of some users for every title: arrays (len(users), n_items), and their ranking scores."""

    users: npt.NDArray[np.int64]
    predicted: FloatArray
    support: IntArray
    score: FloatArray


class Spread:
    """The similarity table by the title that is rated: CSR, row = neighbour j, column = title i, value = s_ij."""

    def __init__(self, neighbours: Neighbours, n_items: int) -> None:
        self.matrix = neighbours.matrix(n_items).T.tocsr()
        self.arrays = (self.matrix.indptr, self.matrix.indices, self.matrix.data)


class Predictor:
    """Predicts for the users of `history`, whose titles are numbered like those of baselines and neighbours."""

    def __init__(
        self,
        history: Ratings,
        baselines: TitleBaselines,
        neighbours: Neighbours | Spread,
        settings: PredictionSettings,
        threads: int | None = None,
    ) -> None:
        self._history = history
        self.n_items = history.n_items
        self.spread = neighbours if isinstance(neighbours, Spread) else Spread(neighbours, history.n_items)
        self.baselines = baselines
        self.settings = settings
        self._threads = threads or available_threads()
        rated = history.rated
        above = rated.rating.astype(np.float64) - baselines.global_mean - baselines.bias[rated.item]
        self.user_bias = shrunk_means(rated.user, above, history.n_users, 0.0, settings.user_shrinkage).astype(
            np.float32
        )
        order = np.lexsort((rated.item, rated.user))
        user, self._item = rated.user[order], rated.item[order]
        self._residual = above[order].astype(np.float32) - self.user_bias[user]
        self._starts = np.searchsorted(user, np.arange(history.n_users + 1))

    def sums_of(self, user: int) -> tuple[FloatArray, FloatArray, IntArray]:
        """For every title Σ weight · residual, Σ weight and the number of the user's rated neighbours, (n_items,) each."""
        from malsugoi_assets.recommend.prediction_kernels import sums_over_neighbours

        mine = slice(self._starts[user], self._starts[user + 1])
        sums = np.empty((self.n_items, 4), dtype=np.float32)
        sums_over_neighbours(self._item[mine], self._residual[mine], *self.spread.arrays, sums)
        pull, total, support = np.ascontiguousarray(sums.T)[:3]
        return pull, total, support.astype(np.int32)

    @property
    def base(self) -> FloatArray:
        """What a title is rated by somebody of average level, float32 (n_items,)."""
        return (self.baselines.global_mean + self.baselines.bias).astype(np.float32)

    @property
    def _arrays(self) -> tuple[object, ...]:
        """What the kernels take, but the users."""
        margin, evidence = np.float32(self.settings.margin), np.float32(self.settings.evidence)
        unknown = (1 / np.sqrt(1 + self.baselines.ratings / 10)).astype(np.float32)
        mine = (self._starts, self._item, self._residual, self.user_bias)
        return (*mine, *self.spread.arrays, self.base, evidence, unknown, margin)

    def blocks(self, users: npt.NDArray[np.integer] | None = None) -> Iterator[_Block]:
        """Predictions for every title, some users at a time."""
        from malsugoi_assets.recommend.compiled import on_threads, threads_for  # compiled code takes a moment to load
        from malsugoi_assets.recommend.prediction_kernels import predict_users

        wanted = np.arange(self._history.n_users) if users is None else np.asarray(users, dtype=np.int64)
        arrays = self._arrays
        for start in range(0, len(wanted), _USERS_AT_A_TIME):
            some = wanted[start : start + _USERS_AT_A_TIME]
            shape = (len(some), self.n_items)
            made = (np.empty(shape, np.float32), np.empty(shape, np.int32), np.empty(shape, np.float32))
            threads = min(self._threads, len(some), threads_for(len(some)))
            on_threads(lambda t: predict_users(np.arange(t, len(some), threads), some, *arrays, *made), threads)  # noqa: B023
            yield _Block(some, *made)

    def top(self, most: int) -> tuple[IntArray, IntArray, FloatArray, FloatArray, IntArray]:
        """For each user the number found, and (n_users, most) titles, scores, predicted ratings and supports.

        The best first, by score, ties to the lower index; only titles with ratings, none that the history lists.
        """
        from malsugoi_assets.recommend.compiled import on_threads  # compiled code takes a moment to load
        from malsugoi_assets.recommend.prediction_kernels import top_of_users

        n = self._history.n_users
        shape = (n, min(most, self.n_items))
        size, item, support = np.zeros(n, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        score, predicted = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        found = (size, item, score, predicted, support)
        by_user = np.argsort(self._history.user, kind="stable")
        listed = self._history.item[by_user]
        starts = np.searchsorted(self._history.user[by_user], np.arange(n + 1))
        is_candidate, arrays = self.baselines.ratings > 0, self._arrays
        threads = max(1, min(self._threads, n))
        on_threads(
            lambda t: top_of_users(np.arange(t, n, threads), *arrays, starts, listed, is_candidate, *found),
            threads,
        )
        return found

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings, float32 in [1, 10], one a pair."""
        result = np.empty(len(user), dtype=np.float32)
        order = np.argsort(user, kind="stable")
        for block in self.blocks(np.unique(user)):
            first, last = np.searchsorted(user[order], [block.users[0], block.users[-1] + 1])
            rows = order[first:last]
            result[rows] = block.predicted[np.searchsorted(block.users, user[rows]), item[rows]]
        return result

    def support(self, user: IntArray, item: IntArray) -> IntArray:
        """How many of each title's neighbours in the similarity table the user rated, int32, one a pair."""
        pattern = (self.spread.matrix > 0).astype(np.float32).tocsc()
        ones, shape = np.ones(len(self._item), np.float32), (self._history.n_users, self.n_items)
        rated = sp.csr_matrix((ones, self._item, self._starts), shape=shape)
        counts = np.empty(len(user), dtype=np.int32)
        for start in range(0, len(user), _PAIRS_AT_A_TIME):
            some = slice(start, start + _PAIRS_AT_A_TIME)
            both = rated[user[some]].multiply(pattern[:, item[some]].T)
            counts[some] = np.asarray(both.sum(axis=1)).ravel()
        return counts


def predict_top(
    history: Ratings,
    baselines: TitleBaselines,
    neighbours: Neighbours | Spread,
    settings: PredictionSettings | None = None,
    better: Callable[[IntArray, IntArray], FloatArray] | None = None,
) -> TopTitles:
    """Each user's best titles by score, without those in `history` (leave planned rows out to have them back).

    Only titles with ratings are candidates; ties go to the lower index. `better` predicts the ratings of given
    (user, item) pairs anew, say `JointNeighbourhood.predict`: it is asked for twice `top_n` titles a user, and
    score and rank follow its answer.
    """
    settings = settings or PredictionSettings()
    predictor = Predictor(history, baselines, neighbours, settings)
    size, item, score, predicted, support = predictor.top(settings.top_n if better is None else 2 * settings.top_n)
    kept = np.arange(item.shape[1]) < size[:, None]
    user = np.repeat(np.arange(history.n_users, dtype=np.int32), size)
    item, score, predicted, support = item[kept], score[kept], predicted[kept], support[kept]
    if better is not None:
        shift = better(user, item) - predicted
        score, predicted = score + shift, predicted + shift
        order = np.lexsort((item, -score, user))
        order = order[_places(user) < settings.top_n]
        user, item, support = user[order], item[order], support[order]
        score, predicted = score[order], predicted[order]
    return TopTitles(user, item, (_places(user) + 1).astype(np.int16), score, predicted, support)


def _places(user: IntArray) -> npt.NDArray[np.int64]:
    """0, 1, … within each user; users stand together."""
    return np.arange(len(user)) - np.searchsorted(user, user)


class ItemNeighbourhood:
    """The model `cf`: ratings from the whole list and titles' effects (`joint`), ranking by the similarity table's scores.

    With more ratings than `settings.most_joint` the similarity table predicts alone.
    """

    def __init__(
        self,
        settings: PredictionSettings | None = None,
        similarity: SimilaritySettings | None = None,
        seed: int = 0,
        joint: JointSettings | None = None,
    ) -> None:
        self.settings = settings or PredictionSettings()
        self.similarity = similarity or SimilaritySettings()
        self.joint = JointNeighbourhood(joint, seed)
        self._predictor: Predictor | None = None
        self._is_joint = False

    def fit(self, ratings: Ratings, items: Items) -> ItemNeighbourhood:
        """Learn from the rows of `ratings`, the unrated ones too, and from what `items` says of the titles."""
        baselines = title_baselines(ratings, self.settings)
        neighbours = similar_titles(ratings, self.similarity)
        self._predictor = Predictor(ratings, baselines, neighbours, self.settings)
        self._is_joint = 0 < len(ratings.rated) <= self.settings.most_joint
        if self._is_joint:
            self.joint.fit(ratings, items, neighbours)
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings, float32 in [1, 10], one a pair of the fitted users and titles."""
        predictor = self._fitted()
        return self.joint.predict(user, item) if self._is_joint else predictor.predict(user, item)

    def predict_with_deviation(self, user: IntArray, item: IntArray) -> tuple[FloatArray, FloatArray]:
        """As `predict`, with the ratings' standard deviations around it; NaN where the similarity table predicts."""
        if self._fitted() and self._is_joint:
            return self.joint.predict_with_deviation(user, item)
        return self.predict(user, item), np.full(len(user), np.nan, dtype=np.float32)

    def support(self, user: IntArray, item: IntArray) -> IntArray:
        """How many of each title's neighbours in the similarity table the user rated, int32, one a pair."""
        return self._fitted().support(user, item)

    def scores(self, users: IntArray) -> FloatArray:
        """Ranking scores over all titles, float32 (len(users), n_items)."""
        predictor = self._fitted()
        empty = [np.empty((0, predictor.n_items), dtype=np.float32)]
        return np.concatenate(empty + [block.score for block in predictor.blocks(users)])

    def _fitted(self) -> Predictor:
        if self._predictor is None:
            raise RuntimeError("fit() comes before predict() and scores()")
        return self._predictor
