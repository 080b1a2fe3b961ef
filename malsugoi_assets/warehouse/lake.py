"""The partition files: one Parquet file a table and partition, written by rename, each knowing what it was made from.

What belongs here: writing, reading, and comparing what a file was made from with what there is now. What does not:
the database that people query (publish).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import polars as pl

from malsugoi_assets.disk import replace_file, sweep_drafts
from malsugoi_assets.warehouse.schema import conform, polars_schema
from malsugoi_assets.warehouse.tables import BATCH_PATTERN, TABLES, Table

WHOLE = "all"
"""The partition of a table that has none."""
EVERY = "*"
"""In a file's inputs: all partitions of that table."""
_METADATA_KEY = "malsugoi"


CODE_VERSIONS: dict[str, str] = {}
"""Table → version of the code that makes it, where that code is loaded (`assembly` notes it)."""
LOADED_AT = datetime.now(UTC).replace(microsecond=0)
"""When this process loaded its code, to the second as `written_at`."""


class LakeError(RuntimeError):
    """A partition file that is missing or cannot be read; says which and what to do."""


@dataclass(frozen=True)
class Provenance:
    """What a partition file is: the hash of its content, and what it was made from, by what, when.

    `inputs` maps a table's name to (partition or `EVERY`, hash of that content), `input_rows` to its rows. `added`:
    the keys of the rows that stand beside those that it was made with (`Lake.add`).
    """

    content: str
    rows: int
    code_version: str = ""
    inputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    input_rows: Mapping[str, int] = field(default_factory=dict)
    run_id: str = ""
    written_at: str = ""
    added: tuple[int, ...] = ()


@dataclass(frozen=True)
class WithAdded:
    """A table's rows, and the keys of those among them that tell nothing to what is made from the others."""

    rows: pl.DataFrame
    added: frozenset[int]


def content_hash(table: Table, frame: pl.DataFrame, added: Collection[int] = ()) -> str:
    """A hash of the conformed frame's values, without those columns that only say when, and without rows `added`."""
    steady = _without(table, frame, added).drop(table.volatile, strict=False)
    digest = hashlib.sha256(repr(steady.schema).encode())
    # Polars' row hash may change with its version; then everything merely counts as new once.
    digest.update(steady.hash_rows(seed=0).to_numpy().tobytes() if steady.height else b"")
    return digest.hexdigest()[:32]


def _without(table: Table, frame: pl.DataFrame, added: Collection[int]) -> pl.DataFrame:
    return frame.filter(~pl.col(table.key[0]).is_in(list(added))) if added else frame


