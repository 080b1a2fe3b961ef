"""`malsugoi evaluate`: files in, measured models out."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Literal

import click
from rich import box
from rich import progress as bars
from rich.console import Console
from rich.table import Table

from malsugoi_assets.app.errors import UserError, WorkError
from malsugoi_assets.evaluation.data import evaluation_rows
from malsugoi_assets.evaluation.judge_intervals import LEVELS
from malsugoi_assets.evaluation.protocols import NAMES, ProtocolError, make_protocol
from malsugoi_assets.evaluation.registry import (
    GROUPS,
    INSTALL,
    MODELS,
    UnknownModel,
    chosen_models,
    left_out,
    shared_trainings,
)
from malsugoi_assets.evaluation.reports import write_json
from malsugoi_assets.evaluation.results import Result
from malsugoi_assets.evaluation.run import EvaluationError, Progress
from malsugoi_assets.evaluation.run import evaluate as run_evaluation
from malsugoi_assets.evaluation.workers import WorkerDied, possible_workers
from malsugoi_assets.files import FilesError, load_evaluation
from malsugoi_assets.recommend.devices import DeviceError, resolve_device
from malsugoi_assets.settings import Settings, SettingsError

FILE = click.Path(path_type=Path)
MOST_WORKERS = 4
"""Each holds the data and a network of its own: about a gigabyte on the original's rows."""


@click.command("evaluate")
@click.option("--ratings", type=FILE, required=True, help="Ratings, CSV or Parquet.")
@click.option("--anime", type=FILE, required=True, multiple=True, help="A catalogue; may be given several times.")
@click.option("--relations", type=FILE, help="Relations between titles.")
@click.option("--protocol", required=True, help=f"{', '.join(NAMES)}, or a CSV with row and split, fold or hidden.")
@click.option(
    "--history",
    type=click.Choice(["all", "protocol"]),
    default="all",
    show_default=True,
    help="Learn from all other rows, or only from those that the protocol names as train.",
)
@click.option("--models", default="own,baselines", show_default=True, help=f"Names and groups ({', '.join(GROUPS)}).")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of all that is random.")
@click.option("--json", "out", type=FILE, help="Write all figures here.")
def evaluate(
    ratings: Path,
    anime: tuple[Path, ...],
    relations: Path | None,
    protocol: str,
    history: Literal["all", "protocol"],
    models: str,
    seed: int,
    out: Path | None,
) -> None:
    """Measure models on ratings that they did not see.

    Example: malsugoi evaluate --ratings ratings.csv --anime anime.csv --protocol random5 --models cf,bias --json o.json
    """
    console = Console(stderr=True)
    if out is not None and not out.absolute().parent.is_dir():
        raise UserError(f"{out}: the folder {out.absolute().parent} does not exist; make it first")
    if out is not None and out.is_dir():
        raise UserError(f"{out} is a folder; name a file")
    try:
        names = chosen_models(models.split(","))
        for package, absent in left_out(models.split(",")).items():
            line = f"{', '.join(absent)} skipped: {package} is not installed ({INSTALL})"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        data = load_evaluation(ratings, anime, relations)
        rows = evaluation_rows(data.rows, data.catalogue, data.relations)
        chosen = make_protocol(protocol, rows, seed)
        device = _device() if any(MODELS[name].takes_device for name in names) else "cpu"
        shared = shared_trainings(names)
        factories = {name: partial(MODELS[name].make, device=device) for name in names}
        with _bar(console) as bar:
            shown = _Shown(bar, len(names) * len(chosen.folds))
            # Small networks keep one core busy each; everything else is quick, or spreads by itself.
            side_by_side = (
                sum(MODELS[name].takes_device for name in names if name not in shared) * len(chosen.folds)
                if device == "cpu"
                else 1
            )
            results = run_evaluation(
                rows,
                chosen,
                factories,
                history=history,
                seed=seed,
                progress=shown,
                shared=shared,
                workers=max(1, min(side_by_side, possible_workers(), MOST_WORKERS)),
            )
    except (FilesError, ProtocolError, UnknownModel, EvaluationError, DeviceError, SettingsError) as problem:
        raise UserError(str(problem)) from problem
    except WorkerDied as problem:
        raise WorkError(f"{problem}; nothing was written") from problem
    if out is not None:
        write_json(results, out)
    Console().print(results_table(results))


