"""Whether a model knows how sure it is: how many true ratings lie inside of the intervals that it states.

Source: Gneiting, Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation" (JASA 2007): as sharp as
possible (width), subject to calibration (coverage).
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from malsugoi_assets.evaluation.intervals import Numbers, resampled_totals
from malsugoi_assets.evaluation.judge_errors import Floats
from malsugoi_assets.evaluation.results import Mask, Result, Sample
from malsugoi_assets.recommend.ratings import IntArray

LEVELS = (50, 80, 90, 95)
"""Stated probabilities, in percent."""
MEASURES = (*(f"covered@{level}" for level in LEVELS), "width@90")


def judge_intervals(
    truth: Floats,
    user: IntArray,
    predicted: Floats,
    deviation: Floats,
    segments: Mapping[str, Mask],
    *,
    model: str,
    protocol: str,
    seconds: Mapping[str, float] | None = None,
    seed: int = 0,
) -> list[Result]:
    """The `MEASURES` of one model in each segment (name → mask over the targets), with intervals by users.

    The stated interval is predicted ± z · deviation, cut to 1…10; all arrays have one entry a target. covered@p: the
    share of true ratings inside of the p % interval; width@90: its mean width in rating points.
    """
    results = []
    for segment, mask in segments.items():
        people, place = np.unique(user[mask], return_inverse=True)
        sample = Sample(protocol, segment, int(mask.sum()), len(people), seconds or {})
        if not sample.n:
            continue
        columns = _columns(truth[mask], predicted[mask], deviation[mask])
        sums: Numbers = np.stack(
            [np.bincount(place, weights=c, minlength=len(people)) for c in columns.T], axis=1
        ).astype(np.float64)
        values, draws = (
            {model: dict(zip(MEASURES, np.moveaxis(totals[..., 1:] / totals[..., :1], -1, 0), strict=True))}
            for totals in (sums.sum(axis=0), resampled_totals(sums, seed))
        )
        results += sample.figures(MEASURES, values, draws)
    return results


def _columns(truth: Floats, predicted: Floats, deviation: Floats) -> Numbers:
    """A row a target: 1, whether it is inside of each interval, the width of the one at 90 %."""
    middle, spread, real = (a.astype(np.float64) for a in (predicted, deviation, truth))
    ends = {level: NormalDist().inv_cdf(0.5 + level / 200) * spread for level in LEVELS}
    inside = [np.abs(real - middle) <= ends[level] for level in LEVELS]
    width = np.minimum(middle + ends[90], 10) - np.maximum(middle - ends[90], 1)
    return np.stack([np.ones_like(real), *inside, width], axis=1)