class Lake:
    """The partition files under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, table: str, partition: str = WHOLE) -> Path:
        """Where the file lies. Raises `LakeError` for a partition key that is not one of ours."""
        if table not in TABLES:
            raise LakeError(f"{table}: no such table")
        wanted = BATCH_PATTERN if TABLES[table].partitioned else WHOLE
        if not re.fullmatch(wanted, partition):
            raise LakeError(f"{table}: {partition!r} is not a partition key of the form batch-000000")
        return self.root / table / f"{partition}.parquet"

    def partitions(self, table: str) -> list[str]:
        """The partitions that have a file, in canonical order; one that an older version wrote and that lacks a column
        which must be known counts as absent.
        """
        return sorted(p.stem for p in (self.root / table).glob("*.parquet") if self._is_of_today(TABLES[table], p))

    def columns(self, table: str, partition: str = WHOLE) -> set[str]:
        """The columns of a file: those declared since it was written may be missing, and are unknown then."""
        return set(_columns(path := self.path(table, partition), path.stat().st_mtime_ns))

    def _is_of_today(self, table: Table, path: Path) -> bool:
        known = {column.name for column in table.stored_columns if column.required}
        try:
            return known <= _columns(path, path.stat().st_mtime_ns)
        except FileNotFoundError:
            return False

    def write(
        self,
        table: Table,
        frame: pl.DataFrame,
        partition: str = WHOLE,
        *,
        code_version: str = "",
        inputs: Mapping[str, tuple[str, str]] | None = None,
        input_rows: Mapping[str, int] | None = None,
        run_id: str = "",
        added: Collection[int] = (),
    ) -> Provenance:
        """Write one partition, whole or not at all. `frame` must have the declared columns; `added`: see `add`."""
        path = self.path(table.name, partition)
        typed = conform(table, frame)
        provenance = Provenance(
            content=content_hash(table, typed, added),
            rows=typed.height,
            code_version=code_version,
            inputs=dict(inputs or {}),
            input_rows=dict(input_rows or {}),
            run_id=run_id,
            written_at=datetime.now(UTC).isoformat(timespec="seconds"),
            added=tuple(sorted(added)),
        )
        self._put(path, typed, provenance)
        return provenance

    def _put(self, path: Path, rows: pl.DataFrame, provenance: Provenance) -> None:
        metadata = {_METADATA_KEY: json.dumps(asdict(provenance), sort_keys=True)}
        with replace_file(path) as draft:
            rows.write_parquet(draft, compression="zstd", metadata=metadata)

    def add(self, table: Table, rows: pl.DataFrame) -> None:
        """Let these rows stand beside those that the table was made with, in place of any that were added before; a
        row whose key is taken is left out. The table has no partitions and a key of one number.

        It goes on counting as the content that it was, for rows that tell nothing to what was made from the others:
        that stays current. Raises `LakeError` where there is no file yet.
        """
        before, frame = self.provenance(table.name), self.read(table.name, [WHOLE]).collect()
        assert before is not None
        own = _without(table, frame, before.added)
        new = rows.select(own.columns).join(own, on=table.key[0], how="anti")
        typed = conform(table, pl.concat([own, new]))
        added = tuple(sorted(new[table.key[0]]))
        if added == before.added and typed.equals(frame):
            return
        # To the microsecond, since for the publisher this alone tells the file from the one before.
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        provenance = replace(before, rows=typed.height, written_at=now, added=added)
        self._put(self.path(table.name), typed, provenance)

    def remove(self, table: str, partition: str) -> None:
        """Delete one partition, where it exists."""
        self.path(table, partition).unlink(missing_ok=True)

    def read(self, table: str, partitions: Iterable[str] | None = None) -> pl.LazyFrame:
        """The rows of the given partitions (of all that exist), lazily.

        Raises `LakeError` where a partition that is asked for has no file.
        """
        wanted = self.partitions(table) if partitions is None else sorted(partitions)
        paths = [self.path(table, p) for p in wanted]
        absent = [p for p, path in zip(wanted, paths, strict=True) if not self._is_of_today(TABLES[table], path)]
        if absent:
            of = "" if absent == [WHOLE] else f" for {', '.join(absent[:5])}"
            raise LakeError(f"{table}: no data yet{of}; materialise {table} first")
        schema = polars_schema(TABLES[table])
        if not paths:
            return pl.LazyFrame(schema=schema)
        return pl.scan_parquet(paths, schema=schema, missing_columns="insert", extra_columns="ignore")

    def provenance(self, table: str, partition: str = WHOLE) -> Provenance | None:
        """What the partition's file says of itself; None where there is none (or one from elsewhere)."""
        path = self.path(table, partition)
        if not path.exists() or not self._is_of_today(TABLES[table], path):
            return None
        try:
            stored = pl.read_parquet_metadata(path).get(_METADATA_KEY)
        except FileNotFoundError:
            return None  # deleted since the look above
        except pl.exceptions.PolarsError as error:
            raise LakeError(f"{path} cannot be read ({error}); delete it and materialise {table} again") from error
        if stored is None:
            return None
        values = json.loads(stored)
        values["inputs"] = {name: tuple(pair) for name, pair in values["inputs"].items()}
        return Provenance(**values | {"added": tuple(values.get("added", ()))})

    def content(self, table: str, partition: str = EVERY) -> str | None:
        """The hash of what is there now: of one partition, or of all of them together. None = nothing."""
        if partition != EVERY:
            provenance = self.provenance(table, partition)
            return provenance.content if provenance else None
        found = {p: self.content(table, p) for p in self.partitions(table)}
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:32] if found else None

    def rows(self, table: str) -> int:
        """How many rows the table's partition files hold together."""
        found = (self.provenance(table, p) for p in self.partitions(table))
        return sum(p.rows for p in found if p)

    def is_current(self, table: str, partition: str = WHOLE) -> bool:
        """Whether the file exists and was made from what is there now, by this version of the code."""
        provenance = self.provenance(table, partition)
        if provenance is None or self.is_outdated(table, partition):
            return False
        return all(self.content(name, part) == seen for name, (part, seen) in provenance.inputs.items())

    def is_outdated(self, table: str, partition: str = WHOLE) -> bool:
        """Whether the file was made by another version of the code than the one that is loaded and makes the table.

        What was written since this process loaded its code was made by code as new at least: a daemon beside which the code was
        replaced would else ask for it for ever.
        """
        provenance = self.provenance(table, partition)
        if provenance is None or not (made_by := provenance.code_version):
            return False
        written = provenance.written_at
        since = bool(written) and datetime.fromisoformat(written) >= LOADED_AT
        return made_by != CODE_VERSIONS.get(table, made_by) and not since

    def snapshot(self) -> dict[str, dict[str, Path]]:
        """All files there are: table → partition → path."""
        return {name: {p: self.path(name, p) for p in self.partitions(name)} for name in TABLES}

    def sweep(self) -> list[Path]:
        """Delete what a killed writer left behind."""
        return sweep_drafts(self.root)


@lru_cache(maxsize=16_384)
def _columns(path: Path, changed: int) -> frozenset[str]:
    """The columns of the file as it was at `changed` (mtime). Raises `LakeError` where it cannot be read."""
    try:
        return frozenset(pl.read_parquet_schema(path))
    except pl.exceptions.PolarsError as error:
        raise LakeError(
            f"{path} cannot be read ({error}); delete it and materialise {path.parent.name} again"
        ) from error
