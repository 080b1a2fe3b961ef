"""The files of an evaluation: every row kept in place, titles numbered by key, catalogues merged field by field."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from malsugoi_assets.files import FilesError, load_evaluation
from malsugoi_tests.support.shared import shared_path


def test_rows_stay_in_the_files_order_and_items_are_sorted_by_key(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("username,anime,rating\nu,B,5\nu,A,-\nu,B,6\nv,Z,7\n")
    (tmp_path / "a.csv").write_text("title,score\nA,8\nB,N/A\n")
    (tmp_path / "title_to_anime_id.csv").write_text("title,anime_id\nA,1\nB,2\n")
    data = load_evaluation(tmp_path / "r.csv", [tmp_path / "a.csv"])
    assert data.catalogue["key"].to_list() == ["A", "B", "Z"]
    assert data.rows.select("row", "item", "anime_id", "score").rows()[:3] == [
        (0, 1, 2, 5),
        (1, 0, 1, None),
        (2, 1, 2, 6),
    ]
    assert data.rows["anime_id"][3] < 0
    assert data.catalogue["score"].to_list() == [8.0, None, None]


def test_the_first_catalogue_that_knows_a_field_wins_and_all_names_count(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user_id,anime_id,score\nu,1,5\nu,2,6\n")
    (tmp_path / "a.csv").write_text("anime_id,title,score,genres\n1,Bebop,8.5,\n")
    (tmp_path / "b.csv").write_text(
        "anime_id,title,score,genres,type\n1,Cowboy Bebop,7,Action,TV\n2,Trigun,8,Drama,TV\n"
    )
    data = load_evaluation(tmp_path / "r.csv", [tmp_path / "a.csv", tmp_path / "b.csv"])
    one, two = data.catalogue.rows(named=True)
    assert (one["title"], one["score"], one["genres"], one["type"]) == ("Bebop", 8.5, ["Action"], "TV")
    assert one["names"] == ["Bebop", "Cowboy Bebop"]
    assert (two["title"], two["names"]) == ("Trigun", ["Trigun"])


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match=r"r\.csv: there is no such file"):
        load_evaluation(tmp_path / "r.csv", [])
    (tmp_path / "r.csv").write_text("user_id,anime_id,score\n")
    with pytest.raises(FilesError, match=r"a\.csv: there is no such file"):
        load_evaluation(tmp_path / "r.csv", [tmp_path / "a.csv"])
    with pytest.raises(FilesError, match="is a folder; a file is needed here"):
        load_evaluation(tmp_path, [tmp_path / "a.csv"])


def test_relations_within_a_catalogue_count_where_none_are_given(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user_id,anime_id,score\nu,1,5\n")
    (tmp_path / "a.csv").write_text(
        "anime_id,title,related\n1,Bebop,\"{'Sequel': [{'mal_id': 2, 'type': 'anime'}]}\"\n"
    )
    (tmp_path / "relations.csv").write_text("anime_id,relation,kind,related_id\n1,Other,anime,3\n")
    within = load_evaluation(tmp_path / "r.csv", [tmp_path / "a.csv"])
    given = load_evaluation(tmp_path / "r.csv", [tmp_path / "a.csv"], tmp_path / "relations.csv")
    assert within.relations.rows() == [(1, "Sequel", "anime", 2)]
    assert given.relations.rows() == [(1, "Other", "anime", 3)]


@pytest.mark.parametrize(
    "users", ["Mal ID,Username,Gender\n1,Xinil,Male\n", "username,user_id,location\nXinil,1,x\n"]
)
def test_a_file_of_users_is_no_catalogue(tmp_path: Path, users: str) -> None:
    """Their ids would pass for those of titles."""
    (tmp_path / "r.csv").write_text("user_id,anime_id,score\nu,1,5\n")
    (tmp_path / "users.csv").write_text(users)
    with pytest.raises(FilesError, match=r"users\.csv, line 1: describes users, not titles"):
        load_evaluation(tmp_path / "r.csv", [tmp_path / "users.csv"])


def test_the_originals_titles_meet_their_catalogue_rows_through_the_crosswalks() -> None:
    folder = shared_path("malsugoi")
    data = load_evaluation(folder / "anime_info.csv", [folder / "anime_data.csv"])
    assert (data.rows.height, data.catalogue.height) == (65_966, 5_915)
    rated = data.rows.filter(pl.col("score").is_not_null())
    assert (rated["anime_id"] > 0).sum() == 41_434
    assert (
        data.catalogue["ranked"].is_not_null().gather(rated["item"]).sum() >= 30_986
    )  # more: files serve each other
