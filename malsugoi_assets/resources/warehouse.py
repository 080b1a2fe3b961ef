"""The published database as dagster-duckdb's resource: read-only, the generation of the moment, times in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource

from malsugoi_assets.warehouse.data_dir import DataDir


class Warehouse(DuckDBResource):
    """`get_connection()` opens the published database; nobody writes through it (assets return frames instead)."""

    data_dir: str

    @property
    def dir(self) -> DataDir:
        """The data dir that the database belongs to."""
        return DataDir(Path(self.data_dir))

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection to the published state; it keeps that state however long it stays open."""
        # By the generation's own name: DuckDB caches open files by name, and the link would give the old one.
        path = self.dir.publisher.current()
        if path is None:
            raise dg.Failure(f"{self.database}: nothing is published yet; materialise an asset first")
        with duckdb.connect(str(path), read_only=True, config=dict(self.connection_config)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
