"""Errors of predicted ratings, and measures of ranked lists, as functions of per-user sums."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from malsugoi_assets.evaluation.intervals import Numbers

ERRORS = ("mse", "rmse", "mae", "r2")
RANKINGS = ("ndcg@10", "recall@10", "recall@20", "map@10")
DEPTH = 20
RELEVANT = 8.0
DISCOUNT = 1 / np.log2(np.arange(2, DEPTH + 2))


def error_sums(truth: Numbers, predicted: Numbers, place: npt.NDArray[np.intp], n_users: int) -> Numbers:
    """Per user (squared error, absolute error), float64 (n_users, 2)."""
    error = predicted - truth
    return np.stack([np.bincount(place, weights=w, minlength=n_users) for w in (error**2, np.abs(error))], axis=1)


def truth_sums(truth: Numbers, place: npt.NDArray[np.intp], n_users: int, centre: float) -> Numbers:
    """Per user (rows, Σ y, Σ y²) of the true ratings less `centre`, float64 (n_users, 3)."""
    y = truth - centre
    return np.stack([np.bincount(place, weights=w, minlength=n_users) for w in (np.ones_like(y), y, y**2)], axis=1)


def errors(error_totals: Numbers, truth_totals: Numbers) -> dict[str, Numbers]:
    """MSE, RMSE, MAE (rating points) and R² of totals with shapes (…, 2) and (…, 3); NaN where not defined.

    R² = 1 - Σ (ŷ - y)² / Σ (y - mean y)² over the rows at hand; not defined where all y are equal.
    """
    n, total, square = np.moveaxis(truth_totals, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mse, mae = error_totals[..., 0] / n, error_totals[..., 1] / n
        spread = square - total**2 / n
        r2 = np.where(spread > 1e-9 * n, 1 - error_totals[..., 0] / spread, np.nan)
    return {"mse": mse, "rmse": np.sqrt(mse), "mae": mae, "r2": r2}


def top(scores: Numbers | npt.NDArray[np.float32], tie: Numbers, depth: int = DEPTH) -> npt.NDArray[np.int64]:
    """Positions of the `depth` highest scores, best first; equal scores in the order of `tie`. NaN counts as lowest."""
    scores = np.where(np.isnan(scores), -np.inf, scores)
    if len(scores) > depth:
        least = np.partition(scores, len(scores) - depth)[len(scores) - depth]
        kept = np.flatnonzero(scores >= least)
    else:
        kept = np.arange(len(scores))
    return kept[np.lexsort((tie[kept], -scores[kept]))][:depth]


def ranking_metrics(hit: npt.NDArray[np.bool_], n_relevant: int) -> Numbers:
    """The values of `RANKINGS` for one list of at most 20; `hit` says which places hold a relevant title.

    With gain 1: nDCG@k = Σ hit_p / log2(p + 1) over the same sum for min(k, n_relevant) hits on top (Järvelin,
    Kekäläinen, TOIS 2002); recall@k = hits / n_relevant; map@k = Σ hit_p · precision@p / min(k, n_relevant).
    A list shorter than k has no hit on the missing places.
    """
    hits = np.zeros(DEPTH)
    hits[: len(hit)] = hit
    ideal = DISCOUNT[: min(10, n_relevant)].sum()
    precision = np.cumsum(hits) / np.arange(1, DEPTH + 1)
    return np.array(
        [
            hits[:10] @ DISCOUNT[:10] / ideal,
            hits[:10].sum() / n_relevant,
            hits.sum() / n_relevant,
            (hits * precision)[:10].sum() / min(10, n_relevant),
        ]
    )
