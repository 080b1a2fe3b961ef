"""Rows of list files to typed rows in one Parquet file, by DuckDB, streamed: 109 million rows in a few GB.

The rules for values stand in SQL here; a row that breaks one is found again in the file and named by its line.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.shapes import LIST_FIELDS, fields_of
from malsugoi_assets.files.tables import check_table, column_names
from malsugoi_assets.files.text import Header, Rows, first_line, read_header, row_at
from malsugoi_assets.files.values import LARGEST, STATES, UNRATED
from malsugoi_assets.machine import available_threads, memory_bytes

Say = Callable[[str], None]
MOST_MEMORY = 4 * 2**30
COLUMNS = ("username", "anime_id", "title", "score", "status", "episodes_watched", "updated_at")
_UNKNOWN_STATUS = -1
_NEEDS = {
    "user": "a user (user_id or username)",
    "score": "a score (score or rating)",
    "anime": "an anime (anime_id, anime or title)",
}


@dataclass(frozen=True)
class ListFile:
    """A list file's typed rows. `by_title`: it names anime by title only. `counts`: rows, and what was odd in them."""

    path: Path
    by_title: bool
    counts: dict[str, int]


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """A connection that keeps to a part of the memory and spills into the folder `scratch`."""
    limit = min(MOST_MEMORY, memory_bytes() // 3)
    con = duckdb.connect(
        config={
            "memory_limit": f"{limit // 2**20}MiB",
            "temp_directory": str(scratch),
            "threads": available_threads(),
        }
    )
    con.execute("SET TimeZone = 'UTC'")
    return con


def write_rows(con: duckdb.DuckDBPyConnection, path: Path, target: Path, say: Say) -> ListFile:
    """Write `path`'s rows to the Parquet file `target` (`COLUMNS`, in the file's order), its `row` being their place.

    Raises `FilesError` naming the line where the structure is broken, a user or an anime is missing, an id is none,
    or a score is not one of 1-10.
    """
    check_table(path)
    names = column_names(path)
    fields = fields_of(names, LIST_FIELDS)
    absent = [
        what
        for what, options in (
            ("user", ("username", "user_id")),
            ("score", ("score",)),
            ("anime", ("anime_id", "title")),
        )
        if not fields.keys() & set(options)
    ]
    if absent:
        raise FilesError(path, f"has no column for {_NEEDS[absent[0]]}; found {', '.join(names)}", line=1)
    copy = _copy_parquet if path.suffix == ".parquet" else _copy_csv
    copy(con, path, source_columns(path, names, fields), target, say)
    noted = con.execute(
        "SELECT note, count(*), min(file_row_number) FROM read_parquet(?, file_row_number=true) GROUP BY note",
        [str(target)],
    ).fetchall()
    wrong = min(((row, note) for note, _, row in noted if note is not None and note > 0), default=None)
    if wrong is not None:
        raise _refusal(con, path, names, fields, *wrong)
    counts = {
        "rating_rows": sum(count for _, count, _ in noted),
        "unknown_status_words": sum(count for note, count, _ in noted if note == _UNKNOWN_STATUS),
    }
    return ListFile(target, "anime_id" not in fields, counts)


def run(con: duckdb.DuckDBPyConnection, sql: str, what: str, say: Say) -> None:
    """Execute `sql`, telling now and then how far it is."""
    failure: list[BaseException] = []

    def work() -> None:
        try:
            con.execute(sql)
        except BaseException as error:
            failure.append(error)

    con.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(timeout=1)
            share = con.query_progress()
            say(f"{what}: {share:.0f} %" if share > 0 else what)
    except BaseException:
        con.interrupt()
        worker.join()
        raise
    if failure:
        raise failure[0]


def frame_of(con: duckdb.DuckDBPyConnection, sql: str, scratch: Path) -> pl.DataFrame:
    """The rows of a query, by way of a Parquet file in the folder `scratch` (DuckDB's own way needs pyarrow)."""
    path = scratch / "query.parquet"
    con.execute(f"COPY ({sql}) TO {literal(str(path))} (FORMAT parquet)")
    try:
        return pl.read_parquet(path, memory_map=False)
    finally:
        path.unlink()


def source_of(path: Path) -> str:
    """The FROM clause that yields the file's rows. CSV columns are text named c0, c1 …"""
    if path.suffix == ".parquet":
        return f"read_parquet({literal(str(path))})"
    return _csv_source(path, read_header(path))


def source_columns(path: Path, names: Sequence[str], fields: Mapping[str, int]) -> dict[str, str]:
    """The SQL of each field's text."""
    if path.suffix != ".parquet":
        return {field: f"c{place}" for field, place in fields.items()}
    quoted = {field: '"' + names[place].replace('"', '""') + '"' for field, place in fields.items()}
    return {field: f"{name}::VARCHAR" for field, name in quoted.items()}


def _csv_source(path: Path, header: Header) -> str:
    columns = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(len(header.names)))
    return (
        f"read_csv({literal(str(path))}, columns = {{{columns}}}, header = true, auto_detect = false, "
        f"delim = {literal(header.separator)}, quote = '\"', escape = '\"', strict_mode = true, "
        f"null_padding = false, compression = '{'gzip' if path.suffix == '.gz' else 'none'}')"
    )


