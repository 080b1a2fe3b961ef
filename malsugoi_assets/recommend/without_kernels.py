"""Compiled loops of `lists_without`: what a list's scores are without an entry, from those of the whole list.

A score is a sum of weights over the list's entries. Without the entry that stands for title `entry[m]` (-1: none is missing)
the score of title i is x[i] + shift[m] · together[i] - put_in[m] · w, w being the entry's own weight for i in the matrix
(`starts`, `columns`, `values`). `listed`: true for the titles of the whole list; one whose entry is missing is free again.

Scores are float32, as those of the whole list are: what only the missing entry spoke for is left with nothing, not with
what rounding would leave. Sums are float64.
"""

from __future__ import annotations

import numpy as np

from malsugoi_assets.recommend.compiled import compiled


@compiled
def add_up(x, together, shift, put_in, entry, starts, columns, values, listed, total, square):  # type: ignore[no-untyped-def]
    """Turn Σ x and Σ x² over the titles that are free beside the whole list into those beside each list, for one score.

    `total`, `square`: (m,), with the shift in them already.
    """
    for m in range(len(entry)):
        own = entry[m]
        if own < 0:
            continue
        mine = x[own] + shift[m] * together[own]
        for place in range(starts[own], starts[own + 1]):
            i = columns[place]
            before = x[i] + shift[m] * together[i]
            after = before - put_in[m] * values[place]
            if i == own:
                mine = after
            elif not listed[i]:
                total[m] += np.float64(after) - np.float64(before)
                square[m] += np.float64(after) ** 2 - np.float64(before) ** 2
        total[m] += mine
        square[m] += np.float64(mine) ** 2


@compiled
def add_pick(x, together, shift, put_in, entry, starts, columns, values, mean, spread, low, high, pick, picked):  # type: ignore[no-untyped-def]
    """Add pick · z to `picked` (m, n), z being the score in units of `spread`, cut to `low` … `high`."""
    row = np.empty(len(x), np.float32)
    for m in range(len(entry)):
        for i in range(len(x)):
            row[i] = x[i] + shift[m] * together[i]
        own = entry[m]
        if own >= 0:
            for place in range(starts[own], starts[own + 1]):
                row[columns[place]] -= put_in[m] * values[place]
        mine, width = mean[m], spread[m]
        for i in range(len(x)):
            picked[m, i] += pick * min(max((row[i] - mine) / width, low), high)


@compiled
def take(x, together, shift, put_in, entry, starts, columns, values, item, slot, found):  # type: ignore[no-untyped-def]
    """Write the scores of the titles `item` into `found` (m, len(item)); `slot`: each title's place in `item`, else -1."""
    for m in range(len(entry)):
        for s in range(len(item)):
            found[m, s] = x[item[s]] + shift[m] * together[item[s]]
        own = entry[m]
        if own >= 0:
            for place in range(starts[own], starts[own + 1]):
                s = slot[columns[place]]
                if s >= 0:
                    found[m, s] -= put_in[m] * values[place]


@compiled
def rate(  # type: ignore[no-untyped-def]
    pull, weight, count, base, evidence, logs, level, shift, residual, entry, is_rated, listed, starts, columns, values,
    total, square,
):  # fmt: skip
    """Sums and sums of squares, (2, m), of the predicted ratings and of the log of the neighbours behind them, over the
    titles that are free beside each list.

    `pull`, `weight`, `count`: Σ weight · residual, Σ weight and number of the whole list's neighbours of each title; `level`: (m,), the person's level without the entry; `residual`: (m,), the entry's own; `logs`: log(1 + n) by n.
    """
    n = len(base)
    mine, all_of, behind = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.int64)
    for m in range(len(entry)):
        for i in range(n):
            mine[i], all_of[i], behind[i] = pull[i], weight[i], count[i]
        own = entry[m]
        if own >= 0 and is_rated[m]:
            for place in range(starts[own], starts[own + 1]):
                i = columns[place]
                mine[i] -= residual[m] * values[place]
                all_of[i] -= values[place]
                behind[i] -= 1
        for i in range(n):
            if listed[i] and i != own:
                continue
            # What is left of nothing but rounding would be a neighbour.
            near = all_of[i] if behind[i] > 0 else np.float32(0)
            gain = mine[i] + shift[m] * near if behind[i] > 0 else np.float32(0)
            rating = base[i] + level[m] + gain / (near + evidence)
            value = np.float64(min(max(rating, np.float32(1)), np.float32(10)))
            total[0, m] += value
            square[0, m] += value * value
            log = logs[behind[i]]
            total[1, m] += log
            square[1, m] += log * log


@compiled
def rate_some(  # type: ignore[no-untyped-def]
    pull, weight, count, base, evidence, logs, level, shift, residual, entry, is_rated, starts, columns, values, item,
    slot, found,
):  # fmt: skip
    """The predicted ratings of the titles `item` and the log of the neighbours behind them, into (2, m, len(item))."""
    some = len(item)
    mine, all_of, behind = np.empty(some, np.float32), np.empty(some, np.float32), np.empty(some, np.int64)
    for m in range(len(entry)):
        for s in range(some):
            mine[s], all_of[s], behind[s] = pull[item[s]], weight[item[s]], count[item[s]]
        own = entry[m]
        if own >= 0 and is_rated[m]:
            for place in range(starts[own], starts[own + 1]):
                s = slot[columns[place]]
                if s >= 0:
                    mine[s] -= residual[m] * values[place]
                    all_of[s] -= values[place]
                    behind[s] -= 1
        for s in range(some):
            near = all_of[s] if behind[s] > 0 else np.float32(0)
            gain = mine[s] + shift[m] * near if behind[s] > 0 else np.float32(0)
            rating = base[item[s]] + level[m] + gain / (near + evidence)
            found[0, m, s] = min(max(rating, np.float32(1)), np.float32(10))
            found[1, m, s] = logs[behind[s]]


@compiled
def weakest_of(picked, low, wanted, weakest, last):  # type: ignore[no-untyped-def]
    """Of each row's `wanted[m]` largest values the smallest, and the last title that has it and still is among them.

    `low`: a value below which none of them is expected to lie; where too few lie above it, all are looked at.
    """
    n = picked.shape[1]
    some = np.empty(n, np.float32)
    for m in range(len(picked)):
        weakest[m], last[m] = np.inf, -1
        if wanted[m] == 0:
            continue
        size = 0
        for i in range(n):
            if picked[m, i] > low:
                some[size] = picked[m, i]
                size += 1
        if size < wanted[m]:
            size = n
            some[:] = picked[m]
        weakest[m] = np.partition(some[:size], size - wanted[m])[size - wanted[m]]
        left = wanted[m] - np.sum(some[:size] > weakest[m])
        for i in range(n):
            if picked[m, i] == weakest[m]:
                left -= 1
                last[m] = i
                if left == 0:
                    break
