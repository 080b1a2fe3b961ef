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
from scipy.linalg.lapack import dpotrf, dpotri, dtrtri

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

    `items`: int32 (n,), sorted; `root`: float64 (n, n), R with RᵀR = (S + ν·1)⁻¹; `weight`: (n,), that times the residuals;
    `left_out`, `left_out_deviation`: (n,), each own rating predicted from the others, in rating points.
    """

    items: IntArray
    root: Numbers
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
        root = root_of_inverse(among)
        each = np.einsum("kn,kn->n", root, root)
        of_x, of_one, of_effect = (root.T @ (root @ np.stack([x, np.ones_like(x), effect], axis=1))).T
        missed = (of_x - without.level * of_one - without.spread * of_effect) / each
        deviation = without.spread / np.sqrt(each)
        error = float((((missed / deviation) ** 2).sum() + ERROR_ROWS * TYPICAL_ERROR) / (n + ERROR_ROWS))
        weight = (of_x - own.level * of_one) / own.spread - of_effect
        return cls(items, root, weight, own, error, rating - missed, deviation * error**0.5)

    def answer(
        self, asked: IntArray, effect: Numbers, mean: float, to: Numbers, own: Numbers, noise: float
    ) -> tuple[Numbers, Numbers]:
        """Predicted ratings and their deviations, (q,) each, rating points.

        `to`: (q, n), likeness of `asked` to the list; `own`: (q,), to themselves; `effect`: (q,), the titles' effects.
        """
        spread = float(self.units.spread)
        predicted = mean + float(self.units.level) + spread * (effect + to @ self.weight)
        half = self.root @ to.T
        left = own - np.einsum("nq,nq->q", half, half)
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
    factor = _factor(system)
    if factor is None:
        values, vectors = _lifted(system)
        inverse = (vectors / values) @ vectors.T
        return np.asarray((inverse + inverse.T) / 2)
    inverse, failed = dpotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise np.linalg.LinAlgError("not positive definite")
    lower = np.tril(inverse)
    return np.asarray(lower + np.tril(inverse, -1).T)


def root_of_inverse(system: Numbers) -> Numbers:
    """R (n, n) with RᵀR = `inverted(system)`: a third of its work, and enough for products with it."""
    factor = _factor(system)
    if factor is None:
        values, vectors = _lifted(system)
        return np.asarray((vectors / np.sqrt(values)).T)
    root, failed = dtrtri(factor, lower=1, overwrite_c=1)
    if failed:
        raise np.linalg.LinAlgError("not positive definite")
    return np.asarray(root)


def _least(system: Numbers) -> float:
    return 0.1 * float(np.median(np.diag(system)))


def _factor(system: Numbers) -> Numbers | None:
    """Cholesky's factor, lower; None where an eigenvalue is too small. By LAPACK itself, which takes the matrix as it lies."""
    less = system.copy()
    less[np.diag_indices_from(less)] -= _least(system)
    if dpotrf(less.T, lower=1, clean=0, overwrite_a=1)[1]:
        return None
    factor, failed = dpotrf(system.T, lower=1)
    return None if failed else np.asarray(factor)


def _lifted(system: Numbers) -> tuple[Numbers, Numbers]:
    """Eigenvalues, none too small, and eigenvectors."""
    values, vectors = np.linalg.eigh(system)
    return np.maximum(values, _least(system)), vectors
