"""How well models predict and rank on the original project's rows, beside the figures to compare with.

    python benchmarks/accuracy.py [--models cf,bias,ease] [--protocols p1,p1-joined,p2,p3,ranking] [--seed 0]

Needs the shared data (`MALSUGOI_SHARED`, by default `../shared`). Prints a Markdown table a protocol and what each
run took. `p1-joined` is `p1` with its own train rows only (`--history protocol`), as the original learnt.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from malsugoi_assets.evaluation.data import EvaluationRows, evaluation_rows
from malsugoi_assets.evaluation.protocols import read_protocol
from malsugoi_assets.evaluation.registry import MODELS, chosen_models
from malsugoi_assets.evaluation.run import Progress, evaluate
from malsugoi_assets.evaluation.workers import possible_workers
from malsugoi_assets.files import load_evaluation

SHARED = Path(os.environ.get("MALSUGOI_SHARED") or Path(__file__).resolve().parents[2] / "shared") / "data"
PROTOCOLS = ("p1-joined", "p1", "p2", "p3", "ranking")
# Measured elsewhere on the same rows: MSE, and for ranking nDCG@10 / recall@20 over complete lists.
REFERENCES: dict[str, dict[str, str]] = {
    "p1-joined": {
        "original network": "1.690-1.701",
        "ridge bias": "1.574",
        "Surprise, its best": "1.575",
        "LensKit, its best": "1.592",
        "myFM with side features": "1.469",
    },
    "p1": {
        "ridge bias": "1.544",
        "Surprise, its best": "1.507",
        "LensKit, its best": "1.557",
        "myFM with side features": "1.445",
    },
    "p2": {
        "ridge bias": "1.673",
        "Surprise, its best": "1.638",
        "LensKit, its best": "1.703",
        "myFM with side features": "1.555",
    },
    "p3": {
        "ridge bias": "1.656",
        "Surprise, its best": "1.629",
        "LensKit, its best": "1.688",
        "myFM with side features": "1.567",
    },
    "ranking": {
        "original CF": ".001 / .002",
        "popularity": ".164 / .223",
        "iALS": ".269 / .366",
        "ItemKNN": ".272 / .353",
        "EASE": ".329 / .392",
        "SLIM": ".360 / .421",
    },
}


class Lines(Progress):
    """A line on standard error for each step that is done."""

    def ends(self, model: str, fold: int, folds: int, seconds: float) -> None:
        print(f"{model}, fold {fold} of {folds}: {seconds:.1f} s", file=sys.stderr, flush=True)


def read_rows() -> EvaluationRows:
    """The original's list rows, with the catalogues merged."""
    data = load_evaluation(
        SHARED / "malsugoi" / "anime_info.csv",
        [
            SHARED / "malsugoi" / "anime_data.csv",
            SHARED / "catalogue" / "anime_all_ids.parquet",
        ],
        SHARED / "catalogue" / "relations_2021.parquet",
    )
    return evaluation_rows(data.rows, data.catalogue, data.relations)


def main() -> None:
    """Run the protocols one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="own,baselines")
    parser.add_argument("--protocols", default=",".join(PROTOCOLS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not SHARED.is_dir():
        parser.error(f"the shared data is not at {SHARED}; set MALSUGOI_SHARED")
    names, protocols = chosen_models(options.models.split(",")), options.protocols.split(",")
    if unknown := set(protocols) - set(PROTOCOLS):
        parser.error(f"unknown protocol {', '.join(sorted(unknown))}; known are {', '.join(PROTOCOLS)}")
    rows = read_rows()
    for name in protocols:
        print_protocol(name, rows, names, options.seed)


def print_protocol(name: str, rows: EvaluationRows, models: list[str], seed: int) -> None:
    """One protocol's table: our models, best first, then the figures to compare with."""
    start = time.monotonic()
    stem, joined = name.removesuffix("-joined"), name.endswith("-joined")
    protocol = read_protocol(SHARED / "protocols" / f"{stem}.csv", rows)
    wanted = [m for m in models if _can(m, protocol.kind)]
    results = evaluate(
        rows,
        protocol,
        {m: MODELS[m].make for m in wanted},
        history="protocol" if joined else "all",
        seed=seed,
        progress=Lines(),
        workers=min(2, possible_workers()),
    )
    ranks = protocol.kind == "ranking"
    segment = "complete-lists" if ranks else "all"
    metrics = ("ndcg@10", "recall@20", "map@10") if ranks else ("mse", "mae", "r2")
    found = {(r.model, r.metric): r for r in results if r.segment == segment}
    print(f"\n### {name}\n\n| model | {' | '.join(metrics)} | 95 % interval of {metrics[0]} | seconds |")
    print("|---" * (len(metrics) + 3) + "|")
    order = sorted({m for m, _ in found}, key=lambda m: (found[m, metrics[0]].value or 0) * (-1 if ranks else 1))
    for model in order:
        first = found[model, metrics[0]]
        figures = [f"{found[model, m].value:.4f}" for m in metrics]
        print(
            f"| {model} | {' | '.join(figures)} | {first.ci_low:.3f} to {first.ci_high:.3f} | {first.seconds:.1f} |"
        )
    for peer, figure in REFERENCES[name].items():
        print(f"| *{peer}* | {figure} |{' |' * (len(metrics) + 1)}")
    print(f"\n{time.monotonic() - start:.0f} s in all", flush=True)


def _can(model: str, kind: str) -> bool:
    return hasattr(MODELS[model].make(0), "scores" if kind == "ranking" else "predict")


if __name__ == "__main__":
    main()
