"""Figures as records: a model's value with its interval and its differences to the others on the same draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from malsugoi_assets.evaluation.intervals import Numbers, interval

Mask = npt.NDArray[np.bool_]
Bounds = tuple[tuple[int, int | None], ...]
BUCKETS: Bounds = ((0, 9), (10, 49), (50, 199), (200, None))


@dataclass(frozen=True)
class Difference:
    """Value of a model less that of another on the same users, with its 95 % interval."""

    difference: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True)
class Result:
    """One figure. `n`: rows for errors, users for ranked lists; `value` is None, with a `reason`, where undefined."""

    model: str
    protocol: str
    segment: str
    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    seconds: float
    paired: dict[str, Difference] = field(default_factory=dict)
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As a plain dictionary; `reason` stands only where there is one."""
        plain = asdict(self)
        if self.reason is None:
            del plain["reason"]
        return plain


@dataclass(frozen=True)
class Sample:
    """What the figures of one segment have in common: `n` rows (or users) of `n_users` users, seconds by model."""

    protocol: str
    segment: str
    n: int
    n_users: int
    seconds: Mapping[str, float]

    def result(self, model: str, metric: str, value: float, ends: tuple[float | None, float | None]) -> Result:
        """A figure without differences."""
        return Result(model, self.protocol, self.segment, metric, value, *ends, self.n, self._took(model))

    def nothing(self, model: str, metric: str, reason: str) -> Result:
        """A figure that has no value, and why."""
        took = self._took(model)
        return Result(model, self.protocol, self.segment, metric, None, None, None, self.n, took, {}, reason)

    def figures(
        self,
        measures: Sequence[str],
        values: Mapping[str, Mapping[str, Any]],
        draws: Mapping[str, Mapping[str, Numbers]],
    ) -> list[Result]:
        """Each model's measures (model → measure → value; → value in every draw) with intervals and differences."""
        results = []
        for name in values:
            for measure in measures:
                value = float(values[name][measure])
                if not np.isfinite(value):
                    reason = "all ratings here are equal" if measure == "r2" else "not defined"
                    results.append(self.nothing(name, measure, reason))
                    continue
                found = self.result(name, measure, value, self._ends(value, draws[name][measure]))
                for other in values:
                    if other != name:
                        less = value - float(values[other][measure])
                        ends = self._ends(less, draws[name][measure] - draws[other][measure])
                        found.paired[other] = Difference(less, *ends)
                results.append(found)
        return results

    def _ends(self, value: float, draws: Numbers) -> tuple[float | None, float | None]:
        """The interval, wide enough for the value itself; none from a single user, of whom no spread is known."""
        low, high = interval(draws) if self.n_users > 1 else (None, None)
        return (None, None) if low is None or high is None else (min(low, value), max(high, value))

    def _took(self, model: str) -> float:
        return round(self.seconds.get(model, 0.0), 3)


def buckets(what: str, count: npt.NDArray[np.integer], bounds: Bounds = BUCKETS) -> dict[str, Mask]:
    """Masks by a count: 'history 0-9' …, over what was learnt from; `bounds`: first and last count of each."""
    masks = {}
    for low, high in bounds:
        counts = f"{low}+" if high is None else f"{low}-{high}" if high > low else f"{low}"
        masks[f"{what} {counts}"] = (count >= low) & (count <= (np.iinfo(np.int64).max if high is None else high))
    return masks
