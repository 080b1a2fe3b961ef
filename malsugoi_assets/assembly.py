"""The whole project, put together of its parts for some settings, and nothing else. Dagster's door is `definitions`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import dagster as dg

from malsugoi_assets.assets import catalogue, collaborative, deep, ranking, recommendations, users
from malsugoi_assets.automation.executor import in_process
from malsugoi_assets.automation.jobs import JOBS
from malsugoi_assets.automation.partitions import USER_BATCHES
from malsugoi_assets.automation.schedules import SCHEDULES
from malsugoi_assets.automation.sensors import catch_up, new_users
from malsugoi_assets.checks.declared import DECLARED
from malsugoi_assets.checks.gate import gate
from malsugoi_assets.checks.plausible import PLAUSIBLE
from malsugoi_assets.resources.compute import Compute
from malsugoi_assets.resources.source import SourceResource
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.settings import Settings, SettingsError
from malsugoi_assets.warehouse.data_dir import DataDir, DataDirError, check_dagster_home
from malsugoi_assets.warehouse.guards import accepted_tables
from malsugoi_assets.warehouse.io_manager import LakeIOManager
from malsugoi_assets.warehouse.lake import CODE_VERSIONS

CHECKS = (*DECLARED, gate, *PLAUSIBLE)


def build_definitions(
    settings: Settings | None = None,
    *,
    loggers: Mapping[str, dg.LoggerDefinition] | None = None,
    checks: Sequence[dg.AssetChecksDefinition] = CHECKS,
    **resources: Any,
) -> dg.Definitions:
    """The whole project for these settings (those of the environment); `resources` replace single parts.

    Raises `ClickException`, which `dagster …` shows as one line, where the settings don't fit each other or the data
    dir.
    """
    try:
        settings = settings or Settings.load()
        check_dagster_home(settings)
        DataDir(settings.root).check(settings)
        accepted = accepted_tables(settings.accept_changes)
    except (SettingsError, DataDirError) as error:
        raise click.ClickException(str(error)) from error
    assets = dg.load_assets_from_modules([catalogue, users, collaborative, ranking, deep, recommendations])
    specs = [spec for asset in assets if isinstance(asset, dg.AssetsDefinition) for spec in asset.specs]
    CODE_VERSIONS.update({spec.key.to_python_identifier(): spec.code_version or "" for spec in specs})
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=list(JOBS.values()),
        sensors=[new_users, catch_up],
        schedules=SCHEDULES,
        resources={
            "lake": LakeIOManager(data_dir=str(settings.root), accepted_changes=accepted),
            "source": SourceResource(settings=settings.without_secrets()),
            "warehouse": Warehouse(database=str(settings.root / "malsugoi.duckdb"), data_dir=str(settings.root)),
            "compute": Compute(device=settings.device),
            **resources,
        },
        loggers=loggers,
        executor=in_process(DataDir(settings.root)),
    )


def checks_of_a_batch(settings: Settings, tables: Iterable[str]) -> dg.Definitions:
    """A job `checks` over a batch: whether these tables are as declared, for who makes them first and publishes then."""
    wanted = {dg.AssetKey(table) for table in tables}
    found = [check for check in DECLARED if check.check_key.asset_key in wanted]
    return dg.Definitions(
        asset_checks=found,
        jobs=[dg.define_asset_job("checks", dg.AssetSelection.checks(*found), partitions_def=USER_BATCHES)],
        resources={"warehouse": Warehouse(database="", data_dir=str(settings.root))},
    )
