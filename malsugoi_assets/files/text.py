"""CSV as bytes and lines: its encoding, its separator, its header, and where in it something is wrong.

Large files are read by DuckDB (`list_rows`), small ones here. Both keep to the same rules, and only this module finds
the line of a fault: DuckDB says that there is one, the reader here walks to it.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from malsugoi_assets.files.errors import FilesError

SEPARATORS = ",;\t|"
LONGEST_FIELD = 2**24
_HEAD_BYTES = 2**20
csv.field_size_limit(LONGEST_FIELD)


@dataclass(frozen=True)
class Header:
    """A CSV file's first line: the columns' names, stripped of outer blanks, and what separates them."""

    names: tuple[str, ...]
    separator: str


def read_header(path: Path) -> Header:
    """The file's header. The separator is the one of `SEPARATORS` that gives the most columns.

    Raises `FilesError` where the file is empty, not UTF-8 there, names no columns or one twice.
    """
    try:
        with _binary(path) as file:
            head = file.read(_HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise FilesError(path, f"cannot be read ({first_line(error)})") from error
    if not head:
        raise FilesError(path, "is empty; the first line has to name the columns")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head[:200].count(0) > len(head[:200]) // 4:
        raise FilesError(path, "is UTF-16; save it as UTF-8")
    text = head.decode("utf-8-sig", errors="surrogateescape")
    rows = {mark: next(csv.reader(io.StringIO(text, newline=""), delimiter=mark), []) for mark in SEPARATORS}
    separator = max(SEPARATORS, key=lambda mark: len(rows[mark]))
    names = [name.strip() for name in rows[separator]]
    if any("\udc80" <= letter <= "\udcff" for name in names for letter in name):
        raise FilesError(path, _not_utf8(head.splitlines()[0]), line=1)
    if not any(names):
        raise FilesError(path, "the first line has to name the columns", line=1)
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise FilesError(path, f"names the column {twice!r} twice", line=1)
    return Header(tuple(names), separator)


class Rows:
    """The data rows of a CSV file, held against its header, knowing on which line the current one began.

    Quoted newlines, doubled quotes, any kind of line end and a byte order mark are fine, blank lines are skipped, one
    empty field behind the last column is overlooked. Anything else is a `FilesError` naming its line.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.line = 1

    def __iter__(self) -> Iterator[list[str]]:
        """Yield each row's fields, as many as the header names."""
        width = len(self.header.names)
        reader = None
        try:
            with _binary(self.path) as file:
                text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
                reader = csv.reader(text, strict=True, delimiter=self.header.separator)
                next(reader, None)
                while True:
                    self.line = reader.line_num + 1
                    row = next(reader, None)
                    if row is None:
                        return
                    if not row:
                        continue
                    if len(row) == width + 1 and not row[-1]:
                        del row[-1]
                    if len(row) != width:
                        problem = f"has {len(row)} fields where the header names {width} columns"
                        raise FilesError(self.path, problem, line=self.line)
                    if any("\0" in field for field in row):
                        raise FilesError(self.path, "holds a zero byte", line=self.line)
                    yield row
        except csv.Error as error:
            raise FilesError(self.path, f"broken CSV ({error})", line=reader.line_num if reader else 1) from error
        except UnicodeDecodeError as error:
            raise self._encoding_error() from error
        except (OSError, EOFError, zlib.error) as error:
            raise FilesError(self.path, f"cannot be read ({first_line(error)})") from error

    def _encoding_error(self) -> FilesError:
        with _binary(self.path) as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode()
                except UnicodeDecodeError:
                    return FilesError(self.path, _not_utf8(line), line=number)
        return FilesError(self.path, "is not UTF-8; save it as UTF-8")


def row_at(path: Path, header: Header, place: int) -> tuple[int, list[str]]:
    """(line, fields) of the 0-based data row `place`."""
    rows = Rows(path, header)
    for number, fields in enumerate(rows):
        if number == place:
            return rows.line, fields
    raise FilesError(path, f"has no row {place + 1}")


def first_line(error: Exception) -> str:
    """The first line of an error's text, at most 200 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _not_utf8(line: bytes) -> str:
    try:
        guess = line.strip().decode("cp1252")
    except UnicodeDecodeError:
        return "is not UTF-8 here; save it as UTF-8"
    return f"is not UTF-8 here (as Windows-1252 it would read {guess[:60]!r}); save it as UTF-8"


@contextmanager
def _binary(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") if path.suffix != ".gz" else gzip.open(path, "rb") as file:
        yield file  # type: ignore[misc]
