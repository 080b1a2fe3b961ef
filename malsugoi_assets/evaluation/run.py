"""Models on a protocol: fit on what may be learnt from, predict or rank the targets, have the outcome judged.

Models never see a target's rating: what they get is made without the targets' rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.evaluation import metrics
from malsugoi_assets.evaluation.data import EvaluationRows, Positions
from malsugoi_assets.evaluation.intervals import Numbers
from malsugoi_assets.evaluation.judge_errors import error_segments, judge_errors, learnt_around
from malsugoi_assets.evaluation.judge_rankings import Rankings, judge_rankings
from malsugoi_assets.evaluation.models import PredictsRatings, RanksTitles
from malsugoi_assets.evaluation.protocols import Fold, History, Protocol, learn_from
from malsugoi_assets.evaluation.results import Result

Factory = Callable[[int], Any]
USERS_A_BLOCK = 256


class EvaluationError(ValueError):
    """Nothing could be evaluated; the message says why."""


class Progress:
    """Is told how the work goes; does nothing. `step` is one model on one fold."""

    def begins(self, model: str, fold: int, folds: int) -> None:
        """A step begins; folds count from 1."""

    def ends(self, model: str, fold: int, folds: int, seconds: float) -> None:
        """The step is done."""

    def skips(self, model: str, fold: int, folds: int, reason: str) -> None:
        """The model is left out from this fold on."""


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
    progress: Progress | None = None,
) -> list[Result]:
    """Fit and measure every model (name → factory taking the seed) on the protocol.

    A model that cannot do what the protocol asks, or has too little to learn from, is skipped with a reason.
    """
    if not any(len(fold.targets) for fold in protocol.folds):
        raise EvaluationError(f"{protocol.name}: no row to predict; the ratings are too few for this protocol")
    if protocol.kind == "ranking":
        rankings = rank(rows, protocol, models, history=history, seed=seed, progress=progress)
        return judge_rankings(rankings, protocol=protocol.name, seed=seed)
    said = predict(rows, protocol, models, history=history, seed=seed, progress=progress)
    marks = {name: mark[said.targets] for name, mark in protocol.marks.items()}
    return judge_errors(
        rows.rating[said.targets],
        rows.user[said.targets],
        said.by_model,
        error_segments(said.history, said.support, marks),
        protocol=protocol.name,
        seconds=said.seconds,
        seed=seed,
    )


def predict(
    rows: EvaluationRows,
    protocol: Protocol,
    models: Mapping[str, Factory],
    *,
    history: History = "all",
    seed: int = 0,
    progress: Progress | None = None,
) -> Predictions:
    """What each model predicts for the targets, fold by fold."""
    work = _Work(protocol, models, seed, progress or Progress())
    parts: dict[str, list[Numbers]] = {name: [] for name in models}
    counts: list[tuple[Positions, Positions]] = []

    for number, fold in enumerate(protocol.folds, 1):
        learnt = learn_from(rows, fold, history)
        user, item = rows.user[fold.targets], rows.item[fold.targets]
        counts.append(learnt_around(learnt, user, item))

        def said_by(model: Any, user: Any = user, item: Any = item, learnt: Any = learnt) -> Numbers:
            if not isinstance(model, PredictsRatings):
                raise EvaluationError("it ranks titles, but predicts no ratings")
            model.fit(learnt, rows.items)  # type: ignore[attr-defined]
            return np.asarray(model.predict(user, item), dtype=np.float64)

        for name, predicted in work.over(number, said_by):
            if predicted.shape != user.shape or not np.isfinite(predicted).all():
                raise EvaluationError(
                    f"{name} predicted {predicted.shape} values, not all finite, for {len(user)} rows"
                )
            parts[name].append(predicted)
    return Predictions(
        np.concatenate([fold.targets for fold in protocol.folds]),
        np.concatenate([around[0] for around in counts]),
        np.concatenate([around[1] for around in counts]),
        {name: np.concatenate(parts[name]) for name in work.left},
        work.seconds,
    )


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

    work = _Work(protocol, models, seed, progress or Progress())
    tops = dict(work.over(1, first_titles))
    return Rankings(users, relevant, learnt, _marked(rows, protocol, fold, users), tops, work.seconds)


class _Work:
    """Takes the models through the folds: new models a fold, the clock, and those that fail left out with a reason."""

    def __init__(self, protocol: Protocol, models: Mapping[str, Factory], seed: int, progress: Progress) -> None:
        self._name, self._folds = protocol.name, len(protocol.folds)
        self._models, self._seed, self._progress = models, seed, progress
        self.left = list(models)
        self.seconds = dict.fromkeys(models, 0.0)

    def over(self, fold: int, ask: Callable[[Any], Any]) -> list[tuple[str, Any]]:
        """What each model that is left answers on this fold (from 1). `EvaluationError` where none is left."""
        answers = []
        for name in list(self.left):
            self._progress.begins(name, fold, self._folds)
            start = time.monotonic()
            try:
                answers.append((name, ask(self._models[name](self._seed))))
            except (ValueError, RuntimeError, MemoryError) as problem:
                self._progress.skips(name, fold, self._folds, str(problem) or type(problem).__name__)
                self.left.remove(name)
                continue
            took = time.monotonic() - start
            self.seconds[name] += took
            self._progress.ends(name, fold, self._folds, took)
        if not self.left:
            raise EvaluationError(f"{self._name}: none of the models asked for can be evaluated on it")
        return answers


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


def _matrix(rows: EvaluationRows, positions: Positions) -> sp.csr_matrix:
    ones = np.ones(len(positions), dtype=np.float32)
    return sp.csr_matrix((ones, (rows.user[positions], rows.item[positions])), shape=(rows.n_users, rows.n_items))
