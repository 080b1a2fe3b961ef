"""Compiled loops of `name_kernel`."""

from __future__ import annotations

from typing import Any

import numpy as np

from malsugoi_assets.recommend.compiled import compiled


@compiled  # type: ignore[untyped-decorator]
def spread_grams(numbers: Any, starts: Any, lengths: Any, places: Any, out: Any) -> None:
    """out[places[t] + k] = numbers[starts[t] + k] for the first lengths[t] k of each text t."""
    for t in range(len(starts)):
        for k in range(lengths[t]):
            out[places[t] + k] = numbers[starts[t] + k]


@compiled  # type: ignore[untyped-decorator]
def number_by_occurrence(values: Any, most: int) -> Any:
    """The values (below `most`) numbered anew, from 0 on, as they first occur."""
    number = np.full(most, -1, dtype=np.int64)
    result = np.empty(len(values), dtype=np.int64)
    known = 0
    for k in range(len(values)):
        if number[values[k]] < 0:
            number[values[k]] = known
            known += 1
        result[k] = number[values[k]]
    return result


@compiled  # type: ignore[untyped-decorator]
def number_by_hash(values: Any) -> Any:
    """(number, how many): the values, any at all that are not negative, numbered from 0 on as they first occur."""
    bits = 4
    while 2**bits < 2 * len(values):
        bits += 1
    mask = 2**bits - 1
    keys, numbers = np.full(mask + 1, -1, dtype=np.int64), np.empty(mask + 1, dtype=np.int64)
    result = np.empty(len(values), dtype=np.int64)
    known = 0
    for k in range(len(values)):
        # Fibonacci hashing (Knuth, vol. 3, 6.4), then the next free place.
        at = np.int64((np.uint64(values[k]) * np.uint64(11400714819323198485)) >> np.uint64(64 - bits))
        while keys[at] >= 0 and keys[at] != values[k]:
            at = (at + 1) & mask
        if keys[at] < 0:
            keys[at], numbers[at] = values[k], known
            known += 1
        result[k] = numbers[at]
    return result, known


@compiled  # type: ignore[untyped-decorator]
def count_by_row(values: Any, bounds: Any, most: int) -> Any:
    """(starts, value, count): for each row, values[bounds[r]:bounds[r + 1]], its distinct values, sorted, and how often."""
    rows = len(bounds) - 1
    starts = np.zeros(rows + 1, dtype=np.int64)
    value = np.empty(len(values), dtype=np.int64)
    count = np.empty(len(values), dtype=np.int64)
    seen = np.zeros(most, dtype=np.int64)
    end = 0
    for r in range(rows):
        first = end
        for k in range(bounds[r], bounds[r + 1]):
            if seen[values[k]] == 0:
                value[end] = values[k]
                end += 1
            seen[values[k]] += 1
        value[first:end].sort()
        for k in range(first, end):
            count[k] = seen[value[k]]
            seen[value[k]] = 0
        starts[r + 1] = end
    return starts, value[:end].copy(), count[:end].copy()


@compiled  # type: ignore[untyped-decorator]
def products_above(
    first: int,
    last: int,
    starts: Any,
    columns: Any,
    values: Any,
    by_starts: Any,
    by_rows: Any,
    by_values: Any,
    faintest: Any,
) -> Any:
    """(row, column, value) of rows · rowsᵀ at columns not before the row, from `faintest` on; rows `first` to `last`."""
    n = len(starts) - 1
    total = np.zeros(n, dtype=np.float32)
    touched = np.empty(n, dtype=np.int64)
    room = 1024
    line, column = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
    product = np.empty(room, dtype=np.float32)
    end = 0
    for row in range(first, last):
        count = 0
        for k in range(starts[row], starts[row + 1]):
            gram, weight = columns[k], values[k]
            low, high = by_starts[gram], by_starts[gram + 1]
            low += np.searchsorted(by_rows[low:high], row)
            for other in range(low, high):
                if total[by_rows[other]] == 0:
                    touched[count] = by_rows[other]
                    count += 1
                total[by_rows[other]] += weight * by_values[other]
        if end + count > room:
            room = max(2 * room, end + count)
            line = np.append(line[:end], np.empty(room - end, dtype=np.int64))
            column = np.append(column[:end], np.empty(room - end, dtype=np.int64))
            product = np.append(product[:end], np.empty(room - end, dtype=np.float32))
        for k in range(count):
            other = touched[k]
            if total[other] >= faintest:
                line[end], column[end], product[end] = row, other, total[other]
                end += 1
            total[other] = 0
    return line[:end].copy(), column[:end].copy(), product[:end].copy()
