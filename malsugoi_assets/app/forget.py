"""`malsugoi forget USERNAME`: takes a person out of everything that the data dir holds, and sees that nothing is left.

First a salted hash is kept, so that no discovery brings the person back; then the ledger, the partition files, the page
store and every other file are rewritten without the name, the database is published anew, and older generations are
deleted. Each step replaces whole files, and the whole may be done again: broken off anywhere, it is finished by the
same command. What models learnt is learnt anew by the next run, since their ratings have changed.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import click
import polars as pl
from rich.console import Console

from malsugoi_assets.app.errors import UserError, WorkError
from malsugoi_assets.disk import LockedError, file_lock, replace_file
from malsugoi_assets.mal.redaction import is_distinctive, mentions, without_name
from malsugoi_assets.mal.store import PageStore
from malsugoi_assets.resources.folder_source import FOLDER, READ
from malsugoi_assets.resources.imported import ImportedLists, list_titles
from malsugoi_assets.settings import Settings
from malsugoi_assets.usernames import canonical, is_name
from malsugoi_assets.warehouse.builds import Builds
from malsugoi_assets.warehouse.data_dir import PAIR_SUMS, DataDir
from malsugoi_assets.warehouse.lake import WHOLE
from malsugoi_assets.warehouse.marks import Marks
from malsugoi_assets.warehouse.publish import DATABASE, PublishError
from malsugoi_assets.warehouse.run_marks import work_lock
from malsugoi_assets.warehouse.tables import TABLES

_SQLITE = b"SQLite format 3\0"
_SIDE_FILES = ("-wal", "-shm", "-journal")


@click.command()
@click.argument("username")
def forget(username: str) -> None:
    """Remove USERNAME from everything that is kept, for good.

    Takes the person out of every table, partition, stored page, log and older database, and keeps a salted hash so that
    they are never discovered again. Nothing else may be running on the data dir.

    \b
    Example:
      malsugoi forget some_user && malsugoi run
    """
    from malsugoi_assets.app.cli import console, load_settings

    forget_user(load_settings(), username, console)


def forget_user(settings: Settings, username: str, console: Console) -> None:
    """Do it. Raises `UserError` for a name that is nowhere, or while a run is under way; `WorkError` where it fails."""
    data_dir = DataDir(settings.root)
    if not _can_be_a_name(username):
        raise UserError(f"{username!r} is nobody's name; nothing was changed")
    if not data_dir.is_claimed:
        raise UserError(f"nothing is in {settings.root} yet (or set MALSUGOI_DATA_DIR)")
    try:
        with (
            data_dir.alone("forget"),
            file_lock(work_lock(settings.root), what=f"a run on {settings.root}", wait_seconds=0),
        ):
            _forget(settings, data_dir, username, console)
    except LockedError as error:
        raise UserError(f"{error}; nothing was changed: wait for it, then forget {username} again") from error
    except (OSError, sqlite3.Error, PublishError, pl.exceptions.PolarsError) as error:
        raise WorkError(
            f"{error}\nIt is not finished: stop what else uses {settings.root} (`dagster dev`, the daemon), then run "
            "the same command again"
        ) from error


def _forget(settings: Settings, data_dir: DataDir, username: str, console: Console) -> None:
    store = PageStore(data_dir.root)
    forgotten = data_dir.ledger.forgotten
    roots = _roots(settings)
    known = forgotten.has(username) or _is_known(data_dir, store, username)
    # Who has no list here may still be named on a page. Elsewhere a word of ours would pass for somebody.
    if not known and not (is_name(username) and any(_mentions(path, username) for path in _pages(data_dir.root))):
        raise UserError(f"{username}: nobody of that name is in {settings.root}; nothing was changed")
    forgotten.add(username)
    _clear(data_dir)
    ImportedLists(data_dir.root).remove(username)
    list_titles(data_dir)
    Marks(data_dir.root).forget(username)
    with console.status("…") as spinner:
        rows = _from_tables(data_dir, username)
        Builds(data_dir).withdraw()
        pages = store.forget_user(username)
        moved = store.redact(
            username, lambda done, total: spinner.update(f"stored pages: {done:,} of {total:,}") if total else None
        )
        _follow_pages(data_dir, moved)
        data_dir.ledger.remove(username)
        spinner.update("the database")
        _publish(data_dir)
        spinner.update("logs and events")
        others = sum(_scrub(path, username) for path in _files(roots))
    left = [str(path) for path in _files(roots) if _mentions(path, username)]
    if left:
        raise WorkError(
            f"{username} is still named in {', '.join(left[:5])}: run the same command again, and delete what it "
            "cannot change"
        )
    console.print(
        f"{username} is forgotten: {rows:,} rows, {pages + len(moved):,} pages and {others:,} other files changed or "
        "removed; older databases are gone. Models still know the ratings by what they learnt: `malsugoi run` learns "
        "them anew."
    )
    if settings.source == "files":
        console.print(f"The folder {settings.files_dir} is yours and was not changed; the person is left out of it.")


def _can_be_a_name(username: str) -> bool:
    """Whether there is anything to look for: an empty name would stand in every file."""
    try:
        return bool(username.strip() and username.encode())
    except UnicodeEncodeError:
        return False


def _pages(root: Path) -> Iterator[Path]:
    """The bodies of the stored pages."""
    return (path for path in _files([root / "pages"]) if path.suffix == ".gz")


def _roots(settings: Settings) -> list[Path]:
    """The data dir, and Dagster's home where that lies elsewhere."""
    root, home = settings.root.resolve(), Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home).resolve()
    return [root] if home.is_relative_to(root) or not home.exists() else [root, home]


