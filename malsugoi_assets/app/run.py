"""`malsugoi run` as a person sees it: what is refused before it starts, progress, and what to look at at the end."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

from rich.console import Console

from malsugoi_assets.app.errors import UserError, WorkError
from malsugoi_assets.app.instance import open_instance, write_dot_env
from malsugoi_assets.app.next_steps import held_only_here, only_with, steps
from malsugoi_assets.app.pipeline import quiet_logger, run_pipeline
from malsugoi_assets.app.reports import read_recommendations, read_status, show_tables
from malsugoi_assets.disk import LockedError
from malsugoi_assets.files import FilesError
from malsugoi_assets.mal.replica import ReplicaError
from malsugoi_assets.recommend.devices import DeviceError, resolve_device
from malsugoi_assets.resources.source import Source, open_source
from malsugoi_assets.settings import Settings, SettingsError, limits_of_the_environment, place_of_the_environment
from malsugoi_assets.warehouse.data_dir import DataDir, DataDirError
from malsugoi_assets.warehouse.publish import PublishError


def run_all(settings: Settings, console: Console) -> None:
    """Bring the data dir up to date. Raises `UserError` before anything is written, `WorkError` for what fails later."""
    warnings.filterwarnings("ignore", module="dagster")
    begun = time.monotonic()
    data_dir = DataDir(settings.root)
    try:
        if fault := data_dir.fault_of_the_ledger():
            raise UserError(fault)
        source = _open(settings, console)
        with data_dir.alone("run"):
            instance = open_instance(settings)
            write_dot_env(settings, Path.cwd())
            from malsugoi_assets.assembly import build_definitions

            with console.status("…") as spinner:
                outcome = run_pipeline(
                    instance,
                    data_dir,
                    source,
                    build_definitions(settings, loggers={"console": quiet_logger(lambda text: spinner.update(text))}),
                    started=lambda text: spinner.update(text),
                    ended=lambda text: console.print(f"[green]✓[/] {text}"),
                )
    except LockedError as error:
        raise UserError(f"{error}; wait for it, or use another MALSUGOI_DATA_DIR") from error
    except (OSError, PublishError) as error:
        raise WorkError(f"{error}; what was finished is kept, run the same command again to go on") from error
    for name in outcome.current:
        console.print(f"[dim]= {name}: current[/]")
    _finish(settings, console, time.monotonic() - begun)


def _open(settings: Settings, console: Console) -> Source:
    try:
        resolve_device(settings.device)
        with console.status("…") as spinner:
            return open_source(settings, lambda text: spinner.update(text))
    except (DataDirError, DeviceError, FilesError, ReplicaError, SettingsError) as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise WorkError(f"{error}; nothing was lost, run the same command again to go on") from error


def _finish(settings: Settings, console: Console, seconds: float) -> None:
    found = read_status(settings)
    show_tables(found, console)
    someone = found["example_user"]
    ranked = someone if someone and read_recommendations(settings, someone) else None
    console.print(f"\nDone in {seconds:.0f} s. Next:")
    for command, shows in steps(ranked, settings.data_dir / "malsugoi.duckdb"):
        console.print(f"  {command:38}  # {shows}", markup=False, highlight=False, soft_wrap=True)
    if note := only_with(place_of_the_environment()):
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    if note := held_only_here(limits_of_the_environment(settings)):
        console.print(note, markup=False, highlight=False, soft_wrap=True)