def _copy_csv(con: duckdb.DuckDBPyConnection, path: Path, columns: dict[str, str], target: Path, say: Say) -> None:
    header = read_header(path)
    try:
        run(con, _copy(_csv_source(path, header), columns, target), path.name, say)
    except duckdb.InvalidInputException as error:
        # DuckDB knows that something is wrong; what and where is for the slower reader to say, which also
        # understands a mixture of line ends.
        say(f"{path.name}: looking for the line at fault")
        mended = target.with_name(target.name + ".csv")
        try:
            with mended.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
                    [header.names, *Rows(path, header)]
                )
            run(con, _copy(_csv_source(mended, Header(header.names, ",")), columns, target), path.name, say)
        except duckdb.InvalidInputException:
            raise FilesError(path, f"broken CSV ({first_line(error)})") from error
        finally:
            mended.unlink(missing_ok=True)
    except duckdb.IOException as error:
        if path.suffix == ".gz" and "GZIP" in str(error):
            raise FilesError(path, f"cannot be read ({first_line(error)})") from error
        raise OSError(first_line(error)) from error
    except duckdb.OutOfMemoryException as error:
        raise OSError(first_line(error)) from error


def _copy_parquet(
    con: duckdb.DuckDBPyConnection, path: Path, columns: dict[str, str], target: Path, say: Say
) -> None:
    source = source_of(path)
    try:
        kinds = {f"{row[0]}": str(row[1]) for row in con.execute(f"DESCRIBE FROM {source}").fetchall()}
        for name, kind in kinds.items():
            used = '"' + name.replace('"', '""') + '"::VARCHAR' in columns.values()
            if used and (kind.endswith("[]") or kind.startswith(("STRUCT", "MAP", "BLOB", "UNION"))):
                raise FilesError(path, f"the column {name!r} holds {kind} where single values are needed")
        run(con, _copy(source, columns, target), path.name, say)
    except duckdb.OutOfMemoryException as error:
        raise OSError(first_line(error)) from error
    except duckdb.Error as error:
        raise FilesError(path, f"cannot be read as Parquet ({first_line(error)})") from error


