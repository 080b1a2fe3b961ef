"""Each setting of the list by itself: what it lets through, and what gives way where too little is left."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from malsugoi_assets.recommend.filters import Masks, allowed
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_tests.recommend.frames import lists_frame, recommend, relations_frame, weights_frame

FEATURES = pl.DataFrame(
    [
        (1, "Old Movie", "Movie", "Finished Airing", "PG-13 - Teens", ["Drama"], 8.0, 1, date(1988, 7, 1), 900),
        (2, "Series", "TV", "Finished Airing", "R - 17+", ["Action", "Drama"], 7.0, 24, date(2005, 4, 1), 800),
        (3, "Now", "TV", "Currently Airing", "G - All Ages", ["Comedy"], None, None, date(2024, 4, 1), 700),
        (4, "Soon", "TV", "Not yet aired", None, ["Action"], None, None, None, 600),
        (5, "Song", "Music", "Finished Airing", "G - All Ages", ["Music"], 7.5, 1, date(2015, 1, 1), 500),
        (6, "Adult", "OVA", "Finished Airing", "Rx - Hentai", ["Hentai"], 6.0, 2, date(2001, 1, 1), 400),
        (7, "Obscure", "OVA", "Finished Airing", None, [], 5.0, 6, None, 3),
        (8, None, "TV", "Finished Airing", None, ["Drama"], 9.0, 12, date(2010, 1, 1), 1000),
    ],
    schema={
        "anime_id": pl.Int32,
        "title": pl.String,
        "type": pl.String,
        "status": pl.String,
        "age_rating": pl.String,
        "genres": pl.List(pl.String),
        "score": pl.Float64,
        "episodes": pl.Int32,
        "aired_from": pl.Date,
        "members": pl.Int32,
    },
    orient="row",
).with_columns(episode_minutes=pl.Series([120.0, 24.0, 24.0, 24.0, 4.0, 30.0, 2.5, 24.0]))
USUAL = [1, 2, 3, 7]


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, USUAL),
        ({"types": ("movie",)}, [1]),
        ({"types": ("Music", "OVA")}, [5, 7]),
        ({"adult": True}, [1, 2, 3, 6, 7]),
        ({"states": ("upcoming",)}, [4]),
        ({"states": ("airing", "upcoming")}, [3, 4]),
        ({"ages": ("R", "G")}, [2, 3]),
        ({"ages": ("Rx",)}, [6]),
        ({"without_genres": ("drama",)}, [3, 7]),
        ({"genres": ("Drama",)}, [1, 2]),
        ({"genres": ("Drama", "action")}, [2]),
        ({"first_year": 2000}, [2, 3]),
        ({"last_year": 2000}, [1]),
        ({"first_year": 1988, "last_year": 1988}, [1]),
        ({"least_score": 7.5}, [1]),
        ({"least_members": 700}, [1, 2, 3]),
        ({"least_episodes": 6}, [2, 7]),
        ({"most_episodes": 1}, [1]),
        ({"least_minutes": 24}, [1, 2, 3]),
        ({"most_minutes": 24}, [2, 3, 7]),
        ({"least_minutes": 20, "most_minutes": 30}, [2, 3]),
        ({"least_hours": 2}, [1, 2]),
        ({"most_hours": 2}, [1, 7]),
        ({"most_hours": 1.5}, [7]),
    ],
)
def test_what_a_setting_lets_through(settings: dict[str, Any], left: list[int]) -> None:
    """Titles of which a value that is asked for is not known do not pass: "only titles with…" says so."""
    found = allowed(Masks(FEATURES), RecommendationSettings(**settings), frozenset())
    assert (found.strictly.nonzero()[0] + 1).tolist() == left


@pytest.mark.parametrize(("states", "passes"), [(None, True), (("upcoming",), False), (("airing",), False)])
def test_a_title_of_unknown_status_passes_only_where_no_status_is_asked_for(
    states: tuple[str, ...] | None, passes: bool
) -> None:
    """Half of what "upcoming" showed had aired years ago."""
    unknown = FEATURES.with_columns(
        status=pl.when(pl.col("anime_id") == 2).then(pl.lit(None, pl.String)).otherwise("status")
    )
    settings = RecommendationSettings(states=states) if states else RecommendationSettings()  # type: ignore[arg-type]
    assert allowed(Masks(unknown), settings, frozenset()).strictly[1] == passes
    of_none = FEATURES.with_columns(status=pl.lit(None, pl.String))
    assert allowed(Masks(of_none), settings, frozenset()).strictly[1]


RULING: list[dict[str, Any]] = [
    {},
    {"adult": True},
    {"recaps": True},
    {"states": ("airing",)},
    {"types": ("Music",)},
    {"ages": ("G", "Rx")},
    {"without_genres": ("Drama",)},
    {"least_score": 7.5, "types": ("TV",)},
]


def test_masks_that_serve_one_settings_after_another_say_of_each_what_they_would_alone() -> None:
    shared = Masks(FEATURES)
    for recaps in (frozenset[int](), frozenset({1})):
        for settings in (*RULING, *reversed(RULING)):
            wanted = RecommendationSettings(**settings)
            found, alone = (allowed(masks, wanted, recaps, frozenset({2})) for masks in (shared, Masks(FEATURES)))
            assert list(found.rules) == list(alone.rules)
            assert found.strictly.tolist() == alone.strictly.tolist()
            assert [found.against(place) for place in range(8)] == [alone.against(place) for place in range(8)]


def test_a_title_that_is_newer_than_the_catalogue_is_left_out_and_one_without_an_id_is_not() -> None:
    """Nobody knows whether it is a sequel. Titles of lists without ids have no catalogue row either, and are many."""
    names = pl.DataFrame(
        {"anime_id": [-5, 99], "title": ["Old, by name", "New, by id"]}, schema_overrides={"anime_id": pl.Int32}
    )
    more = pl.concat([FEATURES, names], how="diagonal")
    found = allowed(Masks(more), RecommendationSettings(), frozenset())
    ids = more["anime_id"].sort().to_numpy()
    assert ids[found.strictly].tolist() == [-5, *USUAL]
    assert found.against(len(ids) - 1) == ["the catalogue knows nothing of it but its name"]


def test_a_catalogue_of_names_alone_leaves_everything_in() -> None:
    bare = FEATURES.with_columns(
        *(
            pl.lit(None, FEATURES.schema[name]).alias(name)
            for name in FEATURES.columns
            if name not in ("anime_id", "title")
        )
    )
    found = allowed(Masks(bare), RecommendationSettings(), frozenset())
    assert (found.strictly.nonzero()[0] + 1).tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_only_titles_known_to_be_of_a_type_pass_where_types_are_asked_for() -> None:
    unknown = FEATURES.with_columns(type=pl.when(pl.col("anime_id") == 2).then(None).otherwise(pl.col("type")))
    found = allowed(Masks(unknown), RecommendationSettings(types=("TV", "Movie")), frozenset())
    assert (found.strictly.nonzero()[0] + 1).tolist() == [1, 3]


def test_a_catalogue_without_lengths_and_ages_lets_everything_through() -> None:
    wanted = RecommendationSettings(most_minutes=1, most_hours=1, ages=("G",))
    bare = FEATURES.drop("episode_minutes").with_columns(age_rating=pl.lit(None, pl.String))
    found = allowed(Masks(bare), wanted, frozenset())
    assert (found.strictly.nonzero()[0] + 1).tolist() == USUAL


@pytest.mark.parametrize("asked", ["Slice of Life", "slice_of_life", "SLICE-OF-LIFE"])
def test_a_genre_is_found_however_it_is_spelt(asked: str) -> None:
    features = FEATURES.with_columns(genres=pl.Series([["Slice of Life"], ["slice_of_life"], *[["Drama"]] * 6]))
    found = allowed(Masks(features), RecommendationSettings(genres=(asked,)), frozenset())
    assert (found.strictly.nonzero()[0] + 1).tolist() == [1, 2]


def test_recaps_and_unwanted_titles_are_out_and_it_says_why() -> None:
    found = allowed(Masks(FEATURES), RecommendationSettings(least_members=700), frozenset({1}), frozenset({2}))
    assert found.against(0) == ["it is a recap"]
    assert found.against(1) == ["you said that it does not interest you"]
    assert found.against(6) == ["fewer (or unknown) members than asked for"]
    assert found.against(7) == ["its title is not known"]
    assert allowed(Masks(FEATURES), RecommendationSettings(recaps=True), frozenset({1})).always[0]


def made(
    rows: list[tuple[int, int | None, str | None]], *weights: tuple[int, int, float], **settings: Any
) -> pl.DataFrame:
    return recommend(
        lists_frame([("a", *row) for row in rows]),
        weights_frame(weights),
        FEATURES,
        relations_frame([(3, "Prequel", "anime", 2)]),
        lambda pairs: pl.Series([7.0] * pairs.height),
        RecommendationSettings(**settings),
    )


def test_filters_give_way_one_after_the_other_until_the_list_is_full_and_each_row_says_which() -> None:
    wanted: dict[str, Any] = {"least_members": 850, "genres": ("Drama",)}
    found = made([(5, 8, "completed")], length=3, **wanted)
    # 1 fits; 2 has too few members; 7 has another genre, and too few members.
    assert found["anime_id"].to_list() == [1, 2, 7]
    assert found["gave_way"].to_list() == ["", "least_members", "genres"]
    assert made([(5, 8, "completed")], length=1, **wanted)["anime_id"].to_list() == [1]
    assert made([(5, 8, "completed")], types=("Movie",))["anime_id"].to_list() == [1]


def test_likes_only_leaves_out_what_was_disliked_or_dropped() -> None:
    rows = [(1, 5, "completed"), (5, None, "dropped"), (7, 9, "completed")]
    weights = [(2, 1, 0.5), (2, 5, 0.25), (2, 7, 0.125)]
    assert made(rows, *weights)["score"][0] == pytest.approx(0.875)
    assert made(rows, *weights, likes_only=True)["score"][0] == pytest.approx(0.125)


def test_the_dial_turns_from_the_popular_to_hidden_gems() -> None:
    rows = [(5, 8, "completed")]
    weights = [(1, 5, 0.5), (2, 5, 0.5), (7, 5, 0.49)]
    assert made(rows, *weights)["anime_id"].to_list()[:3] == [1, 2, 7]
    assert made(rows, *weights, gems=1.0)["anime_id"].to_list()[0] == 7
    assert made(rows, *weights, gems=-1.0)["anime_id"].to_list()[0] == 1


def test_where_nothing_speaks_for_anything_the_dial_brings_up_nothing_obscure() -> None:
    """A list of titles that no model knows: from 0.2 on what hardly anybody has seen came first."""
    for gems in (0.2, 0.9):
        assert made([(5, 8, "completed")], gems=gems)["anime_id"].to_list() == [1, 2, 7]


def test_diversity_puts_another_genre_before_more_of_the_same() -> None:
    rows = [(5, 8, "completed")]
    weights = [(1, 5, 0.5), (2, 5, 0.45), (7, 5, 0.44)]
    assert made(rows, *weights)["anime_id"].to_list()[:3] == [1, 2, 7]
    assert made(rows, *weights, diversity=1.0)["anime_id"].to_list()[:3] == [1, 7, 2]


def test_a_little_diversity_changes_little_where_scores_differ_much() -> None:
    """Over all titles scores spread more than among those at choice: a dial in those spreads knew only off and full."""
    rows = [(5, 8, "completed")]
    weights = [(1, 5, 9.0), (2, 5, 8.0), (7, 5, 1.0)]
    assert made(rows, *weights, diversity=0.2)["anime_id"].to_list()[:3] == [1, 2, 7]
    assert made(rows, *weights, diversity=1.0)["anime_id"].to_list()[:3] == [1, 7, 2]


def test_only_what_is_planned_in_the_best_order() -> None:
    rows = [(5, 8, "completed"), (1, None, "plan_to_watch"), (2, None, "plan_to_watch"), (3, None, "plan_to_watch")]
    found = made(rows, (2, 5, 0.5), (1, 5, 0.25), only_planned=True)
    # 3 follows 2, which is not seen: its place goes to 2.
    assert found["anime_id"].to_list() == [2, 1]


def test_next_in_series_is_what_follows_something_completed_and_liked() -> None:
    assert made([(2, 8, "completed"), (1, 9, "completed")], next_in_series=True)["anime_id"].to_list() == [3]
    assert made([(2, 3, "completed")], next_in_series=True).is_empty()
    assert made([(2, None, "on_hold")], next_in_series=True).is_empty()


def test_what_is_on_hold_does_not_open_its_sequel() -> None:
    assert 3 not in made([(2, None, "on_hold")])["anime_id"].to_list()
    assert 3 in made([(2, None, "watching")])["anime_id"].to_list()


@pytest.mark.parametrize("diversity", [0.0, 0.3])
def test_what_is_next_of_one_series_comes_as_it_aired_and_extras_last(diversity: float) -> None:
    year = {1: 2001, 2: 2004, 3: 2006, 4: 2003}
    features = pl.DataFrame(
        {
            "anime_id": pl.Series([1, 2, 3, 4], dtype=pl.Int32),
            "title": ["Series", "First Film", "Second Film", "An Extra"],
            "type": ["TV", "Movie", "Movie", "Special"],
            "status": ["Finished Airing"] * 4,
            "age_rating": [None] * 4,
            "genres": [[]] * 4,
            "members": [9, 8, 7, 6],
            "aired_from": [date(y, 1, 1) for y in year.values()],
        },
        schema_overrides={"age_rating": pl.String, "genres": pl.List(pl.String)},
    )
    found = recommend(
        lists_frame([("a", 1, 9, "completed")]),
        weights_frame([(4, 1, 3.0), (3, 1, 2.0), (2, 1, 1.0)]),
        features,
        relations_frame([(other, "Parent story", "anime", 1) for other in (2, 3, 4)]),
        lambda pairs: pl.Series([7.0] * pairs.height),
        RecommendationSettings(next_in_series=True, per_franchise=3, diversity=diversity),
    )
    assert found["anime_id"].to_list() == [2, 3, 4]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"first_year": 2020, "last_year": 2010}, "the first year (2020) is after the last (2010)"),
        ({"least_episodes": 13, "most_episodes": 12}, "the fewest episodes (13) are more than the most (12)"),
        ({"least_minutes": 24.5, "most_minutes": 24}, "the fewest minutes (24.5) are more than the most (24)"),
        ({"least_hours": 2, "most_hours": 1.5}, "the fewest hours (2) are more than the most (1.5)"),
        ({"genres": ("Drama", "Sci-Fi"), "without_genres": ("sci_fi",)}, "Sci-Fi is asked for and to be avoided"),
    ],
)
def test_settings_that_no_title_can_fit_are_none(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        RecommendationSettings(**settings)


def test_equal_bounds_may_be_asked_for() -> None:
    RecommendationSettings(
        first_year=2020, last_year=2020, least_episodes=12, most_episodes=12, least_hours=3, most_hours=3
    )
