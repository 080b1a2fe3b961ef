"""Models on a protocol: fit on what may be learnt from, predict or rank the targets, measure.

Models never see a target's rating: what they get is made without the targets' rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.evaluation import metrics
from malsugoi_assets.evaluation.data import EvaluationRows, Mask, Positions
from malsugoi_assets.evaluation.intervals import Numbers, interval, resampled_totals
from malsugoi_assets.evaluation.models import PredictsRatings, RanksTitles
from malsugoi_assets.evaluation.protocols import History, Protocol, learn_from
from malsugoi_assets.recommend.ratings import Ratings

Say = Callable[[str], None]
Factory = Callable[[int], Any]
BUCKETS: tuple[tuple[int, int | None], ...] = ((0, 9), (10, 49), (50, 199), (200, None))
USERS_A_BLOCK = 256


class EvaluationError(ValueError):
    """Nothing could be evaluated; the message says why."""


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
class Predictions:
    """Ratings predicted for a protocol's targets: positions in the rows, what was learnt from around them, seconds."""

    targets: Positions
    history: Positions
    support: Positions
    by_model: dict[str, Numbers]
    seconds: dict[str, float]


def evaluate(
    rows: EvaluationRows,
    protocol: Protocol,
    models: Mapping[str, Factory],
    *,
    history: History = "all",
    seed: int = 0,
    say: Say = lambda line: None,
) -> list[Result]:
    """Fit and measure every model (name → factory taking the seed) on the protocol; `say` gets lines of progress.

    A model that cannot do what the protocol asks, or has too little to learn from, is skipped with a line.
    """
    if not any(len(fold.targets) for fold in protocol.folds):
        raise EvaluationError(f"{protocol.name}: no row to predict; the ratings are too few for this protocol")
    if protocol.kind == "ranking":
        return rank(rows, protocol, models, history=history, seed=seed, say=say)
    return judge(rows, protocol, predict(rows, protocol, models, history=history, seed=seed, say=say), seed)


def predict(
    rows: EvaluationRows,
    protocol: Protocol,
    models: Mapping[str, Factory],
    *,
    history: History = "all",
    seed: int = 0,
    say: Say = lambda line: None,
) -> Predictions:
    """What each model predicts for the targets, fold by fold."""
    parts: dict[str, list[Numbers]] = {name: [] for name in models}
    seconds = dict.fromkeys(models, 0.0)
    counts: list[tuple[Positions, Positions]] = []
    for number, fold in enumerate(protocol.folds, 1):
        learnt = learn_from(rows, fold, history)
        user, item = rows.user[fold.targets], rows.item[fold.targets]
        counts.append(_around(learnt, user, item))
        for name in list(parts):
            start = time.monotonic()
            try:
                model = models[name](seed)
                if not isinstance(model, PredictsRatings):
                    raise EvaluationError("it ranks titles, but predicts no ratings")
                model.fit(learnt, rows.items)  # type: ignore[attr-defined]
                predicted = np.asarray(model.predict(user, item), dtype=np.float64)
            except (ValueError, RuntimeError, MemoryError) as problem:
                say(f"{name} skipped: {problem or type(problem).__name__}")
                del parts[name]
                continue
            if predicted.shape != user.shape or not np.isfinite(predicted).all():
                raise EvaluationError(
                    f"{name} predicted {predicted.shape} values, not all finite, for {len(user)} rows"
                )
            parts[name].append(predicted)
            seconds[name] += time.monotonic() - start
            say(f"{name}: fold {number} of {len(protocol.folds)}, {time.monotonic() - start:.1f} s")
    _need_one(parts, protocol)
    return Predictions(
        np.concatenate([fold.targets for fold in protocol.folds]),
        np.concatenate([around[0] for around in counts]),
        np.concatenate([around[1] for around in counts]),
        {name: np.concatenate(arrays) for name, arrays in parts.items()},
        {name: seconds[name] for name in parts},
    )


def judge(rows: EvaluationRows, protocol: Protocol, predictions: Predictions, seed: int = 0) -> list[Result]:
    """Errors in every segment, with intervals and differences to every other model."""
    truth = rows.rating[predictions.targets].astype(np.float64)
    user = rows.user[predictions.targets]
    segments = {"all": np.ones(len(truth), dtype=np.bool_)}
    segments |= {name: mark[predictions.targets] for name, mark in protocol.marks.items()}
    segments |= buckets("history", predictions.history) | buckets("title", predictions.support)
    results = []
    for segment, mask in segments.items():
        people, place = np.unique(user[mask], return_inverse=True)
        real = truth[mask]
        names = list(predictions.by_model)
        if not len(real):
            results += [
                _nothing(name, protocol, segment, metric, predictions.seconds[name], "no target in this segment")
                for name in names
                for metric in metrics.ERRORS
            ]
            continue
        sums = [metrics.truth_sums(real, place, len(people), float(real.mean()))]
        sums += [metrics.error_sums(real, predictions.by_model[name][mask], place, len(people)) for name in names]
        table = np.concatenate(sums, axis=1)
        point, drawn = table.sum(axis=0), resampled_totals(table, seed)
        values, draws = (
            {
                name: metrics.errors(totals[..., 3 + 2 * k : 5 + 2 * k], totals[..., :3])
                for k, name in enumerate(names)
            }
            for totals in (point, drawn)
        )
        results += _results(
            names, protocol, segment, metrics.ERRORS, values, draws, len(real), len(people), predictions.seconds
        )
    return results


