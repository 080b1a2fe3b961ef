"""Predictions from neighbours: hand-worked numbers, candidates, cold starts, and the models' common face."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.recommend.baselines import Bias
from malsugoi_assets.recommend.joint import JointNeighbourhood, JointSettings, learn_titles
from malsugoi_assets.recommend.neighbourhood import (
    ItemNeighbourhood,
    PredictionSettings,
    Predictor,
    TitleBaselines,
    predict_top,
    title_baselines,
)
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.similarity import Neighbours, SimilaritySettings, similar_titles
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

PLAIN = PredictionSettings(evidence=0.5, margin=0, user_shrinkage=0)
FLAT = TitleBaselines(
    np.array([9, 9, 9, 0], np.int32), *(np.array([7, 7, 7, 7], np.float32),) * 2, np.zeros(4, np.float32), 7.0
)
# Titles 0 and 1 are alike to 2 by 0.5 and 0.25, and so back.
NEAR = Neighbours(
    np.array([0, 1, 2, 2], np.int32),
    np.array([2, 2, 0, 1], np.int32),
    np.array([1, 1, 1, 2], np.int16),
    np.array([0.5, 0.25, 0.5, 0.25], np.float32),
    np.array([9, 9, 9, 9], np.int32),
)


def of(rows: list[tuple[int, int, float]], n_users: int, n_items: int) -> Ratings:
    user, item, rating = zip(*rows, strict=True) if rows else ((), (), ())
    return Ratings(np.array(user, np.int32), np.array(item, np.int32), np.array(rating, np.float32), n_users, n_items)


def test_a_prediction_by_hand() -> None:
    """The user's level is 7 (9 and 5 lie 2 around it): 7 + (0.5·2 - 0.25·2) / (0.75 + 0.5) = 7.4."""
    predictor = Predictor(of([(0, 0, 9), (0, 1, 5)], 1, 4), FLAT, NEAR, PLAIN)
    (block,) = predictor.blocks()
    assert block.predicted[0, 2] == pytest.approx(7.4, abs=1e-6)
    assert block.support[0].tolist() == [0, 0, 2, 0]
    assert block.predicted[0, 3] == pytest.approx(7)


def test_the_support_of_a_pair_is_what_the_blocks_say() -> None:
    history = of([(0, 0, 9), (0, 1, 5), (1, 2, 6), (1, 3, float("nan"))], 3, 4)
    predictor = Predictor(history, FLAT, NEAR, PLAIN)
    whole = np.concatenate([block.support for block in predictor.blocks()])
    user, item = (x.ravel().astype(np.int32) for x in np.mgrid[:3, :4])
    assert predictor.support(user, item).tolist() == whole.ravel().tolist()
    assert whole[0].tolist() == [0, 0, 2, 0]
    assert predictor.support(user[:0], item[:0]).shape == (0,)


def test_unlisted_titles_with_ratings_are_the_candidates() -> None:
    history = of([(0, 0, 9), (0, 1, float("nan")), (1, 2, 5)], 3, 4)
    top = predict_top(history, FLAT, NEAR, PLAIN)
    assert [(u, i) for u, i in zip(top.user.tolist(), top.item.tolist(), strict=True) if u == 0] == [(0, 2)]
    assert sorted(top.item[top.user == 1].tolist()) == [0, 1]
    assert top.rank[top.user == 2].tolist() == [1, 2, 3]


def test_the_score_takes_off_more_where_less_is_known() -> None:
    settings = PredictionSettings(margin=1.0)
    known = TitleBaselines(np.array([1000, 1], np.int32), FLAT.mean[:2], FLAT.mean[:2], FLAT.bias[:2], 7.0)
    none = Neighbours(*(np.empty(0, d) for d in (np.int32, np.int32, np.int16, np.float32, np.int32)))
    top = predict_top(of([], 1, 2), known, none, settings)
    assert top.item.tolist() == [0, 1]
    assert top.score[0] == pytest.approx(7 - (1 + 1 / np.sqrt(101)) / 2)


def test_a_better_predictor_decides_rating_and_rank() -> None:
    history = of([(0, 0, 7)], 1, 4)
    top = predict_top(history, FLAT, NEAR, PLAIN, better=lambda user, item: item.astype(np.float32))
    assert top.item.tolist() == [2, 1]
    assert top.predicted_rating.tolist() == [2, 1]


