"""What the sensors see: runs however they were started, and those whose process is gone.

A run killed with -9 stays STARTED in Dagster for good. Whoever waits for it waits for ever, so it is marked as
failed; a run that is merely slow to start must not be.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test

from malsugoi_assets.automation.state import mark_dead_runs, marks_are_in, targets
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.marks import Marks
from malsugoi_assets.warehouse.run_marks import hold_run, marks
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import frame, rows, write_lists

A, B, C = "batch-000000", "batch-000001", "batch-000002"
STARTED, STARTING, QUEUED = DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.QUEUED


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def begin(
    instance: dg.DagsterInstance, job: str = "user_batch", status: DagsterRunStatus = STARTED, **more: object
) -> str:
    return create_run_for_test(instance, job_name=job, status=status, **more).run_id  # type: ignore[arg-type]


def leave_mark(root: Path, run_id: str) -> None:
    """The mark of a process that is gone: the file without its lock."""
    path = root / "locks" / "runs" / f"{run_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def status(instance: dg.DagsterInstance, run_id: str) -> DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_whose_process_died_is_marked_as_failed_and_one_that_works_is_not(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    killed, working = begin(instance), begin(instance)
    leave_mark(tmp_path, killed)
    hold_run(tmp_path, working)
    assert mark_dead_runs(instance, DataDir(tmp_path)) == [killed]
    assert status(instance, killed) == DagsterRunStatus.FAILURE
    assert status(instance, working) == STARTED


def test_what_a_dead_run_wrote_and_had_no_time_to_publish_is_published(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """Its files were current, so no sensor requested anything, and the database never showed them."""
    data_dir = DataDir(tmp_path)
    data_dir.ledger.add(["ann"], batch_size=5)
    data_dir.lake.write(TABLES["users"], data_dir.ledger.users(), code_version="1")
    killed = begin(instance)
    leave_mark(tmp_path, killed)
    assert mark_dead_runs(instance, data_dir) == [killed]
    assert rows(data_dir, "SELECT username FROM users") == [("ann",)]


def test_a_run_that_died_before_it_wrote_anything_leaves_no_empty_database(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    leave_mark(tmp_path, begin(instance))
    mark_dead_runs(instance, DataDir(tmp_path))
    assert DataDir(tmp_path).publisher.current() is None


def test_the_marks_of_ended_runs_are_swept(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Each run left its lock file for good: thousands after a month of sensors."""
    ended, killed, working = begin(instance, status=DagsterRunStatus.SUCCESS), begin(instance), begin(instance)
    for run_id in (ended, killed, "of a history that was purged"):
        leave_mark(tmp_path, run_id)
    hold_run(tmp_path, working)
    mark_dead_runs(instance, DataDir(tmp_path))
    assert marks(tmp_path) == [working]


def test_the_mark_of_an_ended_run_whose_process_goes_on_stays(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """`malsugoi run` holds one job after the other in one process."""
    ended = begin(instance, status=DagsterRunStatus.SUCCESS)
    leave_mark(tmp_path, ended)
    with (tmp_path / "locks" / "runs" / f"{ended}.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        mark_dead_runs(instance, DataDir(tmp_path))
        assert marks(tmp_path) == [ended]


@pytest.mark.parametrize("stuck", [DagsterRunStatus.NOT_STARTED, STARTING, STARTED, DagsterRunStatus.CANCELING])
def test_a_process_that_died_before_it_left_a_mark_is_given_up_after_a_while(
    instance: dg.DagsterInstance, tmp_path: Path, stuck: DagsterRunStatus
) -> None:
    """Killed between its start and its first asset, a run stood in the sensors' way for good."""
    run_id = begin(instance, status=stuck)
    now = datetime.now(UTC)
    assert mark_dead_runs(instance, DataDir(tmp_path), now + timedelta(minutes=4)) == []
    assert mark_dead_runs(instance, DataDir(tmp_path), now + timedelta(minutes=6)) == [run_id]


def test_a_run_that_waits_in_the_queue_is_left_alone_and_its_time_counts_from_its_launch(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """Of 20 batches two run at a time; the last ones, launched after ten minutes in the queue, were killed at once."""
    location = RegisteredCodeLocationOrigin("malsugoi")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "user_batch")
    run_id = begin(instance, status=QUEUED, remote_job_origin=origin)
    late = datetime.now(UTC) + timedelta(hours=1)
    assert mark_dead_runs(instance, DataDir(tmp_path), late) == []
    started = dg.DagsterEvent(event_type_value="PIPELINE_STARTING", job_name="user_batch")
    instance.run_storage.handle_run_event(run_id, started, update_timestamp=late)
    assert mark_dead_runs(instance, DataDir(tmp_path), late + timedelta(minutes=1)) == []
    assert mark_dead_runs(instance, DataDir(tmp_path), late + timedelta(minutes=6)) == [run_id]


def test_runs_of_jobs_that_are_not_ours_are_left_alone(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    begin(instance, job="somebody_elses")
    assert mark_dead_runs(instance, DataDir(tmp_path), datetime.now(UTC) + timedelta(hours=1)) == []


def test_a_run_is_seen_however_it_was_started(instance: dg.DagsterInstance) -> None:
    from_a_sensor = {"dagster/partition": B}
    from_a_backfill = {"dagster/asset_partition_range_start": A, "dagster/asset_partition_range_end": B}
    from_the_page = frozenset({dg.AssetKey("rating_matrix")})
    runs = [
        begin(instance, tags=from_a_sensor),
        begin(instance, tags=from_a_backfill),
        begin(instance, job="__ASSET_JOB", tags=from_a_sensor, asset_selection=from_the_page),
        begin(instance, job="collaborative_filtering"),
    ]
    found = [targets(run, [A, B, C]) - {("user_batch", "")} for run in map(instance.get_run_by_id, runs) if run]
    assert found == [
        {("user_batch", B)},
        {("user_batch", A), ("user_batch", B)},
        {("user_batch", B)},
        {("collaborative_filtering", "")},
    ]


def test_a_mark_makes_the_predictions_of_its_users_batch_old(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    write_lists(data_dir, A, {"ann": {1: 8}})
    write_lists(data_dir, B, {"bob": {1: 8}})
    for key in (A, B):
        data_dir.lake.write(TABLES["title_marks"], frame("title_marks"), key)
    Marks(tmp_path).put("ann", 7, "seen")
    Marks(tmp_path).put("nobody", 7, "seen")
    assert [marks_are_in(data_dir, key) for key in (A, B)] == [False, True]
    row = {"user_batch": A, "username": "ann", "anime_id": 7, "mark": "seen"}
    data_dir.lake.write(TABLES["title_marks"], frame("title_marks", row), A)
    assert marks_are_in(data_dir, A)
    Marks(tmp_path).put("ann", 7, None)
    assert not marks_are_in(data_dir, A)
    (tmp_path / "state" / "marks.json").write_text("broken")
    assert marks_are_in(data_dir, A)