def rank(
    rows: EvaluationRows,
    protocol: Protocol,
    models: Mapping[str, Factory],
    *,
    history: History = "all",
    seed: int = 0,
    say: Say = lambda line: None,
) -> list[Result]:
    """Measures of ranked lists, over the users with at least one relevant hidden title."""
    (fold,) = protocol.folds
    learnt = learn_from(rows, fold, history)
    relevant = _matrix(rows, fold.targets[rows.rating[fold.targets] >= metrics.RELEVANT])
    users = np.flatnonzero(np.diff(relevant.indptr)).astype(np.int32)
    if not len(users):
        raise EvaluationError(f"{protocol.name}: no hidden row is rated {metrics.RELEVANT:.0f} or more")
    repeats = np.isin(rows.pair, rows.pair[fold.targets])
    known = _matrix(rows, np.flatnonzero(~repeats))
    tops: dict[str, npt.NDArray[np.int64]] = {}
    seconds: dict[str, float] = {}
    for name, make in models.items():
        start = time.monotonic()
        try:
            model = make(seed)
            if not isinstance(model, RanksTitles):
                raise EvaluationError("it predicts ratings, but ranks no titles")
            model.fit(learnt, rows.items)  # type: ignore[attr-defined]
            tops[name] = _top_titles(model, users, known, seed)
        except (ValueError, RuntimeError, MemoryError) as problem:
            say(f"{name} skipped: {problem or type(problem).__name__}")
            continue
        seconds[name] = time.monotonic() - start
        say(f"{name}: {seconds[name]:.1f} s")
    _need_one(tops, protocol)
    listed = np.bincount(learnt.item, minlength=rows.n_items)
    support = np.bincount(learnt.rated.item, minlength=rows.n_items)
    entries = np.bincount(learnt.user, minlength=rows.n_users)[users]
    novelty = -np.log2((listed + 1) / (rows.n_users + 1))
    segments = {"all": np.ones(len(users), dtype=np.bool_)}
    for mark, mask in protocol.marks.items():
        segments[mark] = np.isin(users, rows.user[fold.targets[mask[fold.targets]]])
    segments |= buckets("history", entries)
    results = []
    every = np.ones(rows.n_items, dtype=np.bool_)
    for segment, chosen in segments.items():
        results += _ranked(rows, protocol, segment, users, chosen, relevant, every, tops, seconds, novelty, seed)
    for segment, titles in buckets("title", support).items():
        results += _ranked(
            rows, protocol, segment, users, segments["all"], relevant, titles, tops, seconds, None, seed
        )
    return results


def buckets(what: str, count: Positions) -> dict[str, Mask]:
    """Masks by a count: 'history 0-9' …, over what was learnt from."""
    return {
        f"{what} {low}-{high}" if high is not None else f"{what} {low}+": (count >= low)
        & (np.ones(len(count), dtype=np.bool_) if high is None else count <= high)
        for low, high in BUCKETS
    }


