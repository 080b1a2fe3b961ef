"""Partition files: whole or absent, and aware of what they were made from."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.lake import EVERY, Lake, LakeError
from malsugoi_assets.warehouse.standing import Pieces
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import NOON, frame, rows, write_lists

RATINGS = TABLES["rating_matrix"]


def rating(batch: str = "batch-000000", username: str = "ann", anime_id: int = 1, score: int = 7) -> pl.DataFrame:
    return frame("rating_matrix", {"user_batch": batch, "username": username, "anime_id": anime_id, "rating": score})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_what_is_written_is_read_again(lake: Lake) -> None:
    lake.write(RATINGS, rating(), "batch-000000")
    lake.write(RATINGS, rating("batch-000001", "bob"), "batch-000001")
    assert lake.read("rating_matrix").collect()["username"].to_list() == ["ann", "bob"]
    assert lake.read("rating_matrix", ["batch-000001"]).collect()["username"].to_list() == ["bob"]


def test_a_partition_that_is_not_there_is_named_with_what_to_do(lake: Lake) -> None:
    with pytest.raises(LakeError, match="no data yet for batch-000007; materialise rating_matrix first"):
        lake.read("rating_matrix", ["batch-000007"])


@pytest.mark.parametrize("key", ["", "../../x", "batch-1", "batch-0000000", "all", "batch-000000/.."])
def test_a_partition_key_never_becomes_a_path_of_its_own(lake: Lake, key: str) -> None:
    with pytest.raises(LakeError, match="not a partition key"):
        lake.path("rating_matrix", key)


def test_the_content_hash_is_the_same_for_the_same_rows_in_any_order(lake: Lake) -> None:
    both = pl.concat([rating(anime_id=2), rating(anime_id=1)])
    assert (
        lake.write(RATINGS, both, "batch-000000").content == lake.write(RATINGS, both[::-1], "batch-000000").content
    )


def test_the_content_hash_does_not_see_when_something_was_fetched(lake: Lake) -> None:
    user = {"username": "ann", "user_batch": "batch-000000", "discovered_at": NOON}
    first = lake.write(TABLES["users"], frame("users", user))
    second = lake.write(TABLES["users"], frame("users", {**user, "discovered_at": NOON.replace(hour=13)}))
    assert first.content == second.content


def test_rows_that_are_added_make_nothing_old_and_are_published(lake: Lake) -> None:
    features, ratings = TABLES["anime_features"], rating()
    lake.write(features, frame("anime_features", {"anime_id": 2}), code_version="7")
    content = lake.content("anime_features", "all") or ""
    lake.write(RATINGS, ratings, "batch-000000", inputs={"anime_features": ("all", content)})
    state = Pieces.of(lake).states
    lake.add(features, frame("anime_features", {"anime_id": 1}))
    assert lake.read("anime_features").collect()["anime_id"].to_list() == [1, 2]
    assert lake.rows("anime_features") == 2
    assert lake.is_current("rating_matrix", "batch-000000")
    assert Pieces.of(lake).states["anime_features"] != state["anime_features"]
    assert Pieces.of(lake).states["users"] == state["users"]


def test_rows_that_are_added_replace_those_that_were_and_no_others(lake: Lake) -> None:
    features = TABLES["anime_features"]
    own = {"anime_id": 2, "title": "B"}
    content = lake.write(features, frame("anime_features", own)).content
    lake.add(features, frame("anime_features", {"anime_id": 1, "title": "A"}, {"anime_id": 2}))
    # To write both at once comes to the same.
    both = lake.write(features, frame("anime_features", {"anime_id": 1, "title": "A"}, own), added={1})
    assert (both.content, both.rows) == (content, 2)
    lake.add(features, frame("anime_features", {"anime_id": 3}))
    assert lake.read("anime_features").select("anime_id", "title").collect().rows() == [(2, "B"), (3, None)]
    state = Pieces.of(lake).states
    lake.add(features, frame("anime_features", {"anime_id": 3}))
    assert Pieces.of(lake).states == state
    lake.add(features, frame("anime_features"))
    assert lake.read("anime_features").collect().equals(frame("anime_features", own))
    assert lake.content("anime_features", "all") == content


def test_a_file_is_current_until_what_it_was_made_from_changes(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("malsugoi_assets.warehouse.lake.CODE_VERSIONS", {})
    lake.write(RATINGS, rating(), "batch-000000")
    seen = {"rating_matrix": (EVERY, lake.content("rating_matrix") or "")}
    lake.write(TABLES["title_baselines"], frame("title_baselines"), inputs=seen)
    assert lake.is_current("title_baselines")
    lake.write(RATINGS, rating("batch-000001", "bob"), "batch-000001")
    assert not lake.is_current("title_baselines")


def test_a_draft_of_a_killed_writer_is_swept_and_a_living_one_is_not(lake: Lake) -> None:
    lake.write(RATINGS, rating(), "batch-000000")
    folder = lake.path("rating_matrix", "batch-000000").parent
    dead, living = folder / ".x.parquet.draft-999999999", folder / f".x.parquet.draft-{os.getpid()}"
    dead.touch()
    living.touch()
    assert lake.sweep() == [dead]
    assert living.exists()


def test_a_broken_file_is_named_with_what_to_do(lake: Lake) -> None:
    lake.write(RATINGS, rating(), "batch-000000")
    lake.path("rating_matrix", "batch-000000").write_bytes(b"not parquet")
    with pytest.raises(LakeError, match=r"batch-000000.parquet cannot be read .* materialise rating_matrix again"):
        lake.provenance("rating_matrix", "batch-000000")


def written_before(lake: Lake, table: str, row: dict[str, object], *columns: str) -> None:
    """A file as an older version wrote it, without these columns."""
    lake.write(TABLES[table], frame(table, row))
    path = lake.path(table)
    metadata = pl.read_parquet_metadata(path)
    older = pl.read_parquet(path).drop(*columns)
    older.write_parquet(path, metadata={"malsugoi": metadata["malsugoi"]})


BASELINE = {"anime_id": 1, "ratings": 3, "mean": 7.0, "shrunk_mean": 6.9, "bias": 0.1, "global_mean": 7.0}


def test_what_an_older_version_did_not_know_is_unknown(lake: Lake) -> None:
    written_before(lake, "title_baselines", {**BASELINE, "effect": 0.5}, "effect", "listing")
    assert lake.read("title_baselines").select("anime_id", "effect", "listing").collect().rows() == [(1, None, None)]
    assert lake.is_current("title_baselines")


def test_an_older_file_without_what_must_be_known_counts_as_absent(lake: Lake) -> None:
    written_before(lake, "title_baselines", BASELINE, "bias")
    assert lake.partitions("title_baselines") == []
    assert lake.provenance("title_baselines") is None
    with pytest.raises(LakeError, match="materialise title_baselines first"):
        lake.read("title_baselines", ["all"])


@pytest.mark.parametrize("columns", [["effect"], ["bias"]])
def test_the_database_is_published_with_files_of_an_older_version(tmp_path: Path, columns: list[str]) -> None:
    data_dir = DataDir(tmp_path)
    write_lists(data_dir, "batch-000000", {"ann": {1: 7}})
    written_before(data_dir.lake, "title_baselines", {**BASELINE, "effect": 0.5}, *columns)
    data_dir.publisher.publish()
    shown = rows(data_dir, "SELECT anime_id, effect FROM title_baselines")
    assert shown == ([(1, None)] if columns == ["effect"] else [])
