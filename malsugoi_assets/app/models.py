"""`malsugoi models`: the network's builds, which of them predicts, and going back to an earlier one."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from malsugoi_assets.app.errors import UserError, WorkError
from malsugoi_assets.app.reports import published, rows
from malsugoi_assets.disk import LockedError, file_lock
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.builds import BuildError, Builds, current_build, find_build, with_current
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.publish import PublishError
from malsugoi_assets.warehouse.run_marks import work_lock


@click.group("models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="For scripts; the names of the table's columns.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the network's builds: which one predicts, what the gate said of each.

    \b
    Example:
      malsugoi models && malsugoi models use dnn-2-0123456789ab
    """
    from malsugoi_assets.app.cli import console, load_settings

    if ctx.invoked_subcommand is not None:
        return
    found = read_builds(load_settings())
    if as_json:
        click.echo(json.dumps(found, default=str, indent=2))
    else:
        show_builds(found, console)


@models.command()
@click.argument("model_id", metavar="ID")
def use(model_id: str) -> None:
    """Let the build ID predict from now on: an earlier one, or one that the gate refused."""
    from malsugoi_assets.app.cli import console, load_settings

    use_build(load_settings(), model_id, console)


def read_builds(settings: Settings) -> list[dict[str, Any]]:
    """The rows of `dnn_model`, the newest first."""
    with published(settings) as con:
        return rows(con, "FROM dnn_model ORDER BY created_at DESC, model_id")


def show_builds(found: list[dict[str, Any]], console: Console) -> None:
    """The builds for a person."""
    if not found:
        console.print("No network was trained yet: `malsugoi run`.")
        return
    table = Table(title="The network's builds, the newest first", title_justify="left")
    # What one wants to copy stays in one piece, also in a narrow terminal.
    for column in ("", "build", "made", "ratings", "MSE", "less", "state"):
        right = column in ("ratings", "MSE", "less")
        table.add_column(column, justify="right" if right else "left", no_wrap=column != "state")
    for row in found:
        table.add_row(
            "→" if row["is_current"] else "",
            row["model_id"],
            f"{row['created_at']:%m-%d %H:%M}",
            f"{row['train_rows']:,}",
            "" if row["mse"] is None else f"{row['mse']:.4f}",
            "" if row["difference"] is None else f"{row['difference']:+.4f}",
            row["state"] if row["path"] else f"{row['state']}, file no longer kept",
        )
    console.print(table)
    newest = found[0]
    console.print(f"{newest['model_id']} is {newest['verdict']}", markup=False, soft_wrap=True)
    console.print(
        "→ predicts; another one does after: malsugoi models use BUILD. less: MSE less that of the build before it on the "
        "same held-out ratings.",
        style="dim",
        soft_wrap=True,
    )


def use_build(settings: Settings, model_id: str, console: Console) -> None:
    """Make it the current build. Raises `UserError` for one that may not or cannot predict; nothing is changed then."""
    data_dir = DataDir(settings.root)
    builds = Builds(data_dir)
    if not builds.rows().height:
        raise UserError(f"no network was trained in {settings.root} yet: `malsugoi run` first")
    try:
        with (
            data_dir.alone("models use"),
            # A run that is training would write its own view of the builds over this one.
            file_lock(work_lock(settings.root), what=f"a run on {settings.root}", wait_seconds=0),
        ):
            known = builds.rows()
            before = current_build(known)
            chosen = with_current(known, model_id)
            _try(data_dir, builds, find_build(known, model_id))
            if before is not None and before["model_id"] == model_id:
                console.print(f"{model_id} predicts already.")
                return
            builds.replace(chosen)
            data_dir.publisher.publish()
    except BuildError as error:
        raise UserError(str(error)) from error
    except LockedError as error:
        raise UserError(f"{error}; nothing was changed: wait for it, then choose the build again") from error
    except (OSError, PublishError) as error:
        raise WorkError(f"{error}; run the same command again to go on") from error
    was = "" if before is None else f" in place of {before['model_id']}"
    console.print(
        f"{model_id} predicts from now on{was}. Ratings, recommendations and dnn_metrics are made anew by `malsugoi run` or "
        "by the sensors; the next build will be held against it.",
        soft_wrap=True,
    )


def _try(data_dir: DataDir, builds: Builds, build: dict[str, Any]) -> None:
    """Read the build's file as predictions will. Raises `BuildError` where it cannot be used."""
    from malsugoi_assets.recommend.blend import load_predictor
    from malsugoi_assets.recommend.items import align_items
    from malsugoi_assets.recommend.weights import WeightsError

    features = data_dir.lake.read("anime_features").collect().sort("anime_id")
    relations = data_dir.lake.read("anime_relations").collect()
    try:
        load_predictor(builds.file(build), align_items(features["anime_id"].to_numpy(), features, relations))
    except WeightsError as error:
        raise BuildError(f"{build['model_id']} cannot be used: {error}") from error
