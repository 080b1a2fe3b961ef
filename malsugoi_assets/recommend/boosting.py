"""Gradient-boosted trees: squared error or log loss, histograms, trees grown level by level.

    F_0 = 0,   F_m = F_{m-1} + rate · T_m,   T_m splits where gain = ½ (G_l² / (n_l + λ) + G_r² / (n_r + λ) - G² / (n + λ))
    is largest, a leaf says G / (n + λ)

G = sum of the residuals y - F_{m-1}, n = rows (Friedman 2001, "Greedy function approximation"; the penalty λ: Chen and
Guestrin 2016; histograms: Ke et al. 2017). Each tree sees a sample of rows and of columns.

What belongs here: trees from a matrix of numbers. What the numbers mean stands in `features`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Matrix = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float32]


class BoostingSettings(BaseModel):
    """How the trees are grown; the defaults were chosen on train rows only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trees: int = Field(120, ge=1, le=5000, description="Trees at most.")
    depth: int = Field(6, ge=1, le=8, description="Levels of a tree.")
    rate: float = Field(0.1, gt=0, le=1, description="Share of a tree's answer that is added.")
    bins: int = Field(64, ge=2, le=255, description="Values that a column is rounded to, at its quantiles.")
    penalty: float = Field(100.0, ge=0, description="λ: rows that draw a leaf towards zero.")
    least_rows: int = Field(30, ge=1, description="Rows of a leaf at least (their weights' sum under log loss).")
    columns: float = Field(0.2, gt=0, le=1, description="Share of the columns that a tree sees.")
    rows: float = Field(0.6, gt=0, le=1, description="Share of the rows that a tree sees.")


@dataclass(frozen=True)
class Trees:
    """Complete binary trees of one depth d, node k's children being 2k + 1 and 2k + 2.

    `column`: int32 (trees, 2^d - 1), -1 = every row goes left; `threshold`: float32 of that shape, a row goes right where
    its value is greater; `answer`: float32 (trees, 2^d), the leaves from left to right, the rate multiplied in.
    """

    column: npt.NDArray[np.int32]
    threshold: Matrix
    answer: Matrix

    def predict(self, matrix: Matrix) -> FloatArray:
        """Sum of the trees' answers, float32 (n,)."""
        from malsugoi_assets.recommend.boosting_kernels import answers

        total = np.zeros(len(matrix), dtype=np.float32)
        answers(np.ascontiguousarray(matrix, dtype=np.float32), self.column, self.threshold, self.answer, total)
        return total

    def tensors(self, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
        """All arrays by name, as they are written to a file."""
        return {prefix + field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, npt.NDArray[np.generic]], prefix: str) -> Trees:
        """The inverse of `tensors`; KeyError names what is missing, ValueError what does not fit."""
        found = cls(**{field.name: tensors[prefix + field.name] for field in fields(cls)})  # type: ignore[arg-type]
        trees, inner = found.column.shape
        if found.threshold.shape != (trees, inner) or found.answer.shape != (trees, inner + 1):
            raise ValueError(f"trees of the shapes {found.column.shape} and {found.answer.shape} do not fit together")
        return found


def grow(matrix: Matrix, target: FloatArray, settings: BoostingSettings, seed: int) -> Trees:
    """Fit trees to `target` (n,) given the rows of `matrix` (n, columns), all finite. The same input, the same trees."""
    left, weight = target.astype(np.float32).copy(), np.ones(len(target), dtype=np.float32)
    return _boosted(matrix, settings, seed, left, weight, lambda _: None)


def grow_likely(matrix: Matrix, wanted: npt.NDArray[np.bool_], settings: BoostingSettings, seed: int) -> Trees:
    """Fit trees whose sum orders rows by how likely they are `wanted` (n,): log loss, by Newton's steps.

    F_0 = the share's log odds, p = 1 / (1 + exp(-F)); a row's residual is y - p and it counts p (1 - p) in place of 1
    (Friedman, Hastie and Tibshirani 2000, "Additive logistic regression", with λ as above). The trees' sum is F - F_0.
    """
    share = np.clip(wanted.mean() if len(wanted) else 0.5, 1e-6, 1 - 1e-6)
    total = np.full(len(wanted), np.log(share / (1 - share)), dtype=np.float32)
    left, weight = np.empty_like(total), np.empty_like(total)

    def renew(said: FloatArray) -> None:
        total[:] += said
        likely = 1 / (1 + np.exp(-total))
        left[:], weight[:] = wanted - likely, likely * (1 - likely)

    renew(np.zeros_like(total))
    return _boosted(matrix, settings, seed, left, weight, renew)


def _boosted(
    matrix: Matrix,
    settings: BoostingSettings,
    seed: int,
    left: FloatArray,
    weight: FloatArray,
    renew: Callable[[FloatArray], None],
) -> Trees:
    """Trees, each fitted to what is `left`; `renew` is told what a tree said and may set `left` and `weight` anew."""
    from malsugoi_assets.recommend.boosting_kernels import fill_bins, grow_tree

    random = np.random.default_rng(seed)
    rows, columns = matrix.shape
    edges = _edges(matrix, settings.bins)
    binned = np.empty((columns, rows), dtype=np.uint8)
    fill_bins(np.ascontiguousarray(matrix, dtype=np.float32), edges, binned)
    inner = 2**settings.depth - 1
    column = np.full((settings.trees, inner), -1, dtype=np.int32)
    split = np.zeros((settings.trees, inner), dtype=np.int32)
    answer = np.zeros((settings.trees, inner + 1), dtype=np.float32)
    seen = max(1, round(settings.columns * columns))
    for tree in range(settings.trees):
        chosen = np.sort(random.permutation(columns)[:seen]).astype(np.int32)
        taken = random.random(rows) < settings.rows
        before = left.copy()
        grow_tree(
            binned,
            left,
            weight,
            taken,
            chosen,
            settings.bins,
            settings.depth,
            settings.penalty,
            settings.least_rows,
            settings.rate,
            column[tree],
            split[tree],
            answer[tree],
        )
        renew(before - left)
    threshold = np.where(column >= 0, edges[np.maximum(column, 0), np.minimum(split, edges.shape[1] - 1)], 0)
    return Trees(column, threshold.astype(np.float32), answer)


def _edges(matrix: Matrix, bins: int) -> Matrix:
    """Upper edges of the bins but the last, float32 (columns, bins - 1), inf where a column has fewer values."""
    edges = np.full((matrix.shape[1], bins - 1), np.inf, dtype=np.float32)
    for column in range(matrix.shape[1]):
        values = np.unique(np.quantile(matrix[:, column], np.arange(1, bins) / bins, method="lower"))
        values = values[values < matrix[:, column].max(initial=-np.inf)]
        edges[column, : len(values)] = values
    return edges
