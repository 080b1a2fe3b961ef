"""Which lists an asset learns from, where not from all."""

from __future__ import annotations

import polars as pl

from malsugoi_assets.assets.lists import rows_of, some_batches
from malsugoi_assets.warehouse.batches import Batches


def batches(sizes: list[int]) -> Batches:
    return Batches({f"batch-{n:06}": pl.LazyFrame({"anime_id": range(size)}) for n, size in enumerate(sizes)})


def test_all_batches_are_taken_where_they_are_not_too_many() -> None:
    few = batches([3, 4, 0])
    assert rows_of(few) == 7
    assert some_batches(few, 7) == sorted(few)


def test_of_many_as_many_are_taken_as_fit_and_one_at_least() -> None:
    many = batches([10] * 40)
    chosen = some_batches(many, 95)
    assert len(chosen) == 9
    assert len(some_batches(many, 3)) == 1


def test_a_new_batch_hardly_changes_which_are_taken() -> None:
    before, after = (set(some_batches(batches([10] * n), 200)) for n in (40, 41))
    assert len(before - after) <= 1
