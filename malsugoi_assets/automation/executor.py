"""How a run's steps are executed: one after the other in its process, once its batches were looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster import DagsterEvent
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.run_batches import BatchError, batches_of
from malsugoi_assets.warehouse.tables import TABLES


class _BatchesFirst(InProcessExecutor):
    def __init__(self, data_dir: DataDir) -> None:
        # Retries sit at the request and in the sensors: here, one would take a termination for a failure.
        super().__init__(RetryMode.DISABLED)
        self._data_dir = data_dir

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[DagsterEvent]:
        assets = [TABLES[key] for key in execution_plan.step_keys_to_execute if key in TABLES]
        if any(table.partitioned for table in assets):
            registered = plan_context.instance.get_dynamic_partitions("user_batches")
            try:
                batches_of(plan_context.dagster_run.tags, registered, self._data_dir.batches())
            except BatchError as error:
                raise dg.Failure(str(error)) from None
        yield from super().execute(plan_context, execution_plan)


def in_process(data_dir: DataDir) -> dg.ExecutorDefinition:
    """Steps share a process: they are short, and what one has parsed the next one has at hand.

    A run whose partition key is missing, malformed or not registered ends in a `Failure` of one sentence before its
    first step; Dagster itself would begin, and end in an error about ranges.
    """

    @dg.executor(name="in_process")
    def in_process(_: dg.InitExecutorContext) -> _BatchesFirst:
        return _BatchesFirst(data_dir)

    return in_process
