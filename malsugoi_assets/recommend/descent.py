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
    inner = np.empty((most, most), np.float64)
    for i in rows:
        count = 0
        for j in range(n):
            cosine[j] = 0.0
            if j != i and gram[i, j] > lasso:
                cosine[j] = gram[i, j] / np.sqrt(gram[i, i] * gram[j, j])
                count += 1
        # The weakest that is a candidate; of its equals the lower indexes are.
        k, weakest, equals = min(count, most), 0.0, 0
        if count > most:
            weakest = np.partition(cosine, n - most)[n - most]
            equals = most - np.sum(cosine > weakest)
        found = np.empty(k, np.int64)
        place = 0
        for j in range(n):
            if cosine[j] > weakest or (equals > 0 and cosine[j] == weakest):
                equals -= cosine[j] == weakest
                found[place] = j
                place += 1
        weight = np.zeros(k, np.float64)
        # What is left to explain of g_i: g_i - G w.
        left = np.empty(k, np.float64)
        for a in range(k):
            left[a] = gram[i, found[a]]
        # Few candidates ever have a weight: only their rows of G are looked up.
        is_known = np.zeros(k, np.bool_)
        for _ in range(sweeps):
            largest = 0.0
            for a in range(k):
                own = np.float64(gram[found[a], found[a]])
                wanted = max(0.0, (left[a] + own * weight[a] - lasso) / (own + ridge))
                change = wanted - weight[a]
                if change != 0.0:
                    if not is_known[a]:
                        is_known[a] = True
                        for b in range(k):
                            inner[a, b] = gram[found[a], found[b]]
                    weight[a] = wanted
                    left -= change * inner[a, :k]
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
