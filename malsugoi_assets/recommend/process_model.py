"""The model `gp`: the Gaussian process' own predictions, without a network on top."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.content import encode, learn_code
from malsugoi_assets.recommend.features import Catalogue, Inputs, learn_catalogue, pair_inputs
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.likeness import learn_likeness
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings


class ProcessModelSettings(BaseModel):
    """What bounds the cost; the kernels' weights stand in `gaussian_process` and `user_kernel`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding_size: int = Field(64, ge=2, le=512, description="Width of the co-listing embedding of the titles.")
    max_history: int = Field(800, ge=10, description="Rated titles of one user that the process solves for.")
    most_joint: int = Field(
        1_000_000, ge=0, description="Ratings beyond which no process over all users is solved, only one a user."
    )


class GaussianProcess:
    """Predicts the posterior mean; needs each user's own rows and no training a user."""

    def __init__(self, settings: ProcessModelSettings | None = None, seed: int = 0) -> None:
        self.settings = settings or ProcessModelSettings()
        self.seed = seed
        self._catalogue: Catalogue | None = None
        self._ratings: Ratings | None = None

    def fit(self, ratings: Ratings, items: Items) -> GaussianProcess:
        """Learn from `ratings`, the unrated rows too; the seed is the embedding's."""
        settings = self.settings
        self._catalogue = learn_catalogue(
            ratings,
            encode(items, learn_code(items)),
            learn_likeness(items),
            embedding_size=settings.embedding_size,
            max_history=settings.max_history,
            joint=0 < len(ratings.rated) <= settings.most_joint,
            seed=self.seed,
            threads=available_threads(),
        )
        self._ratings = ratings
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings, float32 in [1, 10], one a pair of the fitted users and titles."""
        return self._inputs(user, item).base.clip(1, 10)

    def _inputs(self, user: IntArray, item: IntArray) -> Inputs:
        if self._catalogue is None or self._ratings is None:
            raise RuntimeError("fit() comes before predict()")
        threads = available_threads()
        return pair_inputs(
            self._catalogue,
            self._ratings,
            np.asarray(user, dtype=np.int32),
            np.asarray(item, dtype=np.int32),
            self.settings.max_history,
            threads,
        )
