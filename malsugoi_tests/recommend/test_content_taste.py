"""What nobody has rated yet is ranked by genres, studios and relations."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from malsugoi_assets.recommend.content_taste import TitleWords

WORDS = TitleWords(
    pl.DataFrame(
        {
            "anime_id": [1, 2, 3, 4, 5, 6],
            "genres": [["Action"], ["Drama"], ["Action", "Drama"], ["Action"], ["Drama"], None],
            "studios": [["Bones"], [], [], ["Bones"], [], []],
        }
    )
)


def test_the_taste_by_hand() -> None:
    """Mean 7; Action stands for +2 and +1 over two titles, Drama for -3 and +1 over two, Bones for +2 over one."""
    taste = WORDS.taste({1: 9, 2: 4, 3: 8})
    assert taste.mean == 7
    assert taste.words == pytest.approx({"Action": 3 / 7, "Bones": 2 / 6, "Drama": -2 / 7})


def test_the_fit_by_hand() -> None:
    taste = WORDS.taste({1: 9, 2: 4, 3: 8})
    [fit] = WORDS.rank(taste, [4], {})
    rarity = {w: math.log(1 + 6 / n) / math.log(7) for w, n in {"Action": 3, "Bones": 2}.items()}
    assert fit.score == pytest.approx((rarity["Action"] * 3 / 7 + rarity["Bones"] * 2 / 6) / math.sqrt(2))
    assert fit.words == tuple(sorted(("Action", "Bones"), key=lambda w: -rarity[w] * taste.words[w]))


def test_the_sequel_of_what_was_loved_comes_first_and_of_what_was_hated_last() -> None:
    taste = WORDS.taste({1: 10, 2: 2, 3: 6})
    order = WORDS.rank(taste, [4, 5, 6], {6: [1], 5: [2]})
    assert [fit.anime_id for fit in order] == [6, 4, 5]
    assert order[0].goes_on_with == 1
    assert order[-1].goes_on_with is None, "what was rated low is no reason to go on"


def test_without_scores_nothing_is_claimed() -> None:
    fits = WORDS.rank(WORDS.taste({}), [4, 5], {4: [1]})
    assert [(f.score, f.words, f.goes_on_with) for f in fits] == [(0, (), None)] * 2


@given(st.dictionaries(st.integers(1, 6), st.integers(1, 10)))
def test_the_order_does_not_depend_on_that_of_the_candidates(rated: dict[int, int]) -> None:
    taste = WORDS.taste({i: float(r) for i, r in rated.items()})
    assert WORDS.rank(taste, [1, 2, 3, 4, 5, 6], {}) == WORDS.rank(taste, [6, 5, 4, 3, 2, 1], {})
