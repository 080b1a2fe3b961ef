"""The database that people query: built anew from the partition files beside the old one, checked, then swapped in.

`malsugoi.duckdb` is a link to the current generation. A reader that has the old one open keeps its snapshot; one
that opens the link sees exactly one published state; nobody's read-write session can touch what is published.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from malsugoi_assets.disk import file_lock
from malsugoi_assets.warehouse import schema
from malsugoi_assets.warehouse.lake import Lake
from malsugoi_assets.warehouse.limits import duckdb_limits
from malsugoi_assets.warehouse.tables import TABLES, VIEWS, Reference, Table

DATABASE = "malsugoi.duckdb"
_GENERATION = re.compile(r"malsugoi-(\d{8})-[0-9a-f]{12}\.duckdb")
_KEPT_GENERATIONS = 2


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

    def publish(self) -> Published:
        """Bring the database up to date with the lake; one publisher at a time, the others wait.

        Raises `PublishError` where the result breaks a declaration or cannot be written; nothing changes then.
        """
        with file_lock(self.root / "locks" / "publish.lock", what="publishing"):
            self._sweep()
            state = self._state()
            current = self.current()
            if current is not None and current.name.endswith(f"-{state}.duckdb"):
                return Published(current, False, {})
            number = int(m[1]) + 1 if current and (m := _GENERATION.fullmatch(current.name)) else 1
            target = self.generations / f"malsugoi-{number:08d}-{state}.duckdb"
            draft = target.with_name(f".{target.name}.draft")
            self.generations.mkdir(parents=True, exist_ok=True)
            try:
                orphans = self._build(draft)
                draft.chmod(0o444)
                _flush(draft)
                draft.replace(target)
                self._swap(target)
            except (duckdb.Error, OSError) as error:
                raise PublishError(
                    f"the next {self.link} could not be written: {str(error)[:500]}. The published one is untouched; "
                    "free what is short (disk, memory) and run again"
                ) from error
            finally:
                draft.unlink(missing_ok=True)
                draft.with_name(draft.name + ".wal").unlink(missing_ok=True)
            self._sweep()
            return Published(target, True, orphans)

    def _state(self) -> str:
        """A hash of everything that the published file is made from."""
        contents = {
            f"{name}/{partition}": (provenance.content, provenance.written_at)
            for name, partitions in self.lake.snapshot().items()
            for partition in partitions
            if (provenance := self.lake.provenance(name, partition))
        }
        declared = repr((TABLES, VIEWS))
        return hashlib.sha256(json.dumps([contents, declared], sort_keys=True).encode()).hexdigest()[:12]

    def _build(self, draft: Path) -> dict[str, int]:
        draft.unlink(missing_ok=True)
        with duckdb.connect(":memory:", config=duckdb_limits(self.root)) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute("CREATE SCHEMA stored")
            for table in TABLES.values():
                files = [str(self.lake.path(table.name, p)) for p in self.lake.partitions(table.name)]
                columns = ", ".join(f"{c.name}::{c.type} AS {c.name}" for c in table.stored_columns)
                if files:
                    listed = ", ".join(map(schema.literal, files))
                    con.execute(f"CREATE VIEW stored.{table.name} AS SELECT {columns} FROM read_parquet([{listed}])")
                else:
                    con.execute(schema.create_table(table, "stored"))
            con.execute(f"ATTACH {schema.literal(str(draft))} AS next (STORAGE_VERSION 'v1.0.0')")
            orphans = {table.name: _load(con, table) for table in TABLES.values() if table.published}
            con.execute("USE next")
            _describe(con)
            broken = violations(con, [t for t in TABLES.values() if t.published])
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
        current = self.current()
        for leftover in [*self.generations.glob(".*.draft*"), *self.root.glob(f".{DATABASE}.link-*")]:
            leftover.unlink(missing_ok=True)
        for old in sorted(self.generations.glob("malsugoi-*.duckdb"))[:-_KEPT_GENERATIONS]:
            if old != current:
                old.unlink(missing_ok=True)


def violations(
    con: duckdb.DuckDBPyConnection,
    tables: Sequence[Table],
    *,
    at_rest: bool = False,
    batches: Sequence[str] | None = None,
) -> list[str]:
    """Each broken rule of the tables in the current database: what must hold, and how many rows do not.

    `at_rest` adds the rules that may be broken while a run is between two tables; `batches` looks only at the rows
    of these batches' users (other batches may be between two tables just then).
    """
    broken = []
    for table in tables:
        for rule in schema.rules(table):
            if rule.at_rest and not at_rest:
                continue
            sql, values = f"SELECT count(*) FROM {rule.sql}", []
            if batches is not None and table.partitioned:
                sql = (
                    f"SELECT count(*) FROM (SELECT * FROM {rule.sql}) WHERE username IN "
                    "(SELECT username FROM users WHERE user_batch IN (SELECT unnest(?)))"
                )
                values = [list(batches)]
            row = con.execute(sql, values).fetchone()
            if row and row[0]:
                broken.append(f"{rule.name} ({row[0]} rows do not)")
    return broken


def _load(con: duckdb.DuckDBPyConnection, table: Table) -> int:
    """Create and fill one table; returns how many rows were left out because their parent is gone."""
    con.execute(schema.create_table(table, "next"))
    source = f"({table.select})" if table.select else f"stored.{table.name}"
    joins = "".join(f" SEMI JOIN {_parents(r)} ON {_same(r)}" for r in table.references if not r.unnest)
    names = ", ".join(f"c.{name}" for name in table.column_names)
    order = ", ".join(f"c.{name}" for name in table.sort_key)
    inserted = con.execute(
        f"INSERT INTO next.{table.name} SELECT {names} FROM {source} c{joins} ORDER BY {order}"
    ).fetchone()
    if not joins or inserted is None:
        return 0
    total = con.execute(f"SELECT count(*) FROM {source} c").fetchone()
    return int(total[0]) - int(inserted[0]) if total else 0


def _parents(reference: Reference) -> str:
    alias = "_".join(("p", reference.table, *reference.columns))
    return f"(SELECT DISTINCT {', '.join(reference.to)} FROM next.{reference.table} WHERE {reference.where}) {alias}"


def _same(reference: Reference) -> str:
    alias = "_".join(("p", reference.table, *reference.columns))
    pairs = zip(reference.columns, reference.to, strict=True)
    return " AND ".join(f"c.{column} = {alias}.{to}" for column, to in pairs)


def _describe(con: duckdb.DuckDBPyConnection) -> None:
    for table in TABLES.values():
        if table.published:
            con.execute(f"COMMENT ON TABLE {table.name} IS {schema.literal(table.comment)}")
            for column in table.columns:
                con.execute(f"COMMENT ON COLUMN {table.name}.{column.name} IS {schema.literal(column.comment)}")
    for view in VIEWS:
        con.execute(f"CREATE VIEW {view.name} AS {view.sql}")
        con.execute(f"COMMENT ON VIEW {view.name} IS {schema.literal(view.comment)}")


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
