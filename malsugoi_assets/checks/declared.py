"""One blocking check a table, made from its declaration. The publisher held most of it before the swap (a table that
breaks it is never published); what can only hold at rest, between two runs, is looked at here."""

import warnings
from collections.abc import Sequence
from uuid import uuid4

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.events import (
    DagsterEvent,
    DagsterEventBatchMetadata,
    DagsterEventType,
)

from malsugoi_assets.automation.partitions import USER_BATCHES
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse import schema
from malsugoi_assets.warehouse.tables import TABLES, Table
from malsugoi_assets.warehouse.violations import violations

_PAGE = 1000


def _check(table: Table) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(table.name),
        name="declaration",
        blocking=True,
        description=f"Every row of {table.name} is as the table's declaration says.",
        partitions_def=USER_BATCHES if table.partitioned else None,
    )
    def declaration(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
        batches = None
        if table.partitioned and (context.has_partition_key or context.has_partition_key_range):
            batches = sorted(context.partition_keys)
        with warehouse.get_connection() as con:
            broken = violations(con, [table], at_rest=True, batches=batches)
            if batches and not context.has_partition_key:
                made = _made_last(context.instance, table, batches)
                each = {
                    batch: broken and violations(con, [table], at_rest=True, batches=[batch]) for batch in batches
                }
                # What is broken only between batches is broken in each.
                said = each if any(each.values()) else dict.fromkeys(batches, broken)
                log_together(context, [_evaluation(table, key, made.get(key), said[key]) for key in batches])
        return dg.AssetCheckResult(
            passed=not broken,
            metadata={"expected": [rule.name for rule in schema.rules(table)], "broken": broken},
            description="; ".join(broken) or None,
        )

    return declaration


def log_together(context: dg.AssetCheckExecutionContext, evaluations: Sequence[dg.AssetCheckEvaluation]) -> None:
    """Log evaluations of one check as events that belong together, which a storage may write together.

    `log_event` would hand them over one by one, and Dagster's storage waits for the disk several times for each.
    """
    together = str(uuid4())
    for number, evaluation in enumerate(evaluations, start=1):
        DagsterEvent.from_step(
            DagsterEventType.ASSET_CHECK_EVALUATION,
            context.get_step_execution_context(),
            evaluation,
            f"{evaluation.check_name} of {evaluation.asset_key.to_user_string()} {evaluation.partition} "
            f"{'passed' if evaluation.passed else 'did not pass'}",
            DagsterEventBatchMetadata(together, is_end=number == len(evaluations)),
        )


def _evaluation(
    table: Table, batch: str, made: dg.EventLogRecord | None, broken: list[str]
) -> dg.AssetCheckEvaluation:
    """What a run over several batches says of one: Dagster takes a check's own result for no batch there, and would
    show each as not looked at."""
    target = made and AssetCheckEvaluationTargetMaterializationData(
        storage_id=made.storage_id, run_id=made.run_id, timestamp=made.timestamp
    )
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(table.name),
        check_name="declaration",
        passed=not broken,
        description="; ".join(broken) or None,
        blocking=True,
        partition=batch,
        target_materialization_data=target,
    )


def _made_last(instance: dg.DagsterInstance, table: Table, batches: list[str]) -> dict[str, dg.EventLogRecord]:
    """By batch, the event of its latest materialization: a check counts for that one only."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(table.name), asset_partitions=batches)
    made: dict[str, dg.EventLogRecord] = {}
    page = instance.fetch_materializations(wanted, limit=_PAGE)
    while True:
        for record in page.records:  # the latest first
            made.setdefault(str(record.partition_key), record)
        if not page.has_more or len(made) == len(batches):
            return made
        page = instance.fetch_materializations(wanted, limit=_PAGE, cursor=page.cursor)


with warnings.catch_warnings():
    # A check's `partitions_def` is in preview; Dagster says so once a table, in the terminal of everybody who starts it.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    DECLARED = [_check(table) for table in TABLES.values() if table.published]
