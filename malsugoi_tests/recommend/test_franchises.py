"""What comes before what: as the story goes, and as people who choose what to watch take it."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from malsugoi_assets.recommend.franchises import NOTHING_PASSED, Franchises, learn_franchises
from malsugoi_tests.recommend.frames import relations_frame

Title = tuple[int, str | None, int | None, int]
# id, type, members, year: a series in three seasons and what was made of it last.
SEASONS: list[Title] = [(1, "TV", 900, 2001), (2, "TV", 700, 2003), (3, "TV", 500, 2005), (4, "TV", 600, 2009)]
LISTED: dict[int, int] = {}
"""On nobody's list, yet the view of the lists."""
CHAIN = [(2, "Prequel", "anime", 1), (3, "Prequel", "anime", 2)]


def learnt(
    titles: list[Title],
    relations: list[tuple[int, str, str, int]],
    listed: dict[int, int] | None = LISTED,
    names: list[str] | None = None,
) -> Franchises:
    features = pl.DataFrame(
        [
            (i, names[row] if names else f"Title {i}", kind, members, date(year, 1, 1))
            for row, (i, kind, members, year) in enumerate(titles)
        ],
        schema={
            "anime_id": pl.Int32, "title": pl.String, "type": pl.String, "members": pl.Int32, "aired_from": pl.Date
        },
        orient="row",
    )  # fmt: skip
    return learn_franchises(features, relations_frame(relations), listed)


@pytest.mark.parametrize("relation", ["Parent story", "Side story", "Spin-off", "Alternative version"])
def test_tv_series_that_are_side_stories_or_retellings_stand_on_their_own_on_lists(relation: str) -> None:
    titles: list[Title] = [(1, "TV", 900, 2001), (2, "TV", 700, 2003)]
    for_lists, story = (learnt(titles, [(2, relation, "anime", 1)], listed) for listed in (LISTED, None))
    assert story.franchise(1) == story.franchise(2)
    assert for_lists.franchise(1) != for_lists.franchise(2)
    assert not for_lists.missing(2, set())


@pytest.mark.parametrize(
    ("kinds", "apart"), [(("TV", "OVA"), True), (("ONA", "OVA"), True), (("TV", "Movie"), False)]
)
def test_a_series_that_tells_a_story_anew_stands_on_its_own_but_no_film(
    kinds: tuple[str, str], *, apart: bool
) -> None:
    titles: list[Title] = [(1, kinds[0], 900, 2001), (2, kinds[1], 700, 2003)]
    known = learnt(titles, [(2, "Alternative version", "anime", 1)], names=["Kaze", "Kaze Movie"])
    assert (known.franchise(1) != known.franchise(2)) is apart


@pytest.mark.parametrize(("name", "apart"), [("Kaze Movie 1: Asa", False), ("Shin Arashi: Asa", True), (None, False)])
def test_a_film_that_tells_a_series_anew_stands_on_its_own_under_a_name_of_its_own(
    name: str | None, *, apart: bool
) -> None:
    features = pl.DataFrame({"anime_id": [1, 2], "title": ["Kaze", name], "type": ["TV", "Movie"]})
    known = learn_franchises(features, relations_frame([(2, "Alternative version", "anime", 1)]), {})
    assert (known.franchise(1) != known.franchise(2)) is apart


@pytest.mark.parametrize("kind", ["Movie", "OVA", None])
def test_a_film_that_is_a_side_story_needs_the_series_and_is_of_it(kind: str | None) -> None:
    known = learnt([(1, "TV", 900, 2001), (2, kind, 700, 2003)], [(2, "Parent story", "anime", 1)])
    assert known.missing(2, set()) == {1}
    assert known.franchise(1) == known.franchise(2)


