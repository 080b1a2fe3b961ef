"""Which rows are predicted, and which may be learnt from for that.

A row with the user and title (also by id) of a target is never learnt from, whatever the protocol names as train.
Protocols of our own depend on names and seed only, not on the order of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from malsugoi_assets.evaluation.data import EvaluationRows, Mask, Positions
from malsugoi_assets.recommend.ratings import Ratings

History = Literal["all", "protocol"]
FOLDS = 5
HIDDEN_SHARE = 0.2
LEAST_RATINGS = 10
NAMES = ("random5", "cold-users", "ranking")


class ProtocolError(ValueError):
    """A protocol that is not known, or whose file does not fit the ratings."""


@dataclass(frozen=True)
class Fold:
    """`targets`: positions of the rows to predict; `train`: mask of the rows that the protocol names as train."""

    targets: Positions
    train: Mask


@dataclass(frozen=True)
class Protocol:
    """Folds, and for each segment that the protocol marks a mask over the rows."""

    name: str
    kind: Literal["rating", "ranking"]
    folds: tuple[Fold, ...]
    marks: dict[str, Mask] = field(default_factory=dict)


def learn_from(rows: EvaluationRows, fold: Fold, history: History) -> Ratings:
    """What a model may see of a fold: all other rows, or those that the protocol names as train."""
    allowed = np.ones(len(rows), dtype=np.bool_) if history == "all" else fold.train.copy()
    allowed[rows.repeats(fold.targets)] = False
    return rows.ratings(allowed)


def make_protocol(name: str, rows: EvaluationRows, seed: int) -> Protocol:
    """`random5`, `cold-users`, `ranking`, or the path of a CSV file with `row` and `split`, `fold` or `hidden`."""
    if name == "random5":
        return random5(rows, seed)
    if name == "cold-users":
        return cold_users(rows, seed)
    if name == "ranking":
        return ranking(rows, seed)
    if not Path(name).is_file():
        raise ProtocolError(f"no protocol {name!r}: known are {', '.join(NAMES)} and the path of a CSV file")
    return read_protocol(Path(name), rows)


def random5(rows: EvaluationRows, seed: int) -> Protocol:
    """Five folds over the rated rows (the last of each user and title), as even as can be."""
    rated = _rated(rows)
    fold = np.empty(len(rated), dtype=np.int64)
    fold[np.argsort(rows.draw(seed)[rated], kind="stable")] = np.arange(len(rated)) % FOLDS
    return Protocol("random5", "rating", _folds(rows, rated, fold))


def cold_users(rows: EvaluationRows, seed: int) -> Protocol:
    """A fifth of the users at a time; half of their rated rows (rounded down) are targets, the rest is history."""
    rated = _rated(rows)
    group = np.empty(rows.n_users, dtype=np.int64)
    group[np.argsort(rows.user_draw(seed), kind="stable")] = np.arange(rows.n_users) % FOLDS
    chosen = _lowest_share(rows, rated, 0.5, seed)
    fold = np.where(chosen, group[rows.user[rated]], -1)
    return Protocol("cold-users", "rating", _folds(rows, rated, fold))


def ranking(rows: EvaluationRows, seed: int) -> Protocol:
    """A fifth (rounded down) of the rated rows of each user with at least 10 of them is hidden."""
    rated = _rated(rows)
    count = np.bincount(rows.user[rated], minlength=rows.n_users)
    hidden = _lowest_share(rows, rated, HIDDEN_SHARE, seed) & (count[rows.user[rated]] >= LEAST_RATINGS)
    return Protocol("ranking", "ranking", (_fold(rows, rated[hidden], rated[~hidden]),))


def read_protocol(path: Path, rows: EvaluationRows) -> Protocol:
    """A protocol from a CSV file, told apart by its columns. Raises `ProtocolError` naming file and line."""
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ProtocolError(f"{path}: cannot be read as CSV ({str(error).splitlines()[0]})") from error
    kinds = [name for name in ("split", "fold", "hidden") if name in frame.columns]
    if "row" not in frame.columns or len(kinds) != 1:
        raise ProtocolError(f"{path}, line 1: needs the columns row and one of split, fold, hidden")
    position = _whole_numbers(path, frame, "row")
    _refuse(path, (position < 0) | (position >= len(rows)), f"row is not among the {len(rows)} rows of the ratings")
    if kinds != ["split"]:  # the original's samples name a row twice where the catalogue has its title twice
        _, first = np.unique(position, return_index=True)
        _refuse(path, ~np.isin(np.arange(len(position)), first), "row stands in the file before")
    if kinds == ["split"]:
        split = frame["split"].str.strip_chars()
        _refuse(path, ~split.is_in(["train", "test"]).fill_null(False).to_numpy(), "split is neither train nor test")
        test = (split == "test").to_numpy()
        folds: tuple[Fold, ...] = (_fold(rows, position[test], position[~test]),)
    elif kinds == ["fold"]:
        fold = _whole_numbers(path, frame, "fold")
        _refuse(path, fold < -1, "fold is below -1")
        test = fold >= 0
        folds = _folds(rows, position, fold)
    else:
        hidden = _whole_numbers(path, frame, "hidden")
        _refuse(path, ~np.isin(hidden, [0, 1]), "hidden is neither 0 nor 1")
        test = hidden == 1
        folds = (_fold(rows, position[test], position[~test]),)
    _refuse(path, test & np.isnan(rows.rating[position]), "a target without a rating")
    if not test.any():
        raise ProtocolError(f"{path}: names no target")
    marks = {}
    if "complete_list" in frame.columns:
        complete = np.zeros(len(rows), dtype=np.bool_)
        complete[position[_whole_numbers(path, frame, "complete_list") == 1]] = True
        marks["complete-lists"] = complete
    return Protocol(path.stem, "ranking" if kinds == ["hidden"] else "rating", folds, marks)


def _rated(rows: EvaluationRows) -> Positions:
    rated = np.flatnonzero(rows.last_of_pair & ~np.isnan(rows.rating))
    return rated[np.argsort(rows.pair[rated], kind="stable")]


def _lowest_share(rows: EvaluationRows, rated: Positions, share: float, seed: int) -> Mask:
    """For each user the share of their rows, rounded down, with the lowest draws."""
    user, draw = rows.user[rated], rows.draw(seed)[rated]
    order = np.lexsort((draw, user))
    place = np.empty(len(rated), dtype=np.int64)
    place[order] = np.arange(len(rated)) - np.searchsorted(user[order], user[order])
    chosen: Mask = place < np.floor(np.bincount(user, minlength=rows.n_users)[user] * share)
    return chosen


def _folds(rows: EvaluationRows, position: Positions, fold: Positions) -> tuple[Fold, ...]:
    return tuple(_fold(rows, position[fold == n], position[fold != n]) for n in np.unique(fold[fold >= 0]))


def _fold(rows: EvaluationRows, targets: Positions, train: Positions) -> Fold:
    mask = np.zeros(len(rows), dtype=np.bool_)
    mask[train] = True
    return Fold(targets, mask)


def _whole_numbers(path: Path, frame: pl.DataFrame, column: str) -> Positions:
    number = frame[column].str.strip_chars().cast(pl.Int64, strict=False)
    _refuse(path, number.is_null().to_numpy(), f"{column} is no whole number")
    return number.to_numpy()


def _refuse(path: Path, bad: Mask, problem: str) -> None:
    where = np.flatnonzero(bad)
    if len(where):
        raise ProtocolError(f"{path}, line {where[0] + 2}: {problem}")
