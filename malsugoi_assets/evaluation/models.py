"""What a model has to offer to be evaluated: one face for predicting ratings, one for ranking; either or both."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings


class Model(Protocol):
    """Anything that can be fitted; `ratings` are at once what is learnt from and the users' lists."""

    def fit(self, ratings: Ratings, items: Items) -> Any:
        """Learn; returns itself."""


@runtime_checkable
class PredictsRatings(Protocol):
    """Predicts ratings of pairs."""

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Ratings 1-10, finite, float32 (n,)."""


@runtime_checkable
class StatesDeviations(Protocol):
    """Predicts ratings and says how sure it is."""

    def predict_with_deviation(self, user: IntArray, item: IntArray) -> tuple[FloatArray, FloatArray]:
        """As `predict`, and the standard deviation of the rating around each, rating points; NaN = it does not say."""


@runtime_checkable
class SaysParts(Protocol):
    """Is made of parts that are models of their own: one training answers for all."""

    def parts_with_deviation(self, user: IntArray, item: IntArray) -> dict[str, tuple[FloatArray, FloatArray]]:
        """By name what each part would answer to `predict_with_deviation` (to `predict`: deviations NaN)."""


@runtime_checkable
class RanksTitles(Protocol):
    """Scores all titles for users of the fitted ratings."""

    def scores(self, users: IntArray) -> FloatArray:
        """Higher = earlier, float32 (len(users), n_items); titles on the list are scored too."""
