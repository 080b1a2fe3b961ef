"""Whom nothing is known of is asked about titles that tell most."""

from __future__ import annotations

import numpy as np

from malsugoi_assets.recommend.starters import choose_starters, worth_asking


def test_the_worth_by_hand() -> None:
    """Two titles of 10 ratings, one with variance 4 and one with 0: σ² = 2, so s² = (40 + 20) / 20 and 20 / 20."""
    worth = worth_asking(np.array([10, 10], dtype=np.int32), np.array([4, 0], dtype=np.float32))
    np.testing.assert_allclose(worth, 10 * np.sqrt([3, 1]))


def test_known_to_many_and_liked_by_some_is_worth_most_and_unrated_nothing() -> None:
    ratings = np.array([1000, 1000, 20, 0], dtype=np.int32)
    variance = np.array([3.0, 1.0, 3.0, 0.0], dtype=np.float32)
    worth = worth_asking(ratings, variance)
    assert worth.argmax() == 0
    assert worth[3] == 0
    assert (worth_asking(ratings[:0], variance[:0])).shape == (0,)


def test_what_the_same_people_like_and_a_franchise_are_asked_about_once() -> None:
    worth = np.array([5.0, 4.9, 4.0, 3.0, 0.0])
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0.6, 0.8], [0, 1]], dtype=np.float32)
    assert choose_starters(worth, vectors, np.arange(5, dtype=np.int32), 2) == [0, 2]
    same_story = np.array([0, 1, 0, 3, 4], dtype=np.int32)
    assert choose_starters(worth, vectors, same_story, 2) == [0, 3]


def test_there_are_no_more_than_there_are() -> None:
    worth = np.array([1.0, 0.0, 2.0])
    chosen = choose_starters(worth, np.zeros((3, 1), dtype=np.float32), np.arange(3, dtype=np.int32), 10)
    assert chosen == [2, 0]
    assert choose_starters(np.empty(0), np.empty((0, 1), dtype=np.float32), np.empty(0, dtype=np.int32), 3) == []