def _bar(console: Console) -> bars.Progress:
    """A line that lives while the work does; where the output is no terminal, only finished lines are printed."""
    columns = (bars.SpinnerColumn(), "{task.description}", bars.BarColumn(), "{task.completed:.0f}/{task.total:.0f}")
    return bars.Progress(*columns, bars.TimeElapsedColumn(), console=console, transient=True)


class _Shown(Progress):
    """Shows a person which model is at work, what is done and how long that took."""

    def __init__(self, bar: bars.Progress, steps: int) -> None:
        self._bar, self._task = bar, bar.add_task("reading what may be learnt from", total=steps)
        self._at_work: list[tuple[str, str]] = []
        self._done: Counter[str] = Counter()

    def begins(self, model: str, fold: int, folds: int) -> None:
        step = _step(model, fold, folds)
        if not self._bar.console.is_terminal:
            self._say(f"{step}: at work")
        self._at_work.append((model, step))
        self._refresh()

    def ends(self, model: str, fold: int, folds: int, seconds: float) -> None:
        step = _step(model, fold, folds)
        self._say(f"{step}: {seconds:.1f} s")
        self._at_work.remove((model, step))
        self._done[model] += 1
        self._refresh()

    def skips(self, model: str, fold: int, folds: int, reason: str) -> None:
        self._say(f"{model} skipped: {reason}")
        self._forget(model)
        self._done[model] = folds
        self._refresh()

    def restarts(self, model: str, whole: str) -> None:
        self._say(f"{model}: by itself, since {whole} was skipped")
        self._forget(model)
        self._done[model] = 0
        self._refresh()

    def _forget(self, model: str) -> None:
        self._at_work = [(other, step) for other, step in self._at_work if other != model]

    def _refresh(self) -> None:
        now = " · ".join(step for _, step in self._at_work) or "measuring"
        self._bar.update(self._task, description=now, completed=self._done.total())

    def _say(self, line: str) -> None:
        self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _step(model: str, fold: int, folds: int) -> str:
    return f"{model}, fold {fold} of {folds}" if folds > 1 else model


def _device() -> str:
    """The device of `MALSUGOI_DEVICE`; torch is imported only when a network is asked for."""
    return resolve_device(Settings.load().device)


def results_table(results: list[Result]) -> Table:
    """Headline figures: a row a model, over complete lists where the protocol marks them, else over everything."""
    segments = {r.segment for r in results}
    headline = "complete-lists" if "complete-lists" in segments else "all"
    shown = [r for r in results if r.segment == headline]
    # Of the intervals' measures the one that is quoted.
    left_out = {f"covered@{level}" for level in LEVELS if level != 90}
    metrics = list(dict.fromkeys(r.metric for r in shown if r.metric not in left_out))
    n = max((r.n for r in shown), default=0)
    title = f"{results[0].protocol}, {headline} (n = {n}; 95 % intervals over users)" if results else None
    # Narrow on purpose: seven figures of a ranking fit into 80 columns with no name cut off.
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("model", no_wrap=True, min_width=max((len(r.model) for r in shown), default=5))
    for metric in metrics:
        table.add_column(metric.replace("@", "\n@"), justify="right", min_width=11 if metric == metrics[0] else 6)
    table.add_column("sec.", justify="right")
    own = {(r.model, r.metric): r for r in shown}
    sign = 1 if metrics[:1] == ["mse"] else -1
    order = sorted(
        dict.fromkeys(r.model for r in shown),
        key=lambda m: (own[m, metrics[0]].value or 0.0) * sign,
    )
    for model in order:
        cells = [_cell(own.get((model, metric)), metric == metrics[0]) for metric in metrics]
        table.add_row(model, *cells, f"{own[model, metrics[0]].seconds:.1f}")
    return table


def _cell(result: Result | None, with_interval: bool) -> str:
    if result is None or result.value is None:
        return "–"
    if with_interval and result.ci_low is not None:
        return f"{result.value:.4f}\n{result.ci_low:.3f}–{result.ci_high:.3f}"
    return f"{result.value:.4f}"
