"""What the site's words for relations say of two titles."""

from __future__ import annotations

import polars as pl
import pytest

from malsugoi_assets.recommend.chain_extras import ChainExtras
from malsugoi_assets.recommend.ties import Ties, read_ties
from malsugoi_tests.recommend.frames import relations_frame

KINDS = {1: "TV", 2: "TV", 3: "Special", 4: "Movie"}


def read(*relations: tuple[int, str, int], apart: bool = False) -> Ties:
    features = pl.DataFrame(
        {"anime_id": list(KINDS), "type": list(KINDS.values()), "title": ["Moon", "Sun", "Moon: Night", "Stars"]},
        schema_overrides={"anime_id": pl.Int32},
    )
    rows = relations_frame([(left, word, "anime", right) for left, word, right in relations])
    return read_ties(rows, ChainExtras(features, {}), apart=apart)


@pytest.mark.parametrize(("left", "word", "right"), [(2, "Prequel", 1), (1, "Sequel", 2), (2, "PREQUEL", 1)])
def test_a_prequel_comes_before_by_either_page(left: int, word: str, right: int) -> None:
    ties = read((left, word, right))
    assert ties.chain == {2: {1}}
    assert ties.groups.found() == {1: 1, 2: 1}


@pytest.mark.parametrize(
    ("left", "word", "right", "recaps"),
    [(4, "Parent story", 1, set()), (4, "Full story", 1, {4}), (1, "Summary", 4, {4}), (1, "Side story", 4, set())],
)
def test_what_is_told_beside_a_story_comes_after_it(left: int, word: str, right: int, recaps: set[int]) -> None:
    ties = read((left, word, right))
    assert (ties.chain, ties.sides, ties.recaps) == ({}, {4: {1}}, recaps)


def test_of_two_that_call_each_other_a_summary_the_series_is_none() -> None:
    """Found on a real list: all of "Bakuman." was a recap, since its special calls it one."""
    ties = read((1, "Summary", 3), (3, "Summary", 1))
    assert (ties.recaps, ties.sides) == ({3}, {3: {1}})
    assert read((4, "Summary", 3), (3, "Summary", 4)).recaps == {3, 4}
    both = read((1, "Summary", 2), (2, "Summary", 1), apart=True)
    assert (both.recaps, both.groups.found()) == (set(), {1: 1, 2: 1})


def test_a_side_story_is_unread_where_its_own_page_names_no_relation() -> None:
    assert read((1, "Side story", 4)).unread == {4}
    both = read((1, "Side story", 4), (4, "Parent story", 1))
    assert (both.unread, both.sides) == (set(), {4: {1}})


@pytest.mark.parametrize("word", ["Other", "Character", "Alternative setting", "Adaptation", "no word of the site"])
def test_words_that_tie_a_world_tie_no_titles(word: str) -> None:
    assert read((1, word, 2)).groups.found() == {}


def test_a_special_belongs_to_the_series_that_its_name_goes_on_with() -> None:
    assert read((1, "Other", 3)).sides == {3: {1}}


def test_two_tv_series_tied_by_a_side_story_stand_apart_where_that_is_asked_for() -> None:
    assert read((1, "Spin-off", 2)).groups.found() == {1: 1, 2: 1}
    assert read((1, "Spin-off", 2), apart=True).groups.found() == {}


def test_what_two_stories_share_does_not_make_them_one_where_they_stand_apart() -> None:
    shared = (1, "Side story", 4), (2, "Side story", 4)
    assert set(read(*shared).groups.found().values()) == {1}
    assert read(*shared, apart=True).groups.found() == {1: 1, 2: 2, 4: 1}


def test_a_title_is_tied_to_no_manga_and_not_to_itself() -> None:
    ties = read_ties(
        relations_frame([(1, "Sequel", "manga", 2), (1, "Sequel", "anime", 1)]),
        ChainExtras(pl.DataFrame({"anime_id": [1]}), None),
        apart=False,
    )
    assert (ties.groups.found(), ties.chain) == ({}, {})
