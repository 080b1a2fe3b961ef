"""Files as people have them: each either read as is meant, and counted, or refused with file and line."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.files import FilesError, read_folder
from malsugoi_assets.files.list_rows import connect, write_rows

ANIME = "anime_id,title,type\n1,Bebop,TV\n2,Trigun,TV\n"
HEADER = "user_id,anime_id,score\n"

Read = Callable[..., pl.DataFrame]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Rows of a folder whose list file holds these bytes."""

    def made(data: bytes | str, name: str = "ratings.csv") -> pl.DataFrame:
        folder = tmp_path / "f"
        folder.mkdir(exist_ok=True)
        (folder / "anime.csv").write_text(ANIME)
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        found = read_folder(folder, tmp_path / "store")
        return found.lists.read(found.lists.usernames)[0].select("username", "anime_id", "score")

    return made


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (HEADER.replace(",", ";") + "a;1;7\n", [("a", 1, 7)]),
        (HEADER.replace(",", "\t") + "a\t1\t7\n", [("a", 1, 7)]),
        ("\ufeff" + HEADER + "a,1,7\n", [("a", 1, 7)]),
        (HEADER + "a,1,7\r\nb,2,8\n", [("a", 1, 7), ("b", 2, 8)]),
        (HEADER.replace("\n", "\r") + "a,1,7\rb,2,8\r", [("a", 1, 7), ("b", 2, 8)]),
        (HEADER + "a,1,7", [("a", 1, 7)]),
        (HEADER + '"a","1","7"\n', [("a", 1, 7)]),
        (HEADER + '"a, ""b""\nc",1,7\n', [('a, "b"\nc', 1, 7)]),
        (HEADER + " a , 1 , 7 \n", [("a", 1, 7)]),
        (HEADER + "a,1.0,7.0\n", [("a", 1, 7)]),
        (HEADER + "a,1,7,\n", [("a", 1, 7)]),
        (HEADER + "\n\na,1,7\n\n", [("a", 1, 7)]),
        (HEADER, []),
        (HEADER + "Ann,1,7\nann,2,8\nANN,1,9\n", [("Ann", 1, 9), ("Ann", 2, 8)]),
        (HEADER + "b,1,5\na,2,6\nb,2,7\na,1,8\nb,1,9\n", [("a", 1, 8), ("a", 2, 6), ("b", 1, 9), ("b", 2, 7)]),
    ],
    ids=["semicolons", "tabs", "byte order mark", "mixed line ends", "old Mac line ends", "no last line end",
         "all quoted", "newline in quotes", "blanks", "floats", "one separator more", "blank lines", "header only",
         "one user in three cases", "users' rows apart"],
)  # fmt: skip
def test_what_is_meant_is_read(read: Read, data: str, rows: list[tuple[object, ...]]) -> None:
    assert sorted(read(data).rows()) == rows


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((HEADER + "caf\xe9,1,7\n").encode("cp1252"), r"ratings\.csv, line 2: is not UTF-8 here .*café"),
        ((HEADER + "a,1,7\n" * 9 + "caf\xe9,1,7\n").encode("cp1252"), r"ratings\.csv, line 11: is not UTF-8"),
        (("us\xe9r" + HEADER).encode("cp1252"), r"ratings\.csv, line 1: is not UTF-8"),
        ((HEADER + "a,1,7\n").encode("utf-16"), r"ratings\.csv: is UTF-16; save it as UTF-8"),
        ((HEADER + "a,1,7\n").encode("utf-16-le"), r"ratings\.csv: is UTF-16; save it as UTF-8"),
        (HEADER + "a,1,7\nb,2", r"ratings\.csv, line 3: has 2 fields where the header names 3"),
        (HEADER + 'a,1,7\n"b,2,7\nc,1,5\n', r"ratings\.csv, line \d: broken CSV"),
        ("", r"ratings\.csv: is empty"),
        ("\n", r"ratings\.csv, line 1: the first line has to name the columns"),
        (HEADER + "a,1,7\na,1.5,7\n", r"ratings\.csv, line 3: the anime_id '1\.5' is no id"),
        (HEADER + "a,1,7\r\nb,2,77\n", r"ratings\.csv, line 3: the score '77'"),
        (HEADER + "a,1,inf\n", r"ratings\.csv, line 2: the score 'inf'"),
    ],
    ids=["cp1252", "cp1252 further down", "cp1252 in the header", "UTF-16", "UTF-16 without a mark", "cut last line",
         "open quote", "empty", "a blank first line", "half an id", "a score in a file of mixed line ends", "infinity"],
)  # fmt: skip
def test_what_cannot_be_meant_names_file_and_line(
    read: Read, tmp_path: Path, data: bytes | str, message: str
) -> None:
    with pytest.raises(FilesError, match=message) as error:
        read(data)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "store").exists()


