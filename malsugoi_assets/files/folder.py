"""A folder of files as one source: lists, catalogue and relations that fit together.

Reading a folder of any size once leaves its typed rows in a place of its own, so that the lists of some users are at
hand without reading all of them again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from malsugoi_assets.disk import file_lock
from malsugoi_assets.files.catalogue import FEATURES, features_of, read_relations, related
from malsugoi_assets.files.choice import Chosen, choose
from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.list_rows import Say, connect, frame_of, source_columns, source_of
from malsugoi_assets.files.lists import Lists, make_lists
from malsugoi_assets.files.shapes import CATALOGUE_FIELDS, fields_of
from malsugoi_assets.files.tables import Table, column_names, find_table, read_table
from malsugoi_assets.files.titles import crosswalks

FORMAT = 1
"""Goes up when what is kept of a folder changes, so that it is read anew."""
Report = dict[str, Any]


@dataclass(frozen=True)
class Folder:
    """What a folder holds.

    `lists`: its users' rows; `catalogue`: the columns of `anime_features`, one row an anime_id, sorted, a row for each
    listed anime included; `relations`: anime_id, relation, related_kind, related_id; `report`: which files were read,
    and counts for metadata.
    """

    lists: Lists
    catalogue: pl.DataFrame
    relations: pl.DataFrame
    report: Report


def read_folder(
    folder: Path,
    store: Path,
    known: Sequence[str] = (),
    say: Say = lambda _: None,
    leave_out: Callable[[str], bool] = lambda _: False,
) -> Folder:
    """Read the folder, or take from `store` what an earlier call made of the same files.

    `known`: users in the order of their batches; `leave_out`: whose rows are not kept at all. Raises `FilesError`,
    naming file and line; nothing is left in `store` then.
    """
    if not folder.is_dir():
        raise FilesError(folder, "there is no such folder")
    kept = store / fingerprint(folder)
    if not (kept / "report.json").exists():
        try:
            with file_lock(store / "import.lock", what=f"reading {folder}"):
                if not (kept / "report.json").exists():
                    _make(folder, kept, known, say, leave_out)
        except FilesError:
            _remove_empty(store)
            raise
    return _load(kept)


def fingerprint(folder: Path) -> str:
    """A name for the state of the folder's files: it changes when one of them does."""
    files = sorted(f for f in folder.iterdir() if f.is_file())
    state = [FORMAT, str(folder.resolve()), *((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files)]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


def _make(folder: Path, kept: Path, known: Sequence[str], say: Say, leave_out: Callable[[str], bool]) -> None:
    """Read all, into a draft that becomes `kept` in one step; earlier states are deleted but the last one."""
    for leftover in kept.parent.glob(".draft-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    draft = kept.with_name(f".draft-{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        chosen = choose(folder)
        with connect(draft / "spill") as con:
            _read(con, folder, chosen, draft, known, say, leave_out)
        shutil.rmtree(draft / "spill", ignore_errors=True)
        draft.rename(kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    states = sorted((p for p in kept.parent.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
    for old in states[:-2]:
        shutil.rmtree(old, ignore_errors=True)


def _read(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    chosen: Chosen,
    target: Path,
    known: Sequence[str],
    say: Say,
    leave_out: Callable[[str], bool],
) -> None:
    for_lists, for_catalogue = crosswalks([folder])
    table = read_table(chosen.catalogue) if chosen.catalogue else _catalogue_within(con, chosen.lists, target)
    catalogue, catalogue_report = features_of(table, for_catalogue)
    lists, listed, report = make_lists(
        con, chosen.lists, target, with_own_titles(for_lists, catalogue), known, say, leave_out
    )
    named = find_table(folder, "relations")
    relations, left = read_relations(named) if named else related(table)
    complete = complete_catalogue(catalogue, listed)
    lists.spans.write_parquet(target / "spans.parquet")
    lists.titles.write_parquet(target / "titles.parquet")
    complete.write_parquet(target / "catalogue.parquet")
    relations.write_parquet(target / "relations.parquet")
    everything = {
        "lists_read_from": f"{chosen.lists.name} ({chosen.list_shape})",
        "catalogue_read_from": f"{table.path.name} ({chosen.catalogue_shape})",
        "left_alone": list(chosen.left_alone),
        **report,
        **catalogue_report,
        "listed_without_catalogue_row": complete.height - catalogue.height,
        "unknown_titles": listed.filter(pl.col("anime_id") < 0)["anime_id"].n_unique(),
        "relations_left_out": left,
    }
    kept = {"report": everything, "rows": lists.rows.name, "by_title": lists.by_title}
    (target / "report.json").write_text(json.dumps(kept, ensure_ascii=False))


def _load(kept: Path) -> Folder:
    stored = json.loads((kept / "report.json").read_text())
    lists = Lists(
        kept / stored["rows"],
        pl.read_parquet(kept / "spans.parquet"),
        pl.read_parquet(kept / "titles.parquet"),
        stored["by_title"],
    )
    return Folder(
        lists,
        pl.read_parquet(kept / "catalogue.parquet"),
        pl.read_parquet(kept / "relations.parquet"),
        stored["report"],
    )


def _catalogue_within(con: duckdb.DuckDBPyConnection, path: Path, scratch: Path) -> Table:
    """The catalogue that a list file carries in its rows, one row an anime."""
    names = column_names(path)
    fields = fields_of(names, CATALOGUE_FIELDS)
    columns = source_columns(path, names, fields)
    wanted = ", ".join(f"any_value({column}) AS {field}" for field, column in columns.items() if field != "anime_id")
    sql = f"SELECT {columns['anime_id']} AS anime_id, {wanted} FROM {source_of(path)} GROUP BY 1 ORDER BY 1"
    return Table(path, frame_of(con, sql, scratch))


def complete_catalogue(catalogue: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The catalogue with a row (id, and title where the source has one) for each listed anime that has none."""
    listed = rows.select("anime_id", "title").join(catalogue, on="anime_id", how="anti")
    own = listed.group_by("anime_id").agg(pl.col("title").drop_nulls().sort().first())
    nothing = [pl.lit(None, kind).alias(c) for c, kind in FEATURES.items() if c not in ("anime_id", "title")]
    return pl.concat([catalogue, own.with_columns(nothing).select(FEATURES.keys())]).sort("anime_id")


def with_own_titles(crosswalk: pl.DataFrame, catalogue: pl.DataFrame) -> pl.DataFrame:
    """The crosswalk and, behind it, the catalogue's own main titles of which there is one only."""
    own = catalogue.filter(pl.col("title").is_not_null() & (pl.col("anime_id") > 0)).select("title", "anime_id")
    own = own.unique("title", keep="none")
    return pl.concat([crosswalk, own]).unique("title", keep="first", maintain_order=True)


def _remove_empty(folder: Path) -> None:
    """Leave no trace of a folder that was made for nothing, nor of its parent."""
    with suppress(OSError):
        (folder / "import.lock").unlink(missing_ok=True)
        folder.rmdir()
        folder.parent.rmdir()
