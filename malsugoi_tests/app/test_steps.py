"""What `malsugoi run` decides to do, after a run or a discovery was cut off; and the instance that it makes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType

from malsugoi_assets.app.instance import open_instance
from malsugoi_assets.app.pipeline import _collaborative, _deep, _discovery, _lists, run_pipeline
from malsugoi_assets.automation.jobs import JOB_ASSETS
from malsugoi_assets.automation.state import read_state
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.lake import CODE_VERSIONS
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import frame

FRESH: Any = SimpleNamespace(discovery_is_due=lambda: False)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def test_a_discovery_that_was_cut_off_before_its_table_was_written_is_repeated(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """The new users were known and not in `users`: their batch could not be read, and no discovery was due for a day."""
    data_dir = DataDir(tmp_path)
    data_dir.ledger.add(["ann", "bob"], batch_size=2)
    data_dir.lake.write(TABLES["users"], data_dir.ledger.users())
    assert list(_discovery(instance, data_dir, FRESH)) == []
    data_dir.ledger.add(["cem"], batch_size=2)
    assert [step.why for step in _discovery(instance, data_dir, FRESH)] == ["the last discovery was cut off"]


def test_lists_and_users_that_older_code_made_are_made_again(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column added to `user_lists`, as the tutorial says, stayed NULL: only what depends on the lists was looked at."""
    data_dir, batch = DataDir(tmp_path), "batch-000000"
    source: Any = SimpleNamespace(discovery_is_due=lambda: False, lists_due=lambda names: [])
    instance.add_dynamic_partitions("user_batches", [batch])
    data_dir.ledger.add(["ann"], batch_size=2)
    data_dir.lake.write(TABLES["users"], data_dir.ledger.users(), code_version="1")
    for table in ("user_lists", "rating_matrix"):
        data_dir.lake.write(TABLES[table], frame(table), batch, code_version="1")
    assert [*_discovery(instance, data_dir, source), *_lists(instance, data_dir, source)] == []
    monkeypatch.setattr("malsugoi_assets.warehouse.lake.LOADED_AT", datetime.now(UTC) + timedelta(seconds=1))
    monkeypatch.setitem(CODE_VERSIONS, "user_lists", "2")
    assert [(step.job, step.first) for step in _lists(instance, data_dir, source)] == [("user_batch", batch)]
    assert read_state(instance, data_dir).batches[0].is_outdated
    monkeypatch.setitem(CODE_VERSIONS, "users", "2")
    assert [step.job for step in _discovery(instance, data_dir, source)] == ["discover_users"]


def test_a_network_whose_file_is_gone_or_another_is_learnt_anew(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """The prediction said that `malsugoi run` makes it anew, and the run took it for current and failed again."""
    data_dir, weights = DataDir(tmp_path), tmp_path / "models" / "dnn-5.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    build = {
        "model_id": "dnn-5",
        "path": "models/dnn-5.safetensors",
        "sha256": hashlib.sha256(b"weights").hexdigest(),
        "is_current": True,
    }
    data_dir.lake.write(TABLES["dnn_model"], frame("dnn_model", build))
    data_dir.lake.write(TABLES["dnn_metrics"], frame("dnn_metrics", {"model_id": "dnn-5"}))
    assert list(_deep(instance, data_dir, FRESH)) == []
    weights.write_bytes(b"others")
    assert [(s.job, s.assets) for s in _deep(instance, data_dir, FRESH)] == [("deep_model", ())]
    weights.unlink()
    assert [step.why for step in _deep(instance, data_dir, FRESH)] == [
        f"{weights} cannot be read (No such file or directory)"
    ]


def test_an_order_whose_file_is_gone_or_another_is_learnt_anew(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    data_dir, order = DataDir(tmp_path), tmp_path / "models" / "ranking-1.safetensors"
    order.parent.mkdir()
    order.write_bytes(b"order")
    for table in JOB_ASSETS["collaborative_filtering"]:
        data_dir.lake.write(TABLES[table], frame(table))
    build = {"path": "models/ranking-1.safetensors", "sha256": hashlib.sha256(b"order").hexdigest()}
    data_dir.lake.write(TABLES["ranking_model"], frame("ranking_model", build))
    assert list(_collaborative(instance, data_dir, FRESH)) == []
    order.write_bytes(b"other")
    anew = [("collaborative_filtering", ("ranking_model",))]
    assert [(step.job, step.assets) for step in _collaborative(instance, data_dir, FRESH)] == anew
    order.unlink()
    assert [step.why for step in _collaborative(instance, data_dir, FRESH)] == [
        "models/ranking-1.safetensors is not there"
    ]


def test_a_run_registers_the_batches_that_have_users(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """A batch that was deleted in the page was left out of every later run, without a word."""

    class Stop(Exception):
        pass

    def stop() -> bool:
        raise Stop

    data_dir = DataDir(tmp_path)
    data_dir.ledger.add(["ann", "bob", "cem"], batch_size=2)
    instance.add_dynamic_partitions("user_batches", ["batch-000001"])
    for name in ("raw_anime_pages", "anime_features", "anime_relations"):
        data_dir.lake.write(TABLES[name], data_dir.lake.read(name).collect())
    source: Any = SimpleNamespace(catalogue_is_due=stop)
    with pytest.raises(Stop):
        run_pipeline(instance, data_dir, source, dg.Definitions(), lambda _: None, lambda _: None)
    assert sorted(instance.get_dynamic_partitions("user_batches")) == ["batch-000000", "batch-000001"]


def test_the_instance_runs_few_things_at_once_keeps_little_and_tells_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty runs at once on Dagster's SQLite failed by the dozen, and nothing pruned the ticks."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    with open_instance(Settings.load({"MALSUGOI_DATA_DIR": str(tmp_path)})) as made:
        limits = made.get_concurrency_config().run_queue_config
        assert limits is not None
        assert limits.max_concurrent_runs == 2
        assert not made.telemetry_enabled
        assert not made.nux_enabled
        assert set(made.get_tick_retention_settings(InstigatorType.SENSOR).values()) == {7}
        assert made.get_dynamic_partitions("user_batches") == ["batch-000000"]
