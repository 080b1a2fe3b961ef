"""One blocking check a table, made from its declaration. The publisher held most of it before the swap (a table that
breaks it is never published); what can only hold at rest, between two runs, is looked at here."""

import warnings

import dagster as dg

from malsugoi_assets.automation.partitions import USER_BATCHES
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse import schema
from malsugoi_assets.warehouse.publish import violations
from malsugoi_assets.warehouse.tables import TABLES, Table


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
        return dg.AssetCheckResult(
            passed=not broken,
            metadata={"expected": [rule.name for rule in schema.rules(table)], "broken": broken},
            description="; ".join(broken) or None,
        )

    return declaration


with warnings.catch_warnings():
    # A check's `partitions_def` is in preview; Dagster says so once a table, in the terminal of everybody who starts it.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    DECLARED = [_check(table) for table in TABLES.values() if table.published]
