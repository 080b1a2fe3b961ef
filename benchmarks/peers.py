"""Our models against other people's libraries on the same rows, and the page docs/peers.md made from the figures.

    python benchmarks/peers.py p1-joined [p1 …] [--models cf,myfm] [--folds 1] [--budget 300] [--seed 0]
    python benchmarks/peers.py mal_2016-ranking --answers /tmp/answers     # may be stopped and gone on with
    python benchmarks/peers.py            # only writes docs/peers.md from benchmarks/peers.csv

Needs the shared data (`MALSUGOI_SHARED`, by default `../shared`) and the extra `peers`. A part's figures replace those
that stood for it in `benchmarks/peers.csv`. What each part is: `PARTS`. With `--answers` what each model said is kept in
that folder, and a model is not asked twice: a long comparison can be made in several sittings, with one code.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from malsugoi_assets.evaluation.data import EvaluationRows, evaluation_rows
from malsugoi_assets.evaluation.kept_answers import evaluate_kept
from malsugoi_assets.evaluation.protocols import make_protocol
from malsugoi_assets.evaluation.registry import MODELS, chosen_models, shared_trainings
from malsugoi_assets.evaluation.results import Result
from malsugoi_assets.evaluation.run import Progress, evaluate
from malsugoi_assets.files import load_evaluation

REPO = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("MALSUGOI_SHARED") or REPO.parent / "shared") / "data"
FIGURES, PAGE = REPO / "benchmarks" / "peers.csv", REPO / "docs" / "peers.md"
RATING_PEERS = "surprise-knn,surprise-svd,surprise-svdpp,lenskit-item-knn,lenskit-user-knn,lenskit-biased-mf,myfm"
RANKING_PEERS = (
    "implicit-cosine,implicit-bm25,implicit-als,implicit-bpr,"
    "lenskit-item-ranking,lenskit-implicit-mf,lenskit-ease,lenskit-slim"
)


@dataclass(frozen=True)
class Part:
    """One comparison: `ours` is the model that the others are held against; `protocol`: a file's stem or a name."""

    title: str
    data: str
    protocol: str
    history: Literal["all", "protocol"]
    ours: str
    models: str


def _ratings(title: str, data: str, protocol: str, history: Literal["all", "protocol"] = "all") -> Part:
    return Part(title, data, protocol, history, "cf", f"cf,bias,{RATING_PEERS}")


def _trees(title: str, data: str, protocol: str) -> Part:
    return Part(f"{title}: the blend and trees", data, protocol, "all", "blend", "blend,lightgbm,lightgbm-gp,bias")


def _ranking(title: str, data: str) -> Part:
    own = "ranking,ranking-brief,slim,ease,popularity"
    return Part(title, data, "ranking", "all", "ranking", f"{own},{RANKING_PEERS}")


ORIGINAL = "the original project's 46,165 ratings"
PARTS = {
    "p1-joined": _ratings(f"{ORIGINAL}, its own split, its train rows alone", "malsugoi", "p1", "protocol"),
    "p1": _ratings(f"{ORIGINAL}, its own split, all other rows", "malsugoi", "p1"),
    "p2": _ratings(f"{ORIGINAL}, five folds", "malsugoi", "p2"),
    "p3": _ratings(f"{ORIGINAL}, cold users", "malsugoi", "p3"),
    "mal_2020-random": _ratings("mal_2020 (99,999 ratings), random folds", "mal_2020", "random5"),
    "mal_2020-cold": _ratings("mal_2020, cold users", "mal_2020", "cold-users"),
    "mal_2016-random": _ratings("mal_2016 (419,943 ratings), random folds", "mal_2016", "random5"),
    "mal_2016-cold": _ratings("mal_2016, cold users", "mal_2016", "cold-users"),
    "p2-trees": _trees(f"{ORIGINAL}, five folds", "malsugoi", "p2"),
    "p3-trees": _trees(f"{ORIGINAL}, cold users", "malsugoi", "p3"),
    "mal_2020-random-trees": _trees("mal_2020, random folds", "mal_2020", "random5"),
    "mal_2020-cold-trees": _trees("mal_2020, cold users", "mal_2020", "cold-users"),
    "mal_2016-random-trees": _trees("mal_2016, random folds", "mal_2016", "random5"),
    "mal_2016-cold-trees": _trees("mal_2016, cold users", "mal_2016", "cold-users"),
    "ranking": _ranking("the original project's lists, the 321 complete ones", "malsugoi"),
    "mal_2020-ranking": _ranking("mal_2020, lists of ratings", "mal_2020"),
    "mal_2016-ranking": _ranking("mal_2016, lists of ratings", "mal_2016"),
}
COLUMNS = {
    **dict.fromkeys(("part", "model", "metric"), pl.String),
    **dict.fromkeys(("value", "low", "high"), pl.Float64),
    "n": pl.Int64,
    "seconds": pl.Float64,
    **dict.fromkeys(("difference", "difference_low", "difference_high"), pl.Float64),
    "command": pl.String,
}


