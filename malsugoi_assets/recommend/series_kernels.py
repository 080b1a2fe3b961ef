"""The compiled loop of `series`: what lists say of the order of a franchise, title by title."""

from __future__ import annotations

import numpy as np

from malsugoi_assets.recommend.compiled import compiled


@compiled
def fill_facts(  # type: ignore[no-untyped-def]
    listed_starts, listed, above_starts, rated, above, item, needs_starts, needs, needs_values, by_starts, by, by_values,
    needed, franchise, size, kind, most, found,
):  # fmt: skip
    """Write `series.FACTS` of the titles `item` (lists, m) into `found` (lists, m, facts).

    The lists' titles, those with a rating and by how much it lies `above` what is expected; `needs` and its inverse `by` as
    CSR; `size` of each franchise; `kind`: the number of each title's kind.
    """
    n = len(needed)
    for u in range(len(item)):
        # Rows: listed, rating residual, rated; of what comes before a title, and of what comes after it.
        before, after = np.zeros((3, n), np.float32), np.zeros((3, n), np.float32)
        count, total, known = np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(n, np.float32)
        kinds = np.zeros(kind.max() + 1, np.float32)
        for place in range(listed_starts[u], listed_starts[u + 1]):
            j = listed[place]
            for k in range(needs_starts[j], needs_starts[j + 1]):
                before[0, needs[k]] += needs_values[k]
            for k in range(by_starts[j], by_starts[j + 1]):
                after[0, by[k]] += by_values[k]
            count[franchise[j]] += np.float32(1)
            kinds[kind[j]] += np.float32(1)
        for place in range(above_starts[u], above_starts[u + 1]):
            j, value = rated[place], above[place]
            for k in range(needs_starts[j], needs_starts[j + 1]):
                before[1, needs[k]] += value * needs_values[k]
                before[2, needs[k]] += needs_values[k]
            for k in range(by_starts[j], by_starts[j + 1]):
                after[1, by[k]] += value * by_values[k]
                after[2, by[k]] += by_values[k]
            total[franchise[j]] += value
            known[franchise[j]] += np.float32(1)
        length = np.float32(max(listed_starts[u + 1] - listed_starts[u], 1))
        for s in range(item.shape[1]):
            i = item[u, s]
            own = franchise[i]
            found[u, s, 0] = min(max(needed[i] - before[0, i], np.float32(0)), most)
            found[u, s, 1] = before[1, i] / max(before[2, i], np.float32(1))
            found[u, s, 2] = min(after[0, i], most)
            found[u, s, 3] = after[1, i] / max(after[2, i], np.float32(1))
            found[u, s, 4] = np.log1p(count[own])
            found[u, s, 5] = count[own] / size[own]
            found[u, s, 6] = total[own] / (known[own] + np.float32(1))
            found[u, s, 7] = kinds[kind[i]] / length
