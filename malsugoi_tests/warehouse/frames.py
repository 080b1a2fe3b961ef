"""Small frames of the tables, for the tests of the warehouse."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.schema import polars_schema
from malsugoi_assets.warehouse.tables import TABLES

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def frame(table: str, *rows: dict[str, object]) -> pl.DataFrame:
    """Rows of a table; columns that are left out are NULL."""
    schema = polars_schema(TABLES[table])
    return pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema)


def write_lists(data_dir: DataDir, batch: str, lists: dict[str, dict[int, int | None]]) -> None:
    """Users of one batch with their lists (anime_id → score), and the ratings among them."""
    known = data_dir.lake.read("users").collect()
    new = frame("users", *({"username": n, "user_batch": batch, "discovered_at": NOON} for n in lists))
    data_dir.lake.write(TABLES["users"], pl.concat([known.filter(pl.col("user_batch") != batch), new]))
    write_lists_of_known(data_dir, batch, lists)


def write_lists_of_known(data_dir: DataDir, batch: str, lists: dict[str, dict[int, int | None]]) -> None:
    """The same for users who stand among the users already."""
    entries = [
        {
            "user_batch": batch,
            "username": name,
            "anime_id": i,
            "title": f"Title {i}",
            "score": score,
            "status": "completed",
        }
        for name, listed in lists.items()
        for i, score in listed.items()
    ]
    lake = data_dir.lake
    outcomes = (
        {"user_batch": batch, "username": n, "list_status": "ok" if e else "private"} for n, e in lists.items()
    )
    lake.write(TABLES["list_outcomes"], frame("list_outcomes", *outcomes), batch)
    lake.write(TABLES["user_lists"], frame("user_lists", *entries), batch)
    rated = ({**e, "rating": e["score"]} for e in entries if e["score"] is not None)
    lake.write(TABLES["rating_matrix"], frame("rating_matrix", *rated), batch)


def rows(data_dir: DataDir, sql: str) -> list[tuple[object, ...]]:
    """Query the published database as a stranger would: by its name."""
    import duckdb

    with duckdb.connect(str(Path(data_dir.publisher.link).resolve()), read_only=True) as con:
        return con.execute(sql).fetchall()
