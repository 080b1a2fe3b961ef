"""How commands end when they cannot do what was asked: one line, no traceback."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import click

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Why a file cannot be written where there is no room for it."""
SPACE = "free some space, mostly the disk is full"
DAMAGED = "they are damaged: move `dagster/` out of the data dir, no table hangs on it"

_RECORDS = {
    "disk I/O error": SPACE,
    "database or disk is full": SPACE,
    "database is locked": "another process is at them, wait until it is done",
    "file is not a database": DAMAGED,
    "database disk image is malformed": DAMAGED,
    "unable to open database file": "make the data dir writable, or choose another MALSUGOI_DATA_DIR",
    "attempt to write a readonly database": "make the data dir writable, or choose another MALSUGOI_DATA_DIR",
}
"""What SQLite says, and what to do about it."""


class UserError(click.ClickException):
    """The user's mistake (or the surroundings'): one line that says what to do; exit status 2."""

    exit_code = 2


class WorkError(click.ClickException):
    """The work itself failed: says what is safe and how to resume; exit status 1."""

    exit_code = 1


def fault_of_the_machine(error: BaseException | None) -> str:
    """What to say where the machine stood in the way: a full or read-only disk, Dagster's records that are locked; '' for
    all else.

    These may be met anywhere. Dagster keeps its records in SQLite, which says "disk I/O error" of a full disk.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return f"{error}: {SPACE}; run the same command again to go on, what was finished is kept"
        if isinstance(error, OSError) and error.errno == errno.EROFS:
            return f"{error}: nothing can be written there; choose another MALSUGOI_DATA_DIR"
        if type(error).__module__.startswith("sqlalchemy") and type(error).__name__.endswith(
            ("OperationalError", "DatabaseError")
        ):
            said = str(getattr(error, "orig", error))
            for cause, advice in _RECORDS.items():
                if cause in said:
                    return (
                        f"Dagster's records in the data dir can't be read or written ({said}): {advice}; run the same "
                        "command again to go on, what was finished is kept"
                    )
        error = error.__cause__
    return ""


def fault_of_a_file(error: BaseException, root: Callable[[], Path]) -> str:
    """What to say where the published database, a partition file or the index of the pages of the data dir `root` is damaged;
    '' for all else.
    """
    if type(error).__name__ == "LakeError":
        return f"{error}: `malsugoi run` does so"
    if type(error).__name__ == "DamagedStore":
        return str(error)
    if "duckdb" in type(error).__module__:
        import duckdb

        from malsugoi_assets.warehouse.data_dir import DataDir

        return DataDir(root()).publisher.unreadable(error) if isinstance(error, duckdb.Error) else ""
    return ""
