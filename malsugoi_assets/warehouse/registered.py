"""Files that a table registers by path and SHA-256: found only where they are what was registered."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl


class ForeignFileError(RuntimeError):
    """The file is not the one that was registered; the message names it."""


def registered_file(root: Path, rows: pl.DataFrame, table: str) -> Path | None:
    """The file of the first of `rows` (path relative to the data dir, sha256); None where no row or no file is there.

    Raises `ForeignFileError` for a file that is another one, or cannot be read.
    """
    if rows.is_empty():
        return None
    path = root / str(rows["path"][0])
    if not path.is_file():
        return None
    try:
        check_registered(path, str(rows["sha256"][0]))
    except ForeignFileError as error:
        raise ForeignFileError(f"{error}: `malsugoi run` makes it anew") from error
    return path


def check_registered(path: Path, sha256: str) -> None:
    """Raise `ForeignFileError` where the file is not the one with this SHA-256, or cannot be read."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ForeignFileError(f"{path} cannot be read ({error.strerror})") from error
    if found != sha256:
        raise ForeignFileError(f"{path} is not the file that was registered")
