"""`malsugoi run`: the jobs in order, each only where something is missing or made from what is no longer there."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEventType

from malsugoi_assets.app.errors import FULL, SPACE, WorkError
from malsugoi_assets.app.event_log import events_held_open
from malsugoi_assets.automation.decisions import contiguous
from malsugoi_assets.automation.jobs import JOB_ASSETS
from malsugoi_assets.automation.partitions import register_batches
from malsugoi_assets.automation.state import mark_dead_runs, read_state
from malsugoi_assets.resources.source import Source
from malsugoi_assets.warehouse.builds import BuildError, Builds, current_build
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.registered import ForeignFileError, registered_file

Tell = Callable[[str], None]
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Step:
    """One run of a job: over no batch, or over a range of them; of some of its assets where they are named."""

    job: str
    first: str = ""
    last: str = ""
    why: str = ""
    assets: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What was run, what was current already, and how long it all took, in seconds."""

    ran: list[tuple[Step, float]] = field(default_factory=list)
    current: list[str] = field(default_factory=list)


def run_pipeline(
    instance: dg.DagsterInstance,
    data_dir: DataDir,
    source: Source,
    definitions: dg.Definitions,
    started: Tell,
    ended: Tell,
) -> Outcome:
    """Bring everything up to date. Raises `WorkError` with the reason where a job fails, `PublishError` as it comes."""
    mark_dead_runs(instance, data_dir)
    # A discovery that was cut off, or somebody in the page, may have left batches of ours unregistered.
    register_batches(instance, data_dir.ledger.users()["user_batch"].unique().to_list())
    outcome = Outcome()
    for stage in (_catalogue, _discovery, _lists, _collaborative, _deep, _predictions):
        steps = list(stage(instance, data_dir, source))
        if not steps:
            outcome.current.append(stage.__name__.strip("_"))
        for step in steps:
            started(f"{step.job}{f' {step.first} … {step.last}' if step.first else ''}: {step.why}")
            seconds = execute_step(instance, definitions, step)
            outcome.ran.append((step, seconds))
            ended(f"{step.job} ({seconds:.1f} s)")
    # However the last run ended, whatever became of the database: after this one it shows what there is.
    data_dir.publisher.publish()
    source.mark_read()
    return outcome


def _catalogue(instance: dg.DagsterInstance, data_dir: DataDir, source: Source) -> Iterator[Step]:
    lake = data_dir.lake
    if any(lake.provenance(t) is None for t in JOB_ASSETS["catalogue"]):
        yield Step("catalogue", why="no catalogue yet")
    elif source.catalogue_is_due():
        yield Step("catalogue", why="some pages are no longer fresh")
    elif not all(lake.is_current(t) for t in JOB_ASSETS["catalogue"]):
        yield Step("catalogue", why="pages were stored that are not parsed")


def _discovery(instance: dg.DagsterInstance, data_dir: DataDir, source: Source) -> Iterator[Step]:
    if data_dir.lake.provenance("users") is None:
        yield Step("discover_users", why="no users yet")
    elif data_dir.ledger.users().height > data_dir.lake.rows("users"):
        yield Step("discover_users", why="the last discovery was cut off")
    elif data_dir.lake.is_outdated("users"):
        yield Step("discover_users", why="older code made `users`")
    elif source.discovery_is_due():
        yield Step("discover_users", why="the last discovery is old")


def _lists(instance: dg.DagsterInstance, data_dir: DataDir, source: Source) -> Iterator[Step]:
    lake, known = data_dir.lake, data_dir.ledger.users()
    batch_of = dict(known.select("username", "user_batch").iter_rows())
    due = {batch_of[name] for name in source.lists_due(list(batch_of))}
    unread = {
        key
        for key in set(batch_of.values())
        if lake.is_outdated("user_lists", key) or not lake.is_current("rating_matrix", key)
    }
    yield from _ranges(
        instance, "user_batch", sorted(due | unread), "lists that were not read, or long ago, or by older code"
    )


def _collaborative(instance: dg.DagsterInstance, data_dir: DataDir, source: Source) -> Iterator[Step]:
    if not all(data_dir.lake.is_current(t) for t in JOB_ASSETS["collaborative_filtering"]):
        yield Step("collaborative_filtering", why="ratings that it has not seen")
    elif why := _unusable_order(data_dir):
        yield Step("collaborative_filtering", why=why, assets=("ranking_model",))


def _unusable_order(data_dir: DataDir) -> str:
    """Why the learnt order cannot be read; '' where it can, or none was learnt. As for the network, its row says nothing of it."""
    builds = data_dir.lake.read("ranking_model").collect()
    try:
        if builds.height and registered_file(data_dir.root, builds, "ranking_model") is None:
            return f"{builds['path'][0]} is not there"
    except ForeignFileError as error:
        return str(error)
    return ""


