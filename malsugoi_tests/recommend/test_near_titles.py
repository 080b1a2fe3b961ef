"""Which titles of a list the network looks at, and what it sees of them."""

from __future__ import annotations

import numpy as np

from malsugoi_assets.recommend.content import NUMBERS
from malsugoi_assets.recommend.near_titles import COLUMNS, near_titles, nearest, no_titles
from malsugoi_assets.recommend.user_kernel import PARTS

TOTAL = np.array([[0.2, 0.9, 0.5], [0.4, 0.4, 0.7]], dtype=np.float32)


def test_the_nearest_come_first_and_of_two_alike_the_former() -> None:
    assert nearest(TOTAL, 2).tolist() == [[1, 2], [2, 0]]
    assert nearest(TOTAL, 9).shape == (2, 3)
    assert nearest(TOTAL[:, :0], 4).shape == (2, 0)
    many = np.random.default_rng(0).integers(0, 6, (40, 30)).astype(np.float32)
    for places in (1, 4, 30):
        np.testing.assert_array_equal(nearest(many, places), np.argsort(-many, axis=1, kind="stable")[:, :places])


def test_what_is_not_a_number_stands_last() -> None:
    unknown = np.array([[np.nan, 3, np.nan, 1, 2], [1, np.nan, 0, np.nan, 2]], dtype=np.float32)
    assert nearest(unknown, 3).tolist() == [[1, 4, 3], [4, 0, 2]]
    assert nearest(unknown, 5).tolist() == [[1, 4, 3, 0, 2], [4, 0, 2, 1, 3]]
    assert nearest(np.full((1, 3), np.nan, dtype=np.float32), 2).tolist() == [[0, 1]]


def test_each_title_stands_with_its_likeness_its_differences_and_what_the_user_thinks_of_it() -> None:
    parts = np.arange(len(PARTS), dtype=np.float32)[:, None, None] * TOTAL
    asked = np.zeros((2, len(NUMBERS)), dtype=np.float32)
    asked[:, NUMBERS.index("year")] = 2, 3
    listed = np.zeros((3, len(NUMBERS)), dtype=np.float32)
    listed[1, NUMBERS.index("year")], listed[2, NUMBERS.index("score")] = 1.5, 1
    residual, left_out = np.array([-1, 0.5, 2], np.float32), np.array([0, 0.25, -0.5], np.float32)
    found = near_titles(nearest(TOTAL, 4), 4, parts, TOTAL, (asked, listed), residual, left_out)
    assert found.shape == (2, 4, len(COLUMNS))

    def column(name: str) -> list[float]:
        return found[0, :, COLUMNS.index(name)].round(2).tolist()

    assert column("kernel") == [np.float16(0.9).round(2), 0.5, np.float16(0.2).round(2), 0]
    np.testing.assert_allclose(column(PARTS[2]), [1.8, 1.0, 0.4, 0], atol=0.01)
    assert column("year_less") == [0.5, 2, 2, 0]
    assert column("score_less") == [0, -1, 0, 0]
    assert column("residual") == [0.5, 2, -1, 0]
    assert column("left_out") == [0.25, -0.5, 0, 0]
    assert column("there") == [1, 1, 1, 0]


def test_nothing_is_all_zeros() -> None:
    assert no_titles(3, 2).shape == (3, 2, len(COLUMNS))
    assert not no_titles(3, 2).any()