def test_title_baselines_shrink_towards_the_mean_of_all() -> None:
    learnt = title_baselines(of([(0, 0, 10), (1, 0, 10), (0, 1, 4)], 2, 3))
    assert learnt.global_mean == pytest.approx(8)
    assert learnt.ratings.tolist() == [2, 1, 0]
    assert learnt.mean[:2].tolist() == [10, 4]
    assert np.isnan(learnt.mean[2])
    assert learnt.shrunk_mean == pytest.approx([(20 + 40) / 7, (4 + 40) / 6, 8])


def test_no_ratings_at_all_give_nobody_a_list() -> None:
    empty = of([], 2, 3)
    top = predict_top(empty, title_baselines(empty), similar_titles(empty))
    assert len(top.user) == 0


@pytest.mark.parametrize("model", [ItemNeighbourhood, lambda: ItemNeighbourhood(PredictionSettings(most_joint=0))])
def test_planted_tastes_are_found(model: type[ItemNeighbourhood]) -> None:
    """Series are liked as a whole in the invented world: neighbours must beat offsets alone."""
    ratings, items = small_ratings(120), small_items()
    hidden = np.random.default_rng(1).random(len(ratings)) < 0.2
    hidden &= ratings.is_rated
    target, kept = ratings.take(hidden), ratings.take(~hidden)

    def error(model: Bias | ItemNeighbourhood) -> float:
        predicted = model.fit(kept, items).predict(target.user, target.item)
        assert predicted.dtype == np.float32
        assert ((predicted >= 1) & (predicted <= 10)).all()
        return float(np.mean((predicted - target.rating) ** 2))

    assert error(model()) < error(Bias())


def test_the_order_of_the_rows_does_not_matter() -> None:
    ratings, items = small_ratings(), small_items()
    order = np.random.default_rng(0).permutation(len(ratings))
    pairs = np.repeat(np.arange(5, dtype=np.int32), 36), np.tile(np.arange(36, dtype=np.int32), 5)
    one, other = (ItemNeighbourhood().fit(r, items) for r in (ratings, ratings.take(order)))
    np.testing.assert_allclose(one.predict(*pairs), other.predict(*pairs), atol=2e-4)
    np.testing.assert_allclose(one.scores(pairs[0][:3]), other.scores(pairs[0][:3]), atol=1e-5)


def test_a_batch_of_users_is_predicted_as_among_all_of_them() -> None:
    """What is learnt of the titles is all that other people have to do with a prediction."""
    ratings, items = small_ratings(), small_items()
    near = similar_titles(ratings)
    everybody = JointNeighbourhood().fit(ratings, items, near)
    titles = learn_titles(ratings, items)
    few = ratings.take(ratings.user < 7)
    batch = JointNeighbourhood().with_titles(Ratings(few.user, few.item, few.rating, 7, 36), items, titles, near)
    asked = np.repeat(np.arange(7, dtype=np.int32), 36), np.tile(np.arange(36, dtype=np.int32), 7)
    np.testing.assert_array_equal(batch.predict(*asked), everybody.predict(*asked))


