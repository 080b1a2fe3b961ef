"""How alike two titles are in what one user thinks of them: the kernel of the Gaussian process over a user's list.

What belongs here: the kernel, its parts and its factor. Learning from ratings stands in `gaussian_process`, inputs of
the network in `features`. Rasmussen and Williams 2006, ch. 2 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.linalg import LinAlgError, cholesky

from malsugoi_assets.recommend.content import NUMBERS, Content
from malsugoi_assets.recommend.likeness import Likeness, dense_block
from malsugoi_assets.recommend.ratings import IntArray

Matrix = npt.NDArray[np.float32]
NOISE = 0.55
JITTER = 0.4
RBF_NUMBERS = [NUMBERS.index(name) for name in ("score", "log_members", "log_favourites_ratio", "year")]
PARTS = ("prefix", "near_listing", "title", "relations", "listing", "numbers", "constant", "genres", "score")
PART_WEIGHTS = np.array([0.63, 0.63, 0.25, 0.2, 0.1, 0.08, 0.05, 0.04, 0.03], dtype=np.float32)
WEIGHT = dict(zip(PARTS, PART_WEIGHTS, strict=True))
GROUPS = {
    "names": ("prefix", "title", "relations"),
    "lists": ("near_listing", "listing"),
    "content": ("numbers", "constant", "genres", "score"),
}
"""Parts that mean much the same."""


@dataclass(frozen=True)
class UserKernel:
    """The kernel over one catalogue; `listing`: (n_items, size), where each title stands among lists, rows ≤ 1."""

    content: Content
    likeness: Likeness
    listing: Matrix

    @cached_property
    def named(self) -> sp.csr_matrix:
        """The weighted sum of the sparse parts: prefix, title, relations."""
        likeness = self.likeness
        return sp.csr_matrix(
            WEIGHT["prefix"] * likeness.prefix
            + WEIGHT["title"] * likeness.titles
            + WEIGHT["relations"] * likeness.relations
        )

    def among(self, items: IntArray, place: npt.NDArray[np.int32]) -> Matrix:
        """The weighted sum of `parts` between all `items`, (n, n). `place`: as in `groups`."""
        names, lists, content = self.groups(items, place)
        lists += content
        lists += names
        return lists

    def groups(self, items: IntArray, place: npt.NDArray[np.int32]) -> tuple[Matrix, Matrix, Matrix]:
        """The weighted sum of each of `GROUPS` between all `items`, (n, n) each, without making the parts one by one.

        `place` is scratch: -1 for every title, given back so.
        """
        listing = self.listing[items]
        cosine = listing @ listing.T
        near = cosine - np.float32(1)
        near *= np.float32(4)
        np.exp(near, out=near)
        near *= WEIGHT["near_listing"]
        cosine *= WEIGHT["listing"]
        near += cosine
        numbers = self.content.numbers[items]
        linear = np.concatenate(
            [self.content.genres[items] * np.sqrt(WEIGHT["genres"]), numbers[:, :1] * np.sqrt(WEIGHT["score"])],
            axis=1,
        )
        content = _rbf(numbers, numbers)
        content *= WEIGHT["numbers"]
        content += linear @ linear.T
        content += WEIGHT["constant"]
        place[items] = np.arange(len(items))
        names = dense_block(self.named, items, place, len(items))
        place[items] = -1
        return names, near, content

    def parts(self, rows: IntArray, columns: IntArray, place: npt.NDArray[np.int32]) -> Matrix:
        """The kernel's parts, float32 (len(PARTS), rows, columns), each about 1 for the same title."""
        content, likeness = self.content, self.likeness
        parts = np.empty((len(PARTS), len(rows), len(columns)), dtype=np.float32)
        place[columns] = np.arange(len(columns))
        parts[0] = dense_block(likeness.prefix, rows, place, len(columns))
        parts[2] = dense_block(likeness.titles, rows, place, len(columns))
        parts[3] = dense_block(likeness.relations, rows, place, len(columns))
        place[columns] = -1
        np.matmul(self.listing[rows], self.listing[columns].T, out=parts[4])
        np.exp(4 * (parts[4] - 1), out=parts[1])
        parts[5] = _rbf(content.numbers[rows], content.numbers[columns])
        parts[6] = 1
        np.matmul(content.genres[rows], content.genres[columns].T, out=parts[7])
        np.multiply(content.numbers[rows, 0][:, None], content.numbers[columns, 0][None, :], out=parts[8])
        return parts

    def prior(self, items: IntArray) -> Matrix:
        """The kernel of each title with itself, (n,): the variance before anything is known of the user."""
        return np.asarray(
            PART_WEIGHTS[:8].sum() + WEIGHT["score"] * self.content.numbers[items, 0] ** 2, dtype=np.float32
        )


def noisy_factor(kernel: Matrix) -> Matrix:
    """Lower Cholesky factor of kernel + `NOISE`·1, the kernel overwritten.

    The prefix and relation kernels are not positive definite by themselves: jitter as needed.
    """
    kernel[np.diag_indices_from(kernel)] += NOISE
    while True:
        try:
            return np.asarray(cholesky(kernel, lower=True, check_finite=False))
        except LinAlgError:
            kernel[np.diag_indices_from(kernel)] += JITTER


def solved_titles(n: int, most: int) -> npt.NDArray[np.int64]:
    """Which of a user's `n` rated titles (in order) the process solves for: all, or a fixed sample of `most`."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(n).permutation(n)[:most])


def _rbf(rows: Matrix, columns: Matrix) -> Matrix:
    """exp(-½ squared distance) over score, members, favourites ratio and year."""
    one, other = rows[:, RBF_NUMBERS], columns[:, RBF_NUMBERS]
    exponent = one @ other.T
    exponent -= 0.5 * (one**2).sum(1)[:, None]
    exponent -= 0.5 * (other**2).sum(1)[None, :]
    return np.asarray(np.exp(np.minimum(exponent, 0, out=exponent), out=exponent))
