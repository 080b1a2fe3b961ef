"""Reading a table from CSV (plain or gzipped) or Parquet so that every error can name its line.

What belongs here: bytes to columns of text or numbers. What the columns mean is read elsewhere. CSV is read with
the standard library's reader in strict mode: quoted newlines, doubled quotes, CRLF and a byte order mark are
fine, a row of another width than the header's is an error. All CSV columns are text, empty fields NULL.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from malsugoi_assets.files.errors import FilesError

ENDINGS = (".parquet", ".csv", ".csv.gz")
ROWS_A_CHUNK = 500_000


@dataclass(frozen=True)
class Table:
    """A file's rows as they stand: `frame` with one row a data row, columns stripped of outer blanks."""

    path: Path
    frame: pl.DataFrame

    def error(self, row: int, problem: str) -> FilesError:
        """A `FilesError` at the 0-based data row `row`: by line for CSV, by 1-based row for Parquet."""
        if self.path.suffix == ".parquet":
            return FilesError(self.path, problem, line=row + 1, unit="row")
        return FilesError(self.path, problem, line=_line_of(self.path, row))

    def first(self, *names: str) -> str | None:
        """The first of the columns `names` that the file has."""
        return next((name for name in names if name in self.frame.columns), None)

    def refuse_where(self, bad: pl.Series, column: str, problem: str) -> None:
        """Raise at the first row where the boolean `bad` is true; `{value}` in `problem` is what stands there."""
        where = bad.fill_null(False).arg_true()
        if len(where):
            row = int(where[0])
            raise self.error(row, problem.format(value=repr(self.frame[column][row])))


def find_table(folder: Path, stem: str) -> Path | None:
    """The file `stem` of any known ending in `folder`; two of them are an error, since either could be meant."""
    found = [folder / (stem + ending) for ending in ENDINGS if (folder / (stem + ending)).is_file()]
    if len(found) > 1:
        raise FilesError(folder, f"holds {' and '.join(p.name for p in found)}; leave only the one to read")
    return found[0] if found else None


def read_table(path: Path) -> Table:
    """Read a Parquet or CSV file. Raises `FilesError` where it is missing, empty, broken or not UTF-8."""
    if not path.is_file():
        raise FilesError(path, "there is no such file")
    if not path.name.endswith(ENDINGS):
        raise FilesError(path, f"is of an unknown kind; known are {', '.join(ENDINGS)}")
    frame = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    doubled = [name for name in frame.columns if frame.columns.count(name) > 1]
    if doubled:
        raise FilesError(path, f"has two columns {doubled[0]!r}")
    return Table(path, frame)


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FilesError(path, f"cannot be read as Parquet ({_first_line(error)})") from error
    floats = [name for name, kind in frame.schema.items() if kind.is_float()]
    text = [name for name, kind in frame.schema.items() if kind == pl.Categorical or isinstance(kind, pl.Enum)]
    return frame.with_columns(pl.col(floats).fill_nan(None), pl.col(text).cast(pl.String))


def _read_csv(path: Path) -> pl.DataFrame:
    reader = _reader(path)
    try:
        header = next(reader, None)
        if header is None:
            raise FilesError(path, "is empty; the first line has to name the columns")
        names = [name.strip() for name in header]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise FilesError(path, f"names the column {twice!r} twice", line=1)
        schema = dict.fromkeys(names, pl.String)
        chunks = [pl.DataFrame(schema=schema)]
        rows = _checked(path, reader, len(names))
        while chunk := list(islice(rows, ROWS_A_CHUNK)):
            chunks.append(pl.DataFrame(dict(zip(names, zip(*chunk, strict=True), strict=True)), schema=schema))
    except csv.Error as error:
        raise FilesError(path, f"broken CSV ({error})", line=reader.line_num) from error
    frame = pl.concat(chunks, rechunk=True).with_columns(pl.all().str.strip_chars())
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all()))


def _checked(path: Path, reader: _Reader, width: int) -> Iterator[list[str]]:
    for row in reader:
        if len(row) == width:
            yield row
        elif row:
            raise FilesError(path, f"has {len(row)} fields where the header names {width} columns", line=reader.start)


class _Reader:
    """A csv.reader that knows on which line the current row started. Blank lines come as empty rows."""

    def __init__(self, text: str) -> None:
        self._rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        self.start = 1

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        self.start = self._rows.line_num + 1
        return next(self._rows)

    @property
    def line_num(self) -> int:
        return self._rows.line_num


def _reader(path: Path) -> _Reader:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise FilesError(path, f"cannot be read ({_first_line(error)})") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FilesError(path, "is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FilesError(path, "is not UTF-8 here; save it as UTF-8", line=line) from error
    if "\0" in text:
        raise FilesError(path, "holds a zero byte", line=text.count("\n", 0, text.index("\0")) + 1)
    return _Reader(text)


def _line_of(path: Path, row: int) -> int:
    reader = _reader(path)
    next(reader)
    seen = -1
    for fields in reader:
        seen += bool(fields)
        if seen == row:
            break
    return reader.start


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
