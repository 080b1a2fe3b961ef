"""A table whose batches are made as they are written: what is there after success, and after an error on either side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from malsugoi_assets.assets.table_asset import by_batch_result, table_asset
from malsugoi_assets.automation.partitions import register_batches
from malsugoi_assets.warehouse.batches import ByBatch
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.io_manager import LakeIOManager
from malsugoi_tests.warehouse.frames import frame, write_lists

KEYS = [f"batch-{n:06d}" for n in range(4)]


def rows(key: str, rating: int = 5) -> pl.DataFrame:
    return frame("rating_matrix", {"user_batch": key, "username": f"user of {key}", "anime_id": 1, "rating": rating})


def run(data_dir: DataDir, make: Any) -> dg.ExecuteInProcessResult:
    """Write `rating_matrix` for all batches as `make(key)` makes them."""

    @table_asset("rating_matrix", code_version="1")
    def rating_matrix() -> dg.MaterializeResult:
        return by_batch_result(ByBatch(make, lambda: {"summed": "up"}), "some version")

    instance = dg.DagsterInstance.ephemeral()
    register_batches(instance, KEYS)
    definitions = dg.Definitions(
        assets=[rating_matrix],
        jobs=[dg.define_asset_job("some", selection=["rating_matrix"])],
        resources={"lake": LakeIOManager(data_dir=str(data_dir.root))},
        loggers={"console": dg.colored_console_logger},
    )
    tags = {"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]}
    job = definitions.resolve_job_def("some")
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(instance=instance, tags=tags, run_config=quiet, raise_on_error=False)


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    made = DataDir(tmp_path)
    for key in KEYS:
        write_lists(made, key, {f"user of {key}": {1: 5}})
    return made


def written(data_dir: DataDir) -> list[str]:
    return sorted(data_dir.lake.read("rating_matrix").filter(pl.col("rating") == 6).collect()["user_batch"])


def failure(result: dg.ExecuteInProcessResult) -> str:
    said = [e.step_failure_data.error.to_string() for e in result.all_events if e.is_step_failure]  # type: ignore[union-attr]
    return said[0]


def test_each_batch_is_made_once_in_order_and_written_as_it_was_made(data_dir: DataDir) -> None:
    asked: list[str] = []

    def make(key: str) -> dict[str, pl.DataFrame]:
        asked.append(key)
        return {"rating_matrix": rows(key, 6)}

    result = run(data_dir, make)
    assert result.success
    assert asked == KEYS
    assert written(data_dir) == KEYS
    metadata = result.asset_materializations_for_node("rating_matrix")[0].metadata
    assert metadata["dagster/row_count"].value == len(KEYS)
    assert metadata["summed"].value == "up"


def test_rows_of_another_batch_stop_the_run_and_what_stood_there_stays(data_dir: DataDir) -> None:
    made: list[str] = []

    def make(key: str) -> dict[str, pl.DataFrame]:
        made.append(key)
        return {"rating_matrix": rows(KEYS[0] if key == KEYS[1] else key, 6)}

    result = run(data_dir, make)
    assert not result.success
    assert f"rows of ['{KEYS[0]}'] among those of {KEYS[1]}" in failure(result)
    assert written(data_dir) == KEYS[:1]
    assert len(made) <= 3, "at most the batch after the failed one is made"


def test_a_batch_that_cannot_be_made_leaves_those_before_it_written(data_dir: DataDir) -> None:
    def make(key: str) -> dict[str, pl.DataFrame]:
        if key == KEYS[2]:
            raise dg.Failure("no such list")
        return {"rating_matrix": rows(key, 6)}

    result = run(data_dir, make)
    assert not result.success
    assert "no such list" in failure(result)
    assert written(data_dir) == KEYS[:2]
