"""Which titles are one group: joined ones, and what leans on one of them."""

from __future__ import annotations

from itertools import permutations

import pytest

from malsugoi_assets.recommend.groups import Groups


@pytest.mark.parametrize("order", permutations([(3, 2), (1, 2), (7, 5)]))
def test_what_is_joined_is_one_group_in_whatever_order(order: tuple[tuple[int, int], ...]) -> None:
    groups = Groups()
    for pair in order:
        groups.join(*pair)
    assert groups.found() == {1: 1, 2: 1, 3: 1, 5: 5, 7: 5}


def test_a_circle_is_one_group() -> None:
    groups = Groups()
    for pair in ((1, 2), (2, 3), (3, 1)):
        groups.join(*pair)
    assert groups.found() == {1: 1, 2: 1, 3: 1}


def test_what_leans_on_a_title_is_of_its_group_with_all_that_is_joined_to_it() -> None:
    groups = Groups()
    groups.join(1, 2)
    groups.join(8, 9)
    groups.lean(9, on=2)
    assert groups.found() == dict.fromkeys((1, 2, 8, 9), 1)


@pytest.mark.parametrize("order", [(1, 4), (4, 1)])
def test_a_story_in_which_two_series_meet_makes_them_no_one_group(order: tuple[int, int]) -> None:
    groups = Groups()
    groups.join(1, 2)
    groups.join(4, 5)
    for series in order:
        groups.lean(9, on=series)
    assert groups.found() == {1: 1, 2: 1, 4: 4, 5: 4, 9: 1}


def test_it_is_of_the_group_with_the_lowest_rank() -> None:
    groups = Groups()
    groups.lean(9, on=1, rank=1)
    groups.lean(9, on=4, rank=0)
    assert groups.found() == {1: 1, 4: 4, 9: 4}


def test_parts_that_are_joined_lean_together_and_once() -> None:
    groups = Groups()
    groups.join(8, 9)
    groups.lean(8, on=4)
    groups.lean(9, on=1)
    assert groups.found() == {1: 1, 4: 4, 8: 4, 9: 4}


def test_titles_that_lean_on_each_other_are_one_group() -> None:
    groups = Groups()
    groups.lean(2, on=1)
    groups.lean(1, on=2)
    assert groups.found() == {1: 1, 2: 1}