def _clear(data_dir: DataDir) -> None:
    """Delete what killed processes left half-written: nobody else works here now."""
    for draft in data_dir.root.rglob(".*draft*"):
        if draft.is_file():
            draft.unlink()
    shutil.rmtree(data_dir.root / "tmp", ignore_errors=True)
    # A training that was killed would not go on from there in any case: its ratings change.
    shutil.rmtree(data_dir.checkpoints, ignore_errors=True)
    # What was made ready of a folder of files is made again, without the person.
    shutil.rmtree(data_dir.root / FOLDER, ignore_errors=True)
    # So is the catalogue: titles that only this person listed have a row in it.
    (data_dir.root / READ).unlink(missing_ok=True)


def _is_known(data_dir: DataDir, store: PageStore, username: str) -> bool:
    return (
        data_dir.ledger.spelling(username) is not None
        or store.knows_user(username)
        or any(_has(data_dir, table, username) for table in ("users", "list_outcomes"))
    )


def _has(data_dir: DataDir, table: str, username: str) -> bool:
    found = data_dir.lake.read(table).filter(_is(username)).limit(1).collect()
    return found.height > 0


def _is(username: str, column: str = "username") -> pl.Expr:
    def same(names: pl.Series) -> pl.Series:
        return names.is_in([name for name in names.unique().drop_nulls() if canonical(name) == canonical(username)])

    return pl.col(column).map_batches(same, return_dtype=pl.Boolean)


def _from_tables(data_dir: DataDir, username: str) -> int:
    """Take the person's rows out of every partition file; how many there were. A file without any is left alone."""
    lake, removed = data_dir.lake, 0
    alive = {WHOLE, *data_dir.ledger.users().filter(~_is(username))["user_batch"].to_list()}
    for table in TABLES.values():
        if "username" not in {column.name for column in table.stored_columns}:
            continue
        for partition in lake.partitions(table.name):
            frame = pl.read_parquet(lake.path(table.name, partition))
            kept = frame.filter(~_is(username))
            if kept.height == frame.height:
                continue
            removed += frame.height - kept.height
            if partition not in alive:
                lake.remove(table.name, partition)
                continue
            made = lake.provenance(table.name, partition)
            lake.write(
                table,
                kept,
                partition,
                code_version=made.code_version if made else "",
                inputs=made.inputs if made else None,
                input_rows=made.input_rows if made else None,
                run_id=made.run_id if made else "",
            )
    return removed


def _follow_pages(data_dir: DataDir, moved: dict[str, str]) -> None:
    """Let `raw_anime_pages` point to where pages lie now that they no longer hold the name."""
    lake, table = data_dir.lake, TABLES["raw_anime_pages"]
    if lake.provenance(table.name) is None:
        return
    frame = lake.read(table.name).collect()
    stale = [path for path in frame["path"] if path is not None and not (data_dir.root / path).exists()]
    if not stale:
        return
    store = PageStore(data_dir.root)
    now = {key: page for key, page in store.newest("anime", good=True).items() if page.path}
    rows = [
        row | {"path": page.path, "sha256": page.sha256, "bytes": page.bytes}
        if row["path"] in stale and (page := now.get(str(row["anime_id"])))
        else row
        for row in frame.iter_rows(named=True)
    ]
    made = lake.provenance(table.name)
    lake.write(
        table,
        pl.DataFrame(rows, schema=frame.schema),
        code_version=made.code_version if made else "",
        run_id=made.run_id if made else "",
    )


