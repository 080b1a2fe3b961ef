"""Compiled loops of `boosting`."""

from __future__ import annotations

from typing import Any

import numpy as np

from malsugoi_assets.recommend.compiled import compiled


@compiled  # type: ignore[untyped-decorator]
def fill_bins(matrix: Any, edges: Any, binned: Any) -> None:
    """binned[c, r] = how many of the column's edges lie below matrix[r, c]."""
    rows, columns = matrix.shape
    for c in range(columns):
        for r in range(rows):
            binned[c, r] = np.searchsorted(edges[c], matrix[r, c])


@compiled  # type: ignore[untyped-decorator]
def grow_tree(
    binned: Any,
    left: Any,
    weight: Any,
    taken: Any,
    chosen: Any,
    bins: int,
    depth: int,
    penalty: float,
    least_rows: int,
    rate: float,
    column: Any,
    split: Any,
    answer: Any,
) -> None:
    """Grow one tree on the rows `taken` and take rate · its answer off `left`, for every row. A row counts `weight`.

    Writes `column` and `split` (a row goes right where its bin is greater) of the inner nodes, `answer` of the leaves.
    """
    rows = len(left)
    node = np.zeros(rows, dtype=np.int16)
    # What is looked at once a level lies side by side, so that no row need be asked whether it is taken.
    seen = np.flatnonzero(taken)
    target, weighs, at = left[seen], weight[seen], np.zeros(len(seen), dtype=np.int16)
    lines = np.empty((len(chosen), len(seen)), dtype=np.uint8)
    for k in range(len(chosen)):
        line = binned[chosen[k]]
        for r in range(len(seen)):
            lines[k, r] = line[seen[r]]
    for level in range(depth):
        width = 2**level
        first = width - 1
        best = np.zeros(width)
        total = np.zeros(width)
        count = np.zeros(width)
        for r in range(len(seen)):
            at[r] = node[seen[r]]
            total[at[r]] += target[r]
            count[at[r]] += weighs[r]
        for k in range(len(chosen)):
            c = chosen[k]
            both = np.zeros((width, bins, 2), dtype=np.float32)
            line = lines[k]
            for r in range(len(seen)):
                cell = both[at[r], line[r]]
                cell[0] += target[r]
                cell[1] += weighs[r]
            for n in range(width):
                below, number = 0.0, 0.0
                whole = total[n] ** 2 / (count[n] + penalty)
                for b in range(bins - 1):
                    below += both[n, b, 0]
                    number += both[n, b, 1]
                    if number < least_rows or both[n, b, 1] == 0:
                        continue
                    if count[n] - number < least_rows:
                        break
                    above = total[n] - below
                    gain = below**2 / (number + penalty) + above**2 / (count[n] - number + penalty) - whole
                    if gain > best[n]:
                        best[n] = gain
                        column[first + n] = c
                        split[first + n] = b
        for r in range(rows):
            n = node[r]
            c = column[first + n]
            right = 0
            if c >= 0 and binned[c, r] > split[first + n]:
                right = 1
            node[r] = 2 * n + right
    leaves = 2**depth
    total = np.zeros(leaves)
    count = np.zeros(leaves)
    for r in range(rows):
        if taken[r]:
            total[node[r]] += left[r]
            count[node[r]] += weight[r]
    for n in range(leaves):
        answer[n] = rate * total[n] / (count[n] + penalty) if count[n] > 0 else 0.0
    for r in range(rows):
        left[r] -= answer[node[r]]


@compiled  # type: ignore[untyped-decorator]
def answers(matrix: Any, column: Any, threshold: Any, answer: Any, total: Any) -> None:
    """Add every tree's answer for each row of `matrix` to `total`."""
    trees, inner = column.shape
    for r in range(len(matrix)):
        for t in range(trees):
            n = 0
            while n < inner:
                c = column[t, n]
                # Without a branch: nobody can foretell which way a row goes. Of no column (-1) the last is looked at.
                n = 2 * n + 1 + (c >= 0) * (matrix[r, c] > threshold[t, n])
            total[r] += answer[t, n - inner]
