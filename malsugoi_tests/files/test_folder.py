"""A folder of files: what is understood, what is refused with file and line, and what is counted."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.files import FilesError, Folder, title_id
from malsugoi_assets.files import read_folder as read_into
from malsugoi_assets.files.shapes import CATALOGUE_SHAPES, LIST_SHAPES
from malsugoi_assets.files.titles import title_ids
from malsugoi_tests.support.shared import shared_path

ANIME = "anime_id,title\n1,Bebop\n2,Trigun\n"
# From `printf Bebop | b2sum -l 32`: its first 31 bits, as -1 - n. Changing it orphans stored rows.
BEBOP = -1726440325
RATINGS = "user_id,anime_id,score\na,1,8\na,2,-\nb,1,10\n"


def folder(path: Path, **files: str | bytes | pl.DataFrame) -> Path:
    """Write files named like `ratings_csv` or `anime_parquet`."""
    for name, content in files.items():
        stem, _, ending = name.rpartition("_")
        target = path / f"{stem}.{'csv.gz' if ending == 'gz' else ending}"
        if isinstance(content, pl.DataFrame):
            content.write_parquet(target)
        else:
            data = content.encode() if isinstance(content, str) else content
            target.write_bytes(gzip.compress(data) if ending == "gz" else data)
    return path


ReadFolder = Callable[[Path], "Read"]


@dataclass(frozen=True)
class Read:
    """A folder with the rows of all its users; its report and the counts of reading them."""

    ratings: pl.DataFrame
    catalogue: pl.DataFrame
    relations: pl.DataFrame
    report: dict[str, Any]


@pytest.fixture
def read_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Read]:
    def read(path: Path) -> Read:
        store = tmp_path_factory.mktemp("data") / "folder"
        try:
            found: Folder = read_into(path, store)
        except FilesError:
            assert not store.exists(), "a refused folder leaves nothing"
            raise
        ratings, counts = found.lists.read(found.lists.usernames)
        return Read(ratings, found.catalogue, found.relations, {**found.report, **counts})

    return read


def test_the_original_pair_is_read_row_for_row(read_folder: ReadFolder) -> None:
    """Counts from outside: 65,966 rows, 65,732 distinct (user, title), of which two more share a MAL id."""
    read = read_folder(shared_path("malsugoi"))
    assert read.ratings.height == read.report["list_rows"] == 65_730
    assert read.report["duplicate_rows"] == 65_966 - 65_732
    assert read.report["rows_folded_by_id"] == 2
    assert read.report["rated_rows"] == read.ratings["score"].count() == 46_165
    assert read.ratings["username"].n_unique() == read.report["users"] == 601
    assert read.catalogue["anime_id"].is_sorted()
    assert read.catalogue["anime_id"].is_unique().all()
    assert set(read.ratings["anime_id"]) <= set(read.catalogue["anime_id"])
    frieren = read.catalogue.row(by_predicate=pl.col("title") == "Sousou no Frieren", named=True)
    assert (frieren["anime_id"], frieren["score"], frieren["ranked"], frieren["members"]) == (52991, 9.32, 1, 941_889)
    assert frieren["genres"] == ["Adventure", "Drama", "Fantasy", "Shounen"]


@pytest.mark.parametrize(("name", "rows", "users"), [("mal_2016", 419_943, 4_714), ("mal_2020", 99_999, 575)])
def test_parquet_folders_are_read_whole(read_folder: ReadFolder, name: str, rows: int, users: int) -> None:
    read = read_folder(shared_path(name))
    assert (read.ratings.height, read.ratings["username"].n_unique()) == (rows, users)
    bebop = read.catalogue.row(by_predicate=pl.col("anime_id") == 1, named=True)
    assert (bebop["aired_from"], bebop["aired_to"]) == (date(1998, 4, 3), date(1999, 4, 24))
    assert bebop["age_rating"].startswith("R - 17+")
    assert bebop["episodes"] == 26
    assert bebop["episode_minutes"] is None
    assert read.relations.filter(pl.col("anime_id") == 1, pl.col("related_kind") == "manga").height


def test_unrated_words_are_null_and_the_last_of_two_rows_wins(read_folder: ReadFolder, tmp_path: Path) -> None:
    rows = "username,anime_id,rating\n" + "".join(
        f"u,{n},{s}\n" for n, s in enumerate(["", "0", "-1", "-", "NULL"], 1)
    )
    read = read_folder(folder(tmp_path, anime_csv=ANIME, ratings_csv=rows + "u,1,7\nu,1,9\nu,2,\n"))
    assert dict(read.ratings.select("anime_id", "score").iter_rows()) == {1: 9, 2: None, 3: None, 4: None, 5: None}
    assert read.report["duplicate_rows"] == 3


@pytest.mark.parametrize("score", ["11", "7.5", "abc", "-2", "1e9", "∞"])
def test_a_score_outside_the_scale_is_refused_with_file_and_line(
    read_folder: ReadFolder, tmp_path: Path, score: str
) -> None:
    with pytest.raises(
        FilesError, match=r"ratings\.csv, line 5: the score '.*' is no whole number from 1 to 10"
    ) as e:
        read_folder(folder(tmp_path, anime_csv=ANIME, ratings_csv=RATINGS + f"b,2,{score}\n"))
    assert e.value.line == 5


def test_lines_are_right_behind_quoted_newlines_blank_lines_crlf_and_a_byte_order_mark(
    read_folder: ReadFolder, tmp_path: Path
) -> None:
    text = '\ufeffusername,title,score\r\nu,"two\r\nlines",5\r\n\r\nu,"say ""hi"", you",99\r\n'
    with pytest.raises(FilesError, match="line 5: the score '99'"):
        read_folder(folder(tmp_path, anime_csv=ANIME, ratings_csv=text))
    read = read_folder(folder(tmp_path, ratings_csv=text.replace("99", "9")))
    assert set(read.ratings["title"]) == {"two\r\nlines", 'say "hi", you'}


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ("", "is empty"),
        ("user_id,anime_id\na,1\n", "line 1: has no column for a score"),
        ("anime_id,score\n1,2\n", "line 1: has no column for a user"),
        ("user_id,score\n1,2\n", "line 1: has no column for an anime"),
        ("user_id,anime_id,score\na,1\n", "line 2: has 2 fields where the header names 3"),
        ("user_id,anime_id,score\na,1,2,3\n", "line 2: has 4 fields"),
        ('user_id,anime_id,score\na,1,"2\n', "line 2: broken CSV"),
        ("user_id,anime_id,score\n,1,2\n", "line 2: the user is missing"),
        ("user_id,anime_id,score\na,,2\n", "line 2: the anime is missing"),
        ("user_id,anime_id,score\na,x,2\n", "line 2: the anime_id 'x' is no id"),
        ("user_id,anime_id,score\na,0,2\n", "line 2: the anime_id '0' is no id"),
        ("user_id,anime_id,score\na,99999999999,2\n", "line 2: the anime_id '99999999999' is no id"),
        ("user_id,user_id,score\n", "line 1: names the column 'user_id' twice"),
        ("user_id,anime_id,score\na,1,5\nb\xe9,1,5\n".encode("latin-1"), "line 3: is not UTF-8"),
        ("user_id,anime_id,score\n".encode("utf-16"), "is UTF-16"),
        ("user_id,anime_id,score\na\0,1,2\n", "line 2: holds a zero byte"),
    ],
)
def test_broken_structure_names_file_and_place(
    read_folder: ReadFolder, tmp_path: Path, ratings: str | bytes, message: str
) -> None:
    with pytest.raises(FilesError, match=message) as error:
        read_folder(folder(tmp_path, anime_csv=ANIME, ratings_csv=ratings))
    assert str(tmp_path / "ratings.csv") in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_folders_files_and_doubles_say_what_is_needed(read_folder: ReadFolder, tmp_path: Path) -> None:
    with pytest.raises(FilesError, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(FilesError, match=r"has no anime.*and has no ratings"):
        read_folder(tmp_path)
    with pytest.raises(FilesError, match=r"has no ratings\.\{parquet"):
        read_folder(folder(tmp_path, anime_csv=ANIME))
    with pytest.raises(FilesError, match=r"ratings\.csv and ratings\.csv\.gz"):
        read_folder(folder(tmp_path, ratings_csv=RATINGS, ratings_gz=RATINGS))


@pytest.mark.parametrize(
    "content", [b"no gzip at all", gzip.compress(RATINGS.encode(), mtime=0)[:-9]], ids=["no gzip", "cut off"]
)
def test_broken_archives_and_parquet_files_are_named(read_folder: ReadFolder, tmp_path: Path, content: bytes) -> None:
    folder(tmp_path, anime_csv=ANIME)
    (tmp_path / "ratings.csv.gz").write_bytes(content)
    with pytest.raises(FilesError, match=r"ratings\.csv\.gz: cannot be read"):
        read_folder(tmp_path)
    (tmp_path / "ratings.csv.gz").unlink()
    (tmp_path / "ratings.parquet").write_bytes(content)
    with pytest.raises(FilesError, match=r"ratings\.parquet: cannot be read as Parquet"):
        read_folder(tmp_path)


def test_parquet_numbers_with_nan_and_float_ids_are_understood_and_refused_by_row(
    read_folder: ReadFolder, tmp_path: Path
) -> None:
    rows = {"user_id": [1.0, 2.0], "anime_id": [1.0, 2.0], "score": [float("nan"), 8.0]}
    read = read_folder(folder(tmp_path, anime_csv=ANIME, ratings_parquet=pl.DataFrame(rows)))
    assert read.ratings.select("username", "anime_id", "score").rows() == [("1", 1, None), ("2", 2, 8)]
    rows["score"] = [8.0, 7.5]
    with pytest.raises(FilesError, match=r"row 2: the score '7\.5'"):
        read_folder(folder(tmp_path, ratings_parquet=pl.DataFrame(rows)))


def test_user_ids_stay_text(read_folder: ReadFolder, tmp_path: Path) -> None:
    read = read_folder(folder(tmp_path, anime_csv=ANIME, ratings_csv="user_id,anime_id,score\n007,1,5\n7,1,6\n"))
    assert read.ratings["username"].to_list() == ["007", "7"]


def test_states_are_understood_in_words_and_numbers(read_folder: ReadFolder, tmp_path: Path) -> None:
    words = ["On Hold", "On-Hold", "Plan to Read", "Plan to Watch", "strange", "", "6", "completed", "1"]
    rows = "username,anime_id,score,status,episodes_watched,updated_at\n" + "".join(
        f"u,{n},0,{word},{n},2020-01-02T03:04:05+01:00\n" for n, word in enumerate(words, 1)
    )
    read = read_folder(folder(tmp_path, anime_csv=ANIME, ratings_csv=rows))
    plan = "plan_to_watch"
    assert read.ratings["status"].to_list() == [
        "on_hold", "on_hold", plan, plan, None, None, plan, "completed", "watching",
    ]  # fmt: skip
    assert read.report["unknown_status_words"] == 1
    assert read.ratings["score"].null_count() == len(words)
    assert read.ratings["episodes_watched"].to_list() == list(range(1, 10))
    assert read.ratings["updated_at"][0] == datetime(2020, 1, 2, 2, 4, 5, tzinfo=UTC)


def test_titles_take_the_crosswalk_then_the_other_one_then_an_id_of_their_own(
    read_folder: ReadFolder, tmp_path: Path
) -> None:
    (tmp_path / "title_to_anime_id.csv").write_text("title,anime_id\nA,1\nB,2\n")
    (tmp_path / "catalogue_to_anime_id.csv").write_text("title,anime_id\nA,10\nC,3\n")
    read = read_folder(
        folder(
            tmp_path,
            anime_data_csv='title,score,genres,ranked,popularity,members,favorites\nA,N/A,,#1,#2,"1,000",0\nB,7,X,,,,\nD,5,,,,,\n',
            anime_info_csv="username,anime,rating\nu,A,5\nu,B,6\nu,C,7\nu,D,8\nu,E,9\n",
        )
    )
    own = {t: title_id(t) for t in "DE"}
    assert dict(read.ratings.select("title", "anime_id").iter_rows()) == {"A": 1, "B": 2, "C": 3, **own}
    known = dict(read.catalogue.select("anime_id", "title").iter_rows())
    assert known == {10: "A", 2: "B", 1: "A", 3: "C", own["D"]: "D", own["E"]: "E"}
    assert read.report["unknown_titles"] == 2
    first = read.catalogue.row(by_predicate=pl.col("anime_id") == 10, named=True)
    assert (first["score"], first["members"], first["favorites"], first["genres"]) == (None, 1000, 0, [])
    absent = read.catalogue.row(by_predicate=pl.col("anime_id") == 1, named=True)
    assert absent["genres"] is None


def test_a_listed_id_without_a_catalogue_row_gets_an_untitled_one(read_folder: ReadFolder, tmp_path: Path) -> None:
    read = read_folder(folder(tmp_path, anime_csv=ANIME, ratings_csv=RATINGS + "b,77,5\n"))
    assert read.catalogue.row(by_predicate=pl.col("anime_id") == 77, named=True)["title"] is None
    assert read.report["listed_without_catalogue_row"] == 1


def test_catalogue_fields_are_understood_under_their_other_names(read_folder: ReadFolder, tmp_path: Path) -> None:
    header = "anime_id,title,title_synonyms,genres,rating,premiered,aired,status,episodes,ranked\n"
    rows = (
        '1,Bebop,One|Two,"Action, Drama",R+ - Mild Nudity,Fall 2023,"Apr 3, 1998 to ?",Currently Airing,Unknown,0\n'
        '2,Trigun,,Action|Drama,None,,"Sep 1, 2001",Finished Airing,1,5\n'
        '3,Soon,,,,,"Sep 1, 2031",Not yet aired,,\n4,Old,,,,,Apr 2009,Finished Airing,,\n'
    )
    read = read_folder(folder(tmp_path, anime_csv=header + rows, ratings_csv=RATINGS))
    one, two, soon, old = read.catalogue.rows(named=True)
    assert (one["synonyms"], one["genres"], two["genres"]) == (
        ["One", "Two"],
        ["Action", "Drama"],
        ["Action", "Drama"],
    )
    assert (one["age_rating"], two["age_rating"], one["season"]) == ("R+ - Mild Nudity", None, "Fall 2023")
    assert (one["aired_from"], one["aired_to"], one["episodes"], one["ranked"]) == (
        date(1998, 4, 3),
        None,
        None,
        None,
    )
    assert (two["aired_from"], two["aired_to"]) == (date(2001, 9, 1), date(2001, 9, 1))
    assert (soon["aired_from"], soon["aired_to"]) == (date(2031, 9, 1), None)
    assert (old["aired_from"], old["aired_to"]) == (None, None)


def test_relations_of_other_kinds_are_left_out_and_counted(read_folder: ReadFolder, tmp_path: Path) -> None:
    text = "anime_id,relation,kind,related_id\n1,Sequel,Anime,2\n1,Sequel,anime,2\n1,Character,music,9\n"
    read = read_folder(folder(tmp_path, anime_csv=ANIME, ratings_csv=RATINGS, relations_csv=text))
    assert read.relations.rows() == [(1, "Sequel", "anime", 2)]
    assert read.report["relations_left_out"] == 1


def test_a_header_without_rows_is_an_empty_folder_not_an_error(read_folder: ReadFolder, tmp_path: Path) -> None:
    read = read_folder(folder(tmp_path, anime_csv="anime_id,title\n", ratings_csv="user_id,anime_id,score\n"))
    assert (read.ratings.height, read.catalogue.height) == (0, 0)


def test_ids_made_from_titles_are_stable_and_collisions_are_refused() -> None:
    assert title_id("Bebop") == title_id(" Bebop ") == BEBOP
    assert -(2**31) <= title_id("∀ Gundam") < 0
    seen: dict[int, str] = {}
    for number in range(300_000):
        other = seen.setdefault(title_id(f"title {number}"), f"title {number}")
        if other != f"title {number}":
            with pytest.raises(FilesError, match="would get one id"):
                title_ids(Path("x"), [other, f"title {number}"])
            return
    pytest.fail("no two of 300,000 titles share one of 2**31 ids, which is as good as impossible")


def test_the_documentation_shows_every_shape() -> None:
    page = (Path(__file__).parents[2] / "docs" / "files.md").read_text().lower()
    words = set(re.findall(r"\w+", re.sub(r"(?<=\w) (?=\w+,|\w+`)", "_", page)))
    told = {word for shape in (*LIST_SHAPES, *CATALOGUE_SHAPES) for word in shape.columns}
    assert told - words == set()


def test_any_users_rows_are_read_as_among_all(tmp_path: Path) -> None:
    """Also where others' rows lie between, where rows are scattered, and where one name is written in two ways."""
    rng = np.random.default_rng(0)
    rows = [(rng.choice(["ann", "Bo", "bo", "cy", "dee"]), int(i), int(rng.integers(1, 11))) for i in range(1, 300)]
    rows += rows[::7]
    lines = "".join(f"{user},{anime},{score}\n" for user, anime, score in rows)
    found = read_into(
        folder(tmp_path, anime_csv=ANIME, ratings_csv=f"username,anime_id,score\n{lines}"), tmp_path / "s"
    )
    bo = next(user for user, _, _ in rows if user.casefold() == "bo")
    expected_keys = {(bo if user.casefold() == "bo" else user, anime) for user, anime, _ in rows}
    everything, _ = found.lists.read(found.lists.usernames)
    assert everything.select("username", "anime_id").rows() == sorted(expected_keys)
    for some in ([], ["cy"], found.lists.usernames[::2], found.lists.usernames[::-1]):
        expected = everything.filter(pl.col("username").is_in(some))
        read, counts = found.lists.read(some)
        assert read.equals(expected)
        assert counts["list_rows"] == expected.height
