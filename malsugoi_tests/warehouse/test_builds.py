"""The registry: one build predicts, one can go back, files go with their rows, and what was withdrawn stays out."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from malsugoi_assets.warehouse.builds import BuildError, Builds, current_build, find_build, with_build, with_current
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import NOON, frame


def build(number: int, *, accepted: bool = True, path: bool = True) -> pl.DataFrame:
    return frame(
        "dnn_model",
        {
            "model_id": f"dnn-{number}",
            "created_at": NOON + timedelta(days=number),
            "run_id": "r",
            "path": f"models/dnn-{number}.safetensors" if path else None,
            "sha256": hashlib.sha256(b"%d" % number).hexdigest() if path else None,
            "is_current": accepted,
            "state": "accepted" if accepted else "refused",
            "verdict": "accepted: it is good" if accepted else "refused: it is bad",
        },
    )


def registry(*builds: pl.DataFrame, kept: int = 9) -> pl.DataFrame:
    rows = builds[0].clear()
    for each in builds:
        rows = with_build(rows, each, kept)
    return rows


def current(rows: pl.DataFrame) -> str | None:
    found = current_build(rows)
    return None if found is None else str(found["model_id"])


def test_each_build_is_a_row_and_the_newest_accepted_one_predicts() -> None:
    rows = registry(build(1), build(2), build(3, accepted=False))
    assert rows["model_id"].to_list() == ["dnn-1", "dnn-2", "dnn-3"]
    assert rows["is_current"].to_list() == [False, True, False]


def test_the_same_build_again_replaces_its_row() -> None:
    rows = registry(build(1), build(2), build(2))
    assert rows["model_id"].to_list() == ["dnn-1", "dnn-2"]
    assert current(rows) == "dnn-2"


def test_only_the_newest_keep_their_files_and_the_current_one_whatever_its_age() -> None:
    rows = registry(build(1), build(2), build(3, accepted=False), build(4, accepted=False), kept=2)
    assert rows.filter(pl.col("path").is_not_null())["model_id"].to_list() == ["dnn-2", "dnn-3", "dnn-4"]
    rows = with_build(with_current(rows, "dnn-3"), build(5), 2)
    assert rows.filter(pl.col("path").is_not_null())["model_id"].to_list() == ["dnn-4", "dnn-5"]


def test_one_can_go_back_and_take_what_was_refused() -> None:
    rows = registry(build(1), build(2), build(3, accepted=False))
    for wanted in ("dnn-1", "dnn-3", "dnn-2"):
        rows = with_current(rows, wanted)
        assert rows.filter("is_current")["model_id"].to_list() == [wanted]


def test_an_unknown_build_is_an_error_that_knows_its_likes() -> None:
    with pytest.raises(BuildError, match=r"dnn-9: there is no such build; did you mean dnn-1\?"):
        find_build(registry(build(1)), "dnn-9")
    with pytest.raises(BuildError, match="`malsugoi models` lists"):
        find_build(registry(build(1)), "zzz")


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    """Two builds with their files, the second one current."""
    data_dir = DataDir(tmp_path)
    data_dir.models.mkdir(parents=True)
    for number in (1, 2):
        (data_dir.models / f"dnn-{number}.safetensors").write_bytes(b"%d" % number)
    data_dir.lake.write(
        TABLES["dnn_model"],
        registry(build(1), build(2)),
        code_version="3",
        inputs={"rating_matrix": ("*", "abc")},
        input_rows={"rating_matrix": 7},
    )
    return Builds(data_dir)


def test_choosing_another_build_leaves_what_the_table_was_made_from(builds: Builds, tmp_path: Path) -> None:
    """Else the network would count as older than its ratings, and be trained again."""
    lake = DataDir(tmp_path).lake
    before = lake.provenance("dnn_model")
    builds.replace(with_current(builds.rows(), "dnn-1"))
    after = lake.provenance("dnn_model")
    assert before is not None
    assert after is not None
    assert (after.inputs, after.input_rows, after.code_version) == (before.inputs, before.input_rows, "3")
    assert after.content != before.content
    assert current(builds.rows()) == "dnn-1"


def test_a_file_is_only_used_if_it_is_the_registered_one(builds: Builds) -> None:
    one = find_build(builds.rows(), "dnn-1")
    assert builds.file(one).read_bytes() == b"1"
    builds.path("dnn-1").write_bytes(b"another")
    with pytest.raises(BuildError, match="not the file that was registered"):
        builds.file(one)
    builds.path("dnn-1").unlink()
    with pytest.raises(BuildError, match="cannot be read"):
        builds.file(one)
    with pytest.raises(BuildError, match="no longer kept"):
        builds.file({**one, "path": None})


def test_files_whose_rows_let_them_go_are_swept_and_no_others(builds: Builds) -> None:
    (builds.path("dnn-1").parent / "somebody else's").write_bytes(b"")
    builds.replace(with_build(builds.rows(), build(3), 1))
    builds.sweep()
    assert sorted(path.name for path in builds.path("x").parent.iterdir()) == ["somebody else's"]


def test_what_was_learnt_with_a_forgotten_person_loses_its_files_and_never_comes_back(builds: Builds) -> None:
    """The current one predicts until it is replaced, which the next build does whatever it is worth."""
    builds.withdraw()
    rows = builds.rows()
    assert set(rows["state"]) == {"withdrawn"}
    assert (current(rows), builds.path("dnn-1").exists(), builds.path("dnn-2").exists()) == ("dnn-2", False, True)
    with pytest.raises(BuildError, match="dnn-1 cannot be taken back: it was learnt with the ratings of somebody"):
        with_current(rows, "dnn-1")
    builds.replace(with_build(rows, build(3), 5))
    builds.sweep()
    assert (current(builds.rows()), builds.path("dnn-2").exists()) == ("dnn-3", False)


def test_without_any_build_there_is_nothing_to_withdraw(tmp_path: Path) -> None:
    Builds(DataDir(tmp_path)).withdraw()
    assert Builds(DataDir(tmp_path)).rows().height == 0