def test_an_archive_that_is_cut_off_is_refused_wherever_it_is_cut(read: Read, tmp_path: Path) -> None:
    """A cut inside the last eight bytes loses no row, and is still no whole file."""
    packed = gzip.compress(HEADER.encode() + b"".join(b"u%d,1,7\n" % n for n in range(20_000)))
    assert read(packed, "ratings.csv.gz").height == 20_000
    for cut in (1, 8, 9, len(packed) // 2):
        with pytest.raises(FilesError, match=r"ratings\.csv\.gz: cannot be read"):
            read(packed[:-cut], "ratings.csv.gz")


@pytest.mark.parametrize(
    ("frame", "rows"),
    [
        ({"user_id": [1], "anime_id": [1], "score": [7.0]}, [("1", 1, 7)]),
        ({"user_id": ["x"], "anime_id": ["1"], "score": ["7"]}, [("x", 1, 7)]),
        ({"username": ["x"], "anime_id": [1.0], "rating": [None]}, [("x", 1, None)]),
        ({"user_id": [1.0], "anime_id": [2], "score": [-1]}, [("1", 2, None)]),
    ],
)
def test_parquet_columns_of_other_types_mean_the_same(
    read: Read, frame: dict[str, list[object]], rows: list[tuple[object, ...]]
) -> None:
    file = io.BytesIO()
    pl.DataFrame(frame).write_parquet(file)
    assert read(file.getvalue(), "ratings.parquet").rows() == rows


def test_a_parquet_column_of_lists_is_refused_by_its_name(read: Read) -> None:
    file = io.BytesIO()
    pl.DataFrame({"user_id": [1], "anime_id": [1], "score": [[7]]}).write_parquet(file)
    with pytest.raises(FilesError, match=r"ratings\.parquet: the column 'score' holds .* single values"):
        read(file.getvalue(), "ratings.parquet")


FIELD = st.text(st.sampled_from("ab,;\"'\n\r \té"), min_size=1, max_size=6).filter(lambda text: text.strip())


def test_whatever_the_standard_library_writes_is_read_back(tmp_path: Path) -> None:
    """Two readers, one for large files and one that names lines, understand a file alike: as it was written."""
    path, target = tmp_path / "r.csv", tmp_path / "rows.parquet"
    with connect(tmp_path / "spill") as con:

        @given(
            st.lists(st.tuples(FIELD, st.integers(1, 9), st.integers(1, 10)), min_size=1, max_size=8), st.booleans()
        )
        @settings(max_examples=15, deadline=None, database=None)
        def is_read_back(rows: list[tuple[str, int, int]], crlf: bool) -> None:
            # Without quotes a lone carriage return would be the end of a line.
            quoting = csv.QUOTE_ALL if any("\r" in name for name, _, _ in rows) else csv.QUOTE_MINIMAL
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, quoting=quoting, lineterminator="\r\n" if crlf else "\n")
                writer.writerows([("username", "anime_id", "score"), *rows])
            write_rows(con, path, target, lambda _: None)
            found = pl.read_parquet(target, columns=["username", "anime_id", "score"], memory_map=False)
            assert found.rows() == [(name.strip(" "), n, score) for name, n, score in rows]

        is_read_back()
