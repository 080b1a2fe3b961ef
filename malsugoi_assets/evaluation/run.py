"""Models on a protocol: fit on what may be learnt from, predict or rank the targets, have the outcome judged.

Models never see a target's rating: what they get is made without the targets' rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from malsugoi_assets.evaluation import metrics
from malsugoi_assets.evaluation.data import EvaluationRows, Positions
from malsugoi_assets.evaluation.intervals import Numbers
from malsugoi_assets.evaluation.judge_errors import error_segments, judge_errors, learnt_around
from malsugoi_assets.evaluation.judge_intervals import judge_intervals
from malsugoi_assets.evaluation.judge_rankings import Rankings, judge_rankings
from malsugoi_assets.evaluation.models import PredictsRatings, RanksTitles, SaysParts, StatesDeviations
from malsugoi_assets.evaluation.protocols import Fold, History, Protocol, learn_from
from malsugoi_assets.evaluation.results import Result
from malsugoi_assets.evaluation.workers import answers
from malsugoi_assets.recommend.franchises import learn_franchises
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import IntArray, Ratings

Factory = Callable[[int], Any]
USERS_A_BLOCK = 256


class EvaluationError(ValueError):
    """Nothing could be evaluated; the message says why."""


class BrokenPromise(RuntimeError):
    """A model answered with something that is no prediction: a mistake of the model, not of the data."""


class Progress:
    """Is told how the work goes; does nothing. `step` is one model on one fold."""

    def begins(self, model: str, fold: int, folds: int) -> None:
        """A step begins; folds count from 1."""

    def ends(self, model: str, fold: int, folds: int, seconds: float) -> None:
        """The step is done."""

    def skips(self, model: str, fold: int, folds: int, reason: str) -> None:
        """The model is left out from this fold on."""

    def restarts(self, model: str, whole: str) -> None:
        """The model, so far a part of `whole`, begins anew by itself, since `whole` is left out."""


@dataclass(frozen=True)
class Predictions:
    """Ratings predicted for a protocol's targets: positions in the rows, what was learnt from around them, seconds.

    `deviations`: of the models that say for every target how sure they are, in rating points.
    """

    targets: Positions
    history: Positions
    support: Positions
    by_model: dict[str, Numbers]
    seconds: dict[str, float]
    deviations: dict[str, Numbers]


def evaluate(
    rows: EvaluationRows,
    protocol: Protocol,
    models: Mapping[str, Factory],
    *,
    history: History = "all",
    seed: int = 0,
    progress: Progress | None = None,
    workers: int = 1,
    shared: Mapping[str, str] | None = None,
) -> list[Result]:
    """Fit and measure every model (name → factory taking the seed) on the protocol.

    A model that cannot do what the protocol asks, or has too little to learn from, is skipped with a reason. With
    several `workers` ratings are predicted in so many processes at a time; factories must then be picklable. `shared`:
    models that another one (`SaysParts`) makes along with itself → that one; both then have its seconds. Where that one is
    left out they are fitted by themselves.
    """
    if not any(len(fold.targets) for fold in protocol.folds):
        raise EvaluationError(f"{protocol.name}: no row to predict; the ratings are too few for this protocol")
    if protocol.kind == "ranking":
        rankings = rank(rows, protocol, models, history=history, seed=seed, progress=progress)
        return judge_rankings(rankings, protocol=protocol.name, seed=seed)
    said = predict(
        rows, protocol, models, history=history, seed=seed, progress=progress, workers=workers, shared=shared
    )
    return judge_predictions(rows, protocol, said, seed)


def judge_predictions(rows: EvaluationRows, protocol: Protocol, said: Predictions, seed: int = 0) -> list[Result]:
    """The errors of predictions, and how far the deviations that came with them can be trusted."""
    marks = {name: mark[said.targets] for name, mark in protocol.marks.items()}
    truth, user = rows.rating[said.targets], rows.user[said.targets]
    segments = error_segments(said.history, said.support, marks)
    found = judge_errors(
        truth, user, said.by_model, segments, protocol=protocol.name, seconds=said.seconds, seed=seed
    )
    for name, deviation in said.deviations.items():
        found += judge_intervals(
            truth,
            user,
            said.by_model[name],
            deviation,
            segments,
            model=name,
            protocol=protocol.name,
            seconds=said.seconds,
            seed=seed,
        )
    return found


def predict(
    rows: EvaluationRows,
    protocol: Protocol,
    models: Mapping[str, Factory],
    *,
    history: History = "all",
    seed: int = 0,
    progress: Progress | None = None,
    workers: int = 1,
    shared: Mapping[str, str] | None = None,
) -> Predictions:
    """What each model predicts for the targets, fold by fold; see `evaluate`."""
    shared = {part: whole for part, whole in (shared or {}).items() if part in models and whole in models}
    groups = {
        name: (name, *(part for part, whole in shared.items() if whole == name))
        for name in models
        if name not in shared
    }
    work = _Work(protocol, groups, progress or Progress())
    learnt = [learn_from(rows, fold, history) for fold in protocol.folds]
    asked = [(rows.user[fold.targets], rows.item[fold.targets]) for fold in protocol.folds]

    def step(name: str, fold: int) -> Callable[[], dict[str, Numbers]]:
        members = work.groups[name]
        return partial(_predicted, models[name], seed, members, learnt[fold - 1], rows.items, *asked[fold - 1])

    parts = work.over(range(1, len(learnt) + 1), step, workers)
    by_fold = {name: [answer[name] for answer in parts[whole]] for whole in parts for name in work.groups[whole]}
    around = [learnt_around(known, *pairs) for known, pairs in zip(learnt, asked, strict=True)]
    said = {name: np.concatenate(by_fold[name], axis=1) for name in models if name in by_fold}
    return Predictions(
        np.concatenate([fold.targets for fold in protocol.folds]),
        np.concatenate([history for history, _ in around]),
        np.concatenate([support for _, support in around]),
        {name: predicted for name, (predicted, _) in said.items()},
        work.seconds,
        {name: deviation for name, (_, deviation) in said.items() if np.isfinite(deviation).all()},
    )


def _predicted(
    make: Factory, seed: int, names: tuple[str, ...], learnt: Ratings, items: Items, user: IntArray, item: IntArray
) -> dict[str, Numbers]:
    """A new model's predictions with their deviations (NaN = not said), float64 (2, n), learnt from `learnt`.

    `names`: the model, and the parts of it that are asked for too.
    """
    model = make(seed)
    if not isinstance(model, PredictsRatings):
        raise EvaluationError("it ranks titles, but predicts no ratings")
    model = model.fit(learnt, items)  # type: ignore[attr-defined]
    answers: dict[str, tuple[Any, Any]]
    if len(names) > 1 and isinstance(model, SaysParts):
        answers = model.parts_with_deviation(user, item)
    elif isinstance(model, StatesDeviations):
        answers = {names[0]: model.predict_with_deviation(user, item)}
    else:
        answers = {names[0]: (model.predict(user, item), np.full(len(user), np.nan))}
    said = {}
    for name in names:
        predicted, deviation = (np.asarray(values, dtype=np.float64) for values in answers[name])
        if predicted.shape != user.shape or not np.isfinite(predicted).all():
            raise BrokenPromise(f"predicted {predicted.shape} values, not all finite, for {len(user)} rows")
        said[name] = np.stack([predicted, deviation])
    return said


def rank(
    rows: EvaluationRows,
    protocol: Protocol,
    models: Mapping[str, Factory],
    *,
    history: History = "all",
    seed: int = 0,
    progress: Progress | None = None,
) -> Rankings:
    """The first titles that each model offers to each user with a relevant hidden title."""
    (fold,) = protocol.folds
    learnt = learn_from(rows, fold, history)
    relevant = _matrix(rows, fold.targets[rows.rating[fold.targets] >= metrics.RELEVANT])
    users = np.flatnonzero(np.diff(relevant.indptr)).astype(np.int32)
    if not len(users):
        raise EvaluationError(f"{protocol.name}: no hidden row is rated {metrics.RELEVANT:.0f} or more")
    known = _matrix(rows, np.flatnonzero(~np.isin(rows.pair, rows.pair[fold.targets])))

    def first_titles(model: Any) -> npt.NDArray[np.int64]:
        if not isinstance(model, RanksTitles):
            raise EvaluationError("it predicts ratings, but ranks no titles")
        model.fit(learnt, rows.items)  # type: ignore[attr-defined]
        return _top_titles(model, users, known, seed)

    def step(name: str, fold: int) -> Callable[[], npt.NDArray[np.int64]]:
        return lambda: first_titles(models[name](seed))

    work = _Work(protocol, {name: (name,) for name in models}, progress or Progress())
    tops = {name: found for name, (found,) in work.over([1], step).items()}
    marks = _marked(rows, protocol, fold, users)
    return Rankings(users, relevant, learnt, marks, tops, work.seconds, _franchises(rows.items))


class _Work:
    """Takes the models through the folds: the clock, and those that fail left out with a reason.

    `groups`: each model with those that its answers hold as well. Where it fails, each of those is a model of its own.
    """

    def __init__(self, protocol: Protocol, groups: Mapping[str, tuple[str, ...]], progress: Progress) -> None:
        self._name, self._folds = protocol.name, len(protocol.folds)
        self._progress = progress
        self.groups = dict(groups)
        self._left = list(groups)
        self.seconds: dict[str, float] = {}

    def over(
        self, folds: Sequence[int], step: Callable[[str, int], Callable[[], Any]], workers: int = 1
    ) -> dict[str, list[Any]]:
        """What each model that can do it answers on the folds, in their order. `EvaluationError` where none can.

        `step` gives the call that asks a model (name) on a fold (from 1).
        """
        found: dict[tuple[str, int], Any] = {}
        seconds: dict[str, float] = {}

        def turn(name: str, fold: int) -> Callable[[], Any] | None:
            if name not in self._left:
                return None
            for member in self.groups[name]:
                self._progress.begins(member, fold, self._folds)
            return partial(_timed, step(name, fold))

        waiting = list(self._left)
        while waiting:
            seconds |= dict.fromkeys(waiting, 0.0)
            calls = [((name, fold), partial(turn, name, fold)) for fold in folds for name in waiting]
            waiting = []
            for (name, fold), answer in answers(calls, workers):
                if name not in self._left:
                    continue
                if isinstance(answer, BrokenPromise):
                    raise EvaluationError(f"{name} {answer}")
                if isinstance(answer, Exception):
                    self._progress.skips(name, fold, self._folds, str(answer) or type(answer).__name__)
                    self._left.remove(name)
                    waiting += self._parts_alone(name)
                    continue
                found[name, fold], took = answer
                seconds[name] += took
                for member in self.groups[name]:
                    self._progress.ends(member, fold, self._folds, took)
        if not self._left:
            raise EvaluationError(f"{self._name}: none of the models asked for can be evaluated on it")
        self.seconds = {member: seconds[name] for name in self._left for member in self.groups[name]}
        return {name: [found[name, fold] for fold in folds] for name in self._left}

    def _parts_alone(self, whole: str) -> list[str]:
        """The parts of a model that was left out, from now on models of their own."""
        parts = [part for part in self.groups.pop(whole) if part != whole]
        for part in parts:
            self.groups[part] = (part,)
            self._progress.restarts(part, whole)
        self._left += parts
        return parts


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.monotonic()
    return call(), time.monotonic() - start


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


def _marked(
    rows: EvaluationRows, protocol: Protocol, fold: Fold, users: npt.NDArray[np.int32]
) -> dict[str, npt.NDArray[np.bool_]]:
    """For each segment that the protocol marks, which of the users have a target in it."""
    return {
        name: np.isin(users, rows.user[fold.targets[mask[fold.targets]]]) for name, mask in protocol.marks.items()
    }


def _franchises(items: Items) -> npt.NDArray[np.int64]:
    """A number a title, the same within a franchise."""
    franchises = learn_franchises(items.features.with_columns(pl.Series("anime_id", items.anime_id)), items.relations)
    return np.array([franchises.franchise(anime_id) for anime_id in items.anime_id.tolist()], dtype=np.int64)


def _matrix(rows: EvaluationRows, positions: Positions) -> sp.csr_matrix:
    ones = np.ones(len(positions), dtype=np.float32)
    return sp.csr_matrix((ones, (rows.user[positions], rows.item[positions])), shape=(rows.n_users, rows.n_items))
