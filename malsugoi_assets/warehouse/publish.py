"""The database that people query: built anew from the partition files beside the old one, checked, then swapped in.

`malsugoi.duckdb` is a link to the current generation. The next one starts as a copy of it where it says of people what that
one says, and more (`standing`); else all is built, a few batches at a time, so that memory and time stay in
proportion to what there is. A reader that has the old one open keeps its snapshot; one
that opens the link sees exactly one published state; nobody's read-write session can touch what is published.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from malsugoi_assets.disk import file_lock
from malsugoi_assets.warehouse import schema
from malsugoi_assets.warehouse.lake import Lake
from malsugoi_assets.warehouse.limits import duckdb_limits, spill_folder
from malsugoi_assets.warehouse.places import Places, batched_keys
from malsugoi_assets.warehouse.standing import Pieces, ShrunkError, Standing, hold_on_to, take_over
from malsugoi_assets.warehouse.tables import TABLES, VIEWS, Reference, Table
from malsugoi_assets.warehouse.violations import count_rows, mentioned, violations

DATABASE = "malsugoi.duckdb"
_GENERATION = re.compile(r"malsugoi-(\d{8})-[0-9a-f]{12}\.duckdb")
_KEPT_GENERATIONS = 2
_LOOKS = 3
"""How often the files are looked at, where others change or delete them while they are read so that it fails."""


class PublishError(RuntimeError):
    """The next database is not fit to be published (or could not be written); the old one stands."""


@dataclass(frozen=True)
class Published:
    """A generation: its file, whether this call made it, and how many rows were left out as orphans, by table."""

    path: Path
    changed: bool
    orphans: dict[str, int]


class Publisher:
    """Publishes what lies in the lake of `root` as `root`/malsugoi.duckdb."""

    def __init__(self, root: Path, lake: Lake) -> None:
        self.root = root
        self.lake = lake
        self.generations = root / "generations"
        self.link = root / DATABASE

    def current(self) -> Path | None:
        """The published generation's file, None before the first."""
        target = self.link.resolve() if self.link.is_symlink() else self.link
        return target if target.exists() else None

    def unreadable(self, error: duckdb.Error) -> str:
        """What to say, and to do, where the current generation cannot be read for `error`; '' where it can."""
        current, reason = self.current(), str(error).splitlines()[0]
        if current is None or not (isinstance(error, duckdb.IOException) or "Corrupt database" in reason):
            return ""
        return f"{current} cannot be read ({reason}): delete it, then `malsugoi run`"

    def publish(self) -> Published:
        """Bring the database up to date with the lake; one publisher at a time, the others wait.

        Raises `PublishError` where the result breaks a declaration or cannot be written; nothing changes then.
        """
        with file_lock(self.root / "locks" / "publish.lock", what="publishing"):
            self._sweep()
            looks = 0
            while True:
                pieces, looks = Pieces.of(self.lake), looks + 1
                try:
                    return self._publish(pieces)
                except (PublishError, duckdb.Error, OSError) as error:
                    if looks < _LOOKS and Pieces.of(self.lake) != pieces:
                        continue
                    if isinstance(error, PublishError):
                        raise
                    raise PublishError(
                        f"the next {self.link} could not be written: {str(error)[:500]}. The published one is "
                        "untouched; free what is short (disk, memory) and run again"
                    ) from error

    def _publish(self, pieces: Pieces) -> Published:
        """Publish these files and no others, also where more have come since: what the database notes of itself has to
        be true. Needs the lock.
        """
        state, current = _state(pieces), self.current()
        if current is not None and current.name.endswith(f"-{state}.duckdb"):
            return Published(current, False, {})
        number = int(m[1]) + 1 if current and (m := _GENERATION.fullmatch(current.name)) else 1
        target = self.generations / f"malsugoi-{number:08d}-{state}.duckdb"
        draft = target.with_name(f".{target.name}.draft")
        self.generations.mkdir(parents=True, exist_ok=True)
        try:
            orphans = self._build(draft, current, pieces)
            draft.chmod(0o444)
            _flush(draft)
            draft.replace(target)
            self._swap(target)
        finally:
            draft.unlink(missing_ok=True)
            draft.with_name(draft.name + ".wal").unlink(missing_ok=True)
        self._sweep()
        return Published(target, True, orphans)

    def _build(self, draft: Path, current: Path | None, pieces: Pieces) -> dict[str, int]:
        """Write the next database to `draft`: what stands is taken over where that can be, else all is made."""
        standing = take_over(current, draft, pieces)
        if standing is not None:
            try:
                return self._fill(draft, pieces, standing, current)
            except (ShrunkError, PublishError):
                # What breaks a declaration may be what the copy holds and does not note.
                pass
        draft.unlink(missing_ok=True)
        return self._fill(draft, pieces, Standing(), None)

    def _fill(self, draft: Path, pieces: Pieces, standing: Standing, current: Path | None) -> dict[str, int]:
        """Add to `draft` all that does not stand there. `ShrunkError` where what stands refers to what is gone."""
        with duckdb.connect(":memory:", config=duckdb_limits(self.root)) as con:
            con.execute("SET TimeZone = 'UTC'")
            # Written once, at the end: nobody opens a draft.
            con.execute("SET checkpoint_threshold = '1TiB'")
            con.execute("CREATE SCHEMA stored")
            for table in TABLES.values():
                _view(con, self.lake, table, table.name, pieces.files[table.name])
            con.execute(f"ATTACH {schema.literal(str(draft))} AS next (STORAGE_VERSION 'v1.0.0')")
            if current is not None:
                con.execute(f"ATTACH {schema.literal(str(current))} AS before (READ_ONLY)")
            published = [table for table in TABLES.values() if table.published]
            made = [table for table in published if table.name not in standing.tables]
            orphans = {
                table.name: _load(con, self.lake, table, pieces.files[table.name], standing.added.get(table.name))
                for table in published
                if table in made or table.name in standing.added
            }
            if current is not None:
                hold_on_to(con, standing)
                con.execute("DETACH before")
            con.execute("USE next")
            _describe(con, made, pieces, standing.orphans | orphans)
            changed = {table.name for table in made} | standing.added.keys()
            looked_at = [t for t in published if changed & {t.name, *mentioned(t)}]
            broken = violations(con, looked_at)
            if broken:
                raise PublishError("not published, the old database stands: " + "; ".join(broken))
            con.execute("CHECKPOINT next")
            con.execute("USE memory")
            con.execute("DETACH next")
        return {name: count for name, count in orphans.items() if count}

    def _swap(self, target: Path) -> None:
        link = self.link.with_name(f".{self.link.name}.link-{os.getpid()}")
        link.unlink(missing_ok=True)
        link.symlink_to(target.relative_to(self.root))
        link.replace(self.link)

    def _sweep(self) -> None:
        """Delete old generations but the last ones, and what killed writers and publishers left. Needs the lock."""
        self.lake.sweep()
        shutil.rmtree(spill_folder(self.root), ignore_errors=True)
        current = self.current()
        for leftover in [*self.generations.glob(".*.draft*"), *self.root.glob(f".{DATABASE}.link-*")]:
            leftover.unlink(missing_ok=True)
        for old in sorted(self.generations.glob("malsugoi-*.duckdb"))[:-_KEPT_GENERATIONS]:
            if old != current:
                old.unlink(missing_ok=True)