def _ranked(
    rows: EvaluationRows,
    protocol: Protocol,
    segment: str,
    users: npt.NDArray[np.int32],
    chosen: Mask,
    relevant: sp.csr_matrix,
    titles: Mask,
    tops: Mapping[str, npt.NDArray[np.int64]],
    seconds: Mapping[str, float],
    novelty: Numbers | None,
    seed: int,
) -> list[Result]:
    """The measures over the chosen users, with only relevant titles among `titles` counted as relevant."""
    sought = [relevant.indices[relevant.indptr[u] : relevant.indptr[u + 1]] for u in users]
    sought = [items[titles[items]] for items in sought]
    places = [i for i in np.flatnonzero(chosen) if len(sought[i])]
    names = list(tops)
    measures = (*metrics.RANKINGS, *(("novelty@10",) if novelty is not None else ()))
    if not places:
        reason = "no user with a relevant title in this segment"
        return [_nothing(n, protocol, segment, m, seconds[n], reason) for n in names for m in measures]
    columns = []
    for name in names:
        best = tops[name]
        values = np.array(
            [metrics.ranking_metrics(np.isin(best[i][best[i] >= 0], sought[i]), len(sought[i])) for i in places]
        )
        if novelty is not None:
            ten = best[places][:, :10]
            there = ten >= 0
            own = np.where(there, novelty[ten], 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
            values = np.concatenate([values, own[:, None]], axis=1)
        columns.append(values)
    table = np.concatenate([np.ones((len(places), 1)), *columns], axis=1)
    point, drawn = table.sum(axis=0), resampled_totals(table, seed)
    width = len(measures)
    values_of, draws_of = (
        {
            name: {m: t[..., 1 + k * width + j] / t[..., 0] for j, m in enumerate(measures)}
            for k, name in enumerate(names)
        }
        for t in (point, drawn)
    )
    results = _results(names, protocol, segment, measures, values_of, draws_of, len(places), len(places), seconds)
    if novelty is not None:
        shown = {name: tops[name][places][:, :10] for name in names}
        share = {name: len(np.unique(first[first >= 0])) / rows.n_items for name, first in shown.items()}
        for name in names:
            paired = {o: Difference(share[name] - share[o], None, None) for o in names if o != name}
            took = round(seconds[name], 3)
            results.append(
                Result(
                    name, protocol.name, segment, "coverage@10", share[name], None, None, len(places), took, paired
                )
            )
    return results


def _top_titles(
    model: RanksTitles, users: npt.NDArray[np.int32], known: sp.csr_matrix, seed: int
) -> npt.NDArray[np.int64]:
    """The best 20 candidates of each user, -1 where there are fewer; equal scores fall in an order drawn a user."""
    best = np.full((len(users), metrics.DEPTH), -1, dtype=np.int64)
    n_items = known.shape[1]
    for start in range(0, len(users), USERS_A_BLOCK):
        block = users[start : start + USERS_A_BLOCK]
        scores = np.asarray(model.scores(block))
        if scores.shape != (len(block), n_items):
            raise ValueError(f"its scores have the shape {scores.shape}, not {(len(block), n_items)}")
        for row, user in enumerate(block):
            free = np.ones(n_items, dtype=np.bool_)
            free[known.indices[known.indptr[user] : known.indptr[user + 1]]] = False
            candidates = np.flatnonzero(free)
            tie = np.random.default_rng((seed, int(user))).random(len(candidates))
            found = candidates[metrics.top(scores[row][candidates], tie)]
            best[start + row, : len(found)] = found
    return best


def _results(
    names: Sequence[str],
    protocol: Protocol,
    segment: str,
    measures: Sequence[str],
    values: Mapping[str, Mapping[str, Any]],
    draws: Mapping[str, Mapping[str, Numbers]],
    n: int,
    n_users: int,
    seconds: Mapping[str, float],
) -> list[Result]:
    """Figures with intervals (none from a single user, of whom no spread is known) and paired differences."""
    results = []
    for name in names:
        for measure in measures:
            value = float(values[name][measure])
            if not np.isfinite(value):
                reason = "all ratings here are equal" if measure == "r2" else "not defined"
                results.append(_nothing(name, protocol, segment, measure, seconds[name], reason, n))
                continue
            low, high = interval(draws[name][measure]) if n_users > 1 else (None, None)
            paired = {}
            for other in names:
                if other != name:
                    spread = draws[name][measure] - draws[other][measure]
                    ends = interval(spread) if n_users > 1 else (None, None)
                    paired[other] = Difference(value - float(values[other][measure]), *ends)
            results.append(
                Result(name, protocol.name, segment, measure, value, low, high, n, round(seconds[name], 3), paired)
            )
    return results


def _nothing(
    name: str, protocol: Protocol, segment: str, metric: str, seconds: float, reason: str, n: int = 0
) -> Result:
    return Result(name, protocol.name, segment, metric, None, None, None, n, round(seconds, 3), {}, reason)


def _around(learnt: Ratings, user: npt.NDArray[np.int32], item: npt.NDArray[np.int32]) -> tuple[Positions, Positions]:
    """For each target how many ratings of its user, and of its title, could be learnt from."""
    rated = learnt.rated
    return (
        np.bincount(rated.user, minlength=learnt.n_users)[user],
        np.bincount(rated.item, minlength=learnt.n_items)[item],
    )


def _matrix(rows: EvaluationRows, positions: Positions) -> sp.csr_matrix:
    ones = np.ones(len(positions), dtype=np.float32)
    return sp.csr_matrix((ones, (rows.user[positions], rows.item[positions])), shape=(rows.n_users, rows.n_items))


def _need_one(done: Mapping[str, object], protocol: Protocol) -> None:
    if not done:
        raise EvaluationError(f"{protocol.name}: none of the models asked for can be evaluated on it")
