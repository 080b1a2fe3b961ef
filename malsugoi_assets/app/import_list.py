"""`malsugoi import-list FILE`: one's own MyAnimeList export as a user of the data dir, with recommendations at once."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import click
import dagster as dg
import polars as pl
from rich.console import Console

from malsugoi_assets.app.errors import UserError, WorkError
from malsugoi_assets.app.next_steps import argument, called
from malsugoi_assets.disk import LockedError
from malsugoi_assets.mal import PageError, parse_list_export
from malsugoi_assets.mal.records import ListEntry, ListExport
from malsugoi_assets.resources.imported import ImportedLists, NobodysSource, WithImports, list_titles
from malsugoi_assets.resources.source import Source, SourceResource
from malsugoi_assets.settings import Settings
from malsugoi_assets.usernames import is_name
from malsugoi_assets.warehouse.data_dir import DataDir, DataDirError
from malsugoi_assets.warehouse.publish import PublishError
from malsugoi_assets.warehouse.tables import TABLES

MOST_BYTES = 256 * 2**20
_MODELS = ("title_baselines", "similarity_matrix", "item_weights", "ranking_model", "dnn_model")


@click.command("import-list")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", help="The name to keep it under, instead of the one in the file.")
def import_list(file: Path, name: str | None) -> None:
    """Add the list that MyAnimeList exports (FILE.xml or FILE.xml.gz) as a user.

    The list stays as it was imported, whatever is discovered later; importing again replaces it.

    \b
    Example:
      malsugoi import-list animelist.xml.gz --as me && malsugoi recommend me
    """
    from malsugoi_assets.app.cli import console, load_settings

    import_export(load_settings(), file, name, console)


def import_export(settings: Settings, file: Path, name: str | None, console: Console) -> None:
    """Do it. Raises `UserError` before anything is written, `WorkError` where the work fails."""
    begun = time.monotonic()
    place = DataDir(settings.root)
    _check_place(place, settings)
    export = _read(file)
    username = name if name is not None else export.username
    if username is None:
        raise UserError(f"{file} does not say whose list it is: add --as NAME")
    if not is_name(username):
        raise UserError(
            f"{username[:40]!r} cannot be a user's name here (letters, digits, '_', '-' and '.', at most 64): "
            "add --as NAME"
        )
    kept, recommends = keep_list(settings, username, export.entries, console)
    unknown = _unknown_titles(place, export)
    _tell(console, kept, export, unknown, recommends, time.monotonic() - begun)


def keep_list(
    settings: Settings, username: str, entries: tuple[ListEntry, ...], console: Console
) -> tuple[str, bool]:
    """Keep the list as the user's own; the user's name as it is kept, and whether there are models to recommend by.

    Raises `UserError` before anything is written, `WorkError` where the list could not be published. What fails
    after that is warned of, since the list is kept.
    """
    data_dir = DataDir(settings.root)
    imported = ImportedLists(settings.root)
    try:
        if fault := data_dir.fault_of_the_ledger():
            raise UserError(fault)
        known = data_dir.ledger.spelling(username)
        if known is not None and not imported.has(username):
            raise UserError(
                f"{known} is a user of {settings.root} already, with a list of their own: choose another name (--as, --keep-as)"
            )
        if data_dir.ledger.forgotten.has(username):
            raise UserError(
                f"{username} asked to be forgotten in {settings.root}: choose another name (--as, --keep-as)"
            )
        kept = known or username
        with data_dir.alone("import-list"):
            imported.put(kept, entries)
            list_titles(data_dir)
            return kept, _publish(settings, data_dir, kept, console)
    except LockedError as error:
        raise UserError(f"{error}; nothing was changed: wait for it, then try again") from error
    except OSError as error:
        raise WorkError(f"{error}; what was published stands, run the same command again to go on") from error


def _check_place(data_dir: DataDir, settings: Settings) -> None:
    """Raise `UserError` where an own list would meet no real titles, or the data dir is another source's."""
    try:
        claimed = data_dir.claimed_by()
    except DataDirError as error:
        raise UserError(str(error)) from error
    if claimed is None or data_dir.lake.provenance("anime_features") is None:
        raise UserError(
            f"no titles are in {data_dir.root} yet: `malsugoi run` with MALSUGOI_SOURCE=live or files first "
            "(or set MALSUGOI_DATA_DIR)"
        )
    if claimed[0] == "replica":
        raise UserError(
            f"{data_dir.root} holds the replica's invented titles, among which no real list has a meaning: set "
            "MALSUGOI_DATA_DIR to the folder of a run with MALSUGOI_SOURCE=live or files"
        )
    try:
        data_dir.check(settings)
    except DataDirError as error:
        raise UserError(str(error)) from error


def _read(file: Path) -> ListExport:
    try:
        if not file.exists():
            raise UserError(f"{file}: there is no such file")
        if not file.is_file():
            kind = "a folder" if file.is_dir() else "no file but a pipe or a device"
            raise UserError(f"{file} is {kind}: name the file that MyAnimeList gave you (animelist_….xml.gz)")
        if file.stat().st_size > MOST_BYTES:
            raise UserError(f"{file}: more than {MOST_BYTES // 2**20} MiB, which no export is")
        return parse_list_export(file.read_bytes())
    except PageError as error:
        raise UserError(f"{file}: {error}") from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise UserError(f"{str(file)[:80]!r}: {error}") from error


class _Imports(SourceResource):
    """Lets the assets see the imported lists, and nothing else: no site is asked, no folder read."""

    def open(self) -> Source:
        return WithImports(NobodysSource(), ImportedLists(self.load_settings().root))


