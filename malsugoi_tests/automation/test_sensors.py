"""The sensors on an instance: the event of a discovery only rings, what there is decides.

The batches here have two users each; runs are only noted in the instance, never executed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.test_utils import create_run_for_test

from malsugoi_assets.assembly import build_definitions
from malsugoi_assets.automation.partitions import register_batches
from malsugoi_assets.automation.sensors import catch_up, new_users
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.builds import Builds
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.lake import EVERY, WHOLE
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import NOON, frame, write_lists

A, B, C = "batch-000000", "batch-000001", "batch-000002"
Requests = list[tuple[str | None, str | None]]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    """Six users in three batches, none of them read."""
    found = DataDir(tmp_path)
    found.ledger.add([f"user{n}" for n in range(6)], batch_size=2)
    return found


def discover(instance: dg.DagsterInstance) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization("users"))


def tick(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, data_dir: DataDir) -> tuple[Requests, str]:
    """(job, batch) of what the sensor requests, and why it requests nothing."""
    definitions = build_definitions(Settings.load({"MALSUGOI_DATA_DIR": str(data_dir.root)}))
    warehouse = Warehouse(database=str(data_dir.publisher.link), data_dir=str(data_dir.root))
    context = dg.build_sensor_context(
        instance, resources={"warehouse": warehouse}, sensor_name=sensor.name, definitions=definitions
    )
    with partition_loading_context(dynamic_partitions_store=instance):
        answer = sensor.evaluate_tick(context)
    return [(r.job_name, r.partition_key) for r in answer.run_requests or []], answer.skip_message or ""


def note_run(instance: dg.DagsterInstance, job: str, key: str, status: DagsterRunStatus) -> None:
    create_run_for_test(instance, job_name=job, status=status, tags={"dagster/partition": key} if key else {})


def read(data_dir: DataDir, *keys: str) -> None:
    for key in keys:
        write_lists(data_dir, key, {f"someone of {key}": {1: 7, 2: 8}})


def learn(data_dir: DataDir) -> None:
    """Models that have seen all ratings that there are now."""
    seen = {"rating_matrix": (EVERY, data_dir.lake.content("rating_matrix") or "")}
    rows = {"rating_matrix": data_dir.lake.rows("rating_matrix")}
    for name in ("similarity_matrix", "item_weights", "ranking_model", "dnn_model"):
        data_dir.lake.write(TABLES[name], frame(name), inputs=seen, input_rows=rows)
    measure(data_dir)


def measure(data_dir: DataDir) -> None:
    """The current network's figures."""
    build = data_dir.lake.content("dnn_model", WHOLE) or ""
    data_dir.lake.write(TABLES["dnn_metrics"], frame("dnn_metrics"), inputs={"dnn_model": (WHOLE, build)})


def predict(data_dir: DataDir, key: str) -> None:
    inputs = {
        "rating_matrix": (key, data_dir.lake.content("rating_matrix", key) or ""),
        "dnn_model": (WHOLE, data_dir.lake.content("dnn_model", WHOLE) or ""),
    }
    for name in ("cf_predictions", "title_marks", "recommendations"):
        data_dir.lake.write(TABLES[name], frame(name), key, inputs=inputs)


def test_one_ring_requests_every_batch_that_waits_once(instance: dg.DagsterInstance, data_dir: DataDir) -> None:
    """Of three discoveries the sensor is handed only the last: it must not lose the other two's batches."""
    for _ in range(3):
        discover(instance)
    assert sorted(key for _, key in tick(new_users, instance, data_dir)[0] if key) == [A, B, C]
    assert instance.get_dynamic_partitions("user_batches") == [A, B, C]


def test_batches_that_are_read_or_being_read_are_not_requested(
    instance: dg.DagsterInstance, data_dir: DataDir
) -> None:
    register_batches(instance, [A, B, C])
    read(data_dir, A)
    note_run(instance, "user_batch", B, DagsterRunStatus.STARTED)
    discover(instance)
    assert [key for _, key in tick(new_users, instance, data_dir)[0]] == [C]


def test_a_backfill_over_several_batches_counts_as_reading_each(
    instance: dg.DagsterInstance, data_dir: DataDir
) -> None:
    register_batches(instance, [A, B, C])
    tags = {"dagster/asset_partition_range_start": A, "dagster/asset_partition_range_end": B}
    create_run_for_test(instance, job_name="user_batch", status=DagsterRunStatus.STARTED, tags=tags)
    discover(instance)
    assert [key for _, key in tick(new_users, instance, data_dir)[0]] == [C]


def test_batches_registered_out_of_order_are_each_requested_by_name(
    instance: dg.DagsterInstance, data_dir: DataDir
) -> None:
    """Ranges follow the order of registration, so a request never names one."""
    instance.add_dynamic_partitions("user_batches", [C])
    instance.add_dynamic_partitions("user_batches", [A])
    discover(instance)
    assert sorted(key for _, key in tick(new_users, instance, data_dir)[0] if key) == [A, B, C]


def test_a_batch_deleted_in_the_page_is_registered_again_and_its_lists_are_not_fetched_again(
    instance: dg.DagsterInstance, data_dir: DataDir
) -> None:
    """Dagster would show a batch that was deleted and added again as done without data, or as undone with data: what
    there is decides, and a user's batch never changes.
    """
    register_batches(instance, [A, B, C])
    read(data_dir, A, B)
    instance.delete_dynamic_partition("user_batches", B)
    discover(instance)
    assert [key for _, key in tick(new_users, instance, data_dir)[0]] == [C]
    assert B in instance.get_dynamic_partitions("user_batches")


