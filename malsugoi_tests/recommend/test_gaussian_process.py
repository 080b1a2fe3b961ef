"""The process over all users is the textbook's, solved another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from malsugoi_assets.recommend.content import Content, encode, learn_code
from malsugoi_assets.recommend.features import Catalogue, learn_catalogue, pair_inputs
from malsugoi_assets.recommend.gaussian_process import (
    ProcessSettings,
    TitleProcess,
    learn_process,
    scaled_tastes,
    title_covariances,
)
from malsugoi_assets.recommend.item_state import ItemState, learn_item_state, user_levels
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.likeness import Likeness, learn_likeness
from malsugoi_assets.recommend.process_model import GaussianProcess, ProcessModelSettings
from malsugoi_assets.recommend.ratings import IntArray, Ratings
from malsugoi_assets.recommend.user_kernel import NOISE, PART_WEIGHTS, UserKernel
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

EXACT = ProcessSettings(taste_size=6, tolerance=1e-6, iterations=1000)
Known = tuple[Ratings, ItemState, Content, Likeness, TitleProcess]


@pytest.fixture(scope="module")
def items() -> Items:
    return small_items()


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return small_ratings()


def learnt(ratings: Ratings, items: Items, settings: ProcessSettings = EXACT, threads: int = 1) -> Known:
    content, likeness = encode(items, learn_code(items)), learn_likeness(items)
    state = learn_item_state(ratings, content.matrix, embedding_size=8, seed=0)
    process = learn_process(ratings, state, content, likeness, settings, seed=0, threads=threads)
    return ratings, state, content, likeness, process


@pytest.fixture(scope="module")
def known(ratings: Ratings, items: Items) -> Known:
    return learnt(ratings, items)


def by_definition(known: Known, user: IntArray, item: IntArray) -> npt.NDArray[np.float64]:
    """The posterior mean with every covariance written out: K_qr (K_rr + noise)⁻¹ y, in rating points."""
    ratings, state, content, likeness, process = known
    rated = ratings.rated
    users, titles = np.concatenate([rated.user, user]), np.concatenate([rated.item, item])
    everything = np.arange(ratings.n_items)
    everybody, similar = title_covariances(content, likeness, state.listing, EXACT)
    k_all, k_cross = (
        covariance.times(np.eye(len(everything), dtype=np.float32)) for covariance in (everybody, similar)
    )
    k_user = np.tensordot(
        PART_WEIGHTS,
        UserKernel(content, likeness, state.listing).parts(
            everything, everything, np.full(len(everything), -1, np.int32)
        ),
        1,
    )
    taste = scaled_tastes(np.asarray(ratings.listed_matrix @ process.loadings))
    pair = np.ix_(titles, titles)
    cross = (taste @ taste.T)[np.ix_(users, users)] * k_cross[pair]
    covariance = (k_all[pair] + cross + (users[:, None] == users[None, :]) * k_user[pair]).astype(np.float64)
    offset, scale = user_levels(rated, state)
    n = len(rated)
    y = (rated.rating - state.mean[0] - offset[rated.user]) / scale[rated.user]
    mean = covariance[n:, :n] @ np.linalg.solve(covariance[:n, :n] + NOISE * np.eye(n), y)
    return np.asarray(state.mean[0] + offset[user] + scale[user] * mean)


def test_predictions_are_those_of_the_definition(known: Known) -> None:
    ratings, state, content, likeness, process = known
    user, item = (x.ravel().astype(np.int32) for x in np.mgrid[: ratings.n_users, : ratings.n_items])
    listed = np.asarray(ratings.listed_matrix.todense()).ravel() > 0
    user, item = user[~listed], item[~listed]
    found = pair_inputs(Catalogue(state, content, likeness, process), ratings, user, item, 800)
    np.testing.assert_allclose(found.base, by_definition(known, user, item), atol=2e-3)


def test_others_who_list_the_same_things_are_believed_more_than_others_who_do_not(items: Items) -> None:
    """Users 0-9 list the first half of the titles and love the first title; users 10-19 list the rest and hate it."""
    rows = [(u, i, np.nan) for u in range(20) for i in range(1, 36) if (i < 18) == (u < 10)]
    rows += [(u, 0, 10.0 if u < 10 else 2.0) for u in range(20) if u not in (0, 10)]
    user, item, rating = (np.array(column) for column in zip(*rows, strict=True))
    lists = Ratings(user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32), 20, 36)
    found = GaussianProcess(ProcessModelSettings(embedding_size=8)).fit(lists, items)
    fan, foe = found.predict(np.array([0, 10], np.int32), np.array([0, 0], np.int32))
    assert fan > foe + 0.5


def test_neither_the_order_of_the_rows_nor_threads_matter(ratings: Ratings, items: Items, known: Known) -> None:
    shuffled = ratings.take(np.random.default_rng(0).permutation(len(ratings)))
    for other in (learnt(shuffled, items)[-1], learnt(ratings, items, threads=3)[-1]):
        np.testing.assert_allclose(other.common, known[-1].common, atol=1e-4)
        np.testing.assert_allclose(
            other.others @ other.loadings.T, known[-1].others @ known[-1].loadings.T, atol=1e-3
        )


def test_a_history_that_is_too_long_is_solved_for_a_sample_of_it(ratings: Ratings, items: Items) -> None:
    content, likeness = encode(items, learn_code(items)), learn_likeness(items)
    found = learn_catalogue(ratings, content, likeness, embedding_size=8, max_history=10, joint=True, seed=0)
    inputs = pair_inputs(found, ratings, np.zeros(36, np.int32), np.arange(36, dtype=np.int32), 10)
    assert np.isfinite(inputs.base).all()


def test_it_is_written_and_read_and_lined_up_with_another_catalogue(known: Known) -> None:
    process = known[-1]
    again = TitleProcess.from_tensors(process.tensors())
    assert again is not None
    np.testing.assert_array_equal(again.others, process.others)
    assert TitleProcess.from_tensors({}) is None
    turned = process.for_catalogue(np.array([3, -1, 0]), np.array([0.0, 1.0, 0.0], dtype=np.float32))
    np.testing.assert_array_equal(
        turned.others, np.stack([process.others[3], 0 * process.others[0], process.others[0]])
    )
    assert turned.common[1] == pytest.approx(1 / process.unit[0])
    broken = {name: value for name, value in process.tensors().items() if name != "process.unit"}
    with pytest.raises(KeyError, match="unit"):
        TitleProcess.from_tensors(broken)


def test_no_rating_at_all_leaves_everything_at_the_mean(ratings: Ratings, items: Items) -> None:
    unrated = replace(ratings, rating=np.full(len(ratings), np.nan, dtype=np.float32))
    process = learnt(unrated, items)[-1]
    assert not process.common.any()
    assert not process.others.any()
    nobody = Ratings(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), 0, 36)
    assert not learnt(nobody, items)[-1].loadings.any()


def test_without_a_process_over_all_users_each_user_is_alone(ratings: Ratings, items: Items) -> None:
    alone = GaussianProcess(ProcessModelSettings(embedding_size=8, most_joint=0)).fit(ratings, items)
    joint = GaussianProcess(ProcessModelSettings(embedding_size=8)).fit(ratings, items)
    user, item = np.arange(40, dtype=np.int32), np.full(40, 5, dtype=np.int32)
    assert np.abs(alone.predict(user, item) - joint.predict(user, item)).max() > 0.01
