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
    n, lists = len(base), len(entry)
    # By the whole list a title's rating is flat + level + shift · steep before it is cut, so that the sums over the titles
    # follow from those of flat, steep and their products for every level and shift.
    flat, steep = np.empty(n), np.empty(n)
    free, logged, logged_square = 0, 0.0, 0.0
    sums = np.zeros(5)
    for i in range(n):
        steep[i] = weight[i] / (weight[i] + evidence) if count[i] > 0 else 0.0
        flat[i] = base[i] + (pull[i] / (weight[i] + evidence) if count[i] > 0 else 0.0)
        if not listed[i]:
            free += 1
            a, b, log = flat[i], steep[i], np.float64(logs[count[i]])
            sums[0] += a
            sums[1] += b
            sums[2] += a * a
            sums[3] += a * b
            sums[4] += b * b
            logged += log
            logged_square += log * log
    # The titles that some list's level may lift above 10 or push below 1 are cut one by one.
    least, most, less, more = np.inf, -np.inf, 0.0, 0.0
    for m in range(lists):
        least, most = min(least, level[m]), max(most, level[m])
        less, more = min(less, shift[m]), max(more, shift[m])
    cut = np.empty(n, np.int64)
    cuts = 0
    for i in range(n):
        if not listed[i] and (flat[i] + most + more * steep[i] > 10 or flat[i] + least + less * steep[i] < 1):
            cut[cuts] = i
            cuts += 1
    for m in range(lists):
        up, by = np.float64(level[m]), np.float64(shift[m])
        total[0, m] += sums[0] + free * up + by * sums[1]
        square[0, m] += (
            sums[2] + free * up * up + by * by * sums[4] + 2 * (up * sums[0] + by * sums[3] + up * by * sums[1])
        )
        total[1, m] += logged
        square[1, m] += logged_square
        for k in range(cuts):
            value = flat[cut[k]] + up + by * steep[cut[k]]
            inside = min(max(value, 1.0), 10.0)
            total[0, m] += inside - value
            square[0, m] += inside * inside - value * value
        own = entry[m]
        if own < 0:
            continue
        near, gain, behind = weight[own], pull[own], count[own]
        if is_rated[m]:
            for place in range(starts[own], starts[own + 1]):
                i = columns[place]
                if i == own:
                    near -= values[place]
                    gain -= residual[m] * values[place]
                    behind -= 1
                if listed[i]:
                    continue
                value = min(max(flat[i] + up + by * steep[i], 1.0), 10.0)
                total[0, m] -= value
                square[0, m] -= value * value
                # What is left of nothing but rounding would be a neighbour.
                value = base[i] + up
                if count[i] > 1:
                    left = weight[i] - values[place]
                    value += (pull[i] - residual[m] * values[place] + by * left) / (left + evidence)
                value = min(max(value, 1.0), 10.0)
                total[0, m] += value
                square[0, m] += value * value
                before, after = np.float64(logs[count[i]]), np.float64(logs[count[i] - 1])
                total[1, m] += after - before
                square[1, m] += after * after - before * before
        value = base[own] + up
        if behind > 0:
            value += (gain + by * near) / (near + evidence)
        value = min(max(value, 1.0), 10.0)
        log = np.float64(logs[behind])
        total[0, m] += value
        square[0, m] += value * value
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
def weakest_of(picked, wanted, weakest, last):  # type: ignore[no-untyped-def]
    """Of each row's `wanted[m]` largest values the smallest, and the last place that has it and still is among them."""
    n = picked.shape[1]
    for m in range(len(picked)):
        weakest[m], last[m] = np.inf, -1
        if wanted[m] == 0:
            continue
        weakest[m] = np.partition(picked[m], n - wanted[m])[n - wanted[m]]
        left = wanted[m] - np.sum(picked[m] > weakest[m])
        for i in range(n):
            if picked[m, i] == weakest[m]:
                left -= 1
                last[m] = i
                if left == 0:
                    break
