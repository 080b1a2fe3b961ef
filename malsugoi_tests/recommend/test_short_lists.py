"""Which settings left a list empty, and which ask for what no title's row says."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.short_lists import at_fault, goes_by_nothing, without_effect


def leaves_some(settings: RecommendationSettings) -> bool:
    """A world with one film that is planned, and one series that comes next."""
    film, series = not settings.next_in_series, not settings.only_planned
    return (film and settings.types in ((), ("Movie",))) or (series and settings.types in ((), ("TV",)))


@pytest.mark.parametrize(
    ("asked", "names", "each"),
    [
        ({"only_planned": True, "next_in_series": True}, ("only_planned", "next_in_series"), True),
        ({"only_planned": True, "types": ("TV",)}, ("only_planned", "types"), True),
        ({"types": ("OVA",), "genres": ("Drama",)}, ("types",), True),
        (
            {"only_planned": True, "next_in_series": True, "types": ("OVA",)},
            ("only_planned", "next_in_series", "types"),
            False,
        ),
    ],
)
def test_the_settings_without_which_there_would_be_titles_are_named(
    asked: dict[str, Any], names: tuple[str, ...], each: bool
) -> None:
    assert not leaves_some(RecommendationSettings(**asked))
    assert at_fault(leaves_some, RecommendationSettings(**asked)) == (names, each)


def test_where_there_is_nothing_at_all_no_setting_is_at_fault() -> None:
    nothing = at_fault(lambda _: False, RecommendationSettings(types=("TV",), only_planned=True))
    assert nothing == ((), False)
    assert at_fault(lambda _: False, RecommendationSettings()) == ((), False)


def test_a_filter_on_what_the_catalogue_says_of_no_title_is_named() -> None:
    """The catalogue of the 2016 and 2020 lists has no lengths: --most-minutes 3 went by in silence."""
    features = pl.DataFrame({"anime_id": [1], "episodes": [12], "episode_minutes": [None], "type": ["TV"]})
    settings = RecommendationSettings(most_minutes=3, most_hours=2, most_episodes=12, types=("TV",), least_score=8)
    assert without_effect(features, settings) == ["least_score", "most_minutes", "most_hours"]
    assert without_effect(features, RecommendationSettings()) == []


def test_a_list_of_one_score_and_no_reasons_goes_by_nothing() -> None:
    """Somebody whose titles are all newer than the models got popular ones without a word."""
    same = [{"score": -200.0, "because": []}, {"score": -200.0, "because": []}]
    assert goes_by_nothing(same)
    assert not goes_by_nothing([*same, {"score": 1.0, "because": []}])
    assert not goes_by_nothing([*same, {"score": -200.0, "because": [{"anime_id": 1}]}])
    assert not goes_by_nothing(same[:1])
    assert not goes_by_nothing([])
