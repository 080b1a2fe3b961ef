"""The model `recommendations`: `ranking` after the rules of the list, so that what the rules cost can be measured.

What stands on a person's list comes first, in its order; everything else counts as not offered.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import polars as pl

from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.people import people
from malsugoi_assets.recommend.ranking import Ranking
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender, chosen_titles

_USERS_AT_A_TIME = 256


class Recommended:
    """Learns like `Ranking`; a user's scores are those of the places on the list, best first."""

    def __init__(self, seed: int = 0, settings: RecommendationSettings | None = None) -> None:
        self.settings = settings or RecommendationSettings()
        self.ranking = Ranking(seed)

    def fit(self, ratings: Ratings, items: Items) -> Self:
        """As `Ranking.fit`; titles that mean the same anime (a row each in `items`) are one on the list."""
        self.ranking.fit(ratings, items)
        self._ids = items.anime_id
        lists = pl.DataFrame(
            {
                "username": ratings.user,
                "anime_id": items.anime_id[ratings.item],
                "title": pl.Series([None] * len(ratings), dtype=pl.String),
                "score": pl.Series(ratings.rating, nan_to_null=True),
                "status": pl.Series([None] * len(ratings), dtype=pl.String),
            }
        ).with_columns(pl.col("username").cast(pl.String))
        features = items.features.with_columns(pl.Series("anime_id", items.anime_id)).unique("anime_id", keep="first")
        nothing = pl.DataFrame(schema={"anime_id": pl.Int32, "neighbour_id": pl.Int32, "weight": pl.Float32})
        listed = lists.group_by("anime_id").len("lists")
        self._titles = Recommender(nothing, features, items.relations, listed).titles(self.settings)
        self._people = {int(p.username): p for p in people(lists, self._titles.franchises, self.settings)}
        return self

    def scores(self, users: IntArray) -> FloatArray:
        """Float32 (len(users), n_items): length … 1 for what stands on the list, 0 for the rest."""
        place = np.searchsorted(self._titles.ids, self._ids)
        result = np.zeros((len(users), len(self._ids)), dtype=np.float32)
        for start in range(0, len(users), _USERS_AT_A_TIME):
            raw = self.ranking.scores(users[start : start + _USERS_AT_A_TIME])
            for row, own in enumerate(raw, start):
                person = self._people.get(int(users[row]))
                if person is None:
                    continue
                score = np.full(len(self._titles.ids), own.min(), dtype=np.float32)
                np.maximum.at(score, place, own)
                for rank, choice in enumerate(chosen_titles(person, score, self._titles, self.settings)):
                    same = np.flatnonzero(place == choice.place)
                    result[row, same[own[same].argmax()]] = self.settings.length - rank
        return result
