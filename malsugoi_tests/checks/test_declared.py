"""The check of a partitioned table: of one batch it looks at that batch, alone at all that there is.

Batch 0 is as declared; batch 1 has a rank that is missing, which may only be seen at rest.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from malsugoi_assets.automation.partitions import register_batches
from malsugoi_assets.checks.declared import DECLARED
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import frame, write_lists

KEYS = ["batch-000000", "batch-000001", "batch-000002"]


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    found = DataDir(tmp_path)
    for number, (key, rank) in enumerate(zip(KEYS[:2], (1, 2), strict=True)):
        # The title that is predicted to one is rated by the other.
        write_lists(found, key, {f"user{number}": {number: 7}})
        row = {"user_batch": key, "username": f"user{number}", "anime_id": 1 - number, "rank": rank}
        row |= {"score": 1.0, "predicted_rating": 7.0, "support": 1}
        found.lake.write(TABLES["cf_predictions"], frame("cf_predictions", row), key)
    found.publisher.publish()
    return found


def checked(data_dir: DataDir, key: str | None) -> list[bool]:
    return [evaluation.passed for evaluation in evaluations(data_dir, {"dagster/partition": key} if key else {})]


def evaluations(data_dir: DataDir, tags: dict[str, str]) -> list[dg.AssetCheckEvaluation]:
    """What the instance knows of the check's evaluations by the run: that is what Dagster's page shows."""
    check = next(check for check in DECLARED if check.check_key.asset_key == dg.AssetKey("cf_predictions"))
    definitions = dg.Definitions(
        asset_checks=[check],
        jobs=[dg.define_asset_job("look", selection=dg.AssetSelection.checks(check))],
        resources={"warehouse": Warehouse(database="", data_dir=str(data_dir.root))},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        register_batches(instance, KEYS)
        definitions.resolve_job_def("look").execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        history = instance.event_log_storage.get_asset_check_execution_history(check.check_key, limit=100)
    events = [record.event.get_dagster_event() for record in history if record.event]
    evaluated = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    return [event.asset_check_evaluation_data for event in events if event.event_type == evaluated]


def test_the_check_of_one_batch_looks_at_that_batch_only(data_dir: DataDir) -> None:
    """It once read all partitions, and died where one of them had no file yet."""
    assert checked(data_dir, KEYS[0]) == [True]
    assert checked(data_dir, KEYS[1]) == [False]


def test_the_check_of_a_batch_without_rows_passes(data_dir: DataDir) -> None:
    assert checked(data_dir, KEYS[2]) == [True]


def test_the_check_alone_looks_at_everything(data_dir: DataDir) -> None:
    assert checked(data_dir, None) == [False]


def test_a_run_over_several_batches_says_of_each_how_it_is(data_dir: DataDir) -> None:
    """Dagster's page showed each batch as not looked at, since a check's own result counts for none there."""
    first, last = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    found = evaluations(data_dir, {first: KEYS[0], last: KEYS[2]})
    assert {e.partition: e.passed for e in found} == {KEYS[0]: True, KEYS[1]: False, KEYS[2]: True, None: False}
    said = {e.partition: e.description for e in found}
    assert said[KEYS[1]]
    assert said[KEYS[0]] is None
