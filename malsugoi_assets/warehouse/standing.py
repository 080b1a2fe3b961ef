"""What of the current generation stands in the next one, so that one more list does not cost the building of all.

A copy keeps what was deleted from it in its free blocks. So it is made only where of the tables about people none loses
anything: they stay as they are, or batches are added behind those that they have; `users` may be made anew as long as
everybody who was in it is in it still. Other tables may be dropped and made anew.

A table stays though the tables that it refers to grow, if none of its rows was left out before for want of a parent; that its
parents did not lose any is seen when they are made (`hold_on_to`).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from malsugoi_assets.warehouse.lake import Lake
from malsugoi_assets.warehouse.tables import TABLES, Reference, Table

ALONE = ""
"""Stands for a table without its partitions and without its parents."""


class ShrunkError(RuntimeError):
    """What stands refers to something that is there no more."""


@dataclass(frozen=True)
class Pieces:
    """What the published tables are made from, by one look at the files: what is written later is for the next generation.

    `files`: by table, published or not, the partitions that there are. The others are hashes. `states`: by table, of all
    that its rows come from: its declaration, its own partition files, those that it selects from, and the tables that it
    refers to; `alone`: by table, without the latter, and without the files of a table in batches; `parts`: by table in
    batches, of each batch's file.
    """

    files: dict[str, list[str]]
    states: dict[str, str]
    alone: dict[str, str]
    parts: dict[str, dict[str, str]]

    @classmethod
    def of(cls, lake: Lake) -> Pieces:
        """What the next generation will be made from."""
        files = {
            name: {
                partition: (provenance.content, provenance.written_at)
                if (provenance := lake.provenance(name, partition))
                else None  # from elsewhere, or just gone
                for partition in partitions
            }
            for name, partitions in lake.snapshot().items()
        }
        found = cls({name: sorted(partitions) for name, partitions in files.items()}, {}, {}, {})
        for table in TABLES.values():
            if not table.published:
                continue
            selected = [files[name] for name in re.findall(r"stored\.(\w+)", table.select or "")]
            parents = {r.table: found.states[r.table] for r in table.references if not r.unnest}
            found.states[table.name] = _hash([repr(table), [files[table.name], *selected], parents])
            own = {} if table.partitioned else files[table.name]
            found.alone[table.name] = _hash([repr(table), [own, *selected]])
            if table.partitioned:
                found.parts[table.name] = {key: _hash(made) for key, made in files[table.name].items()}
        return found

    def note(self, con: duckdb.DuckDBPyConnection, orphans: Mapping[str, int]) -> None:
        """Keep in the current database what it is made from, and how many rows of each table were left out as orphans."""
        con.execute(
            "CREATE TABLE internal.pieces (table_name VARCHAR, partition VARCHAR, state VARCHAR, orphans BIGINT)"
        )
        con.execute("COMMENT ON TABLE internal.pieces IS 'What each table was made from, batch by batch'")
        for column, comment in (
            ("table_name", "A table of the schema main"),
            ("partition", "One of its batches, or nothing: what is not in batches"),
            ("state", "A hash of the declaration and of the files"),
            ("orphans", "Rows of the table that were left out for want of what they refer to"),
        ):
            con.execute(f"COMMENT ON COLUMN internal.pieces.{column} IS '{comment}'")
        rows: list[tuple[str, str, str, int | None]] = [
            (name, ALONE, state, orphans.get(name, 0)) for name, state in sorted(self.alone.items())
        ]
        rows += [
            (name, key, state, None) for name, parts in self.parts.items() for key, state in sorted(parts.items())
        ]
        con.executemany("INSERT INTO internal.pieces VALUES (?, ?, ?, ?)", rows)


@dataclass(frozen=True)
class Standing:
    """What a copy holds already.

    `tables`: that stand; `added`: by name of some of them the batches that are to be added; `orphans`: by table, rows that
    were left out; `if_all`: references of what stands to tables that are made anew, all of whose former values have to be
    there again.
    """

    tables: frozenset[str] = frozenset()
    added: dict[str, list[str]] = field(default_factory=dict)
    orphans: dict[str, int] = field(default_factory=dict)
    if_all: tuple[Reference, ...] = ()


def take_over(current: Path | None, draft: Path, pieces: Pieces) -> Standing | None:
    """Copy the current generation to `draft`, without the tables that are to be made anew; None, and nothing is copied, where
    the copy would keep rows of people that are no longer to be there, or little would stand.
    """
    if current is None:
        return None
    with duckdb.connect(str(current), read_only=True) as con:
        sizes = dict(
            con.execute(
                "SELECT table_name, estimated_size FROM duckdb_tables() WHERE schema_name = 'main'"
            ).fetchall()
        )
        internal = {
            row[0]
            for row in con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'internal'").fetchall()
        }
        if not {"made_from", "pieces"} <= internal or sizes.keys() - TABLES.keys():
            return None
        states = dict(con.execute("FROM internal.made_from").fetchall())
        noted = con.execute("FROM internal.pieces").fetchall()
    standing = _standing(sizes, states, noted, pieces)
    people = {t.name for t in TABLES.values() if t.partitioned or "username" in t.column_names}
    gone = sizes.keys() - standing.tables
    if not standing.tables & people or any(sizes[name] for name in gone & (people - {"users"})):
        return None
    shutil.copyfile(current, draft)
    with duckdb.connect(str(draft)) as con:
        for name in gone:
            con.execute(f'DROP TABLE "{name}"')
        for view in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            con.execute(f'DROP VIEW "{view[0]}"')
        con.execute("DROP SCHEMA internal CASCADE")
        con.execute("CHECKPOINT")
    return standing


def hold_on_to(con: duckdb.DuckDBPyConnection, standing: Standing) -> None:
    """Raise `ShrunkError` where a value of `before` that what stands refers to is missing in `next`."""
    for reference in {*standing.if_all, Reference((), "users", ("username",))}:
        columns, where = ", ".join(reference.to), reference.where
        left = con.execute(
            f"SELECT count(*) FROM (SELECT {columns} FROM before.{reference.table} WHERE {where} "
            f"EXCEPT SELECT {columns} FROM next.{reference.table} WHERE {where})"
        ).fetchone()
        if left and left[0]:
            raise ShrunkError(f"{left[0]} of {reference.table} are there no more")


def _standing(
    sizes: Mapping[str, int], states: Mapping[str, str], noted: list[tuple[Any, ...]], pieces: Pieces
) -> Standing:
    """What stands, by what the current generation says it was made from."""
    alone = {name: state for name, key, state, _ in noted if key == ALONE}
    orphans = {name: int(count) for name, key, _, count in noted if key == ALONE}
    tables: set[str] = set()
    added: dict[str, list[str]] = {}
    if_all: list[Reference] = []
    for table in (t for t in TABLES.values() if t.published and t.name in sizes):
        name = table.name
        if states.get(name) == pieces.states[name]:
            tables.add(name)
            continue
        before = {key: state for other, key, state, _ in noted if other == name and key != ALONE}
        new = _added(table, before, pieces)
        if alone.get(name) != pieces.alone[name] or new is None or orphans[name]:
            continue
        tables.add(name)
        if_all += [r for r in table.references if not r.unnest and r.table not in tables]
        if new:
            added[name] = new
    return Standing(frozenset(tables), added, {n: orphans[n] for n in tables}, tuple(if_all))


def _added(table: Table, before: Mapping[str, str], pieces: Pieces) -> list[str] | None:
    """The batches behind those that there were; None where one of these is not what it was."""
    if not table.partitioned:
        return []
    now = pieces.parts[table.name]
    new = sorted(now.keys() - before.keys())
    if any(now.get(key) != state for key, state in before.items()):
        return None
    return None if new and before and new[0] <= max(before) else new


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
