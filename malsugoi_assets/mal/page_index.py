"""`pages/index.sqlite`: opened so that its damage is told in a sentence wherever it is met, and looked through.

What is in it, and what for, is `store`'s.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""SQLite's codes for a file that is not (any more) what it wrote; a full or closed disk and a lock have others."""


class DamagedStore(sqlite3.DatabaseError):
    """The index of the pages cannot be read; says what to do."""


def index_file(data_dir: Path) -> Path:
    """Where a data dir has its index."""
    return data_dir / "pages" / "index.sqlite"


def open_index(file: Path) -> sqlite3.Connection:
    """A connection that writes, and makes the file where there is none; `DamagedStore` is raised from whatever is asked."""
    if file.is_dir():
        raise _damaged(file, "it is a folder")
    connection = sqlite3.connect(file, timeout=60, factory=_Connection)
    connection.file = file
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def look_through(file: Path) -> None:
    """Raise `DamagedStore` where a page of the file is damaged. Reads all of it, and writes nothing where nobody is at it."""
    if file.is_dir():
        raise _damaged(file, "it is a folder")
    # With SQLite's log beside it somebody is at work, or was killed: then the log counts too.
    is_at_rest = not file.with_name(f"{file.name}-wal").exists()
    address = f"{file.absolute().as_uri()}?mode=ro{'&immutable=1' if is_at_rest else ''}"
    with _told(file), contextlib.closing(sqlite3.connect(address, uri=True, timeout=60)) as connection:
        found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise _damaged(file, found.splitlines()[-1])


def _damaged(file: Path, why: object) -> DamagedStore:
    advice = f"restore it, or move {file.parent} away, and every page is fetched again"
    return DamagedStore(f"{file} cannot be read ({why}): {advice}")


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except DamagedStore:
        raise
    except sqlite3.DatabaseError as error:
        # The upper bytes say more of the same; an error of the module's own has no code.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
            raise _damaged(file, error) from error
        raise


class _Connection(sqlite3.Connection):
    """The module's own shortcuts ask a plain cursor."""

    file: Path

    def execute(self, sql: str, values: Any = (), /) -> _Cursor:
        return self.cursor(_Cursor).execute(sql, values)

    def executemany(self, sql: str, values: Iterable[Any], /) -> _Cursor:
        return self.cursor(_Cursor).executemany(sql, values)

    def executescript(self, script: str, /) -> _Cursor:
        return self.cursor(_Cursor).executescript(script)

    def __exit__(self, *raised: Any) -> Any:
        with _told(self.file):
            return super().__exit__(*raised)


class _Cursor(sqlite3.Cursor):
    """SQLite meets a damaged page at the statement or at any row of its answer."""

    connection: _Connection

    def execute(self, sql: str, values: Any = (), /) -> _Cursor:
        with _told(self.connection.file):
            super().execute(sql, values)
        return self

    def executemany(self, sql: str, values: Iterable[Any], /) -> _Cursor:
        with _told(self.connection.file):
            super().executemany(sql, values)
        return self

    def executescript(self, script: str, /) -> _Cursor:
        with _told(self.connection.file):
            super().executescript(script)
        return self

    def fetchone(self) -> Any:
        with _told(self.connection.file):
            return super().fetchone()

    def fetchall(self) -> list[Any]:
        with _told(self.connection.file):
            return super().fetchall()

    def __next__(self) -> Any:
        with _told(self.connection.file):
            return super().__next__()