def _publish(settings: Settings, data_dir: DataDir, username: str, console: Console) -> bool:
    """Make the rows of the user's batch, and predictions where there are models; whether there are."""
    warnings.filterwarnings("ignore", module="dagster")
    from malsugoi_assets.app.instance import open_instance
    from malsugoi_assets.app.pipeline import Step, execute_step, quiet_logger
    from malsugoi_assets.assembly import build_definitions, checks_of_a_batch
    from malsugoi_assets.automation.jobs import JOB_ASSETS
    from malsugoi_assets.automation.partitions import register_batches
    from malsugoi_assets.warehouse.io_manager import LakeIOManager

    ledger = data_dir.ledger
    ledger.add([username], batch_size=settings.batch_size)
    users = ledger.users()
    batch = str(users.filter(users["username"] == username)["user_batch"][0])
    # What discovery would do, for one user: it is the ledger that says who there is.
    data_dir.lake.write(TABLES["users"], users, code_version="1")
    instance = open_instance(settings)
    register_batches(instance, [batch])
    source = _Imports(settings=settings.model_dump(mode="json", exclude_none=True))
    has_models = all(data_dir.lake.provenance(table) is not None for table in _MODELS)
    jobs = ("user_batch", "batch_predictions") if has_models else ("user_batch",)
    # One database for all that is new of one person, not one a table.
    lake = LakeIOManager(data_dir=str(settings.root), publishes_after=list(JOB_ASSETS[jobs[-1]][-1:]))
    with _making_ready(data_dir) if has_models else contextlib.nullcontext(), console.status("…") as spinner:
        definitions: dg.Definitions = build_definitions(
            settings,
            loggers={"console": quiet_logger(lambda text: spinner.update(text))},
            checks=(),  # they look at what is published, which is what was there before until the last table is made
            source=source,
            lake=lake,
        )
        try:
            execute_step(instance, definitions, Step(jobs[0], batch, batch))
        except WorkError:
            # The titles that the list names may be there already.
            with contextlib.suppress(PublishError, OSError):
                data_dir.publisher.publish()
            raise
        try:
            for job in jobs[1:]:
                execute_step(instance, definitions, Step(job, batch, batch))
        except WorkError as error:
            _publish_alone(data_dir, batch)
            _warn(username, error, "predicted ratings come after `malsugoi run`")
            jobs = jobs[:1]
        made = [name for job in jobs for name in JOB_ASSETS[job]]
        try:
            execute_step(instance, checks_of_a_batch(settings, made), Step("checks", batch, batch))
        except WorkError as error:
            _warn(username, error, "but what was published is not as it should be")
    return has_models


@contextlib.contextmanager
def _making_ready(data_dir: DataDir) -> Iterator[None]:
    """A block beside which `_make_ready` is at work; it ends with the block, however that ends."""
    beside = threading.Thread(target=_make_ready, args=(data_dir,), daemon=True)
    beside.start()
    try:
        yield
    finally:
        beside.join()


def _make_ready(data_dir: DataDir) -> None:
    """Load and learn what predicting needs whatever the list: beside Dagster's work, which waits for the disk.

    What fails here fails again, and is told, where it is needed.
    """
    with contextlib.suppress(Exception):
        import malsugoi_assets.recommend.blend  # noqa: F401
        from malsugoi_assets.recommend.items import align_items
        from malsugoi_assets.recommend.likeness import learn_likeness

        features, relations, known = (
            data_dir.lake.read(name).collect() for name in ("anime_features", "anime_relations", "title_baselines")
        )
        for titles in (known, features):
            learn_likeness(align_items(titles["anime_id"].sort().to_numpy(), features, relations))


def _publish_alone(data_dir: DataDir, batch: str) -> None:
    """Publish the list without its predictions; those that were made from a list before it go.

    Raises `WorkError`.
    """
    from malsugoi_assets.automation.jobs import JOB_ASSETS

    for table in JOB_ASSETS["batch_predictions"]:
        if not data_dir.lake.is_current(table, batch):
            data_dir.lake.remove(table, batch)
    try:
        data_dir.publisher.publish()
    except PublishError as error:
        raise WorkError(str(error)) from error


def _warn(username: str, error: WorkError, then: str) -> None:
    reason = error.message.split("\n")[0]
    click.echo(f"Warning: the list of {username} is kept; {then} ({reason})", err=True)


def _unknown_titles(data_dir: DataDir, export: ListExport) -> int:
    """How many titles of the list the catalogue tells nothing of but a name at most."""
    told = pl.any_horizontal(pl.exclude("anime_id", "title").is_not_null())
    known = data_dir.lake.read("anime_features").filter(told).select("anime_id").collect()
    return len({entry.anime_id for entry in export.entries} - set(known["anime_id"]))


def _tell(
    console: Console, username: str, export: ListExport, unknown: int, recommends: bool, seconds: float
) -> None:
    rated = sum(entry.score is not None for entry in export.entries)
    mended = f" ({export.repaired} broken characters mended)" if export.repaired else ""
    console.print(
        f"{username}: {len(export.entries)} titles, {rated} rated{mended}, in {seconds:.1f} s", markup=False
    )
    if unknown:
        console.print(f"Of {unknown} of them nothing but the name is known here.")
    if not export.entries:
        console.print("The list is empty: nothing to go by.")
    elif recommends:
        console.print(f"Next: {called()} recommend {argument(username)}", markup=False, soft_wrap=True)
    else:
        console.print("Recommendations come with the models: `malsugoi run`.")