def test_one_list_is_predicted_by_a_predictor_made_for_others() -> None:
    items, ratings = small_items(36), small_ratings()
    whole = JointNeighbourhood().fit(ratings, items)
    few = ratings.take(ratings.user == 3)
    titles = np.arange(ratings.n_items, dtype=np.int32)
    expected = whole.predict_with_deviation(np.full_like(titles, 3), titles)
    own = Ratings(np.zeros_like(few.user), few.item, few.rating, 1, ratings.n_items)
    for remember in (False, True):
        alone = whole.for_lists(own, remember=remember)
        for _ in range(2):
            answer = alone.predict_with_deviation(np.zeros_like(titles), titles)
            for got, wanted in zip(answer, expected, strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_no_prediction(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ratings, items = small_ratings(), small_items()
    model = JointNeighbourhood().fit(ratings, items)
    asked = np.repeat(np.arange(9, dtype=np.int32), 36), np.tile(np.arange(36, dtype=np.int32), 9)
    before = model.predict(*asked)
    monkeypatch.setattr("malsugoi_assets.recommend.joint.available_threads", lambda: threads)
    np.testing.assert_array_equal(model.predict(*asked), before)


def test_a_known_rating_does_not_predict_itself() -> None:
    ratings, items = small_ratings(), small_items()
    model = JointNeighbourhood().fit(ratings, items)
    rated = ratings.rated
    asked = rated.user[:1], rated.item[:1]
    before = model.predict(*asked)
    place = np.flatnonzero(
        (model._item == asked[1][0]) & (np.arange(len(model._item)) < model._starts[asked[0][0] + 1])
    )
    model._rating = model._rating.copy()
    model._rating[place[-1]] = 11 - model._rating[place[-1]]
    assert model.predict(*asked) == pytest.approx(before, abs=1e-4)


def test_who_and_what_is_new_falls_back_to_the_title_and_to_the_mean() -> None:
    """A user without ratings has the title's effect in points of a typical spread, 1.4^0.3."""
    ratings, items = small_ratings(40), small_items()
    alone = Ratings(ratings.user, ratings.item, ratings.rating, 41, ratings.n_items)
    model = JointNeighbourhood().fit(alone, items)
    predicted, deviation = model.predict_with_deviation(np.full(36, 40, np.int32), np.arange(36, dtype=np.int32))
    titles = learn_titles(alone, items)
    assert predicted == pytest.approx((titles.mean + 1.4**0.3 * titles.effect).clip(1, 10), abs=1e-5)
    informed = model.predict_with_deviation(np.zeros(36, np.int32), np.arange(36, dtype=np.int32))[1]
    assert informed.mean() < deviation.mean()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(0, 0, 7)],
        [(0, i, 7) for i in range(20)],
        [(u, i, 7) for u in range(9) for i in range(9)],
        [(0, 3, np.nan)],
    ],
    ids=["empty", "one rating", "constant rater", "all equal", "nothing rated"],
)
def test_poor_data_still_predicts(rows: list[tuple[int, int, float]]) -> None:
    model = ItemNeighbourhood().fit(of(rows, 10, 36), small_items())
    users = np.array([0, 9], np.int32)
    predicted = model.predict(users, np.array([1, 2], np.int32))
    assert np.isfinite(predicted).all()
    assert ((predicted >= 1) & (predicted <= 10)).all()
    assert model.scores(users).shape == (2, 36)
    assert np.isfinite(model.scores(users)).all()


def test_of_a_longer_list_only_so_many_ratings_are_used() -> None:
    ratings, items = small_ratings(6), small_items()
    asked = np.zeros(36, np.int32), np.arange(36, dtype=np.int32)
    whole, part = (JointNeighbourhood(JointSettings(longest=n)).fit(ratings, items).predict(*asked) for n in (500, 4))
    assert np.isfinite(part).all()
    assert not np.allclose(whole, part)


def test_predicting_before_learning_says_so() -> None:
    with pytest.raises(RuntimeError, match="fit"):
        ItemNeighbourhood().predict(np.array([0], np.int32), np.array([0], np.int32))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 3))
def test_the_best_titles_are_those_of_a_full_sort_whatever_the_threads(seed: int, most: int, threads: int) -> None:
    random = np.random.default_rng(seed)
    n_users, n_items = 7, 25
    rows = [(u, i) for u in range(n_users) for i in range(n_items) if random.random() < 0.3]
    # Few different ratings make ties; some rows are listed and not rated.
    history = of([(u, i, float(random.choice([6, 8, np.nan]))) for u, i in rows], n_users, n_items)
    baselines, near = title_baselines(history), similar_titles(history, SimilaritySettings(min_support=1))
    predictor = Predictor(history, baselines, near, PredictionSettings(), threads)
    size, item, score, predicted, support = predictor.top(most)
    (block,) = predictor.blocks()
    for user in range(n_users):
        open_to = (baselines.ratings > 0) & (history.listed_matrix[[user]].toarray()[0] == 0)
        best = [i for i in np.argsort(-block.score[user], kind="stable") if open_to[i]][:most]
        assert item[user, : size[user]].tolist() == best
        np.testing.assert_array_equal(score[user, : size[user]], block.score[user, best])
        np.testing.assert_array_equal(predicted[user, : size[user]], block.predicted[user, best])
        np.testing.assert_array_equal(support[user, : size[user]], block.support[user, best])
