"""Titles like another one: what each part adds, worked out by hand, and who is never named."""

from __future__ import annotations

from math import log
from typing import Any

import polars as pl
import pytest

from malsugoi_assets.recommend.similar import SimilarSettings, SimilarTitles
from malsugoi_tests.recommend.frames import relations_frame

TV, G, R, RX = "TV", "G - All Ages", "R - 17+", "Rx - Hentai"
NOTHING: dict[str, float] = dict.fromkeys(("listing", "words", "members", "type", "age"), 0.0)


def features(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """From (anime_id, title, type, age_rating, genres, members)."""
    columns = ("anime_id", "title", "type", "age_rating", "genres", "members")
    unknown = ("score", "popularity", "episodes", "scored_by", "favorites")
    return pl.DataFrame(
        list(rows),
        schema=dict(
            zip(
                columns,
                (pl.Int32, pl.String, pl.String, pl.String, pl.List(pl.String), pl.Int32),
                strict=True,
            )
        ),
        orient="row",
    ).with_columns(
        *(pl.lit(None, pl.Float64).alias(name) for name in unknown),
        title_english=pl.lit(None, pl.String),
        title_japanese=pl.lit(None, pl.String),
        synonyms=pl.lit([], pl.List(pl.String)),
        aired_from=pl.date(2000, 1, pl.col("anime_id") % 28 + 1),
    )


def known(rows: dict[int, tuple[int, list[float]]]) -> pl.DataFrame:
    """From anime_id → (ratings, listing)."""
    return pl.DataFrame(
        [(anime_id, ratings, listing) for anime_id, (ratings, listing) in rows.items()],
        schema={"anime_id": pl.Int32, "ratings": pl.Int32, "listing": pl.List(pl.Float32)},
        orient="row",
    )


NOBODY = known({})
WORLD = features(
    (1, "A", TV, G, ["Rare", "Common"], 100),
    (2, "B", TV, R, ["Rare", "Common"], 100),
    (3, "C", "Movie", G, ["Common"], 100),
    (4, "D", "Movie", R, ["Other"], 10_000),
)


def like(world: pl.DataFrame = WORLD, of: int = 1, lists: pl.DataFrame = NOBODY, **weights: float) -> list[int]:
    titles = SimilarTitles(world, relations_frame([]), lists, SimilarSettings(**{**NOTHING, **weights}))
    return [title.anime_id for title in titles.like(of, 10)]


def test_each_part_by_itself_orders_the_titles() -> None:
    lists = known({1: (900, [1, 0]), 2: (900, [0, 1]), 3: (900, [0.6, 0.8]), 4: (900, [0.8, 0.6])})
    assert like(lists=lists, listing=1) == [4, 3, 2]
    assert like(words=1) == [2, 3, 4]
    assert like(members=1)[0] == 4
    assert like(type=1)[0] == 2
    assert like(age=1)[0] == 3


def test_similarity_is_the_share_of_the_whole_and_what_is_in_common_is_named_rarest_first() -> None:
    settings = SimilarSettings(listing=0, words=2, members=0.1, type=1, age=1)
    best = SimilarTitles(WORLD, relations_frame([]), NOBODY, settings).like(1, 1)[0]
    # The same words (2 of 2) and type (1 of 1), another age rating (0 of 1).
    assert best.anime_id == 2
    assert best.similarity == pytest.approx(3 / 4)
    assert best.score == pytest.approx(3 + 0.1 * log(101), rel=1e-6)
    assert best.in_common == ("Rare", "Common")


def test_a_title_that_nobody_rated_stands_where_its_series_stands() -> None:
    """3 is the second part of 1 and has no ratings: it is like 2 as its first part is."""
    world = features(
        (1, "First", TV, G, [], 9), (2, "Near", TV, G, [], 9), (3, "Second", TV, G, [], 9), (4, "Far", TV, G, [], 9)
    )
    lists = known({1: (500, [1, 0]), 2: (500, [0.9, 0.1]), 4: (500, [0, 1])})
    titles = SimilarTitles(
        world, relations_frame([(3, "Prequel", "anime", 1)]), lists, SimilarSettings(**{**NOTHING, "listing": 1.0})
    )
    assert [title.anime_id for title in titles.like(3, 10)] == [2, 4]


def test_a_title_that_nobody_rated_stands_among_its_like() -> None:
    kinds = [(i, f"t{i}", TV, G, ["Loud" if i % 2 else "Quiet"], 9) for i in range(1, 42)]
    lists = known({i: (50, [1, 0] if i % 2 else [0, 1]) for i in range(1, 41)})
    found = like(features(*kinds), 41, lists, listing=1)
    assert all(anime_id % 2 for anime_id in found)


def test_own_series_recaps_adult_and_untitled_ones_are_not_named_and_one_stands_for_a_franchise() -> None:
    world = features(
        (1, "Asked", TV, G, [], 50),
        (2, "Its sequel", TV, G, [], 90),
        (3, "Other", TV, G, [], 80),
        (4, "Other 2", TV, G, [], 70),
        (5, "Other, again", TV, G, [], 60),
        (6, "Adult", "OVA", RX, [], 99),
        (7, None, TV, G, [], 99),
        (8, "Song", "Music", G, [], 99),
    )
    relations = relations_frame(
        [(1, "Sequel", "anime", 2), (4, "Prequel", "anime", 3), (5, "Full story", "anime", 3)]
    )
    titles = SimilarTitles(world, relations, NOBODY)
    assert [title.anime_id for title in titles.like(1, 10)] == [3]
    assert [title.anime_id for title in titles.like(1, 10, own_franchise=True)] == [2, 3, 4]
    assert titles.own_franchise(1) == [2]
    assert titles.own_franchise(6) == []
    assert {title.anime_id for title in titles.like(6, 10)} == {2, 3}


def test_what_is_called_the_same_and_somehow_related_is_of_the_own_series() -> None:
    """ "Other" ties whole worlds together, but with the name it is another part: Gintama and its Shinyaku Benizakura-hen."""
    world = features(
        (1, "Samurai", TV, G, ["Rare"], 90),
        (2, "Samurai: Y-hen", "Special", G, ["Rare"], 80),
        (3, "Samurai Movie 1: Z", "Movie", G, ["Rare"], 70),
        (4, "Samurai Seed", TV, G, ["Rare"], 60),
    )
    relations = relations_frame([(3, "Other", "anime", 2), (1, "Sequel", "anime", 3), (1, "Other", "anime", 4)])
    titles = SimilarTitles(world, relations, NOBODY)
    assert titles.own_franchise(1) == [2, 3]
    assert [title.anime_id for title in titles.like(1, 10)] == [4]


def test_the_best_known_part_up_to_the_title_stands_for_its_series() -> None:
    """The second season fits best; the film before the first season is hardly known; the first season is shown."""
    world = features(
        (1, "Asked", TV, G, ["Rare"], 10),
        (2, "First season", TV, G, ["Common"], 900),
        (3, "Second season", TV, G, ["Rare"], 500),
        (4, "A film before", "Movie", G, ["Common"], 20),
    )
    relations = relations_frame([(3, "Prequel", "anime", 2), (2, "Prequel", "anime", 4)])
    settings = SimilarSettings(**{**NOTHING, "words": 1.0})
    titles = SimilarTitles(world, relations, NOBODY, settings)
    assert [title.anime_id for title in titles.like(1, 10)] == [2]


def test_a_title_that_is_not_there_is_like_none() -> None:
    assert like(of=99, words=1) == []