def _state(pieces: Pieces) -> str:
    """A hash of everything that the published file is made from."""
    declared = repr((TABLES, VIEWS))
    return hashlib.sha256(json.dumps([pieces.states, declared], sort_keys=True).encode()).hexdigest()[:12]


def _view(con: duckdb.DuckDBPyConnection, lake: Lake, table: Table, name: str, partitions: Sequence[str]) -> None:
    """Let stored.`name` be the rows of these partition files of the table."""
    if partitions:
        held = [lake.columns(table.name, p) for p in partitions]
        columns = ", ".join(
            f"{c.name if any(c.name in names for names in held) else 'NULL'}::{c.type} AS {c.name}"
            for c in table.stored_columns
        )
        listed = ", ".join(schema.literal(str(lake.path(table.name, p))) for p in partitions)
        alike = "" if len(set(map(frozenset, held))) == 1 else ", union_by_name = true"
        con.execute(f"CREATE OR REPLACE VIEW stored.{name} AS SELECT {columns} FROM read_parquet([{listed}]{alike})")
    else:
        con.execute(schema.create_table(table, "stored"))


def _load(
    con: duckdb.DuckDBPyConnection, lake: Lake, table: Table, partitions: Sequence[str], added: Sequence[str] | None
) -> int:
    """Create and fill one table with these partitions, or where it stands with those `added`; returns how many rows were
    left out because their parent is gone.
    """
    if added is None:
        con.execute(schema.create_table(table, "next"))
    if not table.partitioned:
        return _insert(con, table, f"({table.select})" if table.select else f"stored.{table.name}", None)
    left_out, places = 0, Places(con, "next")
    for group in batched_keys(partitions if added is None else added):
        _view(con, lake, table, "some_batches", group)
        left_out += _insert(con, table, "stored.some_batches", group, places)
    return left_out


