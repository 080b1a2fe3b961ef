"""What Dagster's page shows of a table: titles by name, and nobody's name."""

from __future__ import annotations

import polars as pl

from malsugoi_assets.assets import previews
from malsugoi_assets.assets.plots import UNFOLDED

TITLES = pl.DataFrame({"anime_id": [1, 2, 3], "title": ["Trigun", "Monster", "K-ON!"]})


def test_no_preview_names_a_user() -> None:
    """It would stay in the event log after `malsugoi forget`."""
    shown = previews.table(pl.DataFrame({"username": ["somebody"], "user_batch": ["batch-000000"], "rating": [7]}))
    assert shown.splitlines() == ["| rating |", "| --- |", "| 7 |"]


def test_a_preview_has_only_as_many_rows_as_the_page_unfolds() -> None:
    wide = pl.DataFrame({f"column_{i}": ["some longer text"] * 8 for i in range(12)})
    shown = previews.table(wide)
    assert len(shown) < UNFOLDED
    assert len(shown.splitlines()) >= 3


def test_signs_of_markdown_in_a_title_are_shown_as_they_are() -> None:
    shown = previews.table(pl.DataFrame({"title": ["*a_b* | <b>[c]\nd"]}))
    assert shown.splitlines()[-1] == "| \\*a\\_b\\* \\| &lt;b>\\[c\\] d |"


def test_a_table_without_rows_says_so() -> None:
    assert previews.table(TITLES.clear()) == "*no rows*"


def test_the_most_rated_titles_come_first_over_all_batches_and_unrated_entries_do_not_count() -> None:
    counts = previews.TitleCounts()
    first = pl.DataFrame({"anime_id": [1, 2, 2], "title": ["Trigun", "Monster", "Monster"], "rating": [8, 4, None]})
    second = pl.DataFrame({"anime_id": [1, 3], "title": ["Trigun", "K-ON!"], "rating": [9, None]})
    counts.add(first)
    counts.add(second)
    assert counts.most_rated().rows() == [("Trigun", 2, 8.5), ("Monster", 1, 4.0), ("K-ON!", 0, None)]
    assert len(counts) == 3


def test_a_title_without_a_name_is_shown_by_its_id() -> None:
    """Files may list ids alone: the previews of lists and ratings said "no rows"."""
    lists = pl.DataFrame({"anime_id": [7], "title": [None], "rating": [8]}, schema_overrides={"title": pl.String})
    counts = previews.TitleCounts()
    counts.add(lists)
    assert counts.most_rated()["title"].to_list() == previews.names(lists)["title"].to_list() == ["anime 7"]


def test_titles_shown_to_most_users_are_counted_within_the_first_places() -> None:
    rows = pl.DataFrame(
        {"anime_id": [1, 2, 1, 3], "rank": [1, 2, 1, 11], "predicted_rating": [8.0, 7.0, 9.0, 10.0]},
        schema_overrides={"predicted_rating": pl.Float32},
    )
    assert previews.MostShown(10).add(rows).shown(TITLES).rows() == [("Trigun", 2, 8.5), ("Monster", 1, 7.0)]


def test_neighbours_are_those_of_the_best_known_titles_the_nearest_first() -> None:
    pairs = pl.DataFrame({"anime_id": [1, 1, 3], "neighbour_id": [2, 3, 1], "similarity": [0.1, 0.4, 0.4]})
    known = pl.DataFrame({"anime_id": [1, 3], "len": [1, 2]})
    assert previews.neighbours(pairs, "similarity", known, TITLES).rows() == [
        ("K-ON!", "Trigun", None, None),
        ("Trigun", "K-ON!", "Monster", None),
    ]


def test_a_histogram_counts_every_known_value_from_the_first_edge_on_once() -> None:
    values = pl.Series([1.0, 4.9, 5.0, 9.0, 10.0, None])
    assert previews.histogram(values, [1, 5, 9]) == {"1–5": 2, "5–9": 1, "9+": 2}
