"""Events written together: what Dagster's own storage says of them afterwards is what it says of any."""

import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from malsugoi_assets.app import event_log
from malsugoi_assets.app.event_log import BatchedEventLog, events_held_open, open_batched
from malsugoi_assets.checks.declared import log_together

KEYS = [f"batch-{number:06d}" for number in range(5)]
BATCHES = dg.DynamicPartitionsDefinition(name="user_batches")
LISTS = dg.AssetKey("lists")
LOOKED_AT = dg.AssetCheckKey(LISTS, "looked_at")


@dg.asset(key=LISTS, partitions_def=BATCHES, backfill_policy=dg.BackfillPolicy.single_run())
def lists() -> int:
    return 1


@dg.asset_check(asset=LISTS)
def looked_at(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    said = [
        dg.AssetCheckEvaluation(asset_key=LISTS, check_name="looked_at", passed=key != KEYS[2], partition=key)
        for key in KEYS
    ]
    log_together(context, said)
    return dg.AssetCheckResult(passed=True)


def materialize(instance: dg.DagsterInstance) -> Any:
    instance.add_dynamic_partitions("user_batches", KEYS)
    job = dg.Definitions(
        assets=[lists], asset_checks=[looked_at], jobs=[dg.define_asset_job("all", [lists])]
    ).resolve_job_def("all")
    tags = {"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]}
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(
        instance=instance, tags=tags, resources={"io_manager": dg.mem_io_manager}, run_config=quiet
    )


def said(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    """What is known of the asset and the run, without times and ids of runs."""
    records = instance.fetch_materializations(LISTS, limit=100).records
    entry = instance.get_asset_records([LISTS])[0].asset_entry
    last = entry.last_materialization_record
    assert last is not None
    return {
        "partitions": sorted(record.partition_key or "" for record in records),
        "latest": last.storage_id == records[0].storage_id,
        "of_this_run": entry.last_run_id == run_id,
        "events": sorted(str(log.dagster_event_type) for log in instance.all_logs(run_id)),
        "checked": {
            record.partition: str(record.status)
            for record in instance.event_log_storage.get_asset_check_execution_history(LOOKED_AT, limit=100)
        },
    }


def home(path: Path, more: str = "") -> Path:
    path.mkdir()
    (path / "dagster.yaml").write_text(f"telemetry:\n  enabled: false\nnux:\n  enabled: false\n{more}")
    return path


@pytest.fixture(autouse=True)
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "3")


def test_dagster_reads_what_was_written_together_as_it_reads_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores: list[int] = []
    singly: list[str] = []
    together, alone = BatchedEventLog.store_event_batch, BatchedEventLog.store_event

    def counted(self: BatchedEventLog, events: Any) -> None:
        stores.append(len(events))
        together(self, events)

    def noted(self: BatchedEventLog, event: Any) -> None:
        singly.append(str(event.dagster_event_type))
        alone(self, event)

    monkeypatch.setattr(BatchedEventLog, "store_event_batch", counted)
    monkeypatch.setattr(BatchedEventLog, "store_event", noted)
    ours = open_batched(home(tmp_path / "ours"))
    run = materialize(ours)
    # What is planned for five batches and one check; then what was made of five batches; then what the check says of five.
    assert stores == [3, 3, 3, 2, 3, 2]
    assert not [kind for kind in singly if "MATERIALIZATION" in kind]
    assert singly.count("DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED") == 1
    assert singly.count("DagsterEventType.ASSET_CHECK_EVALUATION") == 1, "the check's own, of no batch"
    own = dg.DagsterInstance.from_config(str(home(tmp_path / "own")))
    expected = said(own, materialize(own).run_id)
    assert said(ours, run.run_id) == expected
    assert said(dg.DagsterInstance.from_config(str(tmp_path / "ours")), run.run_id) == expected
    assert expected["partitions"] == KEYS
    assert set(expected["checked"]) == {None, *KEYS}
    assert len(set(expected["checked"].values())) == 2


def test_a_storage_that_somebody_named_stays(tmp_path: Path) -> None:
    elsewhere = f"storage:\n  sqlite:\n    base_dir: {tmp_path / 'elsewhere'}\n"
    instance = open_batched(home(tmp_path / "theirs", elsewhere))
    assert not isinstance(instance.event_log_storage, BatchedEventLog)
    assert isinstance(open_batched(home(tmp_path / "ours")).event_log_storage, BatchedEventLog)


def test_a_connection_that_opens_as_the_block_ends_is_closed_and_the_event_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread writes on while the block ends: it met that nothing was held any more."""
    log = open_batched(home(tmp_path / "ours")).event_log_storage
    assert isinstance(log, BatchedEventLog)
    opened: list[sqlite3.Connection] = []
    connect, block = sqlite3.connect, log.held_open()

    def ending(path: str, **how: Any) -> sqlite3.Connection:
        if "check_same_thread" in how and not opened:
            opened.append(connect(path, **how))
            block.__exit__(None, None, None)
            return opened[0]
        return connect(path, **how)

    monkeypatch.setattr(event_log, "sqlite3", SimpleNamespace(connect=ending))
    block.__enter__()
    with log.run_connection("one") as conn:
        conn.exec_driver_sql("SELECT count(*) FROM event_logs").fetchall()
    assert len(opened) == 1
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


def test_events_whose_run_file_could_not_be_written_are_in_the_index_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_run, opened, fails = BatchedEventLog.run_connection, [0], [False]
    together = BatchedEventLog.store_event_batch

    def failing(self: BatchedEventLog, events: Any) -> None:
        opened[0] += 1
        fails[0] = opened[0] == 5  # what the check says of three batches
        together(self, events)

    def connection(self: BatchedEventLog, run_id: str | None = None) -> Any:
        if fails[0]:
            fails[0] = False
            raise OSError("database is locked")
        return open_run(self, run_id)

    monkeypatch.setattr(BatchedEventLog, "store_event_batch", failing)
    monkeypatch.setattr(BatchedEventLog, "run_connection", connection)
    ours = open_batched(home(tmp_path / "ours"))
    materialize(ours)
    assert opened[0] > 5
    with ours.event_log_storage.index_connection() as conn:  # type: ignore[attr-defined]
        [(rows,)] = conn.exec_driver_sql(
            "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_CHECK_EVALUATION'"
        ).fetchall()
    assert rows == len(KEYS) + 1


def test_files_stay_open_within_the_block_and_say_the_same_after_it(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(home(tmp_path / "theirs"))) as theirs:
        expected = said(theirs, materialize(theirs).run_id)
    with open_batched(home(tmp_path / "ours")) as ours:
        logs = tmp_path / "ours" / "history" / "runs"
        with events_held_open(ours), events_held_open(ours):
            run_id = materialize(ours).run_id
            assert sorted(path.name for path in logs.glob("*-wal")) == sorted([f"{run_id}.db-wal", "index.db-wal"])
        assert not list(logs.glob("*-wal"))
        assert said(ours, run_id) == expected