def test_a_special_in_which_two_series_meet_makes_them_one_franchise_in_the_story_alone() -> None:
    titles: list[Title] = [(1, "TV", 900, 2001), (2, "TV", 700, 2003), (5, "Special", 50, 2006)]
    meeting = [(5, "Parent story", "anime", 1), (5, "Parent story", "anime", 2)]
    for_lists, story = learnt(titles, meeting), learnt(titles, meeting, None)
    assert story.franchise(1) == story.franchise(2) == story.franchise(5)
    assert for_lists.franchise(5) == for_lists.franchise(1) != for_lists.franchise(2)
    assert for_lists.missing(5, {1}) == {2}


@pytest.mark.parametrize(
    ("kind", "members", "year", "on_lists", "by_story"),
    [
        ("Movie", 349, 2001, False, True),  # fewer than half of the 700
        ("Movie", 350, 2001, True, True),
        ("Movie", 699, 2004, False, True),  # made later
        ("TV", 10, 2001, True, True),  # a first season may be the lesser known one
        ("TV", 699, 2004, True, True),
        ("TV", 349, 2004, False, True),
        (None, 349, 2001, False, True),
        (None, 174, 2001, False, False),
        ("Movie", None, 2003, True, True),
        ("Special", 699, 2001, False, False),
    ],
)
def test_two_of_three_say_that_a_prequel_bars_no_list_that_it_is_no_series_was_made_later_and_few_have_it(
    kind: str | None, members: int | None, year: int, *, on_lists: bool, by_story: bool
) -> None:
    titles: list[Title] = [(1, kind, members, year), (2, "TV", 700, 2003)]
    for listed, bars in ((LISTED, on_lists), (None, by_story)):
        assert bool(learnt(titles, CHAIN[:1], listed).missing(2, set())) is bars


@pytest.mark.parametrize(
    ("names", "kinds", "members", "year", "bars"),
    [
        (["Gokinjo Monogatari", "Paradise Kiss"], ("TV", "TV"), 349, 2001, False),
        (
            ["Gokinjo Monogatari", "Paradise Kiss"],
            ("TV", "TV"),
            350,
            2001,
            True,
        ),  # a name of its own alone does not do
        (["Fate/Zero", "Fate/stay night"], ("TV", "TV"), 900, 2004, True),
        (["Doraemon (2005)", "Stand By Me"], ("TV", "Movie"), 349, 2001, True),
        (["Macross 7", "Macross F"], ("TV", "TV"), 349, 2001, False),
        (["One Room", "One Room Second Season"], ("TV", "TV"), 349, 2001, True),
        (["X: Cour 1", "X: Final Part 2"], ("TV", "TV"), 349, 2001, True),
        (["Neon", "Afterglow"], ("Movie", "TV"), 900, 2001, True),
    ],
)
def test_a_series_that_few_know_bars_no_series_of_another_name(
    names: list[str], kinds: tuple[str, str], members: int, year: int, *, bars: bool
) -> None:
    titles: list[Title] = [(1, kinds[0], members, year), (2, kinds[1], 700, 2003)]
    assert bool(learnt(titles, CHAIN[:1], LISTED, names).missing(2, set())) is bars


@pytest.mark.parametrize(
    ("kind", "lists", "bars"),
    [
        ("OVA", {1: 4, 2: 10}, False),
        ("OVA", {1: 5, 2: 10}, True),
        ("OVA", {2: 9}, True),  # so few lists say nothing
        ("TV", {2: 10}, True),
    ],
)
def test_where_the_sites_count_is_not_known_the_lists_tell(kind: str, lists: dict[int, int], *, bars: bool) -> None:
    titles: list[Title] = [(1, kind, None, 2001), (2, "TV", 700, 2003)]
    assert bool(learnt(titles, CHAIN[:1], lists).missing(2, set())) is bars


def test_a_prequel_that_the_catalogue_does_not_hold_bars_where_it_is_on_lists() -> None:
    outside = [(2, "Prequel", "anime", 77)]
    assert not learnt(SEASONS, outside, {2: 10}).missing(2, set())
    assert learnt(SEASONS, outside, {2: 10, 77: 8}).missing(2, set()) == {77}
    assert learnt(SEASONS, outside).missing(2, set()) == {77}


