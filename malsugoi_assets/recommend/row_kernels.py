"""The strongest, or the largest, entries of each row of a dense block, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from malsugoi_assets.recommend.compiled import compiled


@compiled  # type: ignore[untyped-decorator]
def strongest_of_rows(rows: Any, block: Any, size: Any, columns: Any, values: Any) -> None:
    """The entries largest by size of each of the `rows`, zeros left out; of equals those of the lower columns.

    Row r gets size[r] of them, at most as many as `columns` is wide, by column in `columns` and `values`.
    """
    n, most = block.shape[1], columns.shape[1]
    strength = np.empty(n, dtype=block.dtype)
    for r in rows:
        count = 0
        for j in range(n):
            strength[j] = abs(block[r, j])
            count += strength[j] > 0
        weakest, equals = block.dtype.type(0), 0
        if count > most:
            weakest = np.partition(strength, n - most)[n - most]
            equals = most - np.sum(strength > weakest)
        place = 0
        for j in range(n):
            if strength[j] > weakest or (equals > 0 and strength[j] == weakest):
                equals -= strength[j] == weakest
                columns[r, place], values[r, place] = j, block[r, j]
                place += 1
        size[r] = place


@compiled  # type: ignore[untyped-decorator]
def largest_of_rows(block: Any, columns: Any) -> None:
    """The columns of each row's largest entries into `columns` (rows, at most as many as the row has), the largest first;
    of equals the former one. What is not a number counts as less than any.
    """
    rows, most = columns.shape
    least = block.dtype.type(-np.inf)
    values = np.empty(most, dtype=block.dtype)
    for r in range(rows):
        known = 0
        for j in range(block.shape[1]):
            value = least if np.isnan(block[r, j]) else block[r, j]
            if known == most and value <= values[most - 1]:
                continue
            place = known if known < most else most - 1
            known = place + 1
            while place > 0 and values[place - 1] < value:
                values[place], columns[r, place] = values[place - 1], columns[r, place - 1]
                place -= 1
            values[place], columns[r, place] = value, j
