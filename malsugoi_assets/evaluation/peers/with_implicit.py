"""Peers from implicit (Frederickson): ALS, BPR and nearest neighbours over lists."""

from __future__ import annotations

from typing import Any, ClassVar

import implicit.nearest_neighbours
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from malsugoi_assets.evaluation.metrics import RELEVANT
from malsugoi_assets.evaluation.peers.peer import RankingPeer, Setting
from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import IntArray, Ratings


def lists(ratings: Ratings, liked: float) -> sp.csr_matrix:
    """CSR float32 (n_users, n_items): 1 for what is listed, `liked` for what is rated 8 or more."""
    matrix = ratings.listed_matrix.copy()
    weight = np.where(ratings.rating >= RELEVANT, liked, 1.0).astype(np.float32)
    matrix = sp.csr_matrix((weight, (ratings.user, ratings.item)), shape=matrix.shape)
    matrix.sort_indices()
    return matrix


class _Factors(RankingPeer):
    """A factorisation: score = user factors · title factors."""

    def make(self, setting: Setting) -> Any:
        """The model, not fitted."""
        raise NotImplementedError

    def learn(self, ratings: Ratings, items: Items, setting: Setting) -> Any:
        """Fit on the lists; its own threads, and none beneath them."""
        with threadpool_limits(limits=1, user_api="blas"):
            model = self.make({name: value for name, value in setting.items() if name != "liked"})
            model.fit(lists(ratings, setting["liked"]), show_progress=False)
        return model

    def score(self, learnt: Any, users: IntArray) -> npt.NDArray[np.float32]:
        """The products."""
        return np.asarray(learnt.user_factors[users] @ learnt.item_factors.T)

    def memory(self, ratings: Ratings) -> float:
        """Factors, twice, and the lists."""
        return 1000.0 * (ratings.n_items + ratings.n_users) + 32.0 * len(ratings)


class ImplicitAls(_Factors):
    """Weighted alternating least squares (Hu, Koren, Volinsky 2008)."""

    grid: ClassVar[tuple[Setting, ...]] = (
        {"factors": 100, "regularization": 0.01, "alpha": 1.0, "liked": 1.0},
        {"factors": 64, "regularization": 5.0, "alpha": 5.0, "liked": 2.0},
        {"factors": 128, "regularization": 20.0, "alpha": 5.0, "liked": 2.0},
        {"factors": 128, "regularization": 60.0, "alpha": 10.0, "liked": 2.0},
    )

    def make(self, setting: Setting) -> Any:
        """Seeded."""
        return AlternatingLeastSquares(random_state=self.seed, num_threads=available_threads(), **setting)


class ImplicitBpr(_Factors):
    """Bayesian personalised ranking (Rendle et al. 2009). One thread: with more its sums hang on their order."""

    grid: ClassVar[tuple[Setting, ...]] = (
        {"factors": 100, "learning_rate": 0.01, "regularization": 0.01, "iterations": 100, "liked": 1.0},
        {"factors": 100, "learning_rate": 0.01, "regularization": 0.05, "iterations": 200, "liked": 1.0},
        {"factors": 32, "learning_rate": 0.01, "regularization": 0.05, "iterations": 100, "liked": 1.0},
    )

    def make(self, setting: Setting) -> Any:
        """Seeded."""
        return BayesianPersonalizedRanking(random_state=self.seed, num_threads=1, **setting)


class _Neighbours(RankingPeer):
    """Titles like those on the list: score = list · similarity."""

    recommender: ClassVar[Any]
    grid: ClassVar[tuple[Setting, ...]] = (
        {"K": 20, "liked": 1.0},
        {"K": 100, "liked": 1.0},
        {"K": 300, "liked": 2.0},
        {"K": 50, "liked": 2.0},
    )

    def learn(self, ratings: Ratings, items: Items, setting: Setting) -> Any:
        """The lists, and the K most similar titles of each."""
        matrix = lists(ratings, setting["liked"])
        model = self.recommender(K=setting["K"], num_threads=available_threads())
        model.fit(matrix, show_progress=False)
        return matrix, model.similarity

    def score(self, learnt: Any, users: IntArray) -> npt.NDArray[np.float64]:
        """The products, as implicit's own `recommend` has them."""
        matrix, similarity = learnt
        return np.asarray((matrix[users] @ similarity).toarray())

    def memory(self, ratings: Ratings) -> float:
        """K neighbours a title."""
        return 16.0 * 300 * ratings.n_items + 32.0 * len(ratings)


class ImplicitCosine(_Neighbours):
    """Cosine of the lists."""

    recommender = implicit.nearest_neighbours.CosineRecommender


class ImplicitBm25(_Neighbours):
    """Cosine of the lists under BM25 weights."""

    recommender = implicit.nearest_neighbours.BM25Recommender
