"""Which rows of a database break a declaration: what the publisher looks at before the swap, and the checks at rest."""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

from malsugoi_assets.warehouse import schema
from malsugoi_assets.warehouse.places import Places, batched_keys, only
from malsugoi_assets.warehouse.tables import TABLES, Rule, Table


def violations(
    con: duckdb.DuckDBPyConnection,
    tables: Sequence[Table],
    *,
    at_rest: bool = False,
    batches: Sequence[str] | None = None,
) -> list[str]:
    """Each broken rule of the tables in the current database: what must hold, and how many rows do not.

    What loading left out need not be looked for: of the references only those within lists of structs are. `at_rest`
    looks instead at the rules that may be broken while a run is between two tables, and that the publisher therefore
    did not look at; `batches` looks only at the rows of these batches' users (other batches may be between two tables
    just then). Rules about people are looked at for some batches at a time: a user is in one batch, so no rule
    reaches across.
    """
    found: dict[str, int] = {}
    places = Places(con)
    for table in tables:
        loaded = {schema.orphans(table, r) for r in table.references if not r.unnest}
        rules = [r for r in schema.rules(table) if r.at_rest == at_rest and r.sql not in loaded]
        apart = {schema.orphans(table, r) for r in table.references if "username" not in r.columns}
        if not table.partitioned:
            _count(con, table, rules, found)
            continue
        keys = list(places.of(table.name)) if batches is None else list(batches)
        together = [t.name for t in TABLES.values() if t.published and (t.partitioned or t.name == "users")]
        narrowed = [name for name in together if name in {table.name, *mentioned(table)}]
        for group in batched_keys(keys):
            with only(con, places, group, narrowed):
                _count(con, table, [rule for rule in rules if rule.sql not in apart], found)
            across = [rule for rule in rules if rule.sql in apart]
            if across:
                with only(con, places, group, [table.name]):
                    _count(con, table, across, found)
    return [f"{name} ({rows} rows do not)" for name, rows in found.items()]


def mentioned(table: Table) -> set[str]:
    """The tables that the table's references and rules look at."""
    words = set(re.findall(r"\w+", " ".join(rule.sql for rule in schema.rules(table))))
    return words & TABLES.keys()


def _count(con: duckdb.DuckDBPyConnection, table: Table, rules: Sequence[Rule], found: dict[str, int]) -> None:
    """Add the rows that break each rule to `found`; conditions on single rows are looked at together."""
    start = f"{table.name} WHERE "
    simple = [rule for rule in rules if rule.sql.startswith(start)]
    counted: list[int] = []
    if simple:
        columns = ", ".join(f"count(*) FILTER ({rule.sql.removeprefix(start)})" for rule in simple)
        counted = list(con.execute(f"SELECT {columns} FROM {table.name}").fetchone() or ())
    others = [rule for rule in rules if rule not in simple]
    for rule in others:
        holds = rule.sure_unless is not None and count_rows(con, rule.sure_unless) == 0
        counted.append(0 if holds else count_rows(con, rule.sql))
    for rule, rows in zip([*simple, *others], counted, strict=True):
        if rows:
            found[rule.name] = found.get(rule.name, 0) + rows


def count_rows(con: duckdb.DuckDBPyConnection, source: str) -> int:
    """How many rows the FROM clause `source` yields."""
    row = con.execute(f"SELECT count(*) FROM {source}").fetchone()
    return int(row[0]) if row else 0
