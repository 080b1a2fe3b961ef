"""A build that lost what the last one had is stopped before it is published, and says what it lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from malsugoi_assets.resources.imported import ImportedLists
from malsugoi_assets.settings import SettingsError
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.guards import GUARDS, GuardError, accepted_tables, check, losses, missing_declarations
from malsugoi_assets.warehouse.io_manager import LakeIOManager
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import frame, rows, write_lists


def titles(count: int = 100, first: int = 1, **more: Any) -> pl.DataFrame:
    filled = {"title": "A", "score": 7.5, "genres": ["Drama"], "synonyms": [], **more}
    return frame("anime_features", *({"anime_id": i, **filled} for i in range(first, first + count)))


def features_of(data_dir: Path, made: pl.DataFrame, accepted: list[str] | None = None) -> dg.ExecuteInProcessResult:
    @dg.asset(io_manager_key="lake", name="anime_features")
    def anime_features() -> pl.DataFrame:
        return made

    manager = LakeIOManager(data_dir=str(data_dir), accepted_changes=accepted or [])
    return dg.materialize([anime_features], resources={"lake": manager}, raise_on_error=False)


def reason(result: dg.ExecuteInProcessResult) -> str:
    (failure,) = (event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert failure.error is not None
    return str(failure.error.message)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (titles(score=None), "score: 0 of the 100 rows that had one still have, at least 80% must"),
        (titles(genres=[]), "genres: 0 of the 100"),
        (titles(89), "89 of 100 titles are left, at least 90% must be"),
        (titles(100, first=50), "51 of 100 titles are left"),
        (titles(0), "0 of 100 titles are left"),
    ],
    ids=["scores", "genres", "shorter", "others", "none"],
)
def test_a_build_that_lost_much_is_not_published_and_says_why(tmp_path: Path, made: pl.DataFrame, words: str) -> None:
    data_dir = DataDir(tmp_path)
    assert features_of(tmp_path, titles()).success
    before = data_dir.publisher.current(), data_dir.lake.provenance("anime_features")
    result = features_of(tmp_path, made)
    assert not result.success
    assert words in reason(result)
    assert "the last state stands" in reason(result)
    assert "MALSUGOI_ACCEPT_CHANGES=anime_features" in reason(result)
    assert (data_dir.publisher.current(), data_dir.lake.provenance("anime_features")) == before
    assert rows(data_dir, "SELECT count(*), count(score) FROM anime_features") == [(100, 100)]


@pytest.mark.parametrize("accepted", ["anime_features", "all"])
def test_a_loss_that_is_accepted_is_published_and_noted(tmp_path: Path, accepted: str) -> None:
    features_of(tmp_path, titles())
    result = features_of(tmp_path, titles(score=None), [accepted])
    assert result.success
    (noted,) = (m.metadata["accepted_losses"].value for m in result.asset_materializations_for_node("anime_features"))
    assert "score: 0 of the 100" in str(noted)
    assert rows(DataDir(tmp_path), "SELECT count(score) FROM anime_features") == [(0,)]


@pytest.mark.parametrize(
    "made",
    [
        titles(91),
        pl.concat([titles(81), titles(19, first=82, score=None)]),
        pl.concat([titles(), titles(900, first=101, score=None, genres=[], title=None)]),
    ],
    ids=["a few titles fewer", "a few scores fewer", "ten times as many, the new ones empty"],
)
def test_what_a_catalogue_loses_or_gains_of_itself_passes(made: pl.DataFrame) -> None:
    assert check("anime_features", titles(), made) == []


def test_too_few_prove_nothing() -> None:
    assert check("anime_features", titles(19), titles(0)) == []


def test_what_was_empty_before_may_stay_so() -> None:
    assert losses(GUARDS["anime_features"], titles(score=None), titles(score=None)) == []


def test_one_user_who_closes_a_long_list_stops_nothing_half_of_a_batch_does() -> None:
    """A private list loses its rows for good reason; that must never look like a broken parser."""

    def lists(users: int, score: int | None = 7) -> pl.DataFrame:
        entries = [
            {"user_batch": "batch-000000", "username": f"u{u}", "anime_id": i, "score": score, "title": "A"}
            for u in range(users)
            for i in range(1, 11)
        ]
        return frame("user_lists", *entries)

    assert check("user_lists", lists(1), lists(0)) == []
    assert check("user_lists", lists(40), lists(21)) == []
    with pytest.raises(GuardError, match="19 of 40 users with a list are left"):
        check("user_lists", lists(40), lists(19))
    with pytest.raises(GuardError, match="score: 0 of the 400"):
        check("user_lists", lists(40), lists(40, score=None))


def test_a_batch_is_held_against_itself_alone(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    write_lists(data_dir, "batch-000000", {f"a{i}": {1: 7} for i in range(30)})
    write_lists(data_dir, "batch-000001", {f"b{i}": {1: 7} for i in range(30)})
    made = data_dir.lake.read("user_lists", ["batch-000001"]).collect()

    @dg.asset(
        io_manager_key="lake", name="user_lists", partitions_def=dg.StaticPartitionsDefinition(["batch-000001"])
    )
    def user_lists() -> pl.DataFrame:
        return made

    manager = LakeIOManager(data_dir=str(tmp_path))
    result = dg.materialize([user_lists], resources={"lake": manager}, partition_key="batch-000001")
    assert result.success


def test_imported_lists_are_no_part_of_it_and_hide_no_one_elses_loss(tmp_path: Path) -> None:
    """Whoever imports another list wants that one, however short; what a source says of others is held as ever."""
    data_dir = DataDir(tmp_path)
    # Ann stands in the folder, ann imported a list: two people.
    write_lists(data_dir, "batch-000000", dict.fromkeys(("Ann", "ann"), dict.fromkeys(range(1, 31), 7)))
    ImportedLists(tmp_path).put("ann", [])
    before = data_dir.lake.read("user_lists").collect()

    def without_scores_of(name: str) -> dg.ExecuteInProcessResult:
        @dg.asset(
            io_manager_key="lake", name="user_lists", partitions_def=dg.StaticPartitionsDefinition(["batch-000000"])
        )
        def user_lists() -> pl.DataFrame:
            return before.with_columns(score=pl.when(pl.col("username") != name).then("score"))

        manager = LakeIOManager(data_dir=str(tmp_path))
        return dg.materialize(
            [user_lists], resources={"lake": manager}, partition_key="batch-000000", raise_on_error=False
        )

    assert "score: 0 of the 30 rows that had one still have" in reason(without_scores_of("Ann"))
    assert without_scores_of("ann").success


def test_every_guard_names_columns_that_there_are() -> None:
    assert missing_declarations() == []
    assert set(GUARDS) <= set(TABLES)


def test_a_table_that_is_not_guarded_cannot_be_accepted() -> None:
    assert accepted_tables("anime_features, users") == ["anime_features", "users"]
    assert accepted_tables(None) == []
    with pytest.raises(SettingsError, match=r"MALSUGOI_ACCEPT_CHANGES=animes: expected all, or some of raw_anime"):
        accepted_tables("animes")
