"""The best products along paths of a graph, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from malsugoi_assets.recommend.compiled import compiled


@compiled  # type: ignore[untyped-decorator]
def best_products(count: int, starts: Any, targets: Any, values: Any, hop: float, faintest: float) -> Any:
    """(source, target, product) from each of the nodes 0 … count - 1 to all others of them that it reaches, and to itself.

    A path's product is that of its edges' values (at most 1, CSR `starts`, `targets`), `hop` for each edge but the first
    besides; those below `faintest` are none. From a node to itself: 1.
    """
    best = np.zeros(len(starts) - 1)
    queue = np.empty(64, dtype=np.int64)
    reached = np.empty(len(best), dtype=np.int64)
    room, end = 1024, 0
    row, column, product = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    for source in range(count):
        best[source] = 1.0
        reached[0], met = source, 1
        queue[0], first, last = source, 0, 1
        while first < last:
            node = queue[first]
            first += 1
            for edge in range(starts[node], starts[node + 1]):
                other = targets[edge]
                # As `best[node] * value * hop`: the order of the factors decides the last digit.
                found = best[node] * values[edge] if node == source else best[node] * values[edge] * hop
                if found >= faintest and found > best[other]:
                    if best[other] == 0.0:
                        reached[met] = other
                        met += 1
                    best[other] = found
                    if last == len(queue):
                        queue = np.append(queue, np.empty(len(queue), dtype=np.int64))
                    queue[last] = other
                    last += 1
        if end + met > room:
            room = 2 * room + met
            row = np.append(row[:end], np.empty(room - end, np.int64))
            column = np.append(column[:end], np.empty(room - end, np.int64))
            product = np.append(product[:end], np.empty(room - end))
        for k in range(met):
            other = reached[k]
            if other < count:
                row[end], column[end], product[end] = source, other, best[other]
                end += 1
            best[other] = 0.0
    return row[:end].copy(), column[:end].copy(), product[:end].copy()
