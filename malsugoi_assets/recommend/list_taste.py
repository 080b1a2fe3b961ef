"""One user's ratings solved at once: what a list says about any title, with how far that can be trusted.

With x_j = r_uj - μ, the user's level m = Σx / (n + 5) and spread s = ((Σ(x - m)² + 23 · 1.4) / (n + 23))^0.3, the residuals
y_j = (x_j - m) / s - e_j (e: the titles' effects) are a Gaussian process over the titles with the likeness S and noise ν
(Rasmussen and Williams 2006, eq. 2.25-2.26):

    r̂_i = μ + m + s · (e_i + s_iᵀ (S + ν·1)⁻¹ y)
    var_i = s² · c · (s_ii - s_iᵀ (S + ν·1)⁻¹ s_i + ν)

For a title on the list its own rating is left out of everything, of m and s as well, in closed form (there, 5.4.2). c says
how wide of the mark the list's own ratings were when each was left out: mean squared standardised error, drawn to
`TYPICAL_ERROR` with `ERROR_ROWS` rows, since some people are far less predictable than others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotri

from malsugoi_assets.recommend.ratings import IntArray

Numbers = npt.NDArray[np.float64]
LEVEL_ROWS = 5.0
SPREAD_ROWS, TYPICAL_VARIANCE, SPREAD_POWER = 23.0, 1.4, 0.3
ERROR_ROWS, TYPICAL_ERROR = 20.0, 0.75


@dataclass(frozen=True)
class Units:
    """A user's level and spread, in rating points; float64, of a shape of their own."""

    level: Numbers
    spread: Numbers


def units(count: Numbers, total: Numbers, squares: Numbers) -> Units:
    """Level and spread from how many ratings there are, Σx and Σx², x = rating less the mean of all."""
    level = total / (count + LEVEL_ROWS)
    around = np.maximum(squares - 2 * level * total + count * level**2, 0)
    return Units(level, ((around + SPREAD_ROWS * TYPICAL_VARIANCE) / (count + SPREAD_ROWS)) ** SPREAD_POWER)


@dataclass(frozen=True)
class ListTaste:
    """A list with its solution.

    `items`: int32 (n,), sorted; `inverse`: float64 (n, n), (S + ν·1)⁻¹; `weight`: (n,), the inverse times the residuals;
    `left_out`, `left_out_deviation`: (n,), each own rating predicted from the others, in rating points.
    """

    items: IntArray
    inverse: Numbers
    weight: Numbers
    units: Units
    error: float
    left_out: Numbers
    left_out_deviation: Numbers

    @classmethod
    def solve(cls, items: IntArray, rating: Numbers, effect: Numbers, mean: float, among: Numbers) -> ListTaste:
        """From the list's ratings (n,), the effects of its titles (n,) and their likeness with the noise added (n, n)."""
        x = rating - mean
        n = np.array(float(len(x)))
        total, squares = np.array(x.sum()), np.array((x**2).sum())
        own, without = units(n, total, squares), units(n - 1, total - x, squares - x**2)
        inverse = inverted(among)
        each = np.diag(inverse)
        of_x, of_one, of_effect = inverse @ np.stack([x, np.ones_like(x), effect], axis=1).T[:, :, None]
        missed = (of_x[:, 0] - without.level * of_one[:, 0] - without.spread * of_effect[:, 0]) / each
        deviation = without.spread / np.sqrt(each)
        error = float((((missed / deviation) ** 2).sum() + ERROR_ROWS * TYPICAL_ERROR) / (n + ERROR_ROWS))
        weight = (of_x[:, 0] - own.level * of_one[:, 0]) / own.spread - of_effect[:, 0]
        return cls(items, inverse, weight, own, error, rating - missed, deviation * error**0.5)

    def answer(
        self, asked: IntArray, effect: Numbers, mean: float, to: Numbers, own: Numbers, noise: float
    ) -> tuple[Numbers, Numbers]:
        """Predicted ratings and their deviations, (q,) each, rating points.

        `to`: (q, n), likeness of `asked` to the list; `own`: (q,), to themselves; `effect`: (q,), the titles' effects.
        """
        spread = float(self.units.spread)
        predicted = mean + float(self.units.level) + spread * (effect + to @ self.weight)
        left = own - np.einsum("qn,qn->q", to @ self.inverse, to)
        deviation = spread * np.sqrt(self.error * (np.maximum(left, 0.02 * own) + noise))
        place = np.minimum(np.searchsorted(self.items, asked), len(self.items) - 1)
        listed = self.items[place] == asked
        predicted[listed], deviation[listed] = self.left_out[place[listed]], self.left_out_deviation[place[listed]]
        return predicted, deviation


def inverted(system: Numbers) -> Numbers:
    """The inverse of a likeness with its noise, (n, n), symmetric.

    Names and relations make no positive definite likeness by themselves. Where that shows, the eigenvalues are lifted to a
    tenth of the typical diagonal.
    """
    least = 0.1 * float(np.median(np.diag(system)))
    try:
        np.linalg.cholesky(system - least * np.eye(len(system)))
        return _inverse_of_definite(system)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(system)
        inverse = (vectors / np.maximum(values, least)) @ vectors.T
        return np.asarray((inverse + inverse.T) / 2)


def _inverse_of_definite(system: Numbers) -> Numbers:
    """By Cholesky's factor: half the work of an inverse that does not know of the symmetry."""
    factor, failed = dpotrf(system, lower=1)
    inverse, failed_too = dpotri(factor, lower=1)
    if failed or failed_too:
        raise np.linalg.LinAlgError("not positive definite")
    lower = np.tril(inverse)
    return np.asarray(lower + np.tril(inverse, -1).T)
