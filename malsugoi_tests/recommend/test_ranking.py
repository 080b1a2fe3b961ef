"""The learnt order: what is hidden, what the network sees, and that it finds an order that is there to be found."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.recommend.list_scores import SCORES, ListScores
from malsugoi_assets.recommend.lists_without import WHOLE
from malsugoi_assets.recommend.ranking import Ranking, RankingSettings, hide, learn_order
from malsugoi_assets.recommend.ranking_scores import learn_title_scores, random_walk
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

QUICK = RankingSettings(hides=1, epochs=3, members=1, least_ratings=5)


def test_the_share_of_each_users_ratings_is_hidden_and_nothing_of_short_lists() -> None:
    user = np.repeat(np.array([0, 1], np.int32), [10, 7])
    item = np.concatenate([np.arange(10), np.arange(7)]).astype(np.int32)
    rating = np.where(item == 9, np.nan, 8).astype(np.float32)
    found = hide(Ratings(user, item, rating, 2, 10), RankingSettings(least_ratings=8), np.random.default_rng(0))
    assert np.bincount(user[found], minlength=2).tolist() == [1, 0]
    assert not np.isnan(rating[found]).any()


def test_every_score_of_a_list_is_there_for_every_title() -> None:
    ratings = small_ratings()
    scores = ListScores(learn_title_scores(ratings, small_items()), ratings)
    found = scores.of(np.array([3, 0], np.int32))
    assert found.shape == (len(SCORES), 2, ratings.n_items)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, 1], scores.of(np.array([0], np.int32))[:, 0])


def test_a_list_has_the_same_scores_alone_as_among_those_that_were_learnt_from() -> None:
    """Nothing of other users is needed but what was learnt of the titles."""
    ratings = small_ratings()
    titles = learn_title_scores(ratings, small_items())
    alone = ratings.take(ratings.user == 7)
    new = Ratings(np.zeros(len(alone), np.int32), alone.item, alone.rating, 1, ratings.n_items)
    zero, seven = np.array([0], np.int32), np.array([7], np.int32)
    among = ListScores(titles, ratings)
    np.testing.assert_allclose(ListScores(titles, new).of(zero), among.of(seven), atol=1e-5)
    np.testing.assert_allclose(ListScores(titles, new).user_numbers[0], among.user_numbers[7], atol=1e-6)


def test_a_random_walk_takes_the_way_worked_out_by_hand() -> None:
    """Lists {0, 1} and {0, 2}; β = 1. From 1: to list 0 (1), then to 0 (½) and over its 2 lists: ¼; to 2 never."""
    ratings = Ratings(
        np.array([0, 0, 1, 1], np.int32), np.array([0, 1, 0, 2], np.int32), np.full(4, 8, np.float32), 2, 3
    )
    walk = random_walk(ratings.listed_matrix, 1.0, 200).toarray()
    np.testing.assert_allclose(walk, [[0, 0.25, 0.25], [0.25, 0, 0], [0.25, 0, 0]])


def test_the_same_seed_gives_the_same_order_and_titles_on_the_list_come_last() -> None:
    ratings, items, users = small_ratings(), small_items(), np.arange(5, dtype=np.int32)
    settings = QUICK.model_copy(update={"candidates": 6})
    one = Ranking(seed=3, settings=settings).fit(ratings, items).scores(users)
    two = Ranking(seed=3, settings=settings).fit(ratings, items).scores(users)
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all()
    listed = ratings.listed_matrix[:5].toarray() > 0
    assert (np.sort(np.where(listed, np.inf, one), axis=1)[:, 0] > one[listed].max()).all()


def test_a_list_of_which_nothing_is_missing_scores_titles_as_all_lists_together() -> None:
    ratings, users = small_ratings(), np.arange(4, dtype=np.int32)
    order = learn_order(ratings, small_items(), QUICK.model_copy(update={"candidates": 9}))
    lists = ListScores(order.titles, ratings)
    whole = order.scores(lists, users)
    for user, item in zip(users.tolist(), ([3, 17, 30], [], range(36), [8]), strict=True):
        some = np.array(item, dtype=np.int64)
        (found,) = order.scores_without(order.without(lists, user), [WHOLE], some)
        np.testing.assert_allclose(found, whole[user, some], atol=1e-4)


def test_titles_that_follow_each_other_in_every_list_are_found() -> None:
    """Whoever lists a title of a pair lists and likes the other; one half is taken from some lists."""
    random = np.random.default_rng(1)
    n_users, pairs = 60, 12
    chosen = np.argsort(random.random((n_users, pairs)), axis=1)[:, :5]
    user = np.repeat(np.arange(n_users), 10).astype(np.int32)
    item = np.stack([2 * chosen, 2 * chosen + 1], axis=2).reshape(-1).astype(np.int32)
    taken = (np.arange(len(user)) % 10 == 9) & (user < 20)
    ratings = Ratings(user, item, np.full(len(user), 9, np.float32), n_users, 2 * pairs).take(~taken)
    scores = Ranking(settings=QUICK.model_copy(update={"epochs": 30})).fit(ratings, small_items(2 * pairs))
    found = scores.scores(np.arange(20, dtype=np.int32))
    listed = ratings.listed_matrix[:20].toarray() > 0
    best = np.where(listed, -np.inf, found).argmax(axis=1)
    assert (best == item[taken]).mean() >= 0.9


def test_lists_from_which_nothing_can_be_hidden_are_refused() -> None:
    ratings = Ratings(np.zeros(3, np.int32), np.arange(3, dtype=np.int32), np.full(3, 5, np.float32), 1, 8)
    with pytest.raises(ValueError, match="no order can be learnt"):
        Ranking().fit(ratings, small_items(8))