def _publish(data_dir: DataDir) -> None:
    """Publish what is left and delete every other generation; readers that have one open keep it until they close it."""
    publisher = data_dir.publisher
    if publisher.current() is None:
        return
    publisher.publish()
    for old in publisher.generations.glob("*.duckdb"):
        if old != publisher.current():
            old.unlink(missing_ok=True)


def _files(roots: list[Path]) -> Iterator[Path]:
    """Every file of ours but locks, the databases (made anew from the partition files), their side files, and numbers.

    A short name may stand among the bytes of many numbers by chance; taking it out would damage them.
    """
    for root in roots:
        for folder, _, files in os.walk(root):
            if Path(folder) == root / PAIR_SUMS:
                continue
            for name in sorted(files):
                path = Path(folder, name)
                is_database = path.suffix == ".duckdb" or name == DATABASE
                if not path.is_symlink() and not is_database and not name.endswith((*_SIDE_FILES, ".lock")):
                    yield path


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(16)
    if start == _SQLITE:
        return "sqlite"
    if start[:4] == b"PAR1":
        return "parquet"
    return "gzip" if start[:2] == b"\x1f\x8b" else "bytes"


def _mentions(path: Path, username: str) -> bool:
    """Whether a file names the person: also inside of Parquet, gzip and SQLite."""
    try:
        kind = _kind(path)
        if kind == "parquet":
            return bool(pl.read_parquet(path).select(_named(path, username).any()).item())
        if kind == "sqlite":
            raw = b"".join(p.read_bytes() for p in (path, *_side_files(path)))
            # Rows that were deleted lie on in the file; only a distinctive name can be told among them.
            return username.encode().lower() in raw.lower() and (
                is_distinctive(username) or any(True for _ in _cells(path, username))
            )
        body = path.read_bytes()
        return mentions(gzip.decompress(body) if kind == "gzip" else body, username)
    except (FileNotFoundError, EOFError, zlib.error, gzip.BadGzipFile):
        return False


def _side_files(path: Path) -> list[Path]:
    return [side for end in _SIDE_FILES if (side := path.with_name(path.name + end)).exists()]


def _named(path: Path, username: str) -> pl.Expr:
    """Which rows of a Parquet file are the person's: a title may read like a name, so only columns of users count."""
    schema = pl.read_parquet_schema(path)
    columns = [name for name, dtype in schema.items() if dtype == pl.String and "user" in name.lower()]
    return pl.any_horizontal(pl.lit(False), *(_is(username, name).fill_null(False) for name in columns))


def _scrub(path: Path, username: str) -> bool:
    """Take the name out of one file; whether it was there."""
    if not _mentions(path, username):
        return False
    kind = _kind(path)
    if kind == "sqlite":
        _scrub_sqlite(path, username)
    elif kind == "parquet":
        frame = pl.read_parquet(path)
        metadata = {k: v for k, v in pl.read_parquet_metadata(path).items() if k != "ARROW:schema"}
        kept = frame.filter(~_named(path, username))
        with replace_file(path) as draft:
            kept.write_parquet(draft, compression="zstd", metadata=metadata)
    else:
        mode, body = path.stat().st_mode, path.read_bytes()
        body = gzip.decompress(body) if kind == "gzip" else body
        redacted = without_name(body, username)
        with replace_file(path) as draft:
            draft.write_bytes(gzip.compress(redacted, 6, mtime=0) if kind == "gzip" else redacted)
            draft.chmod(mode & 0o777)
    return True


def _cells(path: Path, username: str) -> Iterator[tuple[str, str, int, str]]:
    """(table, column, rowid, text) of every text in an SQLite file that names the person."""
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as con:
        tables = [row[0] for row in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for column in [row[1] for row in con.execute(f'PRAGMA table_info("{table}")')]:
                found = con.execute(
                    f'SELECT rowid, "{column}" FROM "{table}" WHERE typeof("{column}") = \'text\' '  # noqa: S608
                    f'AND instr(lower("{column}"), ?) > 0',
                    (username.encode().lower().decode(),),  # like SQLite's lower(): the letters of ASCII
                ).fetchall()
                for number, text in found:
                    if mentions(text.encode(), username):
                        yield table, column, number, text


def _scrub_sqlite(path: Path, username: str) -> None:
    """Take the name out of every text of an SQLite file, and out of the pages that it no longer uses."""
    cells = list(_cells(path, username))
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as con:
        with con:
            for table, column, number, text in cells:
                con.execute(
                    f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?',  # noqa: S608
                    (without_name(text.encode(), username).decode(), number),
                )
        con.execute("VACUUM")
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
