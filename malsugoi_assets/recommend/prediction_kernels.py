"""The compiled code of predicting from the similarity table, user by user: `neighbourhood` says what the numbers mean."""

import numpy as np

from malsugoi_assets.recommend.compiled import compiled

_BINS = 1024


@compiled
def _predict(  # type: ignore[no-untyped-def]
    item, residual, level, indptr, column, weight, base, evidence, unknown, margin, pull, predicted, support, score
):
    """One user's predictions, supports and scores for every title, from the rated titles and their residuals."""
    total = score
    for i in range(len(base)):
        pull[i] = 0
        total[i] = 0
        support[i] = 0
    for k in range(len(item)):
        for e in range(indptr[item[k]], indptr[item[k] + 1]):
            i = column[e]
            pull[i] += weight[e] * residual[k]
            total[i] += weight[e]
            support[i] += 1
    for i in range(len(base)):
        rating = base[i] + level + pull[i] / (total[i] + evidence)
        predicted[i] = min(max(rating, np.float32(1)), np.float32(10))
        thin = (np.float32(1) / np.sqrt(np.float32(1 + support[i])) + unknown[i]) / np.float32(2)
        score[i] = predicted[i] - margin * thin


@compiled
def predict_users(  # type: ignore[no-untyped-def]
    rows, users, starts, item, residual, level, indptr, column, weight, base, evidence, unknown, margin, predicted,
    support, score,
):  # fmt: skip
    """Fill the given rows of (users, titles) arrays."""
    pull = np.empty(len(base), np.float32)
    for row in rows:
        mine = slice(starts[users[row]], starts[users[row] + 1])
        _predict(
            item[mine], residual[mine], level[users[row]], indptr, column, weight, base, evidence, unknown, margin,
            pull, predicted[row], support[row], score[row],
        )  # fmt: skip


@compiled
def _best(score, most):  # type: ignore[no-untyped-def]
    """Indexes of the `most` highest finite scores, the best first, ties to the lower index."""
    low, high, finite = np.inf, -np.inf, 0
    for s in score:
        if s != -np.inf:
            low, high, finite = min(low, s), max(high, s), finite + 1
    counts = np.zeros(_BINS, np.int64)
    scale = (_BINS - 1) / (high - low) if high > low else 0.0
    for s in score:
        if s != -np.inf:
            counts[int((s - low) * scale)] += 1
    # From the highest bin down, as far as there are enough: all that can be among the best is in these.
    edge, above = _BINS, 0
    while edge > 0 and above < min(most, finite):
        edge -= 1
        above += counts[edge]
    found = np.empty(above, np.int64)
    n = 0
    for i in range(len(score)):
        if score[i] != -np.inf and int((score[i] - low) * scale) >= edge:
            found[n] = i
            n += 1
    return found[np.argsort(-score[found], kind="mergesort")][:most]


@compiled
def top_of_users(  # type: ignore[no-untyped-def]
    users, starts, item, residual, level, indptr, column, weight, base, evidence, unknown, margin, listed_starts,
    listed, is_candidate, size, top_item, top_score, top_predicted, top_support,
):  # fmt: skip
    """Each given user's best candidates that are not listed, by score: `size` a user, into (n_users, most) arrays."""
    n = len(base)
    pull, predicted, score = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    support = np.empty(n, np.int32)
    for u in users:
        mine = slice(starts[u], starts[u + 1])
        _predict(
            item[mine], residual[mine], level[u], indptr, column, weight, base, evidence, unknown, margin, pull,
            predicted, support, score,
        )  # fmt: skip
        for i in range(n):
            if not is_candidate[i]:
                score[i] = -np.inf
        for k in range(listed_starts[u], listed_starts[u + 1]):
            score[listed[k]] = -np.inf
        best = _best(score, top_item.shape[1])
        size[u] = len(best)
        for k in range(len(best)):
            i = best[k]
            top_item[u, k], top_score[u, k], top_predicted[u, k] = i, score[i], predicted[i]
            top_support[u, k] = support[i]
