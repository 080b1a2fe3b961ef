"""The product of two sparse matrices where it is dense anyway, compiled: no sparse product on the way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.recommend.compiled import compiled, on_threads, threads_for


def multiply_into(
    rows: sp.csr_matrix, weights: sp.csr_matrix, out: npt.NDArray[np.float32], threads: int | None = None
) -> None:
    """`out` = rows · weights, float32 (n_rows, n_columns). The result does not depend on `threads`."""
    out[:] = 0
    threads = min(threads or threads_for(len(out)), max(len(out), 1))
    left, right = rows.astype(np.float32, copy=False), weights.astype(np.float32, copy=False)
    on_threads(
        lambda t: _multiply(
            np.arange(t, len(out), threads),
            left.indptr, left.indices, left.data, right.indptr, right.indices, right.data, out,
        ),
        threads,
    )  # fmt: skip


@compiled
def _multiply(rows, starts, columns, values, w_starts, w_columns, w_values, out):  # type: ignore[no-untyped-def]
    for row in rows:
        for place in range(starts[row], starts[row + 1]):
            middle, value = columns[place], values[place]
            for other in range(w_starts[middle], w_starts[middle + 1]):
                out[row, w_columns[other]] += value * w_values[other]
