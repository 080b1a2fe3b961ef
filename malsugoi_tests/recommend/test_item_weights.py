"""Which ranking weights are learnt follows from the measured size, and says so."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.recommend.ease import ease_memory_gib, ease_top_weights
from malsugoi_assets.recommend.item_weights import ItemWeightsSettings, learn_item_weights
from malsugoi_assets.recommend.ratings import IntArray, Ratings
from malsugoi_assets.recommend.slim import slim_memory_gib, slim_top_weights
from malsugoi_tests.recommend.deep_world import small_ratings


def listed(ratings: Ratings) -> IntArray:
    """On how many lists each title stands."""
    return np.bincount(ratings.item, minlength=ratings.n_items).astype(np.int32)


def test_the_weights_are_those_of_the_two_methods() -> None:
    ratings = small_ratings()
    found = learn_item_weights(listed(ratings), [ratings])
    assert list(found.weights) == ["ease", "slim"]
    assert found.left_out == ""
    np.testing.assert_array_equal(found.weights["ease"].weight, ease_top_weights(ratings).weight)
    np.testing.assert_array_equal(found.weights["slim"].weight, slim_top_weights(ratings).weight)
    assert (found.weights["slim"].weight > 0).all()


def test_lists_in_parts_have_the_weights_of_all_lists() -> None:
    ratings = small_ratings()
    whole = learn_item_weights(listed(ratings), [ratings])
    parts = learn_item_weights(listed(ratings), (ratings.take(ratings.user % 3 == k) for k in range(3)))
    for method, weights in whole.weights.items():
        for name in ("item", "neighbour", "weight"):
            np.testing.assert_array_equal(getattr(parts.weights[method], name), getattr(weights, name))


def test_where_only_slim_fits_it_is_learnt_alone_and_the_reason_names_the_memory() -> None:
    """1,296 pairs of titles: EASE's float64 matrices take 8 times SLIM's one."""
    between = (slim_memory_gib(36) + ease_memory_gib(36)) / 2
    found = learn_item_weights(listed(small_ratings()), [small_ratings()], ItemWeightsSettings(memory_gib=between))
    assert list(found.weights) == ["slim"]
    assert found.left_out.startswith("ease: needs ")
    assert found.gib_needed == slim_memory_gib(36)


def test_where_neither_fits_it_is_refused_before_any_work() -> None:
    with pytest.raises(MemoryError, match="raise `memory_gib`"):
        learn_item_weights(listed(small_ratings()), [small_ratings()], ItemWeightsSettings(memory_gib=1e-9))


def test_without_slim_there_is_ease_alone() -> None:
    assert list(
        learn_item_weights(listed(small_ratings()), [small_ratings()], ItemWeightsSettings(slim=False)).weights
    ) == ["ease"]


def test_8000_titles_need_a_gib_for_ease_and_a_quarter_for_slim() -> None:
    assert ease_memory_gib(8_000) == pytest.approx(0.954, abs=1e-3)
    assert slim_memory_gib(8_000) == pytest.approx(0.238, abs=1e-3)
