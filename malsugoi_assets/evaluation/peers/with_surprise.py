"""Peers from scikit-surprise (Hug, JOSS 2020): neighbours over baselines, SVD and SVD++."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
import surprise

from malsugoi_assets.evaluation.peers.peer import RatingPeer, Setting
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import IntArray, Ratings


class _Surprise(RatingPeer):
    """An algorithm of surprise behind `learn` and `answer`; our indexes are its raw ids."""

    def make(self, setting: Setting) -> Any:
        """The algorithm, not fitted."""
        raise NotImplementedError

    def learn(self, ratings: Ratings, items: Items, setting: Setting) -> Any:
        """Fit on the rated rows."""
        rated = ratings.rated
        rows = pl.DataFrame({"u": rated.user, "i": rated.item, "r": rated.rating.astype(np.float64)}).to_pandas()
        data = surprise.Dataset.load_from_df(rows, surprise.Reader(rating_scale=(1, 10)))
        return self.make(setting).fit(data.build_full_trainset())

    def answer(self, learnt: Any, user: IntArray, item: IntArray) -> npt.NDArray[np.float64]:
        """One `predict` a pair; surprise falls back to its baseline by itself."""
        return np.array([learnt.predict(u, i).est for u, i in zip(user.tolist(), item.tolist(), strict=True)])


class SurpriseKnn(_Surprise):
    """`KNNBaseline`: neighbours of the title (or of the user) around Koren's baselines."""

    grid: ClassVar[tuple[Setting, ...]] = (
        {"user_based": False, "k": 40},
        {"user_based": True, "k": 40},
        {"user_based": False, "k": 80},
    )

    def make(self, setting: Setting) -> Any:
        """Pearson over baselines with its own shrinkage of 100."""
        options = {"name": "pearson_baseline", "user_based": setting["user_based"]}
        return surprise.KNNBaseline(k=setting["k"], sim_options=options, verbose=False)

    def memory(self, ratings: Ratings) -> float:
        """Five dense matrices of eight bytes over titles (or users), and the result."""
        return 48.0 * max(ratings.n_items, ratings.n_users) ** 2


class SurpriseSvd(_Surprise):
    """`SVD`: biased matrix factorisation by stochastic gradient descent."""

    grid: ClassVar[tuple[Setting, ...]] = (
        {"n_factors": 100, "n_epochs": 20, "reg_all": 0.02},
        {"n_factors": 100, "n_epochs": 40, "reg_all": 0.1},
        {"n_factors": 20, "n_epochs": 40, "reg_all": 0.1},
    )

    def make(self, setting: Setting) -> Any:
        """Seeded."""
        return surprise.SVD(random_state=self.seed, **setting)

    def memory(self, ratings: Ratings) -> float:
        """Factors of eight bytes."""
        return 16.0 * 100 * (ratings.n_items + ratings.n_users)


class SurpriseSvdPlusPlus(_Surprise):
    """`SVDpp`: SVD with what a user has rated as a second source (Koren 2008)."""

    grid: ClassVar[tuple[Setting, ...]] = (
        {"n_factors": 20, "n_epochs": 20, "reg_all": 0.02},
        {"n_factors": 20, "n_epochs": 30, "reg_all": 0.1},
    )

    def make(self, setting: Setting) -> Any:
        """Seeded; with the titles' implicit factors kept while a user's rows are learnt, which is quicker."""
        return surprise.SVDpp(random_state=self.seed, cache_ratings=True, **setting)

    def memory(self, ratings: Ratings) -> float:
        """Factors of eight bytes, and the cached lists."""
        return 16.0 * 20 * (2 * ratings.n_items + ratings.n_users) + 100.0 * len(ratings)
