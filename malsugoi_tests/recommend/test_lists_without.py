"""A list without an entry scores as if the entry had never been there."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.recommend.candidates import find_candidates
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


def picks() -> np.ndarray:
    """Two scores pick."""
    found = np.zeros(len(SCORES), dtype=np.float32)
    found[[1, 5]] = 1.0, 0.3
    return found


def check_as_made_anew(lists: ListScores, rows: Ratings, user: int, most: int) -> None:
    """Every list without an entry, and the whole one, describes every title as the same list made anew."""
    start, end = np.searchsorted(rows.user, [user, user + 1]).tolist()
    missing, item = [WHOLE, *range(end - start), WHOLE], np.arange(rows.n_items)
    own, one = ListsWithout(lists, user, picks(), most), np.array([user], dtype=np.int32)
    found, facts, numbers = own.describe(missing, item), own.facts(missing, item), own.user_numbers(missing)
    for k, place in enumerate(missing):
        anew = ListScores(TITLES, without(rows, place if place == WHOLE else start + place))
        wanted = find_candidates(anew.of(one), anew.listed[one].toarray() == 0, picks(), most)
        chosen = wanted.item[0][wanted.item[0] >= 0]
        assert own.lengths(missing)[k] == anew.listed[user].nnz
        if not own.lengths(missing)[k]:
            continue  # what an empty list says is never asked
        assert np.flatnonzero(found.is_candidate[k]).tolist() == chosen.tolist()
        for name, mine, theirs in zip(SCORES, found.scores[k][chosen].T, wanted.scores[0].T, strict=True):
            np.testing.assert_allclose(mine, theirs[: len(chosen)], atol=1e-3, err_msg=f"{name}, entry {place}")
        np.testing.assert_allclose(found.picked[k], wanted.picked[0], atol=1e-3)
        np.testing.assert_allclose(numbers[k], anew.user_numbers[user], rtol=1e-6)
        np.testing.assert_allclose(facts[k], anew.facts(one, item[None, :])[0], atol=2e-5)


@pytest.mark.parametrize("most", [9, 400])
@pytest.mark.parametrize("user", [0, 7, 29])
def test_every_title_is_described_as_by_the_list_made_anew(user: int, most: int) -> None:
    check_as_made_anew(ListScores(TITLES, RATINGS), RATINGS, user, most)


def test_what_is_asked_later_and_of_some_titles_is_the_same() -> None:
    lists, item = ListScores(TITLES, RATINGS), np.arange(RATINGS.n_items)
    own = ListsWithout(lists, 3, picks(), 9)
    whole = ListsWithout(lists, 3, picks(), 9).describe([0, WHOLE, 2], item)
    for place, row in ((2, 2), (WHOLE, 1), (0, 0), (2, 2)):
        some = item[place + 2 :: 3]
        found = own.describe([place], some)
        np.testing.assert_allclose(found.scores[0], whole.scores[row][some], atol=1e-6)
        assert (found.is_candidate[0] == whole.is_candidate[row][some]).all()
        np.testing.assert_allclose(own.facts([place], some)[0], own.facts([place], item)[0][some])


def test_unrated_entries_and_a_list_of_one() -> None:
    rows = Ratings(
        np.array([0, 1, 1], np.int32), np.array([4, 2, 5], np.int32), np.array([9, np.nan, 3], np.float32), 2,
        RATINGS.n_items,
    )  # fmt: skip
    for user in (0, 1):
        check_as_made_anew(ListScores(TITLES, rows), rows, user, 9)


def test_what_is_asked_after_many_lists_were_scored_is_what_is_asked_first() -> None:
    """The whole list's scores are at hand then."""
    fresh, used = ListScores(TITLES, RATINGS), ListScores(TITLES, RATINGS)
    used.of(np.array([2, 7, 5], dtype=np.int32))
    for user in (7, 2, 4):
        np.testing.assert_allclose(used.of_one(user), fresh.of_one(user), rtol=1e-6, atol=1e-7)
    check_as_made_anew(used, RATINGS, 7, 9)


def test_only_scores_with_weights_of_their_own_can_pick() -> None:
    with pytest.raises(ValueError, match="weights of their own"):
        ListsWithout(ListScores(TITLES, RATINGS), 0, np.ones(len(SCORES), dtype=np.float32), 9)
