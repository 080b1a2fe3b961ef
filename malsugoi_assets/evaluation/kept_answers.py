"""A long comparison in several sittings: each model is asked alone, and what it said is kept in a file.

The figures come from all answers together, so that differences are paired as if all had been asked at once. Nothing in a
file says which code answered: after a change of the code take other files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from malsugoi_assets.evaluation.data import EvaluationRows
from malsugoi_assets.evaluation.judge_rankings import Rankings, judge_rankings
from malsugoi_assets.evaluation.protocols import History, Protocol
from malsugoi_assets.evaluation.results import Result
from malsugoi_assets.evaluation.run import (
    EvaluationError,
    Factory,
    Predictions,
    Progress,
    judge_predictions,
    predict,
    rank,
)
from malsugoi_assets.recommend.baselines import Bias, Popularity


def evaluate_kept(
    rows: EvaluationRows,
    protocol: Protocol,
    models: Mapping[str, Factory],
    files: Mapping[str, Path],
    *,
    history: History = "all",
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Result]:
    """As `run.evaluate`, but models whose file in `files` (model → path) is there are not asked again.

    A model that cannot answer is left out. `EvaluationError` where none can, or where a file answers other questions.
    """
    answered = []
    for name, make in models.items():
        if not files[name].exists():
            try:
                _ask(rows, protocol, {name: make}, files[name], history, seed, progress)
            except EvaluationError:
                continue  # `progress` was told the reason
        answered.append(name)
    if not answered:
        raise EvaluationError(f"{protocol.name}: none of the models asked for can be evaluated on it")
    kept = {name: dict(np.load(files[name], allow_pickle=False)) for name in answered}
    seconds = {name: float(kept[name]["seconds"]) for name in answered}
    if protocol.kind == "ranking":
        ranked = rank(rows, protocol, {"popularity": lambda seed: Popularity(seed)}, history=history, seed=seed)
        _same(protocol, files, {name: kept[name]["asked"] for name in answered}, ranked.users)
        ranked = replace(ranked, tops={name: kept[name]["top"] for name in answered}, seconds=seconds)
        return judge_rankings(ranked, protocol=protocol.name, seed=seed)
    said = predict(rows, protocol, {"bias": lambda seed: Bias(seed)}, history=history, seed=seed)
    _same(protocol, files, {name: kept[name]["asked"] for name in answered}, said.targets)
    said = replace(
        said,
        by_model={name: kept[name]["predicted"] for name in answered},
        deviations={name: kept[name]["deviation"] for name in answered if "deviation" in kept[name]},
        seconds=seconds,
    )
    return judge_predictions(rows, protocol, said, seed)


def _ask(
    rows: EvaluationRows,
    protocol: Protocol,
    model: Mapping[str, Factory],
    file: Path,
    history: History,
    seed: int,
    progress: Progress | None,
) -> None:
    """Ask one model and write its answers, whole or not at all."""
    (name,) = model
    said: Rankings | Predictions
    if protocol.kind == "ranking":
        said = rank(rows, protocol, model, history=history, seed=seed, progress=progress)
        answers = {"asked": said.users, "top": said.tops[name]}
    else:
        said = predict(rows, protocol, model, history=history, seed=seed, progress=progress)
        answers = {"asked": said.targets, "predicted": said.by_model[name]}
        answers |= {"deviation": said.deviations[name]} if name in said.deviations else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    with part.open("wb") as out:
        np.savez(out, seconds=np.float64(said.seconds[name]), **answers)  # type: ignore[arg-type]
    os.replace(part, file)


def _same(protocol: Protocol, files: Mapping[str, Path], asked: Mapping[str, np.ndarray], wanted: np.ndarray) -> None:
    for name, questions in asked.items():
        if not np.array_equal(questions, wanted):
            raise EvaluationError(f"{protocol.name}: {files[name]} answers other questions; delete it")
