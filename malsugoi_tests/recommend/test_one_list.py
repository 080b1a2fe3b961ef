"""What is remembered of a list changes no answer, and is worked out once."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.recommend import one_list
from malsugoi_assets.recommend.one_list import OneListsScorer, for_one_list
from malsugoi_assets.recommend.ranking import LearntOrder, RankingSettings, learn_order
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

ITEMS, RATINGS = small_items(), small_ratings(30)
SETTINGS = [
    RecommendationSettings(length=length, least_score=least) for length in (3, 8) for least in (None, 6.5, 7.0)
]


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    order = learn_order(RATINGS, ITEMS, RankingSettings(epochs=1, members=1, hides=1, least_ratings=2), 0)
    none = {"anime_id": pl.Int32(), "neighbour_id": pl.Int32(), "weight": pl.Float32()}
    listed = pl.DataFrame(schema={"anime_id": pl.Int32(), "lists": pl.UInt32()})
    features = ITEMS.features.with_columns(
        pl.col("anime_id").cast(pl.Int32),
        status=pl.lit("Finished Airing"),
        aired_from=pl.lit(None, dtype=pl.Date),
        synonyms=pl.lit([], dtype=pl.List(pl.String)),
    )
    ids = np.asarray(ITEMS.anime_id, dtype=np.int32)
    return Recommender(pl.DataFrame(schema=none), features, ITEMS.relations, listed, (order, ids))


def asked(recommender: Recommender, settings: RecommendationSettings) -> pl.DataFrame:
    mine = RATINGS.user == 0
    rows = pl.DataFrame(
        {
            "username": ["me"] * int(mine.sum()),
            "anime_id": ITEMS.anime_id[RATINGS.item[mine]].astype(np.int32),
            "title": ["x"] * int(mine.sum()),
            "score": pl.Series(RATINGS.rating[mine], nan_to_null=True).cast(pl.Int8),
            "status": ["completed"] * int(mine.sum()),
        }
    )
    return recommender.recommend(rows, lambda pairs: pl.Series([7.0] * pairs.height), settings)


def check_same(one: pl.DataFrame, other: pl.DataFrame) -> None:
    """Products are added up in another order where fewer lists are scored together: the last digits differ."""
    assert one["anime_id"].to_list() == other["anime_id"].to_list()
    np.testing.assert_allclose(one["score"], other["score"], atol=1e-4)
    for mine, theirs in zip(one["because"], other["because"], strict=True):
        assert {reason["anime_id"] for reason in mine} == {reason["anime_id"] for reason in theirs}


def test_the_answers_are_the_same(recommender: Recommender) -> None:
    own = for_one_list(recommender)
    for settings in (*SETTINGS, *SETTINGS):
        check_same(asked(own, settings), asked(recommender, settings))


def test_each_list_is_scored_once(recommender: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[int] = []
    whole, parts = LearntOrder.scores, LearntOrder.scores_without

    def counting(self: Any, lists: Any, users: Any) -> Any:
        scored.append(len(users))
        return whole(self, lists, users)

    def counting_parts(self: Any, lists: Any, missing: Any, item: Any) -> Any:
        scored.append(len(missing))
        return parts(self, lists, missing, item)

    monkeypatch.setattr(LearntOrder, "scores", counting)
    monkeypatch.setattr(LearntOrder, "scores_without", counting_parts)
    own = for_one_list(recommender)
    asked(own, SETTINGS[0])
    before = sum(scored)
    asked(own, SETTINGS[0])
    assert before > 0
    assert sum(scored) == before


def test_titles_that_other_settings_bring_up_have_their_reasons_too(recommender: Recommender) -> None:
    own = for_one_list(recommender)
    for settings in (SETTINGS[0], SETTINGS[-1], RecommendationSettings(length=12), SETTINGS[0]):
        check_same(asked(own, settings), asked(recommender, settings))


def test_no_more_is_kept_than_is_said(recommender: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_list, "KEPT_LISTS", 3)
    own = for_one_list(recommender)
    for settings in SETTINGS:
        check_same(asked(own, settings), asked(recommender, settings))
    scorer = own.scorer(pl.DataFrame(), SETTINGS[0])
    assert isinstance(scorer, OneListsScorer)
    assert len(scorer.without) <= 3


def test_what_counts_and_who_is_shunned_follow_the_settings(recommender: Recommender) -> None:
    own = for_one_list(recommender)
    for floor, forgiving in ((6, False), (8, False), (8, True), (6, True), (6, False)):
        settings = RecommendationSettings(
            length=5, likes_only=True, liked_from=floor, low_score=floor, forgiving=forgiving
        )
        check_same(asked(own, settings), asked(recommender, settings))
        check_same(asked(own, SETTINGS[0]), asked(recommender, SETTINGS[0]))
