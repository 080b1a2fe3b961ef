"""An asset that makes a declared table: what all of them share, so that each reads in one breath."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import dagster as dg
import polars as pl

from malsugoi_assets.assets import previews
from malsugoi_assets.automation.partitions import USER_BATCHES
from malsugoi_assets.warehouse.batches import ByBatch
from malsugoi_assets.warehouse.lake import WithAdded, content_hash
from malsugoi_assets.warehouse.schema import conform
from malsugoi_assets.warehouse.tables import TABLES

OWNER = "team:data"


def column_schema(name: str) -> dg.TableSchema:
    """The table's columns as Dagster shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(c.name, c.type, c.comment, dg.TableColumnConstraints(nullable=not c.required))
            for c in TABLES[name].columns
        ]
    )


def table_asset(name: str, *, code_version: str, kinds: Sequence[str] = (), **more: Any) -> Callable[..., Any]:
    """Decorate the function that makes the table `name`."""
    table = TABLES[name]
    with warnings.catch_warnings():
        # `backfill_policy` is beta: a newcomer's first terminal should not be full of that.
        warnings.simplefilter("ignore", dg.BetaWarning)
        decorate: Callable[..., Any] = dg.asset(
            name=name,
            description=table.comment + ".",
            group_name=table.group,
            owners=[OWNER],
            kinds={"duckdb", "polars", *kinds},
            code_version=code_version,
            io_manager_key="lake",
            partitions_def=USER_BATCHES if table.partitioned else None,
            backfill_policy=dg.BackfillPolicy.single_run(),
            metadata={"dagster/column_schema": column_schema(name), "dagster/table_name": f"main.{name}"},
            **more,
        )
    return decorate


def table_result(
    name: str,
    frame: pl.DataFrame,
    metadata: Mapping[str, Any] | None = None,
    companions: Mapping[str, pl.DataFrame] | None = None,
    shown: pl.DataFrame | None = None,
    added: AbstractSet[int] = frozenset(),
) -> dg.MaterializeResult[Any]:
    """The asset's result: its rows in the declared form, a preview, and a data version made from the content.

    The preview is of `shown` where the table's own first rows say little: ids, one user, two dozen columns. `added`: the
    keys of rows that make nothing old (`WithAdded`); such a table has no companions.
    """
    typed = conform(TABLES[name], frame)
    return dg.MaterializeResult(
        value=WithAdded(typed, frozenset(added)) if added else {name: typed, **(companions or {})},
        data_version=dg.DataVersion(content_hash(TABLES[name], typed, added)),
        metadata={
            "dagster/row_count": typed.height,
            "preview": dg.MetadataValue.md(previews.table(typed if shown is None else shown)),
            **(metadata or {}),
        },
    )


def by_batch_result(parts: ByBatch, version: str) -> dg.MaterializeResult[Any]:
    """The result of an asset whose batches are made as they are written; `version` names what they are made from."""
    return dg.MaterializeResult(value=parts, data_version=dg.DataVersion(version))
