"""What each part of the network's training is worth: one part changed at a time, on rows that tune nothing.

    python benchmarks/network_ablation.py [--only "as it is,one member"] [--seed 0]

Needs the shared data (`MALSUGOI_SHARED`, by default `../shared`). Targets are a fifth of the original split's *train*
rows, chosen by a hash of user and title; the split's test rows are not touched. The inputs are made once for all.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from accuracy import SHARED, read_rows

from malsugoi_assets.evaluation.data import EvaluationRows
from malsugoi_assets.evaluation.judge_errors import judge_errors
from malsugoi_assets.evaluation.judge_intervals import judge_intervals
from malsugoi_assets.evaluation.protocols import Fold, read_protocol
from malsugoi_assets.recommend import dnn
from malsugoi_assets.recommend.dnn_settings import DnnSettings
from malsugoi_assets.recommend.ratings import Ratings

AS_IT_IS, ALONE = "as it is", "the process alone"
CHANGES: dict[str, dict[str, object]] = {
    AS_IT_IS: {},
    ALONE: {"epochs": 1},
    "no attention to the nearest titles": {"near_titles": 0},
    "one member": {"members": 1},
    "two members as in the pipeline": {"members": 2},
    "no dropout": {"dropout": 0.0},
    "no noise on the inputs": {"input_noise": 0.0},
    "plain likelihood (β = 0)": {"beta": 0.0},
    "no weight decay": {"weight_decay": 0.0},
    "four epochs": {"epochs": 4},
    "layers half as wide": {"hidden_units": 128},
    "mixed precision": {"precision": "mixed"},
}


def main() -> None:
    """Train once a change and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(CHANGES), help="changes, by name")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = [AS_IT_IS, *(name for name in CHANGES if name in options.only.split(",") and name != AS_IT_IS)]
    rows = read_rows()
    train, fold = inner_split(rows)
    user, item, truth = rows.user[fold.targets], rows.item[fold.targets], rows.rating[fold.targets]
    once = _once(dnn.out_of_fold_inputs)
    dnn.out_of_fold_inputs = once
    predicted, deviation, seconds = {}, {}, {}
    for name in names:
        settings = DnnSettings.model_validate(CHANGES[name])
        begun = time.process_time()
        model = dnn.train(train, rows.items, settings, seed=options.seed)
        seconds[name] = time.process_time() - begun
        if name == ALONE:
            model.network.correct = lambda inputs, _: (np.zeros(len(inputs.base), np.float32),) * 2  # type: ignore[method-assign]
        predicted[name], deviation[name] = model.predict_with_deviation(train, user, item)
        print(f"{name}: {seconds[name]:.0f} CPU seconds, {model.stopped}", file=sys.stderr, flush=True)
    every = {"all": np.ones(len(truth), dtype=np.bool_)}
    found = {
        result.model: result
        for result in judge_errors(truth, user, predicted, every, protocol="inner")
        if result.metric == "mse"
    }
    print(f"{len(truth):,} targets of {len(np.unique(user))} users, seed {options.seed}\n")
    print(f"| | MSE | less {AS_IT_IS} | inside of 90 % intervals | CPU seconds |\n|---|---|---|---|---|")
    for name in names:
        pair = found[name].paired.get(AS_IT_IS)
        less = f"{pair.difference:+.4f} [{pair.ci_low:+.4f}, {pair.ci_high:+.4f}]" if pair else ""
        inside = next(
            f"{result.value:.3f}"
            for result in judge_intervals(
                truth, user, predicted[name], deviation[name], every, model=name, protocol="inner"
            )
            if result.metric == "covered@90"
        )
        inside = "–" if name == ALONE else inside
        print(f"| {name} | {found[name].value:.4f} | {less} | {inside} | {seconds[name]:.0f} |")


def inner_split(rows: EvaluationRows) -> tuple[Ratings, Fold]:
    """What is learnt from, and the targets: a fifth of the original split's train rows."""
    [original] = read_protocol(SHARED / "protocols" / "p1.csv", rows).folds
    allowed = np.ones(len(rows), dtype=np.bool_)
    allowed[rows.repeats(original.targets)] = False
    drawn = allowed & original.train & ~np.isnan(rows.rating) & (rows.draw(1) < int(0.2 * 2**64))
    _, first = np.unique(rows.pair[drawn], return_index=True)
    targets = np.flatnonzero(drawn)[first]
    allowed[rows.repeats(targets)] = False
    return rows.ratings(allowed), Fold(targets, allowed)


def _once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function's first answer to every call: the inputs hang on none of the settings that are changed here."""
    answers: list[Any] = []

    def asked(*arguments: Any, **more: Any) -> Any:
        if not answers:
            answers.append(function(*arguments, **more))
        return answers[0]

    return asked


if __name__ == "__main__":
    main()
