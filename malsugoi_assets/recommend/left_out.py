"""How well the process does on the ratings that a user has given, each left out in turn, and what follows for others.

What a rating's process says with that rating left out costs no second solution (Rasmussen and Williams 2006, eq. 5.12):

    e_i = α_i / [K⁻¹]_ii,   r_i - e_i the prediction,   part p of it: (K_p α)_i - [K_p K⁻¹]_ii e_i

with K the noisy kernel over the list. From that, for each user: how large and how lopsided the errors are, and by a ridge
regression (towards no change) of e on the parts how much more, or less, than is usual this user follows what everybody
thinks, what similar users think, the names, the lists and the content. The process has one set of weights for everybody.

What belongs here: what one list says of how to weigh the process' parts for its owner. The parts come from `features`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from malsugoi_assets.recommend.block_kernels import mirror
from malsugoi_assets.recommend.ratings import FloatArray
from malsugoi_assets.recommend.user_kernel import GROUPS, PARTS

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
FOLLOWED = ("common", "others", *GROUPS)
RIDGES = (3.0, 10.0, 40.0)
USUAL_ERROR = 0.75
USUAL_OWN = 1.1
USUAL_ROWS = 10.0
NEAR_ROWS = 0.3
_PLACES = [[PARTS.index(name) for name in names] for names in GROUPS.values()]

COLUMNS = (
    *(f"left_out_change_{ridge:g}" for ridge in RIDGES),
    *(f"left_out_change_{name}" for name in FOLLOWED),
    *(f"left_out_slope_{name}" for name in FOLLOWED),
    *("left_out_error", "left_out_mean", "left_out_explained", "left_out_spread", "left_out_skew"),
    *("left_out_near_mean", "left_out_near_square"),
)
"""Names of the inputs that `LeftOut.columns` makes, in order."""


@dataclass(frozen=True)
class LeftOut:
    """One user's errors with each rating left out, in the user's unit of residuals.

    `error`: e, float32 (n,), one a rated title that the process solves for; `slopes`: float32 (ridges, followed), how much
    more than once each part of `FOLLOWED` shall count, by strength of the ridge; `figures`: the five inputs that are one
    number a user.
    """

    error: FloatArray
    slopes: Matrix
    figures: Matrix

    @classmethod
    def of(
        cls, groups: Sequence[Matrix], factor: Matrix, alpha: FloatArray, common: FloatArray, others: FloatArray
    ) -> LeftOut:
        """From the process over the ratings of n titles: `factor` of its noisy kernel (lower Cholesky), its weights `alpha`.

        `groups`: the parts of the kernel between the titles, as `UserKernel.groups`; `common`, `others`: what everybody and
        what similar users think of them, (n,).
        """
        inverse = lapack.spotri(factor, lower=1)[0].T
        mirror(inverse)
        error = alpha / np.diag(inverse)
        followed = [common, others]
        followed += [group @ alpha - np.einsum("ij,ij->i", group, inverse) * error for group in groups]
        return cls._from(error.astype(np.float64), np.stack(followed, axis=1).astype(np.float64))

    @classmethod
    def of_nothing(cls) -> LeftOut:
        """Of somebody who rated nothing."""
        return cls._from(np.zeros(0), np.zeros((0, len(FOLLOWED))))

    @classmethod
    def _from(cls, error: Floats, said: Floats) -> LeftOut:
        """From the errors (n,) and what the parts of `FOLLOWED` say of each left-out rating, (n, followed)."""
        gram, pull = said.T @ said, said.T @ error
        slopes = [np.linalg.solve(gram + ridge * np.eye(len(FOLLOWED)), pull) for ridge in RIDGES]
        n, squares = len(error), float((error**2).sum())
        whole, own = said.sum(axis=1) + error, said[:, 2:].sum(axis=1) + error
        figures = (
            np.sqrt((squares + USUAL_ROWS * USUAL_ERROR) / (n + USUAL_ROWS)),
            error.sum() / (n + USUAL_ROWS / 2),
            1 - (squares + USUAL_ROWS) / ((own**2).sum() + USUAL_ROWS * USUAL_OWN),
            ((whole**2).sum() + USUAL_ROWS) / (n + USUAL_ROWS),
            (error**3).sum() / (n + 2 * USUAL_ROWS),
        )
        return cls(error.astype(np.float32), np.array(slopes, np.float32), np.array(figures, np.float32))

    def columns(self, parts: Matrix, common: FloatArray, others: FloatArray, near: Matrix) -> list[Matrix]:
        """The inputs of m titles, (m,) each, named by `COLUMNS`.

        `parts`: what each part of `PARTS` says of them, its weight multiplied in, (m, parts); `near`: the whole kernel
        between them and the list's solved titles, (m, n).
        """
        followed = np.stack([common, others, *(parts[:, places].sum(axis=1) for places in _PLACES)], axis=1)
        each = np.ones(len(followed), dtype=np.float32)
        weight = np.maximum(near, 0) ** 2
        rows = weight.sum(axis=1) + np.float32(NEAR_ROWS)
        return [
            *(followed @ self.slopes.T).T,
            *(followed * self.slopes[-1]).T,
            *(slope * each for slope in self.slopes[-1]),
            *(figure * each for figure in self.figures),
            (weight @ self.error) / rows,
            (weight @ self.error**2 + np.float32(NEAR_ROWS * USUAL_ERROR)) / rows,
        ]
