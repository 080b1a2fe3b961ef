"""Where each batch's rows stand in a database, so that a few batches can be looked at without reading all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from malsugoi_assets.warehouse.schema import literal

_BATCHES_AT_ONCE = 2


def batched_keys(keys: Sequence[str]) -> list[list[str]]:
    """The keys in order, some at a time."""
    ordered = sorted(keys)
    return [ordered[k : k + _BATCHES_AT_ONCE] for k in range(0, len(ordered), _BATCHES_AT_ONCE)]


class Places:
    """Where each batch's rows stand in the tables of the current database (or of `schema`).

    Rows are looked for by their place, since DuckDB's notes on what a stretch of rows holds begin with eight letters,
    which all batches share: by name alone each look at a batch would read the whole column.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, schema: str | None = None) -> None:
        row = con.execute("SELECT current_database(), current_schema()").fetchone()
        self._con = con
        self.schema = schema or ".".join(f'"{part}"' for part in row or ())
        self._found: dict[str, dict[str, tuple[int, int]]] = {}

    def of(self, table: str) -> dict[str, tuple[int, int]]:
        """Batch → its first and its last row."""
        if table not in self._found:
            rows = self._con.execute(
                f"SELECT user_batch, min(rowid), max(rowid) FROM {self.schema}.{table} GROUP BY 1 ORDER BY 1"
            ).fetchall()
            self._found[table] = {str(batch): (first, last) for batch, first, last in rows}
        return self._found[table]

    def where(self, table: str, batches: Sequence[str]) -> str:
        """The condition that is true of the batches' rows."""
        spans = [self.of(table)[batch] for batch in batches if batch in self.of(table)]
        if not spans:
            return "false"
        listed = ", ".join(map(literal, batches))
        first, last = min(first for first, _ in spans), max(last for _, last in spans)
        return f"rowid BETWEEN {first} AND {last} AND user_batch IN ({listed})"


@contextmanager
def only(
    con: duckdb.DuckDBPyConnection, places: Places, batches: Sequence[str], names: Sequence[str]
) -> Iterator[None]:
    """Let the tables `names` show these batches only, by views of their names before them."""
    for name in names:
        where = places.where(name, batches)
        con.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM {places.schema}.{name} WHERE {where}")
    try:
        yield
    finally:
        for name in names:
            con.execute(f"DROP VIEW temp.{name}")