class Lines(Progress):
    """A line on standard error for each step."""

    def ends(self, model: str, fold: int, folds: int, seconds: float) -> None:
        print(f"{model}, fold {fold} of {folds}: {seconds:.1f} s", file=sys.stderr, flush=True)

    def skips(self, model: str, fold: int, folds: int, reason: str) -> None:
        print(f"{model} skipped: {reason}", file=sys.stderr, flush=True)


def read_rows(data: str) -> EvaluationRows:
    """The rows of a part, with the catalogues as the docs' commands name them."""
    if data == "malsugoi":
        ratings, catalogues = SHARED / data / "anime_info.csv", [SHARED / data / "anime_data.csv"]
        catalogues.append(SHARED / "catalogue" / "anime_all_ids.parquet")
        relations = SHARED / "catalogue" / "relations_2021.parquet"
    else:
        ratings, catalogues = SHARED / data / "ratings.parquet", [SHARED / data / "anime.parquet"]
        relations = SHARED / data / "relations.parquet"
    found = load_evaluation(ratings, catalogues, relations)
    return evaluation_rows(found.rows, found.catalogue, found.relations)


def make(name: str, budget: float, seed: int) -> Any:
    """A model, a peer with its budget."""
    model = MODELS[name].make(seed)
    if MODELS[name].package:
        model.budget_seconds = budget
    return model


def measure(
    name: str, models: str, folds: int | None, budget: float, seed: int, answers: Path | None = None
) -> list[Result]:
    """Run a part; `answers`: the folder where what each model said is kept."""
    part = PARTS[name]
    rows = read_rows(part.data)
    file = SHARED / "protocols" / f"{part.protocol}.csv"
    protocol = make_protocol(str(file) if part.data == "malsugoi" else part.protocol, rows, seed)
    protocol = replace(protocol, folds=protocol.folds[:folds])
    factories = {model: partial(make, model, budget) for model in chosen_models(models.split(","))}
    if answers is None:
        shared = shared_trainings(factories)
        return evaluate(rows, protocol, factories, history=part.history, seed=seed, progress=Lines(), shared=shared)
    files = {
        model: answers
        / f"{name}-{len(protocol.folds)}-{model}{f'-{budget:g}s' if MODELS[model].package else ''}-{seed}.npz"
        for model in factories
    }
    return evaluate_kept(rows, protocol, factories, files, history=part.history, seed=seed, progress=Lines())


