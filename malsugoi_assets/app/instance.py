"""Dagster's instance of a data dir, made ready so that the page, the commands and the sensors see the same."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click
import dagster as dg

from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.event_log import open_batched
from malsugoi_assets.automation.partitions import FIRST_BATCH, register_batches
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDirError, check_dagster_home

_DAGSTER_YAML = """\
# Written once by malsugoi; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
retention:
  sensor:
    purge_after_days: 7
  schedule:
    purge_after_days: 90
"""


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance of the settings' data dir, created where there is none, with the first batch registered.

    Raises `UserError` where DAGSTER_HOME belongs to another data dir.
    """
    try:
        check_dagster_home(settings)
    except DataDirError as error:
        raise UserError(str(error)) from error
    home = settings.dagster_home
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "dagster.yaml").exists():
            (home / "dagster.yaml").write_text(_DAGSTER_YAML)
    except OSError as error:
        raise UserError(f"{home} cannot be written ({error}); choose another MALSUGOI_DATA_DIR") from error
    os.environ["DAGSTER_HOME"] = str(home)
    instance = open_batched(home)
    register_batches(instance, [FIRST_BATCH])
    return instance


def has_our_workspace(folder: Path) -> bool:
    """Whether the folder's workspace.yaml is this project's, not that of somebody else's Dagster project."""
    try:
        return "malsugoi_assets.definitions" in (folder / "workspace.yaml").read_text()
    except (OSError, ValueError):
        return False


def write_dot_env(settings: Settings, folder: Path) -> None:
    """Write `.env` beside workspace.yaml, once, for the data dir that is used without any setting."""
    file = folder / ".env"
    if "MALSUGOI_DATA_DIR" not in os.environ and has_our_workspace(folder) and not file.exists():
        file.write_text(f"DAGSTER_HOME={settings.dagster_home}\n")


def home_in_dot_env(folder: Path) -> Path | None:
    """The DAGSTER_HOME that the folder's `.env` sets, which outranks the shell for `dagster …` started there."""
    try:
        text = (folder / ".env").read_text()
    except FileNotFoundError:
        return None
    homes = re.findall(r"^\s*(?:export\s+)?DAGSTER_HOME\s*=\s*[\"']?([^\"'\n]+)", text, re.MULTILINE)
    return Path(homes[-1].strip()) if homes else None


def dot_env_names_another(settings: Settings, folder: Path) -> bool:
    """Whether the folder's `.env` sets a DAGSTER_HOME that isn't this data dir's."""
    home = home_in_dot_env(folder)
    return home is not None and home.resolve() != settings.dagster_home.resolve()


@click.command()
def home() -> None:
    """Make the instance of the data dir where there is none, and print its folder: what DAGSTER_HOME is to be."""
    from malsugoi_assets.app.cli import load_settings

    settings = load_settings()
    open_instance(settings)
    click.echo(settings.dagster_home)


if __name__ == "__main__":
    home()