def _copy(source: str, columns: dict[str, str], target: Path) -> str:
    """The COPY statement: what the fields' text means, and what is wrong with it.

    What is rare (blanks around numbers, words, decimal points in ids) is looked at only where the common form did not
    fit: a hundred million rows pass through here.
    """
    raw = {field: columns.get(field, "NULL::VARCHAR") for field in (*COLUMNS, "user_id")}
    # An id that passed through a column of floats; a name has no dot.
    user_id = f"""CASE WHEN contains({raw["user_id"]}, '.')
        THEN regexp_replace(trim({raw["user_id"]}), '^(-?[0-9]+)[.]0+$', '\\1') ELSE trim({raw["user_id"]}) END"""
    username = f"coalesce(nullif(trim({raw['username']}), ''), nullif({user_id}, ''))"
    words = ", ".join(literal(word) for word in UNRATED)
    states = " ".join(f"WHEN {literal(word)} THEN {literal(state)}" for word, state in STATES.items())
    codes = " ".join(f"WHEN {literal(w)} THEN {literal(s)}" for w, s in STATES.items() if w.isdigit())
    status = f"""CASE status_text {codes} ELSE
        CASE trim(regexp_replace(lower(status_text), '[-_ ]+', ' ', 'g')) {states} END END"""
    return f"""
        COPY (
            SELECT username, anime_id, title, score, status, episodes_watched, updated_at,
                CASE WHEN username IS NULL THEN 1
                     WHEN anime_id IS NULL AND nullif(trim(anime_id_text), '') IS NOT NULL THEN 2
                     WHEN anime_id IS NULL AND title IS NULL THEN 3
                     WHEN CASE WHEN score IS NOT NULL OR score_text IS NULL OR isnan(score_number) THEN false
                               WHEN score_number IS NOT NULL THEN score_number NOT IN (0, -1)
                               ELSE lower(trim(score_text)) NOT IN ({words}) END THEN 4
                     WHEN contains(username, chr(0)) OR contains(title, chr(0)) THEN 5
                     WHEN status IS NULL AND nullif(trim(status_text), '') IS NOT NULL THEN {_UNKNOWN_STATUS}
                END::TINYINT AS note
            FROM (
                SELECT username, title, anime_id_text, score_text, score_number, status_text,
                    CASE WHEN id_number = floor(id_number) AND id_number <> 0
                              AND id_number BETWEEN -{LARGEST} - 1 AND {LARGEST} THEN try_cast(id_number AS INTEGER) END AS anime_id,
                    CASE WHEN score_number BETWEEN 1 AND 10 AND score_number = floor(score_number)
                         THEN try_cast(score_number AS TINYINT) END AS score,
                    {status} AS status,
                    CASE WHEN episode_number BETWEEN 0 AND {LARGEST} AND episode_number = floor(episode_number)
                         THEN try_cast(episode_number AS INTEGER) END AS episodes_watched,
                    CASE WHEN regexp_full_match(updated_at_text, '[0-9]{{9,10}}')
                         THEN to_timestamp(try_cast(updated_at_text AS BIGINT))
                         ELSE try_cast(updated_at_text AS TIMESTAMPTZ) END AS updated_at
                FROM (
                    SELECT {username} AS username,
                        nullif(trim({raw["title"]}), '') AS title,
                        {raw["anime_id"]} AS anime_id_text,
                        {raw["score"]} AS score_text,
                        {raw["status"]} AS status_text,
                        {raw["updated_at"]} AS updated_at_text,
                        try_cast({raw["anime_id"]} AS DOUBLE) AS id_number,
                        try_cast({raw["score"]} AS DOUBLE) AS score_number,
                        coalesce(
                            try_cast({raw["episodes_watched"]} AS DOUBLE),
                            try_cast(replace(ltrim({raw["episodes_watched"]}, '#'), ',', '') AS DOUBLE)
                        ) AS episode_number
                    FROM {source}
                )
            )
        ) TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"""


def _refusal(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    names: tuple[str, ...],
    fields: dict[str, int],
    row: int,
    note: int,
) -> FilesError:
    """What is wrong with the 0-based data row `row`."""
    if path.suffix == ".parquet":
        found = con.execute(
            f"FROM read_parquet({literal(str(path))}, file_row_number=true) WHERE file_row_number = {row}"
        ).fetchone()
        values, line, unit = [str(v) for v in found or ()], row + 1, "row"
    else:
        line, values = row_at(path, read_header(path), row)
        unit = "line"
    column = {1: "username", 2: "anime_id", 3: "anime_id", 4: "score"}.get(note, "")
    place = fields.get(column, 0)
    value = (values[place] if place < len(values) else "").strip()
    problem = {
        1: "the user is missing",
        2: f"the {names[place]} {value!r} is no id (a whole number other than 0)",
        3: "the anime is missing",
        4: f"the {names[place]} {value!r} is no whole number from 1 to 10 (unrated is empty, 0, -1 or '-')",
        5: "holds a zero byte",
    }[note]
    return FilesError(path, problem, line=line, unit=unit)


def literal(value: str) -> str:
    """The text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"
