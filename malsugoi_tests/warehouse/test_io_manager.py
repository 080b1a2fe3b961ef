"""What an asset is given: its own batches where it has partitions, everything that exists where it has none."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from malsugoi_assets.assets.table_asset import table_asset, table_result
from malsugoi_assets.automation.partitions import register_batches
from malsugoi_assets.warehouse import lake
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.io_manager import LakeIOManager
from malsugoi_tests.warehouse.frames import frame, write_lists

SEEN: dict[str, list[str]] = {}


@pytest.fixture(autouse=True)
def _no_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The assets here are of no version that the project's own may be held against."""
    monkeypatch.setattr(lake, "CODE_VERSIONS", {})


@table_asset("rating_matrix", code_version="1")
def rating_matrix(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    rows = [
        {"user_batch": key, "username": f"user of {key}", "anime_id": 1, "rating": 5}
        for key in context.partition_keys
    ]
    return table_result("rating_matrix", frame("rating_matrix", *rows))


@table_asset("title_baselines", code_version="1")
def title_baselines(rating_matrix: pl.LazyFrame) -> dg.MaterializeResult:
    SEEN["title_baselines"] = rating_matrix.collect()["user_batch"].to_list()
    return table_result("title_baselines", frame("title_baselines"))


@table_asset("cf_predictions", code_version="1")
def cf_predictions(rating_matrix: pl.LazyFrame, title_baselines: pl.LazyFrame) -> dg.MaterializeResult:
    SEEN["cf_predictions"] = rating_matrix.collect()["user_batch"].to_list()
    return table_result("cf_predictions", frame("cf_predictions"))


def run(data_dir: DataDir, first: str, last: str, *selected: str) -> dg.ExecuteInProcessResult:
    instance = dg.DagsterInstance.ephemeral()
    register_batches(instance, [f"batch-{n:06d}" for n in range(3)])
    definitions = dg.Definitions(
        assets=[rating_matrix, title_baselines, cf_predictions],
        jobs=[dg.define_asset_job("some", selection=list(selected))],
        resources={"lake": LakeIOManager(data_dir=str(data_dir.root))},
    )
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    return definitions.resolve_job_def("some").execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def test_in_a_run_over_one_batch_an_asset_without_partitions_still_sees_all_batches(tmp_path: Path) -> None:
    """Found in the page: "Materialize all" over a batch failed, as the batches not yet read were asked for too."""
    data_dir = DataDir(tmp_path)
    for number in range(2):
        key = f"batch-{number:06d}"
        write_lists(data_dir, key, {f"user of {key}": {1: 5}})
    assert run(data_dir, "batch-000001", "batch-000001", "rating_matrix", "title_baselines", "cf_predictions").success
    assert SEEN == {"title_baselines": ["batch-000000", "batch-000001"], "cf_predictions": ["batch-000001"]}


def test_a_file_names_what_it_was_made_from(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    for number in range(3):
        key = f"batch-{number:06d}"
        write_lists(data_dir, key, {f"user of {key}": {1: 5}})
    assert run(data_dir, "batch-000000", "batch-000002", "rating_matrix", "title_baselines", "cf_predictions").success
    assert data_dir.lake.is_current("title_baselines")
    assert data_dir.lake.is_current("cf_predictions", "batch-000000")
    write_lists(data_dir, "batch-000002", {"user of batch-000002": {1: 6}})
    assert not data_dir.lake.is_current("title_baselines")
    assert data_dir.lake.is_current("cf_predictions", "batch-000000")
    assert not data_dir.lake.is_current("cf_predictions", "batch-000002")


def test_what_another_version_of_the_code_made_is_not_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found in review: after an update the old order stayed, could not be read, and every run failed the same way."""
    data_dir = DataDir(tmp_path)
    write_lists(data_dir, "batch-000000", {"ann": {1: 5}})
    assert run(data_dir, "batch-000000", "batch-000000", "rating_matrix", "title_baselines").success
    assert data_dir.lake.is_current("title_baselines")
    monkeypatch.setitem(lake.CODE_VERSIONS, "title_baselines", "another")
    assert data_dir.lake.is_current("title_baselines"), "it was made since this code was loaded: by newer code"
    monkeypatch.setattr(lake, "LOADED_AT", datetime.now(UTC) + timedelta(seconds=1))
    assert data_dir.lake.is_outdated("title_baselines")
    assert not data_dir.lake.is_current("title_baselines")
    assert not data_dir.lake.is_outdated("similarity_matrix"), "it was not made at all"
    monkeypatch.delitem(lake.CODE_VERSIONS, "title_baselines")
    assert data_dir.lake.is_current("title_baselines"), "a command that does not load the code cannot tell"
