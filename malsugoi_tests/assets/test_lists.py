"""Which lists an asset learns from, where not from all."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from malsugoi_assets.assets import lists
from malsugoi_assets.assets.lists import held_out, rows_of, some_batches
from malsugoi_assets.warehouse.batches import Batches
from malsugoi_tests.warehouse.frames import frame


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


def test_where_no_list_was_read_a_sentence_says_so() -> None:
    """A folder whose ratings had no row ended in "cannot concat empty list"."""
    titles, relations = frame("anime_features").lazy(), frame("anime_relations").lazy()
    with pytest.raises(dg.Failure, match="Nobody's list is there to learn from"):
        held_out(Batches({}), titles, relations)


def test_what_is_held_out_of_many_batches_is_held_out_of_some_of_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rating that a build on few batches never saw, no build on all of them sees."""
    frames = {
        f"batch-{n:06}": pl.LazyFrame(
            {"username": [f"user {n}"] * 30, "anime_id": range(1, 31), "score": [1 + i % 10 for i in range(30)]}
        )
        for n in range(6)
    }
    titles = frame("anime_features", *({"anime_id": i, "title": f"T{i}"} for i in range(1, 31))).lazy()
    relations = frame("anime_relations").lazy()
    every, words = held_out(Batches(frames), titles, relations)
    assert words == "6 of 6 batches"
    assert len(every.train) + len(every.rating) == 180
    monkeypatch.setattr(lists, "MOST_LEARNT", 70)
    some, words = held_out(Batches(frames), titles, relations)
    assert words == "2 of 6 batches"
    chosen = [int(key[-1]) for key in some_batches(Batches(frames), 70)]
    of_all = [sorted(every.item[every.user == user].tolist()) for user in chosen]
    assert [sorted(some.item[some.user == user].tolist()) for user in range(2)] == of_all
