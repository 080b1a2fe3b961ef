"""A partitioned table one batch at a time, for what is more than memory holds.

An asset that asks for `Batches` gets its input so, and one that returns `ByBatch` is written so. Everything else
handles all batches of a run in one frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from malsugoi_assets.warehouse.lake import Lake


class Batches(Mapping[str, pl.LazyFrame]):
    """The batches of a stored table that a run works on: key → rows, each read when it is asked for."""

    def __init__(self, frames: Mapping[str, pl.LazyFrame], version: str = "") -> None:
        self._frames = frames
        self.version = version
        """A hash of what all of them hold."""

    @classmethod
    def of(cls, lake: Lake, table: str, contents: Mapping[str, str]) -> Batches:
        """Those of the keys of `contents` (key → hash). Raises `LakeError` where one has no file."""
        frames = {key: lake.read(table, [key]) for key in contents}
        return cls(frames, hashlib.sha256(repr(sorted(contents.items())).encode()).hexdigest()[:32])

    def __getitem__(self, key: str) -> pl.LazyFrame:
        return self._frames[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)


@dataclass(frozen=True)
class ByBatch:
    """The rows of a partitioned table, made as they are written.

    `make(key)`: the frames of one batch, the table's own and those of its companions. `summary()`: metadata, asked for
    when all of them are written.
    """

    make: Callable[[str], Mapping[str, pl.DataFrame]]
    summary: Callable[[], Mapping[str, Any]] = dict