def test_in_an_extras_place_stands_what_it_needs_itself() -> None:
    known = learnt([(1, "TV", 900, 2001), (2, "OVA", 100, 2002), (3, "TV", 500, 2005)], CHAIN)
    assert known.missing(3, set()) == {1}
    assert known.entry_point(3, set()) == 1


def test_who_watched_on_does_not_wait_for_what_was_passed_over() -> None:
    # 4 comes after the first season; of the seasons only the third was seen.
    known = learnt(SEASONS, [*CHAIN, (4, "Prequel", "anime", 1)])
    passed = known.passed_over({3})
    assert passed.chain == passed.story == {1, 2}
    assert known.missing(4, {3}) == {1}
    assert not known.missing(4, {3}, passed)


def test_what_was_passed_over_itself_comes_in_the_order_it_was_made() -> None:
    known = learnt(SEASONS, CHAIN)
    passed = known.passed_over({3})
    assert not known.missing(1, {3}, passed)
    assert known.missing(2, {3}, passed) == {1}
    assert known.entry_point(2, {3}, passed) == 1
    # 1 now has a prequel that was made later: of those who went on without both it bars nobody from 1.
    late = learnt(SEASONS, [*CHAIN, (1, "Prequel", "anime", 4)])
    assert late.missing(1, set()) == {4}
    assert late.passed_over({3}).chain == {1, 2, 4}
    assert not late.missing(1, {3}, late.passed_over({3}))


def test_an_extra_needs_its_own_story_whatever_was_passed_over() -> None:
    known = learnt([*SEASONS, (5, "Special", 50, 2006)], [*CHAIN, (5, "Parent story", "anime", 1)])
    assert known.missing(5, {3}, known.passed_over({3})) == {1}


def test_a_side_story_seen_opens_other_side_stories_but_no_sequel() -> None:
    """*Sailor Moon S* was shown to who had seen the film of *R* alone."""
    films: list[Title] = [(5, "Movie", 600, 2002), (6, "Movie", 600, 2004)]
    sides = [(5, "Parent story", "anime", 1), (6, "Parent story", "anime", 1)]
    known = learnt([*SEASONS, *films], [*CHAIN, *sides])
    passed = known.passed_over({5})
    assert (passed.chain, passed.story) == (frozenset(), {1})
    assert not known.missing(6, {5}, passed)
    assert known.missing(2, {5}, passed) == {1}


def test_an_extra_is_no_watching_on() -> None:
    known = learnt([*SEASONS, (5, "Special", 50, 2006)], [*CHAIN, (5, "Prequel", "anime", 3)])
    assert known.passed_over({5}) == NOTHING_PASSED
    unread = learnt([*SEASONS, (6, None, 50, 2006)], [*CHAIN, (3, "Side story", "anime", 6)])
    assert unread.missing(6, set()) == {3}
    assert unread.passed_over({6}) == NOTHING_PASSED


def test_nothing_was_passed_over_where_nothing_comes_before_or_all_was_seen() -> None:
    known = learnt(SEASONS, CHAIN)
    assert known.passed_over(set()) == known.passed_over({1}) == known.passed_over({1, 2, 3}) == NOTHING_PASSED
    assert known.passed_over({999}) == NOTHING_PASSED


def test_a_circle_ends_and_passes_over_none_of_its_titles() -> None:
    """A special that was called a summary of the second season and of the first came before both, and after: who had seen the
    first season of "Bakuman." alone was shown the third.
    """
    known = learnt(SEASONS, [*CHAIN, (1, "Prequel", "anime", 3)])
    assert known.passed_over({2}) == NOTHING_PASSED
    odd = learnt(
        [*SEASONS, (9, "Special", 50, 2006)], [*CHAIN, (9, "Summary", "anime", 1), (9, "Prequel", "anime", 2)]
    )
    assert odd.passed_over({1}) == NOTHING_PASSED
    assert odd.missing(3, {1}, odd.passed_over({1})) == {2}
    assert odd.passed_over({3}).chain >= {2}
