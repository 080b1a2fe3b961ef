"""The pipeline's own hold-out: a fifth of each user's ratings, chosen by a hash of user and title, fixed for life.

A rating that is held out today is held out in every later build, so that builds can be compared on rows that none
of them ever saw. The choice depends on the two names alone: not on order, platform or what else there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from malsugoi_assets.evaluation.draws import name_draws, pair_draws
from malsugoi_assets.evaluation.judge_errors import error_segments, judge_errors, learnt_around
from malsugoi_assets.evaluation.judge_intervals import judge_intervals
from malsugoi_assets.evaluation.results import Mask, Result
from malsugoi_assets.recommend.items import Items, align_items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings, index_ratings

SHARE = 0.2
SEED = 0
PROTOCOL = "hold-out"


@dataclass(frozen=True)
class HoldOut:
    """`train`: every list row but the targets; `user`, `item`, `rating`: the targets, in the same indexes."""

    train: Ratings
    items: Items
    user: IntArray
    item: IntArray
    rating: FloatArray

    def judge(
        self,
        predicted: Mapping[str, FloatArray],
        seconds: Mapping[str, float] | None = None,
        marks: Mapping[str, Mask] | None = None,
    ) -> list[Result]:
        """Errors of each model's predictions (name → one a target) in every segment; `marks` are further segments."""
        segments = error_segments(*learnt_around(self.train, self.user, self.item), marks)
        return judge_errors(self.rating, self.user, predicted, segments, protocol=PROTOCOL, seconds=seconds)

    def judge_intervals(self, model: str, predicted: FloatArray, deviation: FloatArray) -> list[Result]:
        """How often the truth lies inside of the intervals that one model states, in every segment."""
        segments = error_segments(*learnt_around(self.train, self.user, self.item))
        return judge_intervals(self.rating, self.user, predicted, deviation, segments, model=model, protocol=PROTOCOL)

    def compared(self, predicted: Mapping[str, FloatArray]) -> Result:
        """The mean squared error of the first model over all targets, with its differences to the others."""
        every = {"all": np.ones(len(self.user), dtype=np.bool_)}
        return judge_errors(self.rating, self.user, predicted, every, protocol=PROTOCOL)[0]


def hold_out(lists: pl.DataFrame, features: pl.DataFrame, relations: pl.DataFrame) -> HoldOut:
    """Split list rows (`username`, `anime_id`, `score`); a target's own listing is not learnt from."""
    ratings, index = index_ratings(lists)
    users, titles = name_draws(index.usernames, SEED), name_draws(index.anime_ids, SEED)
    target = ratings.is_rated & (pair_draws(users, ratings.user, titles, ratings.item) < int(SHARE * 2**64))
    held = ratings.take(target)
    items = align_items(index.anime_ids, features, relations)
    return HoldOut(ratings.take(~target), items, held.user, held.item, held.rating)