def test_a_batch_whose_file_is_gone_is_fetched_again_whatever_dagster_remembers(
    instance: dg.DagsterInstance, data_dir: DataDir
) -> None:
    register_batches(instance, [A, B, C])
    read(data_dir, A, B, C)
    instance.report_runless_asset_event(dg.AssetMaterialization("user_lists", partition=B))
    data_dir.lake.remove("user_lists", B)
    discover(instance)
    assert [key for _, key in tick(new_users, instance, data_dir)[0]] == [B]


def test_nothing_is_predicted_before_the_models_are_there_and_the_sensor_says_so(
    instance: dg.DagsterInstance, data_dir: DataDir
) -> None:
    register_batches(instance, [A, B, C])
    read(data_dir, A, B, C)
    for job in ("collaborative_filtering", "deep_model"):
        note_run(instance, job, "", DagsterRunStatus.STARTED)
    requests, why = tick(catch_up, instance, data_dir)
    assert requests == []
    assert "dnn_model" in why


def test_models_are_learnt_first_and_then_every_stale_batch_is_predicted(
    instance: dg.DagsterInstance, data_dir: DataDir
) -> None:
    register_batches(instance, [A, B, C])
    read(data_dir, A, B, C)
    assert tick(catch_up, instance, data_dir)[0] == [("collaborative_filtering", None), ("deep_model", None)]
    learn(data_dir)
    predict(data_dir, B)
    assert tick(catch_up, instance, data_dir)[0] == [("batch_predictions", A), ("batch_predictions", C)]


def test_a_batch_that_failed_and_was_mended_by_hand_is_predicted(
    instance: dg.DagsterInstance, data_dir: DataDir
) -> None:
    """A condition that handled the failure's tick never looked again; here the next look sees the lists."""
    register_batches(instance, [A, B, C])
    read(data_dir, A, C)
    learn(data_dir)
    predict(data_dir, A)
    predict(data_dir, C)
    note_run(instance, "user_batch", B, DagsterRunStatus.FAILURE)
    assert ("user_batch", B) in tick(catch_up, instance, data_dir)[0]
    read(data_dir, B)
    learn(data_dir)
    note_run(instance, "user_batch", B, DagsterRunStatus.SUCCESS)
    predict(data_dir, A)
    predict(data_dir, C)
    assert tick(catch_up, instance, data_dir)[0] == [("batch_predictions", B)]


def test_a_discovery_that_was_cut_off_is_repeated(instance: dg.DagsterInstance, data_dir: DataDir) -> None:
    note_run(instance, "discover_users", "", DagsterRunStatus.FAILURE)
    assert ("discover_users", None) in tick(catch_up, instance, data_dir)[0]


def test_a_discovery_that_failed_twice_rests_and_the_sensor_says_until_when(
    instance: dg.DagsterInstance, data_dir: DataDir
) -> None:
    read(data_dir, A, B, C)
    learn(data_dir)
    for key in (A, B, C):
        predict(data_dir, key)
    for _ in range(2):
        note_run(instance, "discover_users", "", DagsterRunStatus.FAILURE)
    requests, why = tick(catch_up, instance, data_dir)
    assert requests == []
    assert why.startswith("discover_users failed 2 times in a row: again at ")


def test_where_all_is_made_nothing_is_requested(instance: dg.DagsterInstance, data_dir: DataDir) -> None:
    register_batches(instance, [A, B, C])
    read(data_dir, A, B, C)
    learn(data_dir)
    for key in (A, B, C):
        predict(data_dir, key)
    discover(instance)
    assert tick(new_users, instance, data_dir) == ([], "every known batch has its lists, or is being read")
    requests, why = tick(catch_up, instance, data_dir)
    assert requests == []
    assert why.startswith("everything is made")


def test_a_network_that_was_chosen_is_measured_and_not_trained_again(
    instance: dg.DagsterInstance, data_dir: DataDir
) -> None:
    register_batches(instance, [A, B, C])
    read(data_dir, A, B, C)
    learn(data_dir)
    builds = Builds(data_dir)
    build = {"model_id": "dnn-1", "created_at": NOON, "run_id": "r", "is_current": True}
    builds.replace(frame("dnn_model", {**build, "state": "accepted", "verdict": "accepted: it is the first build"}))
    for key in (A, B, C):
        predict(data_dir, key)
    definitions = build_definitions(Settings.load({"MALSUGOI_DATA_DIR": str(data_dir.root)}))
    warehouse = Warehouse(database=str(data_dir.publisher.link), data_dir=str(data_dir.root))
    context = dg.build_sensor_context(instance, resources={"warehouse": warehouse}, definitions=definitions)
    requests = [request for request in catch_up(context) if isinstance(request, dg.RunRequest)]
    assert [(r.job_name, r.asset_selection) for r in requests] == [("deep_model", [dg.AssetKey("dnn_metrics")])]
    assert tick(catch_up, instance, data_dir)[0] == [("deep_model", None)]
    note_run(instance, "deep_model", "", DagsterRunStatus.STARTED)
    assert tick(catch_up, instance, data_dir)[0] == []
    measure(data_dir)
    assert tick(catch_up, instance, data_dir)[0] == []


def test_sensors_look_no_more_often_than_every_half_minute() -> None:
    """Every ten seconds for weeks, the ticks alone made Dagster's page take minutes."""
    assert {sensor.minimum_interval_seconds for sensor in (new_users, catch_up)} == {30}
