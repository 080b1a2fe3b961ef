"""The network of the learnt order, where users have fewer candidates than there is room for."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.recommend.ranking_network import NetworkSettings, learn_network

SETTINGS = NetworkSettings(width=8, epochs=4, members=1, users_a_batch=4)


@pytest.mark.parametrize("filled_with", [-5.0, 1e6])
def test_what_rows_are_filled_up_with_is_not_learnt_from(filled_with: float) -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(12, 10, 3)).astype(np.float32)
    liked = np.zeros((12, 10), dtype=np.bool_)
    liked[np.arange(12), inputs[:, :6, 0].argmax(axis=1)] = True
    there = np.tile(np.arange(10) < 6, (12, 1))
    inputs[~there] = 0.0
    as_zero = learn_network(inputs, liked, SETTINGS, 0, there)
    inputs[~there] = filled_with
    other = learn_network(inputs, liked, SETTINGS, 0, there)
    np.testing.assert_array_equal(as_zero.mean, inputs[there].mean(axis=0))
    seen = random.normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(other.of(seen), as_zero.of(seen), rtol=1e-5, atol=1e-6)


def test_without_fillers_nothing_changes() -> None:
    random = np.random.default_rng(1)
    inputs = random.normal(size=(8, 5, 2)).astype(np.float32)
    liked = np.zeros((8, 5), dtype=np.bool_)
    liked[:, 0] = True
    every = learn_network(inputs, liked, SETTINGS, 0, np.ones(liked.shape, dtype=np.bool_))
    np.testing.assert_array_equal(every.of(inputs), learn_network(inputs, liked, SETTINGS, 0).of(inputs))
