"""One list solved at once, against its definition: a Gaussian process written down, and each rating left out in turn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from malsugoi_assets.recommend.list_taste import ListTaste, inverted, root_of_inverse, units

NOISE = 0.4
Numbers = npt.NDArray[np.float64]


def problem(n: int = 7, asked: int = 3, seed: int = 0) -> tuple[Numbers, Numbers, Numbers]:
    """Ratings (n,), effects (n + asked,) and a likeness (n + asked, n + asked); the list comes first."""
    random = np.random.default_rng(seed)
    places = random.normal(size=(n + asked, 4))
    return random.integers(1, 11, n).astype(float), random.normal(0, 0.4, n + asked), places @ places.T / 4 + 0.2


def by_definition(
    rating: Numbers, effect: Numbers, likeness: Numbers, to: Numbers, own: Numbers
) -> tuple[Numbers, Numbers]:
    """r̂ and the variance without the user's own factor; `effect`: of the list's titles, then of those asked."""
    n = len(rating)
    x = rating - 7.0
    level = x.sum() / (n + 5)
    spread = ((((x - level) ** 2).sum() + 23 * 1.4) / (n + 23)) ** 0.3
    y = (x - level) / spread - effect[:n]
    inverse = np.linalg.inv(likeness + NOISE * np.eye(n))
    return 7.0 + level + spread * (effect[n:] + to @ inverse @ y), spread**2 * (
        own + NOISE - np.diag(to @ inverse @ to.T)
    )


def solve(rating: Numbers, effect: Numbers, likeness: Numbers) -> ListTaste:
    n = len(rating)
    system = likeness[:n, :n] + NOISE * np.eye(n)
    return ListTaste.solve(np.arange(n, dtype=np.int32) * 2, rating, effect[:n], 7.0, system)


def test_predictions_are_those_of_the_definition() -> None:
    rating, effect, likeness = problem()
    n = len(rating)
    taste = solve(rating, effect, likeness)
    to, own = likeness[n:, :n], np.diag(likeness)[n:]
    predicted, deviation = taste.answer(np.array([1, 3, 5], np.int32), effect[n:], 7.0, to, own, NOISE)
    expected, variance = by_definition(rating, effect, likeness[:n, :n], to, own)
    assert predicted == pytest.approx(expected)
    assert deviation**2 == pytest.approx(variance * taste.error)


def test_a_listed_title_is_predicted_as_if_it_were_not_listed() -> None:
    """In closed form, and by solving anew without it: level and spread are without it as well."""
    rating, effect, likeness = problem()
    n = len(rating)
    taste = solve(rating, effect, likeness)
    asked = taste.items
    predicted, deviation = taste.answer(asked, effect[:n], 7.0, likeness[:n, :n], np.diag(likeness)[:n], NOISE)
    for place in range(n):
        others = np.arange(n) != place
        expected, variance = by_definition(
            rating[others],
            np.append(effect[:n][others], effect[place]),
            likeness[:n, :n][np.ix_(others, others)],
            likeness[place : place + 1, :n][:, others],
            likeness[place, place : place + 1],
        )
        assert predicted[place] == pytest.approx(expected[0])
        assert deviation[place] ** 2 == pytest.approx(variance[0] * taste.error)


def test_who_is_hard_to_predict_is_told_so() -> None:
    """Two people over the same titles: one follows the likeness, the other throws dice."""
    random = np.random.default_rng(1)
    places = random.normal(size=(60, 3))
    likeness = places @ places.T
    steady = 7 + np.linalg.cholesky(likeness + 1e-6 * np.eye(60)) @ random.normal(size=60)
    taste, dice = (solve(r, np.zeros(60), likeness) for r in (steady, random.choice([1.0, 10.0], 60)))
    assert taste.error < 0.5 < 1 < dice.error


def test_level_and_spread_by_hand() -> None:
    """Ratings 2 and 0 above the mean: level 2/7; around it (12/7)² + (2/7)², with 23 rows of 1.4."""
    one = units(np.array(2.0), np.array(2.0), np.array(4.0))
    assert one.level == pytest.approx(2 / 7)
    assert one.spread == pytest.approx((((12 / 7) ** 2 + (2 / 7) ** 2 + 23 * 1.4) / 25) ** 0.3)
    nobody = units(*np.zeros((3, 1)))
    assert (nobody.level[0], nobody.spread[0]) == (0, pytest.approx(1.4**0.3))


def test_a_likeness_that_is_none_is_lifted() -> None:
    """[[1, 2], [2, 1]] has the eigenvalues 3 and -1: the latter becomes a tenth of the diagonal."""
    values = np.linalg.eigvalsh(inverted(np.array([[1.0, 2.0], [2.0, 1.0]])))
    assert values == pytest.approx([1 / 3, 10])


def test_the_inverse_of_a_likeness_is_its_inverse_and_exactly_symmetric() -> None:
    half = np.random.default_rng(3).normal(size=(40, 40))
    system = half @ half.T / 40 + np.eye(40)
    found = inverted(system)
    np.testing.assert_allclose(found @ system, np.eye(40), atol=1e-12)
    assert (found == found.T).all()


@pytest.mark.parametrize("definite", [True, False])
def test_the_root_of_the_inverse_is_one(definite: bool) -> None:
    half = np.random.default_rng(4).normal(size=(30, 30))
    system = half @ half.T / 30 + np.eye(30) if definite else half + half.T
    root = root_of_inverse(system)
    np.testing.assert_allclose(root.T @ root, inverted(system), atol=1e-9)
