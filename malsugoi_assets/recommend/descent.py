"""Coordinate descent for the elastic net of every column of a Gram matrix at once, compiled.

What belongs here: the solver. What does not: what the matrix is made of (`slim`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.recommend.compiled import compiled, on_threads


def sparse_columns(
    gram: npt.NDArray[np.float32],
    lasso: float,
    ridge: float,
    candidates: int,
    sweeps: int,
    tolerance: float,
    threads: int,
) -> sp.csr_matrix:
    """For each i the w ≥ 0, w_i = 0, minimising ½ wᵀGw - g_iᵀw + ½ ridge ‖w‖² + lasso ‖w‖₁ over its candidates.

    `gram`: (n, n) symmetric. Returns CSR float32 (n, n), row i = w of i, columns sorted. The candidates are the
    `candidates` titles of the largest cosine g_ij / √(g_ii g_jj) with g_ij > lasso: no other could enter at zero.
    The result does not depend on `threads`.
    """
    n = len(gram)
    most = max(1, min(candidates, n - 1))
    size = np.zeros(n, np.int32)
    column = np.empty((n, most), np.int32)
    weight = np.empty((n, most), np.float32)
    on_threads(
        lambda t: _solve(np.arange(t, n, threads), gram, lasso, ridge, sweeps, tolerance, size, column, weight),
        threads,
    )
    kept = np.arange(most) < size[:, None]
    starts = np.concatenate([[0], np.cumsum(size)])
    return sp.csr_matrix((weight[kept], column[kept], starts), shape=(n, n))


@compiled
def _solve(rows, gram, lasso, ridge, sweeps, tolerance, size, columns, weights):  # type: ignore[no-untyped-def]
    n, most = len(gram), columns.shape[1]
    cosine = np.empty(n, np.float64)
    for i in rows:
        for j in range(n):
            cosine[j] = 0.0
            if j != i and gram[i, j] > lasso:
                cosine[j] = gram[i, j] / np.sqrt(gram[i, i] * gram[j, j])
        found = np.flatnonzero(cosine > 0)
        if len(found) > most:
            # Stable: of equals the lower index stays.
            found = np.sort(found[np.argsort(-cosine[found], kind="mergesort")[:most]])
        k = len(found)
        inner = np.empty((k, k), np.float64)
        for a in range(k):
            for b in range(k):
                inner[a, b] = gram[found[a], found[b]]
        weight = np.zeros(k, np.float64)
        # What is left to explain of g_i: g_i - G w.
        left = np.empty(k, np.float64)
        for a in range(k):
            left[a] = gram[i, found[a]]
        for _ in range(sweeps):
            largest = 0.0
            for a in range(k):
                own = inner[a, a]
                wanted = max(0.0, (left[a] + own * weight[a] - lasso) / (own + ridge))
                change = wanted - weight[a]
                if change != 0.0:
                    weight[a] = wanted
                    left -= change * inner[a]
                    largest = max(largest, abs(change))
            if largest < tolerance:
                break
        count = 0
        for a in range(k):
            if weight[a] > 0.0:
                columns[i, count] = found[a]
                weights[i, count] = weight[a]
                count += 1
        size[i] = count
