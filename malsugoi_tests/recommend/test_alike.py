"""Likeness of titles by what they are, worked out by hand."""

from __future__ import annotations

import polars as pl
import pytest

from malsugoi_assets.recommend.alike import alike

FEATURES = pl.DataFrame(
    [
        (1, "A", "TV", ["Rare", "Common"], 10),
        (2, "B", "TV", ["Rare", "Common"], 20),
        (3, "C", "Movie", ["Rare", "Common"], 30),
        (4, "D", "TV", ["Common"], 40),
        (5, "E", "TV", ["Other", "Common"], 50),
        (6, None, "TV", ["Rare", "Common"], 60),
        (7, "G", "TV", [], 70),
    ],
    schema={
        "anime_id": pl.Int32,
        "title": pl.String,
        "type": pl.String,
        "genres": pl.List(pl.String),
        "members": pl.Int32,
    },
    orient="row",
)


def test_the_same_words_come_first_then_another_type_then_fewer_common_words() -> None:
    found = alike(FEATURES, 1, 10)
    assert [title.anime_id for title in found] == [2, 3, 4, 5]
    assert found[0].likeness == pytest.approx(1)
    assert all(0 < title.likeness <= 1 for title in found)


def test_of_equals_the_more_popular_and_what_is_known_already_is_left_out() -> None:
    assert [title.anime_id for title in alike(FEATURES, 4, 2)] == [2, 1]
    assert [title.anime_id for title in alike(FEATURES, 1, 1, frozenset({2}))] == [3]


def test_a_title_of_which_nothing_is_known_is_like_none() -> None:
    assert alike(FEATURES, 7, 10) == []
    assert alike(FEATURES, 99, 10) == []
