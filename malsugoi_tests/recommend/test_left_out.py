"""What the process says of each rating with that rating left out, and what is learnt of its owner from that."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import cho_solve

from malsugoi_assets.recommend.content import encode, learn_code
from malsugoi_assets.recommend.item_state import learn_listing
from malsugoi_assets.recommend.left_out import COLUMNS, FOLLOWED, RIDGES, LeftOut
from malsugoi_assets.recommend.likeness import learn_likeness
from malsugoi_assets.recommend.user_kernel import NOISE, PART_WEIGHTS, PARTS, UserKernel, noisy_factor
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

TITLES = np.array([0, 1, 2, 4, 6, 7, 12, 13, 20, 21, 26, 30], dtype=np.int32)
NOTHING = np.zeros(len(TITLES), dtype=np.float32)


@pytest.fixture(scope="module")
def kernel() -> UserKernel:
    items = small_items()
    return UserKernel(encode(items, learn_code(items)), learn_likeness(items), learn_listing(small_ratings(), 8, 0))


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, len(TITLES)).astype(np.float32)


def scratch() -> np.ndarray:
    return np.full(36, -1, dtype=np.int32)


def learnt(
    kernel: UserKernel, own: np.ndarray, common: np.ndarray = NOTHING, others: np.ndarray = NOTHING
) -> LeftOut:
    """`own`: what everybody and similar users leave of the ratings of `TITLES`."""
    factor = noisy_factor(kernel.among(TITLES, scratch()))
    alpha = cho_solve((factor, True), own).astype(np.float32)
    return LeftOut.of(kernel.groups(TITLES, scratch()), factor, alpha, common, others)


def test_errors_are_those_of_solving_without_each_rating(kernel: UserKernel, drawn: np.ndarray) -> None:
    found = learnt(kernel, drawn)
    full = kernel.among(TITLES, scratch()).astype(np.float64)
    for left in range(len(TITLES)):
        rest = np.arange(len(TITLES)) != left
        noisy = full[np.ix_(rest, rest)] + NOISE * np.eye(int(rest.sum()))
        predicted = full[left, rest] @ np.linalg.solve(noisy, drawn[rest])
        assert found.error[left] == pytest.approx(drawn[left] - predicted, abs=1e-4)


@pytest.mark.parametrize(
    ("follows", "sign"), [(2.0, 1), (1.0, 0), (0.0, -1)], ids=["twice", "as usual", "not at all"]
)
@pytest.mark.parametrize("whom", ["common", "others"])
def test_who_follows_others_more_than_usual_has_a_slope_above_zero(
    kernel: UserKernel, drawn: np.ndarray, follows: float, sign: int, whom: str
) -> None:
    found = learnt(kernel, (follows - 1) * drawn, **{whom: drawn})
    place = FOLLOWED.index(whom)
    assert np.sign(found.slopes[:, place]).tolist() == [sign] * len(RIDGES)
    # A stronger ridge believes it less.
    assert (np.diff(np.abs(found.slopes[:, place])) <= 0).all()


def test_columns_hold_what_they_are_named_after(kernel: UserKernel, drawn: np.ndarray) -> None:
    """The list's own process, and what everybody thinks, asked about three titles, one of them on the list."""
    found = learnt(kernel, -0.5 * drawn, common=drawn)
    asked = np.array([6, 18, 35], dtype=np.int32)
    parts = kernel.parts(asked, TITLES, scratch())
    said = np.random.default_rng(1).normal(0, 1, (3, len(PARTS))).astype(np.float32)
    near = np.tensordot(PART_WEIGHTS, parts, axes=1)
    common, others = np.array([1, 0, -1], np.float32), np.array([0, 2, 0], np.float32)
    column = dict(zip(COLUMNS, found.columns(said, common, others, near), strict=True))
    followed = {"common": common, "others": others}
    for name, group in (("names", [0, 2, 3]), ("lists", [1, 4]), ("content", [5, 6, 7, 8])):
        followed[name] = said[:, group].sum(axis=1)
    for row, ridge in enumerate(RIDGES):
        change = sum(found.slopes[row, place] * followed[name] for place, name in enumerate(FOLLOWED))
        np.testing.assert_allclose(column[f"left_out_change_{ridge:g}"], change, rtol=1e-4, atol=1e-6)
    for place, name in enumerate(FOLLOWED):
        np.testing.assert_allclose(column[f"left_out_change_{name}"], found.slopes[-1, place] * followed[name])
        np.testing.assert_array_equal(column[f"left_out_slope_{name}"], [found.slopes[-1, place]] * 3)
    squares = float((found.error**2).sum())
    np.testing.assert_allclose(column["left_out_error"], np.sqrt((squares + 7.5) / (len(TITLES) + 10)), rtol=1e-5)
    np.testing.assert_allclose(column["left_out_mean"], found.error.sum() / (len(TITLES) + 5), rtol=1e-5)
    weight = near[0].clip(0) ** 2
    assert column["left_out_near_mean"][0] == pytest.approx((weight @ found.error) / (weight.sum() + 0.3), rel=1e-4)


def test_somebody_of_whom_nothing_is_known_is_taken_for_usual() -> None:
    found = LeftOut.of_nothing()
    assert not found.slopes.any()
    two = np.ones(2, dtype=np.float32)
    columns = found.columns(np.ones((2, len(PARTS)), np.float32), two, two, np.zeros((2, 0), np.float32))
    assert np.isfinite(np.stack(columns)).all()
    column = dict(zip(COLUMNS, columns, strict=True))
    assert column["left_out_near_square"] == pytest.approx(column["left_out_error"] ** 2)
