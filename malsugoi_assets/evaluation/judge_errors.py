"""Errors of predicted ratings in every segment, with intervals by users and differences between the models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from malsugoi_assets.evaluation import metrics
from malsugoi_assets.evaluation.intervals import resampled_totals
from malsugoi_assets.evaluation.results import Mask, Result, Sample, buckets
from malsugoi_assets.recommend.ratings import IntArray, Ratings

Floats = npt.NDArray[np.floating[Any]]


def judge_errors(
    truth: Floats,
    user: IntArray,
    predicted: Mapping[str, Floats],
    segments: Mapping[str, Mask],
    *,
    protocol: str,
    seconds: Mapping[str, float] | None = None,
    seed: int = 0,
) -> list[Result]:
    """The metrics of `metrics.ERRORS` of each model (name → predictions) in each segment (name → mask over targets).

    `truth`, `user`, predictions: one entry a target, shape (n,). Every model sees the same draws of users.
    """
    results = []
    for segment, mask in segments.items():
        people, place = np.unique(user[mask], return_inverse=True)
        sample = Sample(protocol, segment, int(mask.sum()), len(people), seconds or {})
        if not sample.n:
            results += [
                sample.nothing(name, metric, "no target in this segment")
                for name in predicted
                for metric in metrics.ERRORS
            ]
            continue
        real = truth[mask].astype(np.float64)
        sums = [metrics.truth_sums(real, place, len(people), float(real.mean()))]
        sums += [
            metrics.error_sums(real, said[mask].astype(np.float64), place, len(people)) for said in predicted.values()
        ]
        table = np.concatenate(sums, axis=1)
        values, draws = (
            {
                name: metrics.errors(totals[..., 3 + 2 * k : 5 + 2 * k], totals[..., :3])
                for k, name in enumerate(predicted)
            }
            for totals in (table.sum(axis=0), resampled_totals(table, seed))
        )
        results += sample.figures(metrics.ERRORS, values, draws)
    return results


def error_segments(
    history: npt.NDArray[np.integer], support: npt.NDArray[np.integer], marks: Mapping[str, Mask] | None = None
) -> dict[str, Mask]:
    """All targets; the marked ones; those by how many ratings of their user, and of their title, were learnt from."""
    every = {"all": np.ones(len(history), dtype=np.bool_)}
    return every | dict(marks or {}) | buckets("history", history) | buckets("title", support)


def learnt_around(
    learnt: Ratings, user: IntArray, item: IntArray
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each target how many ratings of its user, and of its title, could be learnt from."""
    rated = learnt.rated
    return (
        np.bincount(rated.user, minlength=learnt.n_users)[user],
        np.bincount(rated.item, minlength=learnt.n_items)[item],
    )
