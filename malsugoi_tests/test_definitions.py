"""The front door: light to import, the contract's assets and jobs, and the lineage's least upstreams."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import dagster as dg
import pytest

from malsugoi_assets.assembly import build_definitions
from malsugoi_assets.automation.jobs import JOB_ASSETS
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES

LEAST_UPSTREAMS = {
    "anime_features": {"raw_anime_pages"},
    "anime_relations": {"raw_anime_pages"},
    "user_lists": {"users", "anime_features"},
    "rating_matrix": {"user_lists"},
    "similarity_matrix": {"rating_matrix"},
    "item_weights": {"rating_matrix"},
    "cf_metrics": {"rating_matrix"},
    "cf_predictions": {"similarity_matrix"},
    "dnn_model": {"rating_matrix", "anime_features"},
    "dnn_metrics": {"dnn_model"},
    "recommendations": {
        "cf_predictions", "user_lists", "item_weights", "dnn_model", "anime_features", "anime_relations",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_definitions(Settings.load({"MALSUGOI_DATA_DIR": str(tmp_path_factory.mktemp("data"))}))


def test_importing_the_definitions_stays_light() -> None:
    heavy = ("torch", "numba", "selenium", "matplotlib", "bs4", "requests", "sklearn")
    code = f"import sys, malsugoi_assets.definitions; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    # Dagster's own page server brings requests along.
    assert done.stdout.strip() in ("[]", "['requests']")


def test_every_published_table_is_an_asset_and_the_other_way_round(definitions: dg.Definitions) -> None:
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert keys == {name for name, table in TABLES.items() if table.published}


@pytest.mark.parametrize("name", LEAST_UPSTREAMS)
def test_an_asset_has_its_upstreams(definitions: dg.Definitions, name: str) -> None:
    parents = definitions.resolve_asset_graph().get(dg.AssetKey(name)).parent_keys
    assert LEAST_UPSTREAMS[name] <= {key.to_user_string() for key in parents}


def test_raw_pages_do_not_reach_the_lists_without_the_features(definitions: dg.Definitions) -> None:
    parents = definitions.resolve_asset_graph().get(dg.AssetKey("user_lists")).parent_keys
    assert dg.AssetKey("raw_anime_pages") not in parents


@pytest.mark.parametrize("job", JOB_ASSETS)
def test_a_job_makes_its_assets(definitions: dg.Definitions, job: str) -> None:
    selected = definitions.resolve_job_def(job).asset_layer.executable_asset_keys
    assert {key.to_user_string() for key in selected} == set(JOB_ASSETS[job])


def test_a_data_dir_of_another_source_is_refused_before_any_run(tmp_path: Path) -> None:
    """Under `dagster job execute` the refusal came out of the first asset, below a page of traceback."""
    DataDir(tmp_path).claim(Settings.load({"MALSUGOI_DATA_DIR": str(tmp_path), "MALSUGOI_SOURCE": "live"}))
    with pytest.raises(click.ClickException, match="holds data of live") as refused:
        build_definitions(Settings.load({"MALSUGOI_DATA_DIR": str(tmp_path)}))
    assert "\n" not in refused.value.message


def test_sensors_run_by_default_and_schedules_wait_to_be_switched_on(definitions: dg.Definitions) -> None:
    sensors = {s.name: s.default_status for s in definitions.sensors or []}
    assert sensors == dict.fromkeys(("new_users", "catch_up"), dg.DefaultSensorStatus.RUNNING)
    statuses = {s.default_status for s in definitions.schedules or [] if isinstance(s, dg.ScheduleDefinition)}
    assert statuses == {dg.DefaultScheduleStatus.STOPPED}


def test_the_sources_can_be_materialised_by_one_click(definitions: dg.Definitions) -> None:
    """Dagster's page asks for partitions, and chooses none, as soon as one asset of the selection has some."""
    graph = definitions.resolve_asset_graph()
    sources = {key for key in graph.get_all_asset_keys() if graph.get(key).group_name == "sources"}
    assert {key.to_user_string() for key in sources} >= {"raw_anime_pages", "anime_features", "users"}
    assert not [key for key in sources if graph.get(key).partitions_def]
    # …and all that they need is among them.
    assert {parent for key in sources for parent in graph.get(key).parent_keys} <= sources


def test_loading_the_definitions_shows_no_warning_of_dagsters() -> None:
    code = "import malsugoi_assets.definitions"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [line for line in done.stderr.splitlines() if "BetaWarning" in line or "PreviewWarning" in line]
