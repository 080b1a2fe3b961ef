"""Small tables, read whole: catalogues, crosswalks, relations; CSV (plain or gzipped) or Parquet.

What belongs here: bytes to columns of text or numbers. What the columns mean is read elsewhere, and lists, which may
be large, are read by `list_rows`. All CSV columns are text, empty fields NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.shapes import plain
from malsugoi_assets.files.text import Rows, first_line, read_header, row_at

ENDINGS = (".parquet", ".csv", ".csv.gz")
ROWS_A_CHUNK = 500_000


@dataclass(frozen=True)
class Table:
    """A file's rows as they stand: `frame` with one row a data row, columns stripped of outer blanks."""

    path: Path
    frame: pl.DataFrame

    def error(self, row: int, problem: str) -> FilesError:
        """A `FilesError` at the 0-based data row `row`: by line for CSV, by 1-based row for Parquet."""
        return error_at(self.path, row, problem)

    def first(self, *names: str) -> str | None:
        """The file's name of the first of the columns `names` that it has, whatever its case and blanks."""
        known = {plain(column): column for column in reversed(self.frame.columns)}
        return next((name if name in self.frame.columns else known[name] for name in names if name in known), None)

    def refuse_where(self, bad: pl.Series, column: str, problem: str) -> None:
        """Raise at the first row where the boolean `bad` is true; `{value}` in `problem` is what stands there."""
        where = bad.fill_null(False).arg_true()
        if len(where):
            row = int(where[0])
            raise self.error(row, problem.format(value=repr(self.frame[column][row])))


def error_at(path: Path, row: int, problem: str) -> FilesError:
    """A `FilesError` at the 0-based data row `row`."""
    if path.suffix == ".parquet":
        return FilesError(path, problem, line=row + 1, unit="row")
    return FilesError(path, problem, line=row_at(path, read_header(path), row)[0])


def find_table(folder: Path, stem: str) -> Path | None:
    """The file `stem` of any known ending in `folder`; two of them are an error, since either could be meant."""
    found = [folder / (stem + ending) for ending in ENDINGS if (folder / (stem + ending)).is_file()]
    if len(found) > 1:
        raise FilesError(folder, f"holds {' and '.join(p.name for p in found)}; leave only the one to read")
    return found[0] if found else None


def check_table(path: Path) -> None:
    """Raise `FilesError` where there is no such file, or one of a kind that is not read."""
    if not path.is_file():
        raise FilesError(path, "is a folder; a file is needed here" if path.is_dir() else "there is no such file")
    if not path.name.endswith(ENDINGS):
        raise FilesError(path, f"is of an unknown kind; known are {', '.join(ENDINGS)}")


def column_names(path: Path) -> tuple[str, ...]:
    """The file's columns. Raises `FilesError` where it cannot be read so far."""
    check_table(path)
    if path.suffix != ".parquet":
        return read_header(path).names
    try:
        return tuple(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FilesError(path, f"cannot be read as Parquet ({first_line(error)})") from error


def read_table(path: Path) -> Table:
    """Read a Parquet or CSV file. Raises `FilesError` where it is missing, empty, broken or not UTF-8."""
    check_table(path)
    return Table(path, _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path))


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FilesError(path, f"cannot be read as Parquet ({first_line(error)})") from error
    floats = [name for name, kind in frame.schema.items() if kind.is_float()]
    text = [name for name, kind in frame.schema.items() if kind == pl.Categorical or isinstance(kind, pl.Enum)]
    return frame.with_columns(pl.col(floats).fill_nan(None), pl.col(text).cast(pl.String))


def _read_csv(path: Path) -> pl.DataFrame:
    header = read_header(path)
    names = [name or f"column {number}" for number, name in enumerate(header.names, 1)]
    schema = dict.fromkeys(names, pl.String)
    chunks = [pl.DataFrame(schema=schema)]
    rows = iter(Rows(path, header))
    while chunk := list(islice(rows, ROWS_A_CHUNK)):
        chunks.append(pl.DataFrame(dict(zip(names, zip(*chunk, strict=True), strict=True)), schema=schema))
    frame = pl.concat(chunks, rechunk=True).with_columns(pl.all().str.strip_chars())
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all()))
