"""A run's batches are looked at before its first step: whatever a wrong key would cost, it costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from malsugoi_assets.automation.executor import _BatchesFirst
from malsugoi_assets.automation.partitions import register_batches
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_tests.warehouse.frames import write_lists

A, B = "batch-000000", "batch-000001"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        register_batches(found, [A, B])
        yield found


def begin(instance: dg.DagsterInstance, root: Path, tags: dict[str, str], *steps: str) -> None:
    """Ask for the run's first event; one that would begin its steps fails on the context that has nothing else."""
    run = SimpleNamespace(tags=tags)
    context = SimpleNamespace(instance=instance, dagster_run=run)
    next(iter(_BatchesFirst(DataDir(root)).execute(context, SimpleNamespace(step_keys_to_execute=list(steps)))))


@pytest.mark.parametrize(
    ("tags", "sentence"),
    [
        ({}, "name one partition, e.g. batch-000000"),
        ({"dagster/partition": "../../x"}, "is not a batch of users"),
        ({"dagster/partition": "batch-000007"}, "is not registered"),
        ({"dagster/partition": B}, "has no users"),
    ],
)
@pytest.mark.parametrize("step", ["user_lists", "cf_predictions"])
def test_a_wrong_key_is_refused_in_one_sentence(
    instance: dg.DagsterInstance, tmp_path: Path, tags: dict[str, str], sentence: str, step: str
) -> None:
    """Where an upstream table has partitions, Dagster looked at its versions first, and failed over a range."""
    write_lists(DataDir(tmp_path), A, {"ann": {1: 7}})
    with pytest.raises(dg.Failure) as refused:
        begin(instance, tmp_path, tags, step, f"{step}_declaration")
    assert sentence in str(refused.value.description)
    assert len(str(refused.value.description).splitlines()) == 1


def test_a_run_without_partitioned_tables_needs_no_key(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="plan_context"):
        begin(instance, tmp_path, {}, "users")