def _insert(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    source: str,
    batches: Sequence[str] | None,
    places: Places | None = None,
) -> int:
    """Insert the rows of `source` that have their parents; returns how many do not."""
    names = ", ".join(f"c.{name}" for name in table.column_names)
    order = ", ".join(f"c.{name}" for name in table.sort_key)
    parents = [(_parents(r, batches, places), _same(r)) for r in table.references if not r.unnest]
    if batches is not None:
        # Partition files are sorted, and rarely hold a row without its parents: then they are copied as they are.
        counts = [count_rows(con, f"{source} c ANTI JOIN {p} ON {on}") for p, on in parents]
        if not any(counts):
            con.execute(f"INSERT INTO next.{table.name} SELECT {names} FROM {source} c")
            return 0
    joins = "".join(f" SEMI JOIN {parent} ON {on}" for parent, on in parents)
    inserted = con.execute(
        f"INSERT INTO next.{table.name} SELECT {names} FROM {source} c{joins} ORDER BY {order}"
    ).fetchone()
    if not joins or inserted is None:
        return 0
    return count_rows(con, f"{source} c") - int(inserted[0])


def _parents(reference: Reference, batches: Sequence[str] | None, places: Places | None) -> str:
    """The parents that rows may refer to; for the rows of some batches, a user's are among the same batches."""
    alias = "_".join(("p", reference.table, *reference.columns))
    where = reference.where
    if batches is not None and places is not None and "username" in reference.columns:
        where = f"({where}) AND {places.where(reference.table, batches)}"
    # What is a key already need not be made distinct.
    distinct = "" if set(TABLES[reference.table].key) <= set(reference.to) else "DISTINCT "
    return f"(SELECT {distinct}{', '.join(reference.to)} FROM next.{reference.table} WHERE {where}) {alias}"


def _same(reference: Reference) -> str:
    alias = "_".join(("p", reference.table, *reference.columns))
    pairs = zip(reference.columns, reference.to, strict=True)
    return " AND ".join(f"c.{column} = {alias}.{to}" for column, to in pairs)


def _describe(
    con: duckdb.DuckDBPyConnection, made: Sequence[Table], pieces: Pieces, orphans: Mapping[str, int]
) -> None:
    """Comments, views, and (out of people's sight) what each table was made from."""
    for table in made:
        con.execute(f"COMMENT ON TABLE {table.name} IS {schema.literal(table.comment)}")
        for column in table.columns:
            con.execute(f"COMMENT ON COLUMN {table.name}.{column.name} IS {schema.literal(column.comment)}")
    for view in VIEWS:
        con.execute(f"CREATE VIEW {view.name} AS {view.sql}")
        con.execute(f"COMMENT ON VIEW {view.name} IS {schema.literal(view.comment)}")
    con.execute("CREATE SCHEMA internal")
    con.execute("CREATE TABLE internal.made_from (table_name VARCHAR, state VARCHAR)")
    con.execute(
        "COMMENT ON TABLE internal.made_from IS 'What each table was made from: what has not changed is copied'"
    )
    con.execute("COMMENT ON COLUMN internal.made_from.table_name IS 'A table of the schema main'")
    con.execute(
        "COMMENT ON COLUMN internal.made_from.state IS 'A hash of its declaration and of all its rows come from'"
    )
    con.executemany("INSERT INTO internal.made_from VALUES (?, ?)", sorted(pieces.states.items()))
    pieces.note(con, orphans)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
