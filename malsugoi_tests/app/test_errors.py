"""A full disk ends every command in a sentence, wherever it is met."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from rich.console import Console
from sqlalchemy.exc import DatabaseError, OperationalError

from malsugoi_assets.app import run
from malsugoi_assets.app.cli import main
from malsugoi_assets.app.errors import WorkError, fault_of_the_machine
from malsugoi_assets.app.import_list import keep_list
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.lake import Lake

FULL = OSError(errno.ENOSPC, "No space left on device", "/data/x")
RECORDS = OperationalError("PRAGMA …", {}, sqlite3.OperationalError("disk I/O error"))


def ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception) -> tuple[int, str]:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(run, "run_all", fails)
    result = CliRunner().invoke(main, ["run"])
    return result.exit_code, result.output


def test_a_full_disk_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, said = ended(monkeypatch, tmp_path, FULL)
    assert code == 1
    assert said == (
        "Error: [Errno 28] No space left on device: '/data/x': free some space, mostly the disk is full; run the same "
        "command again to go on, what was finished is kept\n"
    )


def test_dagsters_records_on_a_full_disk_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, said = ended(monkeypatch, tmp_path, RECORDS)
    assert code == 1
    assert said.startswith("Error: Dagster's records in the data dir can't be read or written (disk I/O error): free")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OperationalError("x", {}, sqlite3.OperationalError("database is locked")), "another process is at them"),
        (OSError(errno.EROFS, "Read-only file system", "/data/x"), "choose another MALSUGOI_DATA_DIR"),
        (
            OperationalError("x", {}, sqlite3.OperationalError("unable to open database file")),
            "make the data dir writable",
        ),
    ],
)
def test_what_is_not_for_want_of_space_is_not_said_to_be(error: Exception, advice: str) -> None:
    assert advice in fault_of_the_machine(error)
    assert "space" not in fault_of_the_machine(error)


@pytest.mark.parametrize("said", ["file is not a database", "database disk image is malformed"])
def test_damaged_records_are_to_be_moved_away(said: str) -> None:
    """A run ended in a traceback; Dagster's records can go, what is decided hangs on the files."""
    error = DatabaseError("x", {}, sqlite3.DatabaseError(said))
    assert f"({said}): they are damaged: move `dagster/` out of the data dir" in fault_of_the_machine(error)


def test_other_mistakes_in_records_keep_their_traceback() -> None:
    assert fault_of_the_machine(OperationalError("x", {}, sqlite3.OperationalError("no such table: runs"))) == ""


def test_it_is_found_behind_what_was_raised_from_it() -> None:
    outer = RuntimeError("the work failed")
    outer.__cause__ = FULL
    assert "No space left on device" in fault_of_the_machine(outer)


def test_what_cannot_be_read_before_a_run_begins_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def closed(_: DataDir) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", "users/all.parquet")

    monkeypatch.setattr(DataDir, "fault_of_the_ledger", closed)
    monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path))
    done = CliRunner().invoke(main, ["run"])
    assert done.exit_code == 1
    assert done.output.startswith(
        "Error: [Errno 13] Permission denied: 'users/all.parquet'; what was finished is kept"
    )
    with pytest.raises(WorkError, match=r"Permission denied: 'users/all.parquet'; what was published stands"):
        keep_list(Settings.load(), "me", (), Console(quiet=True))


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), FileNotFoundError(errno.ENOENT, "no such file"), None])
def test_all_else_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException | None
) -> None:
    assert fault_of_the_machine(error) == ""
    monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(run, "run_all", lambda *_: (_ for _ in ()).throw(RuntimeError("a mistake")))
    assert isinstance(CliRunner().invoke(main, ["run"]).exception, RuntimeError)


@pytest.mark.parametrize(
    "command", [["status"], ["recommend", "me"], ["mark", "me", "1", "--seen"], ["similar", "1"]]
)
def test_a_damaged_database_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str]
) -> None:
    """In the words of `doctor`; it was a traceback."""
    with duckdb.connect(str(tmp_path / "malsugoi.duckdb")) as con:
        con.execute("CREATE TABLE users AS SELECT range AS username FROM range(100_000)")
    with (tmp_path / "malsugoi.duckdb").open("r+b") as file:
        file.truncate(5_000)
    monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {tmp_path}/malsugoi.duckdb cannot be read (IO Error")
    assert result.output.endswith("): delete it, then `malsugoi run`\n")


def test_other_mistakes_in_sql_keep_their_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path))
    with duckdb.connect(str(tmp_path / "malsugoi.duckdb")) as con:
        con.execute("CREATE TABLE users (username VARCHAR)")
    assert isinstance(CliRunner().invoke(main, ["status"]).exception, duckdb.BinderException)


def test_a_damaged_partition_file_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`malsugoi run` ended in a traceback out of the lake."""
    file = tmp_path / "lake" / "user_lists" / "batch-000000.parquet"
    file.parent.mkdir(parents=True)
    file.write_text("garbage")
    monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(run, "run_all", lambda *_: Lake(tmp_path / "lake").partitions("user_lists"))
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {file} cannot be read (")
    assert result.output.endswith("delete it and materialise user_lists again: `malsugoi run` does so\n")
