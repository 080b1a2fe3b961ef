"""A list without an entry scores as if the entry had never been there."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.recommend.list_scores import SCORES, ListScores
from malsugoi_assets.recommend.lists_without import WHOLE, ListsWithout
from malsugoi_assets.recommend.ranking_scores import learn_title_scores
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

RATINGS = small_ratings(30)
TITLES = learn_title_scores(RATINGS, small_items())


def without(ratings: Ratings, place: int) -> Ratings:
    kept = np.ones(len(ratings), dtype=np.bool_)
    if place != WHOLE:
        kept[place] = False
    return ratings.take(kept)


@pytest.mark.parametrize("user", [0, 7, 29])
def test_every_score_is_that_of_the_list_made_anew(user: int) -> None:
    start = int(np.searchsorted(RATINGS.user, user))
    end = int(np.searchsorted(RATINGS.user, user + 1))
    missing = [WHOLE, *range(end - start), WHOLE]
    found = ListsWithout(ListScores(TITLES, RATINGS), user, missing)
    scores = found.of(np.arange(len(missing), dtype=np.int32))
    for k, place in enumerate(missing):
        anew = ListScores(TITLES, without(RATINGS, place if place == WHOLE else start + place))
        wanted = anew.of(np.array([user], dtype=np.int32))[:, 0]
        for name, mine, theirs in zip(SCORES, scores[:, k], wanted, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=2e-5, err_msg=f"{name}, entry {place}")
        np.testing.assert_allclose(found.user_numbers[k], anew.user_numbers[user], rtol=1e-6)
        one, asked = np.array([user], dtype=np.int32), np.arange(RATINGS.n_items, dtype=np.int32)[None, :]
        facts = found.facts(np.array([k], dtype=np.int32), asked)
        np.testing.assert_allclose(facts, anew.facts(one, asked), atol=2e-5)
        assert (found.listed[k].toarray() == anew.listed[user].toarray()).all()


def test_some_of_the_lists_are_scored_by_themselves() -> None:
    found = ListsWithout(ListScores(TITLES, RATINGS), 3, [0, WHOLE, 2])
    some = np.array([2, 0], dtype=np.int32)
    assert (found.of(some) == found.of(np.arange(3, dtype=np.int32))[:, some]).all()


def test_unrated_entries_and_a_list_of_one() -> None:
    rows = Ratings(
        np.array([0, 1, 1], np.int32), np.array([4, 2, 5], np.int32), np.array([9, np.nan, 3], np.float32), 2,
        RATINGS.n_items,
    )  # fmt: skip
    lists = ListScores(TITLES, rows)
    for user, place, entry in ((0, 0, 0), (1, 0, 1), (1, 1, 2)):
        found = ListsWithout(lists, user, [place]).of(np.zeros(1, np.int32))[:, 0]
        anew = ListScores(TITLES, without(rows, entry)).of(np.array([user], dtype=np.int32))[:, 0]
        np.testing.assert_allclose(found, anew, atol=2e-5)