def _deep(instance: dg.DagsterInstance, data_dir: DataDir, source: Source) -> Iterator[Step]:
    if not data_dir.lake.is_current("dnn_model"):
        yield Step("deep_model", why="ratings that it has not seen")
    elif why := _unusable(Builds(data_dir)):
        yield Step("deep_model", why=why)
    elif not data_dir.lake.is_current("dnn_metrics"):
        # The build stands (another one was chosen, or the newest was refused): only the measurement is missing.
        yield Step("deep_model", why="a build that was not measured", assets=("dnn_metrics",))


def _unusable(builds: Builds) -> str:
    """Why the build that predicts cannot be read; '' where it can. That its row is current says nothing of its file."""
    build = current_build(builds.rows())
    try:
        if build is not None:
            builds.file(build)
    except BuildError as error:
        return str(error)
    return ""


def _predictions(instance: dg.DagsterInstance, data_dir: DataDir, source: Source) -> Iterator[Step]:
    stale = [
        batch.key for batch in read_state(instance, data_dir).batches if batch.has_lists and not batch.is_predicted
    ]
    yield from _ranges(instance, "batch_predictions", stale, "predictions older than what they are made from")


def _ranges(instance: dg.DagsterInstance, job: str, keys: list[str], why: str) -> Iterator[Step]:
    registered = list(instance.get_dynamic_partitions("user_batches"))
    for first, last in contiguous([key for key in keys if key in registered], registered):
        yield Step(job, first, last, why)


def execute_step(instance: dg.DagsterInstance, definitions: dg.Definitions, step: Step) -> float:
    """Run it in this process; the seconds that it took. Raises `WorkError` with the reason where it fails."""
    tags = {"dagster/asset_partition_range_start": step.first, "dagster/asset_partition_range_end": step.last}
    begun = time.monotonic()
    try:
        with events_held_open(instance):
            result = definitions.resolve_job_def(step.job).execute_in_process(
                instance=instance,
                run_config={"loggers": {"console": {}}},
                tags=tags if step.first else {},
                asset_selection=[dg.AssetKey(name) for name in step.assets] or None,
                raise_on_error=False,
            )
    except dg.DagsterError as error:
        raise WorkError(f"{step.job}: {error}") from error
    if result.success:
        return time.monotonic() - begun
    reasons = [
        reason_of(event.step_failure_data.error) if event.step_failure_data.error else "unknown"
        for event in result.all_events
        if event.event_type == DagsterEventType.STEP_FAILURE
    ]
    checks = [
        f"check {e.check_name} of {e.asset_key.to_user_string()} failed{f': {e.description}' if e.description else ''}"
        for e in result.get_asset_check_evaluations()
        if not e.passed and e.blocking
    ]
    first = next(iter([*checks, *reasons]), "the run failed").strip().split("\n")[0]
    raise WorkError(
        f"{step.job}: {first}\n"
        "What was finished is kept, the published database stands; run the same command again to go on."
    )


def reason_of(error: Any) -> str:
    """One line of Dagster's record of an exception: what an asset says of its failure, or for what nobody foresaw the
    exception and where it arose.
    """
    while error.cause and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    said = str(error.message).strip().split("\n")[0]
    if error.cls_name == "Failure":
        return said.removeprefix("dagster._core.definitions.events.Failure: ")
    if error.cls_name == "DamagedStore":
        return said.partition(": ")[2]
    if (number := re.search(r"\[Errno (\d+)\]", said)) and int(number[1]) in FULL:
        return f"{said.partition(': ')[2]}: {SPACE}"
    places = re.findall(r'File "(.*)", line (\d+)', "".join(error.stack))
    ours = [f"{file}:{line}" for file, line in places if file.startswith(str(_PACKAGE))]
    where = next(reversed(ours or [f"{file}:{line}" for file, line in places]), None)
    return f"{said} ({f'at {where}; ' if where else ''}the traceback stands at the run in Dagster's page)"


def quiet_logger(tell: Tell) -> dg.LoggerDefinition:
    """A Dagster logger that hands what assets say of their progress to `tell`, and nothing else."""

    class _Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            meta = getattr(record, "dagster_meta", {})
            if meta.get("dagster_event") is None:
                tell(str(meta.get("orig_message", record.getMessage())))

    @dg.logger
    def console(_context: dg.InitLoggerContext) -> logging.Logger:
        found = logging.Logger("malsugoi.progress", level=logging.INFO)
        found.addHandler(_Handler())
        return found

    return console
