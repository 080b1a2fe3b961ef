"""The compiled code of predicting from the similarity table, user by user: `neighbourhood` says what the numbers mean."""

import numpy as np

from malsugoi_assets.recommend.compiled import compiled


@compiled
def sums_over_neighbours(item, residual, indptr, column, weight, sums):  # type: ignore[no-untyped-def]
    """For every title Σ weight · residual, Σ weight and the number of rated neighbours: side by side, in one cache line.

    Three quarters of the time of a prediction. Unsigned places spare the question whether they count from the end.
    """
    sums[:] = 0
    for k in range(len(item)):
        begin, end = np.uint64(indptr[item[k]]), np.uint64(indptr[item[k] + 1])
        for e in range(begin, end):
            i = np.uint64(column[e])
            sums[i, np.uint64(0)] += weight[e] * residual[k]
            sums[i, np.uint64(1)] += weight[e]
            sums[i, np.uint64(2)] += np.float32(1)


@compiled
def _predict(  # type: ignore[no-untyped-def]
    item, residual, level, indptr, column, weight, base, evidence, unknown, margin, sums, predicted, support, score
):
    """One user's predictions, supports and scores for every title, from the rated titles and their residuals."""
    sums_over_neighbours(item, residual, indptr, column, weight, sums)
    # Each column for itself: then the loop below is one that the processor does eight titles at a time.
    for i in range(len(base)):
        predicted[i], score[i], support[i] = sums[i, 0], sums[i, 1], np.int32(sums[i, 2])
    for i in range(len(base)):
        rating = base[i] + level + predicted[i] / (score[i] + evidence)
        predicted[i] = min(max(rating, np.float32(1)), np.float32(10))
        thin = (np.float32(1) / np.sqrt(np.float32(1 + support[i])) + unknown[i]) / np.float32(2)
        score[i] = predicted[i] - margin * thin


@compiled
def predict_users(  # type: ignore[no-untyped-def]
    rows, users, starts, item, residual, level, indptr, column, weight, base, evidence, unknown, margin, predicted,
    support, score,
):  # fmt: skip
    """Fill the given rows of (users, titles) arrays."""
    sums = np.empty((len(base), 4), np.float32)
    for row in rows:
        mine = slice(starts[users[row]], starts[users[row] + 1])
        _predict(
            item[mine], residual[mine], level[users[row]], indptr, column, weight, base, evidence, unknown, margin,
            sums, predicted[row], support[row], score[row],
        )  # fmt: skip


@compiled
def _keep_best(score, found, most):  # type: ignore[no-untyped-def]
    """Move the `most` of the indexes `found` with the highest scores to its begin, in their order; the lowest score of
    them. Ties go to those that come first.
    """
    some = score[found]
    low = -np.partition(-some, most - 1)[most - 1]
    room = most
    for s in some:
        room -= s > low
    n = 0
    for k in range(len(found)):
        if some[k] > low or (some[k] == low and room > 0):
            room -= some[k] == low
            found[n] = found[k]
            n += 1
    return low


@compiled
def _best(score, is_candidate, most, found):  # type: ignore[no-untyped-def]
    """Indexes of the `most` candidates with the highest finite scores, the best first, ties to the lower index.

    `found`: room for twice as many. It takes what may be among the best; when it is full, the better half stays.
    """
    low, n = np.float32(-np.inf), 0
    for i in range(len(score)):
        if score[i] > low and is_candidate[i]:
            found[n] = i
            n += 1
            if n == len(found):
                low = _keep_best(score, found, most)
                n = most
    some = found[:n]
    return some[np.argsort(-score[some], kind="mergesort")][:most]


@compiled
def top_of_users(  # type: ignore[no-untyped-def]
    users, starts, item, residual, level, indptr, column, weight, base, evidence, unknown, margin, listed_starts,
    listed, is_candidate, size, top_item, top_score, top_predicted, top_support,
):  # fmt: skip
    """Each given user's best candidates that are not listed, by score: `size` a user, into (n_users, most) arrays."""
    n, most = len(base), top_item.shape[1]
    sums, predicted, score = np.empty((n, 4), np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    support, found = np.empty(n, np.int32), np.empty(2 * most, np.int64)
    for u in users:
        mine = slice(starts[u], starts[u + 1])
        _predict(
            item[mine], residual[mine], level[u], indptr, column, weight, base, evidence, unknown, margin, sums,
            predicted, support, score,
        )  # fmt: skip
        for k in range(listed_starts[u], listed_starts[u + 1]):
            score[listed[k]] = -np.inf
        best = _best(score, is_candidate, most, found)
        size[u] = len(best)
        for k in range(len(best)):
            i = best[k]
            top_item[u, k], top_score[u, k], top_predicted[u, k] = i, score[i], predicted[i]
            top_support[u, k] = support[i]
