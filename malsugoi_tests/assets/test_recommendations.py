"""Marks in the stored recommendations: what is seen or not wanted is gone, for those who said so and nobody else."""

from __future__ import annotations

import polars as pl

from malsugoi_assets.assets.recommendations import _recommended
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender
from malsugoi_tests.recommend.frames import lists_frame, relations_frame, weights_frame
from malsugoi_tests.recommend.test_filters import FEATURES

LISTS = lists_frame([("ann", 1, 8, "completed"), ("bea", 1, 8, "completed")])
WEIGHTS = weights_frame([(2, 1, 0.5), (7, 1, 0.4), (3, 2, 0.3)])
MARKS = {"username": pl.String, "anime_id": pl.Int32, "mark": pl.String}


def recommended(*said: tuple[str, int, str]) -> pl.DataFrame:
    listed = LISTS.group_by("anime_id").len("lists")
    recommender = Recommender(WEIGHTS, FEATURES, relations_frame([(3, "Prequel", "anime", 2)]), listed)
    return _recommended(
        recommender,
        LISTS,
        pl.DataFrame(list(said), schema=MARKS, orient="row"),
        FEATURES,
        lambda pairs: pl.Series([7.0] * pairs.height),
        RecommendationSettings(),
    )


def titles(found: pl.DataFrame, name: str) -> list[int]:
    return found.filter(username=name)["anime_id"].to_list()


def test_without_marks_it_is_what_the_recommender_says() -> None:
    found = recommended()
    assert titles(found, "ann") == titles(found, "bea") == [2, 7]


def test_what_is_not_wanted_is_gone_for_who_said_so() -> None:
    found = recommended(("ann", 2, "not interested"))
    assert titles(found, "ann") == [7]
    assert titles(found, "bea") == [2, 7]
    assert found["username"].to_list() == ["ann", "bea", "bea"]


def test_what_is_seen_opens_its_sequel_and_is_no_reason_since_it_is_on_no_list() -> None:
    found = recommended(("ann", 2, "seen"))
    assert titles(found, "ann") == [7, 3]
    because = found.filter(username="ann", anime_id=3)["because"].item()
    assert because.to_list() == []
    assert found.filter(username="ann", anime_id=7)["because"].item().to_list()[0]["anime_id"] == 1
