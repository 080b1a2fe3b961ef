"""What a list says is the same whether it stands alone, where it is read row by row, or among thousands."""

from __future__ import annotations

from itertools import product

import polars as pl
import pytest

from malsugoi_assets.recommend import people as module
from malsugoi_assets.recommend.franchises import Franchises, learn_franchises
from malsugoi_assets.recommend.people import counting, people
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_tests.recommend.frames import lists_frame, relations_frame

STATUSES = (None, "completed", "watching", "on_hold", "dropped", "plan_to_watch")
ROWS = [
    (user, 100 - number, score, status)
    for user in ("b", "a")
    for number, (score, status) in enumerate(product((None, 2, 5, 6, 9), STATUSES))
]


def no_franchises() -> Franchises:
    """Every title for itself."""
    features = pl.DataFrame(
        schema={"anime_id": pl.Int32, "title": pl.String, "type": pl.String, "aired_from": pl.Date}
    )
    return learn_franchises(features, relations_frame([]))


@pytest.mark.parametrize("likes_only", [False, True])
def test_few_rows_count_as_many_do(likes_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    lists, settings = lists_frame(ROWS), RecommendationSettings(likes_only=likes_only)
    few = counting(lists, settings)
    monkeypatch.setattr(module, "_FEW_ROWS", 0)
    assert few.equals(counting(lists, settings))
    # Of the 30 rows a user: without what is merely planned, and without what is disliked.
    assert few.height == 2 * (14 if likes_only else 29)


def test_few_lists_say_what_they_say_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    lists, settings, none = lists_frame(ROWS), RecommendationSettings(), no_franchises()
    few = list(people(lists, none, settings))
    monkeypatch.setattr(module, "_FEW_ROWS", 0)
    assert few == list(people(lists, none, settings))
    assert [person.username for person in few] == ["a", "b"]
    assert list(few[0].listed) == sorted(few[0].listed)
    assert few[0].planned == {95}


def test_an_empty_frame_is_nobody() -> None:
    assert not list(people(lists_frame([]), no_franchises(), RecommendationSettings()))
    assert counting(lists_frame([]), RecommendationSettings()).is_empty()
