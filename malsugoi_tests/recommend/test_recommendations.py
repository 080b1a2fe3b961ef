"""The list that a person sees: order, reasons, and what never stands on it."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from malsugoi_assets.recommend.franchises import learn_franchises
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_tests.recommend.frames import lists_frame, recommend, relations_frame, weights_frame

Row = tuple[int, str | None, str | None, str | None, int | None]
# id, title, type, age rating, members: a series (1 → 2 → 3, its recap 4, a special 5), singles, an adult title.
TITLES: list[Row] = [
    (1, "Series", "TV", "PG-13", 900),
    (2, "Series II", "TV", "PG-13", 800),
    (3, "Series III", "TV", "PG-13", 700),
    (4, "Series Recap", "Special", "PG-13", 600),
    (5, "Series Extra", "Special", "PG-13", 500),
    (10, "Single A", "Movie", "PG-13", 400),
    (11, "Single B", "TV", "R", 300),
    (12, "Single C", "TV", None, None),
    (13, "Adult", "OVA", "Rx - Hentai", 999),
    (14, None, "TV", "PG-13", 998),
]
RELATIONS = [
    (1, "Sequel", "anime", 2),
    (2, "Prequel", "anime", 1),
    (2, "Sequel", "anime", 3),
    (3, "Prequel", "anime", 2),
    (1, "Summary", "anime", 4),
    (4, "Full story", "anime", 1),
    (5, "Parent story", "anime", 1),
    (1, "Adaptation", "manga", 10),
]
ListRow = tuple[str, int, int | None, str | None]


def made(
    lists: list[ListRow],
    weights: list[tuple[int, int, float]] = (),  # type: ignore[assignment]
    *,
    titles: list[Row] = TITLES,
    relations: list[tuple[int, str, str, int]] = RELATIONS,
    **settings: Any,
) -> pl.DataFrame:
    features = pl.DataFrame(
        [(*row, "Finished Airing", [], None, None, None) for row in titles],
        schema={
            "anime_id": pl.Int32,
            "title": pl.String,
            "type": pl.String,
            "age_rating": pl.String,
            "members": pl.Int32,
            "status": pl.String,
            "genres": pl.List(pl.String),
            "score": pl.Float64,
            "episodes": pl.Int32,
            "aired_from": pl.Date,
        },
        orient="row",
    )
    return recommend(
        lists_frame(lists),
        weights_frame(weights),
        features,
        relations_frame(relations),
        lambda pairs: pl.Series([7.5] * pairs.height, dtype=pl.Float32),
        RecommendationSettings(**settings),
    )


def ids(frame: pl.DataFrame) -> list[int]:
    return frame.sort("username", "rank")["anime_id"].to_list()


def test_the_score_is_the_sum_of_weights_over_the_list_and_reasons_are_its_parts() -> None:
    frame = made(
        [("a", 1, 9, "completed"), ("a", 11, None, "watching")],
        [(10, 1, 0.5), (10, 11, 0.25), (12, 1, 0.9), (12, 11, -0.4)],
        length=2,
    )
    assert ids(frame) == [10, 12]
    assert frame["score"].to_list() == pytest.approx([0.75, 0.5])
    assert frame["because"][0].to_list() == [
        {"anime_id": 1, "title": "title 1", "weight": 0.5},
        {"anime_id": 11, "title": "title 11", "weight": 0.25},
    ]
    assert [reason["anime_id"] for reason in frame["because"][1]] == [1]
    assert frame["predicted_rating"].to_list() == [7.5, 7.5]
    assert frame["rank"].to_list() == [1, 2]


def test_listed_planned_adult_and_untitled_titles_are_left_out() -> None:
    frame = made([("a", 10, 8, "completed"), ("a", 11, None, "plan_to_watch")])
    assert ids(frame) == [1, 12]
    assert 11 in ids(made([("a", 10, 8, "completed"), ("a", 11, None, "plan_to_watch")], planned=True))
    assert 13 in ids(made([("a", 10, 8, "completed")], adult=True))


def test_a_planned_title_adds_nothing_to_the_scores() -> None:
    frame = made([("a", 10, 8, "completed"), ("a", 11, None, "plan_to_watch")], [(12, 11, 5.0)])
    assert frame["score"].to_list() == [0, 0]
    assert frame["because"].list.len().to_list() == [0, 0]


def test_in_place_of_a_sequel_stands_the_entry_of_its_franchise() -> None:
    assert ids(made([("a", 10, 8, "completed")], [(3, 10, 0.9)], length=1)) == [1]


def test_after_the_first_season_comes_the_second() -> None:
    assert ids(made([("a", 1, 8, "completed")], [(3, 1, 0.9)], length=1)) == [2]


def test_a_recap_or_special_needs_its_story_seen_and_stands_behind_other_franchises() -> None:
    unseen = made([("a", 10, 8, "completed")], [(4, 10, 0.9), (5, 10, 0.8)])
    assert not {4, 5} & set(ids(unseen))
    seen = [("a", i, 8, "completed") for i in (1, 2, 3)]
    assert set(ids(made(seen))) == {5, 10, 11, 12}
    assert {4, 5} <= set(ids(made(seen, recaps=True)))


def test_a_second_title_of_a_franchise_only_fills_up_what_would_stay_empty() -> None:
    lists: list[ListRow] = [("a", 1, 8, "completed")]
    weights = [(2, 1, 0.9), (5, 1, 0.8), (10, 1, 0.7), (11, 1, 0.6)]
    assert ids(made(lists, weights, length=3)) == [2, 10, 11]
    assert ids(made(lists, weights, length=3, per_franchise=2)) == [2, 5, 10]
    assert ids(made(lists, weights)) == [2, 10, 11, 12, 5]


def test_an_entry_point_stands_between_its_own_score_and_that_of_what_it_leads_to() -> None:
    """3 scores .9 and is not open, 1, with which one has to begin, .1: it stands at .66."""
    weights = [(3, 10, 0.9), (1, 10, 0.1), (11, 10, 0.7), (12, 10, 0.6)]
    assert ids(made([("a", 10, 8, "completed")], weights)) == [11, 1, 12]


def test_an_entry_point_that_scores_more_than_what_it_leads_to_keeps_its_place() -> None:
    weights = [(3, 10, 0.1), (1, 10, 0.9), (11, 10, 0.6)]
    assert ids(made([("a", 10, 8, "completed")], weights)) == [1, 11, 12]


@pytest.mark.parametrize("row", [("a", 1, None, "dropped"), ("a", 1, 3, "completed")])
def test_a_franchise_that_disappointed_is_left_alone(row: ListRow) -> None:
    assert not {1, 2, 3, 4, 5} & set(ids(made([row], [(2, 1, 0.9)])))


@pytest.mark.parametrize("row", [("a", 2, None, "dropped"), ("a", 2, 3, "completed")])
def test_forgiving_leaves_alone_only_what_follows_the_disappointment_where_more_was_liked(row: ListRow) -> None:
    """1 and 5 were liked, 2 was not: 3, which follows 2, is left alone, but not 6, which follows 1 as well."""
    titles: list[Row] = [*TITLES, (6, "Series Gaiden", "OVA", "PG-13", 450)]
    relations = [*RELATIONS, (6, "Parent story", "anime", 1)]
    liked: list[ListRow] = [("a", 1, 9, "completed"), ("a", 5, 8, "completed")]
    found = ids(made([*liked, row], titles=titles, relations=relations, forgiving=True))
    assert 6 in found
    assert 3 not in found
    assert not {3, 6} & set(ids(made([liked[0], row], titles=titles, relations=relations, forgiving=True)))
    assert not {3, 6} & set(ids(made([*liked, row], titles=titles, relations=relations)))


def test_worlds_that_share_a_name_are_no_franchise() -> None:
    frame = made(
        [("a", 10, 2, "completed")],
        relations=[
            (10, "Alternative setting", "anime", 11),
            (10, "Other", "anime", 12),
            (10, "Spin-off", "anime", 1),
        ],
        length=9,
    )
    assert {11, 12} <= set(ids(frame))
    assert 1 not in ids(frame)


def test_a_special_that_is_called_after_a_series_needs_it_whatever_they_are_to_each_other() -> None:
    """As "Clannad: Mou Hitotsu no Sekai, Tomoyo-hen" is to "Clannad": it was recommended to who had not seen that."""
    titles: list[Row] = [
        (1, "Kaze", "TV", "PG-13", 900),
        (2, "Kaze: Another World", "Special", "PG-13", 300),
        (3, "Kaze no Uta", "Special", "PG-13", 300),
        (4, "Kazerous", "Special", "PG-13", 300),
        (5, "Kaze Ultimate", "OVA", "PG-13", 300),
        (10, "Other", "TV", "PG-13", 200),
    ]
    relations = [(2, "Alternative setting", "anime", 1), (1, "Other", "anime", 3), (4, "Other", "anime", 1)]
    relations += [(5, "Alternative version", "anime", 1)]  # a new telling, no extra: it stands for itself
    unseen = made([("a", 10, 8, "completed")], titles=titles, relations=relations, per_franchise=9)
    assert sorted(ids(unseen)) == [1, 4, 5]
    seen = made([("a", 1, 8, "completed")], titles=titles, relations=relations, per_franchise=9)
    assert sorted(ids(seen)) == [2, 3, 4, 5, 10]


def test_a_side_story_whose_own_page_was_not_read_needs_what_names_it() -> None:
    """A catalogue of names alone knew no type of "Naruto: Shippuuden Movie 1" and nothing of what it belongs to."""
    titles: list[Row] = [
        (1, "Long Series", "TV", "PG-13", 900),
        (2, "A Film of It", None, "PG-13", 800),
        (3, "Its Cousin", "TV", "PG-13", 700),
        (10, "Other", "TV", "PG-13", 200),
    ]
    relations = [(1, "Side story", "anime", 2), (1, "Side story", "anime", 3), (3, "Side story", "anime", 1)]
    unseen = made([("a", 10, 8, "completed")], [(2, 10, 0.9)], titles=titles, relations=relations, per_franchise=9)
    assert sorted(ids(unseen)) == [1, 3]
    seen = made([("a", 1, 8, "completed")], titles=titles, relations=relations, per_franchise=9)
    assert sorted(ids(seen)) == [2, 3, 10]


def test_a_list_longer_than_the_catalogue_of_the_best_still_gets_the_rest() -> None:
    """All 600 best scored titles are on the list already: what follows them is recommended."""
    titles: list[Row] = [(n, f"T{n}", "TV", "G", 10_000 - n) for n in range(1, 701)]
    lists: list[ListRow] = [("a", n, 8, "completed") for n in range(1, 601)]
    assert ids(made(lists, titles=titles, relations=[], length=20)) == list(range(601, 621))


def test_an_entry_that_hardly_weighs_beside_another_is_no_reason() -> None:
    rows = [("a", 1, 8, "completed"), ("a", 10, 8, "completed"), ("a", 12, 8, "completed")]
    weights = [(11, 1, 1.0), (11, 10, 0.2), (11, 12, 0.1)]
    found = made(rows, weights, reasons=3).filter(anime_id=11)
    assert [reason["anime_id"] for reason in found["because"][0]] == [1, 10]


def test_what_was_dropped_or_scored_low_is_no_reason() -> None:
    rows = [("a", 1, 8, "completed"), ("a", 10, 2, "completed"), ("a", 12, None, "dropped")]
    found = made(rows, [(11, 1, 1.0), (11, 10, 2.0), (11, 12, 1.5)], reasons=3).filter(anime_id=11)
    assert [reason["anime_id"] for reason in found["because"][0]] == [1]


def test_relations_in_a_circle_and_prequels_nobody_knows_recommend_nothing() -> None:
    circle = [(10, "Prequel", "anime", 11), (11, "Prequel", "anime", 10), (12, "Prequel", "anime", 777)]
    # Of the series, whose relations are not given here, the names say that III and the recap come after II.
    assert ids(made([("a", 1, 8, "completed")], relations=circle, length=9)) == [2, 5]


def test_a_special_inside_a_chain_of_sequels_does_not_bar_the_way() -> None:
    chain = [(5, "Prequel", "anime", 1), (2, "Prequel", "anime", 5)]
    assert 2 in ids(made([("a", 1, 8, "completed")], relations=chain))
    assert 2 not in ids(made([("a", 10, 8, "completed")], relations=chain))


def test_a_prequel_made_later_bars_the_way_unless_release_order_is_asked_for() -> None:
    """12 was made in 2005, its prequel 10 in 2010; 11, of which no date is known, is its prequel too."""
    features = pl.DataFrame(
        {"anime_id": [10, 11, 12], "type": ["TV"] * 3, "aired_from": [date(2010, 1, 1), None, date(2005, 1, 1)]}
    )
    relations = pl.DataFrame(
        {"anime_id": [12, 12], "relation": ["Prequel"] * 2, "related_kind": ["anime"] * 2, "related_id": [10, 11]}
    )
    by_story = learn_franchises(features, relations)
    assert by_story.needs[12] == {10, 11}
    assert by_story.in_release_order().needs[12] == {11}
    assert by_story.entry_point(12, set()) == 10


def test_without_weights_everybody_gets_the_popular() -> None:
    frame = made([("a", 999, None, "completed"), ("b", 10, 5, None)], length=2)
    assert ids(frame.filter(pl.col("username") == "a")) == [1, 10]
    assert ids(frame.filter(pl.col("username") == "b")) == [1, 11]


@pytest.mark.parametrize("settings", [{}, {"gems": 0.5}, {"gems": -1}, {"diversity": 0.5}])
def test_of_no_titles_none_are_recommended(settings: dict[str, float]) -> None:
    assert ids(made([("ann", 5, 8, "completed")], titles=[], relations=[], **settings)) == []


def test_no_lists_no_rows() -> None:
    frame = made([])
    assert frame.height == 0
    assert set(frame.columns) == {
        *["username", "anime_id", "rank", "score", "predicted_rating", "because", "gave_way"]
    }


def test_the_order_of_the_rows_does_not_matter() -> None:
    lists: list[ListRow] = [("b", 1, 9, "completed"), ("a", 10, 7, "watching"), ("a", 1, 8, "completed")]
    weights = [(2, 1, 0.9), (11, 10, 0.5), (12, 1, 0.5)]
    assert made(lists, weights).equals(made(lists[::-1], weights[::-1]))
