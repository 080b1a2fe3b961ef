"""What each part of the blend is worth, and how often a rating lies in its interval.

    python benchmarks/blend.py [--data malsugoi|mal_2016|mal_2020] [--protocols p1,p1-joined,p2,p3,inner] [--folds 1,2]
                               [--set network.members=2 …] [--keep FOLDER]

Needs the shared data (`MALSUGOI_SHARED`, by default `../shared`). `inner` predicts a fifth of the *train* rows of `p1`, to
choose by; the protocols of the other two data sets are `random5` and `cold-users`. One training a fold gives all parts: `gp` is the process alone, `network` is the model `dnn`, `trees`
the forests alone, `blend` all of them; `malsugoi evaluate --models gp,dnn,blend` gives the same figures one by one.
`--set` changes settings of `BlendSettings`; `--keep` writes targets and predictions as npz files, for other comparisons.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from accuracy import SHARED, read_rows
from network_ablation import inner_split

from malsugoi_assets.evaluation.data import EvaluationRows, evaluation_rows
from malsugoi_assets.evaluation.judge_errors import judge_errors
from malsugoi_assets.evaluation.protocols import Fold, learn_from, make_protocol, read_protocol
from malsugoi_assets.files import load_evaluation
from malsugoi_assets.recommend.blend import Blend
from malsugoi_assets.recommend.blend_settings import BlendSettings

PARTS = ("gp", "network", "trees", "blend")


def main() -> None:
    """Measure the protocols one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="malsugoi", choices=["malsugoi", "mal_2016", "mal_2020"])
    parser.add_argument("--protocols", default="p1,p1-joined,p2,p3")
    parser.add_argument("--folds", help="Numbers of the folds, from 1; all by default.")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not SHARED.is_dir():
        parser.error(f"the shared data is not at {SHARED}; set MALSUGOI_SHARED")
    settings = _settings(options.set)
    rows = read_rows() if options.data == "malsugoi" else _read_folder(SHARED / options.data)
    for name in options.protocols.split(","):
        if options.data != "malsugoi":
            folds = make_protocol(name, rows, options.seed).folds
        elif name == "inner":
            folds = (inner_split(rows)[1],)
        else:
            folds = read_protocol(SHARED / "protocols" / f"{name.removesuffix('-joined')}.csv", rows).folds
        _measure(name, rows, folds, settings, options)


def _measure(
    name: str, rows: EvaluationRows, every: Sequence[Fold], settings: BlendSettings, options: argparse.Namespace
) -> None:
    numbers = [int(number) for number in options.folds.split(",")] if options.folds else range(1, len(every) + 1)
    folds = [every[number - 1] for number in numbers]
    said: dict[str, list[np.ndarray]] = {part: [] for part in (*PARTS, "low", "high")}
    start = time.monotonic()
    for number, fold in zip(numbers, folds, strict=True):
        learnt = learn_from(rows, fold, "protocol" if name.endswith("-joined") or name == "inner" else "all")
        model = Blend(settings, options.seed).fit(learnt, rows.items)
        found = model.predict_with_interval(rows.user[fold.targets], rows.item[fold.targets])
        for part in said:
            said[part].append(found.rating if part == "blend" else getattr(found, part))
        assert model.trained is not None
        weights = ", ".join(f"{weight:.2f}" for weight in model.trained.weights)
        took = time.monotonic() - start
        print(f"{name}, fold {number} of {len(every)}: weights {weights}; {took:.0f} s so far", flush=True)
    all_said = {part: np.concatenate(values) for part, values in said.items()}
    targets = np.concatenate([fold.targets for fold in folds])
    truth, user = rows.rating[targets], rows.user[targets]
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        np.savez(
            options.keep / f"{options.data}-{name}{'-' + options.folds if options.folds else ''}.npz",
            targets=targets,
            truth=truth,
            user=user,
            **all_said,
        )
    predicted = {part: all_said[part].astype(np.float64) for part in PARTS}
    results = judge_errors(truth, user, predicted, {"all": np.ones(len(truth), dtype=bool)}, protocol=name)
    print(
        f"\n### {options.data}, {name} ({len(truth)} ratings)\n\n| model | MSE | MAE | blend less it |\n|---|---|---|---|"
    )
    figure = {(r.model, r.metric): r for r in results}
    for part in PARTS:
        mse, mae = figure[part, "mse"], figure[part, "mae"]
        against = figure["blend", "mse"].paired.get(part)
        less = f"{against.difference:.4f} [{against.ci_low:.4f}, {against.ci_high:.4f}]" if against else ""
        print(f"| {part} | {mse.value:.4f} [{mse.ci_low:.3f}, {mse.ci_high:.3f}] | {mae.value:.4f} | {less} |")
    inside = (truth >= all_said["low"]) & (truth <= all_said["high"])
    width = float((all_said["high"] - all_said["low"]).mean())
    print(f"\ncover {100 * inside.mean():.1f} % in intervals of {width:.2f} points on average", flush=True)


def _settings(changes: list[str]) -> BlendSettings:
    """The defaults with each NAME=VALUE, where a dot goes one level down and the value is JSON."""
    plain = BlendSettings().model_dump()
    for change in changes:
        name, value = change.split("=", 1)
        *path, last = name.split(".")
        place = plain
        for part in path:
            place = place[part]
        place[last] = json.loads(value)
    return BlendSettings.model_validate(plain)


def _read_folder(folder: Path) -> EvaluationRows:
    data = load_evaluation(folder / "ratings.parquet", [folder / "anime.parquet"], folder / "relations.parquet")
    return evaluation_rows(data.rows, data.catalogue, data.relations)


if __name__ == "__main__":
    main()