def figures(name: str, results: list[Result], command: str) -> pl.DataFrame:
    """The headline figures of a part, each with its difference to our model."""
    part = PARTS[name]
    segment = "complete-lists" if any(r.segment == "complete-lists" for r in results) else "all"
    rows = []
    for r in results:
        if r.segment == segment and r.metric in ("mse", "mae", "ndcg@10", "recall@20"):
            less = r.paired.get(part.ours)
            ends = (less.difference, less.ci_low, less.ci_high) if less else (None, None, None)
            rows.append((name, r.model, r.metric, r.value, r.ci_low, r.ci_high, r.n, r.seconds, *ends, command))
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def page(known: pl.DataFrame) -> str:
    """docs/peers.md: a table a part, best model first."""
    parts = [
        "# Other libraries on the same rows",
        "<!-- Made by `python benchmarks/peers.py` from `benchmarks/peers.csv`; change those. -->",
        "Every model learns from the same rows and predicts the same ones; each peer is tuned on train rows only "
        "([evaluation.md](evaluation.md#peers)). *Less ours*: the figure less that of our model, on the same draws of users, "
        "with its 95 % interval; for errors a figure above 0 means that ours is better, for rankings one below 0. Seconds "
        "are of a machine with two cores that did other work as well: read them as orders of magnitude.",
        "Ours: the weights of `cf` come from earlier comparisons on the original's protocols and were set anew on inner splits "
        "of the train rows of `p1` and of the first random fold of mal_2020; λ of `ease` was compared on the ranking hold-out. "
        "Nothing was chosen on mal_2016. `--folds 1` is the first fold alone; with `--budget 0` every peer has the first setting "
        "of its grid, untuned; with less than 300 seconds some were tried with one or two settings only. "
        "The order of the recommendations stands here twice: learnt at length (`ranking`), and as the pipeline learns it "
        "(`ranking-brief`).",
    ]
    for name, part in PARTS.items():
        mine = known.filter(pl.col("part") == name)
        if mine.is_empty():
            continue
        ranks = part.protocol == "ranking"
        first, second = ("ndcg@10", "recall@20") if ranks else ("mse", "mae")
        parts += [f"## {name}: {part.title}", f"`{mine['command'][0]}`, n = {mine['n'][0]:,}"]
        table = [f"| model | {first} | {second} | {first} less `{part.ours}` | seconds |", "|---|---|---|---|---|"]
        others = {row["model"]: row for row in mine.filter(pl.col("metric") == second).iter_rows(named=True)}
        ordered = mine.filter(pl.col("metric") == first).sort("value", descending=ranks)
        for row in ordered.iter_rows(named=True):
            ends = f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
            less = "–"
            if row["difference"] is not None:
                signed = [f"{row[c]:+.3f}" for c in ("difference", "difference_low", "difference_high")]
                less = f"{signed[0]} [{signed[1]}, {signed[2]}]"
            own = "**" if MODELS[row["model"]].group in ("own", "lists") else ""
            second_value = others[row["model"]]["value"]
            table.append(
                f"| {own}`{row['model']}`{own} | {ends} | {second_value:.3f} | {less} | {row['seconds']:.0f} |"
            )
        parts.append("\n".join(table))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure the parts asked for, keep their figures, write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--models", help="Names and groups; by default ours, a baseline and all peers.")
    parser.add_argument("--folds", type=int, help="Only the first so many folds.")
    parser.add_argument("--budget", type=float, default=300.0, help="Seconds a peer may tune.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--answers", type=Path, metavar="FOLDER", help="Keep what each model said, and ask no model twice."
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    for name in options.parts:
        models = options.models or PARTS[name].models
        results = measure(name, models, options.folds, options.budget, options.seed, options.answers)
        command = f"python benchmarks/peers.py {name}"
        command += f" --models {options.models}" if options.models else ""
        command += f" --folds {options.folds}" if options.folds else ""
        command += f" --budget {options.budget:g}" if options.budget != 300 else ""
        found = figures(name, results, command)
        kept = pl.read_csv(FIGURES, schema=COLUMNS) if FIGURES.exists() else pl.DataFrame(schema=COLUMNS)
        pl.concat([kept.filter(pl.col("part") != name), found]).sort("part", maintain_order=True).write_csv(FIGURES)
    PAGE.write_text(page(pl.read_csv(FIGURES, schema=COLUMNS)))


if __name__ == "__main__":
    main()
