"""What the sensors and `malsugoi run` look at: what there is, what it was made from, and what is under way.

Reading happens here; deciding happens in `decisions`, in pure functions of what is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterRun, DagsterRunStatus, RunsFilter

from malsugoi_assets.automation.jobs import JOB_ASSETS
from malsugoi_assets.automation.partitions import USER_BATCHES
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.lake import WHOLE
from malsugoi_assets.warehouse.marks import Marks, MarksError
from malsugoi_assets.warehouse.run_batches import named_batches
from malsugoi_assets.warehouse.run_marks import forget_runs, is_dead, is_marked, marks

UNDER_WAY = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
Target = tuple[str, str]
"""A job and the batch it works on; '' for a job without batches."""
_RUNS_LOOKED_AT = 500
_SILENT_AT_MOST = timedelta(minutes=5)
"""How long the process of a run may take from its start to its first asset."""


@dataclass(frozen=True)
class BatchState:
    """One batch: whether its lists were read, its ratings exist, its predictions are made from what there is now."""

    key: str
    has_lists: bool
    is_predicted: bool
    is_outdated: bool = False
    """Whether its lists were made by another version of the code than the one that is loaded."""


@dataclass(frozen=True)
class State:
    """Everything that decisions are made from."""

    batches: tuple[BatchState, ...]
    now: datetime
    under_way: frozenset[Target]
    """What runs that are queued or at work are for."""
    failures: dict[Target, tuple[datetime, ...]]
    """When runs failed since the last one that ended well."""
    missing_models: tuple[str, ...]
    """What predictions are made from and is not there yet."""
    unseen_share: dict[str, float]
    """For each learning job: the share of ratings that it has not seen; 1 where it never ran."""
    ratings: int
    unmeasured_build: bool = False
    """Whether another network predicts than `dnn_metrics` is about (it was chosen, or its rival was refused)."""


def read_state(instance: dg.DagsterInstance, data_dir: DataDir) -> State:
    """Read it; runs whose process died are marked as failed first."""
    now = datetime.now(UTC)
    mark_dead_runs(instance, data_dir)
    lake, known = data_dir.lake, data_dir.ledger.users()
    keys = sorted(known["user_batch"].unique().to_list())
    missing = tuple(
        t
        for t in ("similarity_matrix", "item_weights", "ranking_model", "dnn_model")
        if lake.provenance(t) is None or lake.is_outdated(t)
    )
    with_lists, with_ratings = set(lake.partitions("user_lists")), set(lake.partitions("rating_matrix"))
    batches = tuple(
        BatchState(
            key,
            key in with_lists and key in with_ratings,
            all(lake.is_current(t, key) for t in JOB_ASSETS["batch_predictions"]) and marks_are_in(data_dir, key),
            any(lake.is_outdated(t, key) for t in JOB_ASSETS["user_batch"]),
        )
        for key in keys
    )
    ratings = lake.rows("rating_matrix")
    shares = {}
    for job, table in (("collaborative_filtering", "similarity_matrix"), ("deep_model", "dnn_model")):
        provenance = lake.provenance(table)
        if provenance is None or any(lake.is_outdated(t) for t in JOB_ASSETS[job]):
            shares[job] = 1.0
        elif provenance.inputs.get("rating_matrix", ("", ""))[1] == lake.content("rating_matrix"):
            shares[job] = 0.0
        else:
            seen = provenance.input_rows.get("rating_matrix", 0)
            shares[job] = abs(ratings - seen) / max(ratings, 1)
    under_way, failures = _runs(instance)
    measured = lake.provenance("dnn_metrics")
    unmeasured = lake.provenance("dnn_model") is not None and (
        measured is None or measured.inputs.get("dnn_model", ("", ""))[1] != lake.content("dnn_model", WHOLE)
    )
    return State(batches, now, under_way, failures, missing, shares, ratings, unmeasured)


def marks_are_in(data_dir: DataDir, key: str) -> bool:
    """Whether the batch's `title_marks` has what its users have said by now; a file that is broken says nothing new."""
    listed = data_dir.lake.read("user_lists", [key]).select("username").unique().collect()["username"]
    stored = data_dir.lake.read("title_marks", [key]).select("username", "anime_id", "mark").collect()
    try:
        return sorted(stored.rows()) == Marks(data_dir.root).rows(listed)
    except MarksError:
        return True


def mark_dead_runs(instance: dg.DagsterInstance, data_dir: DataDir, now: datetime | None = None) -> list[str]:
    """Mark runs of ours as failed whose process is gone, and forget the marks of ended ones; returns the dead's ids.

    A process that died before it could leave a mark is given up when its run has not moved for a while. What the dead
    wrote is published first: its files count as current, so nobody else would. Raises `PublishError` with nothing
    marked, so that the next look tries again.
    """
    now = now or datetime.now(UTC)
    # The marks first: one that is made after this belongs to a run that is not looked at here.
    marked = marks(data_dir.root)
    under_way: set[str] = set()
    dead: list[DagsterRun] = []
    for record in instance.get_run_records(RunsFilter(statuses=UNDER_WAY[1:])):
        run = record.dagster_run
        under_way.add(run.run_id)
        silent = (
            now - record.update_timestamp > _SILENT_AT_MOST
            and not is_marked(data_dir.root, run.run_id)
            and bool(targets(run, []))
        )
        if silent or is_dead(data_dir.root, run.run_id):
            dead.append(run)
    if dead and any(data_dir.lake.snapshot().values()):
        data_dir.publisher.publish()
    for run in dead:
        instance.report_run_failed(run, "The run's process died; what it had finished is kept, run it again.")
    ids = [run.run_id for run in dead]
    forget_runs(data_dir.root, set(marked) - (under_way - set(ids)))
    return ids


def _runs(instance: dg.DagsterInstance) -> tuple[frozenset[Target], dict[Target, tuple[datetime, ...]]]:
    """What is under way, and when runs for each target failed since it last ended well."""
    registered = list(instance.get_dynamic_partitions(str(USER_BATCHES.name)))
    under_way = {
        target for run in instance.get_runs(RunsFilter(statuses=UNDER_WAY)) for target in targets(run, registered)
    }
    failures: dict[Target, tuple[datetime, ...]] = {}
    settled: set[Target] = set()
    ended = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED, DagsterRunStatus.SUCCESS]
    for record in instance.get_run_records(RunsFilter(statuses=ended), limit=_RUNS_LOOKED_AT):
        for target in targets(record.dagster_run, registered):
            if record.dagster_run.status == DagsterRunStatus.SUCCESS:
                settled.add(target)
            elif target not in settled:
                failures[target] = (*failures.get(target, ()), record.update_timestamp)
    return frozenset(under_way), failures


def targets(run: DagsterRun, registered: list[str]) -> set[Target]:
    """Which (job, batch) a run works on, however it was started: by a sensor, a backfill, the page or a command."""
    if run.asset_selection:
        chosen = {key.to_python_identifier() for key in run.asset_selection}
    else:
        chosen = set(JOB_ASSETS.get(run.job_name, ()))
    jobs = {job for job, assets in JOB_ASSETS.items() if chosen & set(assets)}
    keys = {""}
    if (named := named_batches(run.tags)) and all(key in registered for key in named):
        first, last = map(registered.index, named)
        keys |= set(registered[first : last + 1])
    return {(job, key) for job in jobs for key in keys}
