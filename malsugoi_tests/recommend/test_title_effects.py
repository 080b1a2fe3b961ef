"""Titles' effects against their definition: the mean of one Gaussian process over all ratings, written down densely."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.recommend import title_effects
from malsugoi_assets.recommend.content import Content, encode, learn_code
from malsugoi_assets.recommend.item_state import learn_listing
from malsugoi_assets.recommend.likeness import learn_likeness
from malsugoi_assets.recommend.list_taste import units
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.title_effects import EffectSettings, learn_effects
from malsugoi_assets.recommend.title_kernel import KernelSettings, TitleKernel, title_kernel
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

NOISE = 0.45


def world(n_users: int = 12) -> tuple[Ratings, TitleKernel, Content]:
    ratings, items = small_ratings(n_users), small_items()
    content = encode(items, learn_code(items))
    listing = learn_listing(ratings, 8, 0)
    return ratings, title_kernel(learn_likeness(items), listing, content, KernelSettings(), None), content


def by_definition(ratings: Ratings, kernel: TitleKernel, content: Content, settings: EffectSettings) -> np.ndarray:
    """C Pᵀ (S + ν·1 + P C Pᵀ)⁻¹ t, with S between the ratings of one user only."""
    rated = ratings.rated
    x = rated.rating.astype(float) - rated.rating.astype(float).mean()
    target = np.empty(len(x))
    for user in range(ratings.n_users):
        mine = rated.user == user
        own = units(np.array(float(mine.sum())), np.array(x[mine].sum()), np.array((x[mine] ** 2).sum()))
        target[mine] = (x[mine] - own.level) / own.spread
    every = np.arange(ratings.n_items, dtype=np.int32)
    likeness = kernel.block(every, every, np.full(ratings.n_items, -1, np.int32)).astype(float)
    prior = settings.score * np.outer(content.numbers[:, 0], content.numbers[:, 0]) + settings.constant
    prior = prior + settings.genres * content.genres @ content.genres.T
    prior += settings.members * np.outer(content.numbers[:, 1], content.numbers[:, 1])
    prior += settings.listing * kernel.listing @ kernel.listing.T + settings.own * np.eye(ratings.n_items)
    among = likeness[np.ix_(rated.item, rated.item)] * (rated.user[:, None] == rated.user[None, :])
    system = among + NOISE * np.eye(len(x)) + prior[np.ix_(rated.item, rated.item)]
    return prior[:, rated.item] @ np.linalg.solve(system, target)


def test_effects_are_those_of_the_definition() -> None:
    ratings, kernel, content = world()
    settings = EffectSettings()
    mean, effect = learn_effects(ratings, kernel, content, NOISE, settings)
    assert mean == pytest.approx(ratings.rated.rating.mean())
    assert effect == pytest.approx(by_definition(ratings, kernel, content, settings), abs=1e-4)


def test_a_title_that_nobody_rated_has_what_its_content_lets_expect() -> None:
    ratings, kernel, content = world()
    without = ratings.take(ratings.item != 3)
    settings = EffectSettings(listing=0.0)
    _, effect = learn_effects(without, kernel, content, NOISE, settings)
    assert effect[3] == pytest.approx(by_definition(without, kernel, content, settings)[3], abs=1e-4)
    assert abs(effect[3]) > 1e-3


def test_neither_threads_nor_the_order_of_the_rows_change_an_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings, kernel, content = world(40)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(title_effects, "available_threads", lambda threads=threads: threads)
        order = np.random.default_rng(threads).permutation(len(ratings))
        found.append(learn_effects(ratings.take(order), kernel, content, NOISE)[1])
    np.testing.assert_array_equal(*found)


def test_long_lists_are_cut_into_pieces_where_there_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rating stands in exactly one piece, pieces hold one user each, and the effects stay close."""
    ratings, kernel, content = world(40)
    _, whole = learn_effects(ratings, kernel, content, NOISE)
    monkeypatch.setattr(title_effects, "LONGEST_PIECE", 5)
    monkeypatch.setattr(title_effects, "SHORTEST_PIECE", 2)
    rated = ratings.rated
    rated = rated.take(np.lexsort((rated.item, rated.user)))
    pieces = list(title_effects._pieces(rated))
    assert sorted(np.concatenate(pieces).tolist()) == list(range(len(rated)))
    assert max(map(len, pieces)) == 5
    assert all(len(set(rated.user[piece])) == 1 for piece in pieces)
    _, cut = learn_effects(ratings, kernel, content, NOISE)
    assert np.corrcoef(cut, whole)[0, 1] > 0.9


def test_only_so_many_titles_have_an_effect_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings, kernel, content = world(40)
    monkeypatch.setattr(title_effects, "MOST_TITLES", 10)
    _, effect = learn_effects(ratings, kernel, content, NOISE)
    assert np.isfinite(effect).all()
    assert effect.std() > 0


@pytest.mark.parametrize("rating", [np.nan, 7.0])
def test_no_rating_and_equal_ratings_give_no_effect(rating: float) -> None:
    ratings, kernel, content = world(5)
    flat = Ratings(
        ratings.user, ratings.item, np.full(len(ratings), rating, np.float32), ratings.n_users, ratings.n_items
    )
    mean, effect = learn_effects(flat, kernel, content, NOISE)
    assert mean == (5.5 if np.isnan(rating) else 7)
    assert np.abs(effect).max() < 1e-6


def test_a_titles_likeness_to_itself_is_the_diagonal_of_the_block() -> None:
    _, kernel, _ = world()
    rows = np.array([5, 0, 17], np.int32)
    block = kernel.block(rows, rows, np.full(len(kernel.listing), -1, np.int32))
    assert kernel.own(rows) == pytest.approx(np.diag(block), rel=1e-5)
