"""A partitioned table one batch at a time, for what is more than memory holds.

An asset that asks for `Batches` gets its input so (all batches that exist, where it has no partitions itself), and one that returns `ByBatch` is written so. Everything else
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

    def __init__(
        self,
        frames: Mapping[str, pl.LazyFrame],
        contents: Mapping[str, str] | None = None,
        content_now: Callable[[str], str | None] | None = None,
    ) -> None:
        self._frames = frames
        self.contents: Mapping[str, str] = dict(contents or {})
        """For each batch a hash of what it holds."""
        self._content_now = content_now or self.contents.get

    @classmethod
    def of(cls, lake: Lake, table: str, contents: Mapping[str, str]) -> Batches:
        """Those of the keys of `contents` (key → hash). Raises `LakeError` where one has no file."""
        frames = {key: lake.read(table, [key]) for key in contents}
        return cls(frames, contents, lambda key: lake.content(table, key))

    @property
    def version(self) -> str:
        """A hash of what all of them hold."""
        return hashlib.sha256(repr(sorted(self.contents.items())).encode()).hexdigest()[:32]

    def is_unchanged(self, key: str) -> bool:
        """Whether the batch still holds what it held at first: it may be written anew while a run reads."""
        return self._content_now(key) == self.contents[key]

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
