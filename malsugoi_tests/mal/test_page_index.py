"""The index of the pages: damage anywhere in it is one sentence, when it is used and when it is looked through."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from malsugoi_assets.mal.client import Answer
from malsugoi_assets.mal.page_index import DamagedStore, index_file, look_through
from malsugoi_assets.mal.store import ListOutcome, PageStore

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
PAGE = 4096
"""Bytes of one of SQLite's pages; the first has the header and the schema."""
SENTENCE = r"index\.sqlite cannot be read .* move .*pages away, and every page is fetched again"


def fill(data_dir: Path) -> Path:
    """A store with enough in it that each table has pages of its own; the index, at rest."""
    store, body = PageStore(data_dir), b"<html>page</html>"
    sha256 = hashlib.sha256(body).hexdigest()
    for number in range(100):
        store.add("anime", str(number), Answer(f"http://site/{number}", 200, body, NOON, sha256), good=True)
    store.set_outcome(ListOutcome("ann", "ok", NOON, NOON, None, (1,)))
    store.set_walk("users", {"names": ["ann"]})
    store._sql.close()
    return index_file(data_dir)


def garbage(file: Path) -> None:
    file.write_text("garbage, longer than a header would be" * 100)


def overwritten(file: Path) -> None:
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:PAGE] + b"Z" * (size - PAGE))


def half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


HARMS = pytest.mark.parametrize("harm", [garbage, overwritten, half, folder], ids=lambda harm: str(harm.__name__))


@HARMS
def test_whatever_is_damaged_the_store_says_what_to_do(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """`malsugoi run` ended in a traceback of SQLite's, at the first row that it asked for."""
    harm(fill(tmp_path))
    with pytest.raises(DamagedStore, match=SENTENCE):
        PageStore(tmp_path).walk("users")


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.latest("anime", "1"),
        lambda store: store.newest("anime"),
        lambda store: store.last_id(),
        lambda store: store.outcome("ann"),
        lambda store: store.set_walk("users", {}),
        lambda store: store.forget_user("ann"),
        lambda store: store.redact("ann"),
    ],
)
def test_each_question_and_each_answer_says_it(tmp_path: Path, ask: Callable[[PageStore], object]) -> None:
    overwritten(fill(tmp_path))
    store = PageStore(tmp_path)
    with pytest.raises(DamagedStore, match=SENTENCE):
        ask(store)


def test_damage_that_is_met_between_two_rows_says_it(tmp_path: Path) -> None:
    file = fill(tmp_path)
    store = PageStore(tmp_path)
    rows = store._sql.execute("SELECT url FROM pages NOT INDEXED ORDER BY id")
    rows.fetchone()
    with file.open("r+b") as opened:
        opened.seek(PAGE)
        opened.write(b"Z" * (file.stat().st_size - PAGE))
    with pytest.raises(DamagedStore, match=SENTENCE):
        list(rows)


def test_other_faults_are_no_damage(tmp_path: Path) -> None:
    """A lock, a statement that is wrong: the pages need not be fetched again for those."""
    store = PageStore(tmp_path)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        store._sql.execute("SELECT * FROM nobody")
    with pytest.raises(sqlite3.IntegrityError):
        store._sql.executemany("INSERT INTO walks VALUES (?, ?)", [("a", "1"), ("a", "2")])


@HARMS
def test_looking_through_finds_what_using_it_meets(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """`doctor` read the header only."""
    file = fill(tmp_path)
    look_through(file)
    harm(file)
    with pytest.raises(DamagedStore, match=SENTENCE):
        look_through(file)


def test_looking_through_leaves_nothing_behind(tmp_path: Path) -> None:
    file = fill(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in file.parent.iterdir()}
    look_through(file)
    assert {path: path.stat().st_mtime_ns for path in file.parent.iterdir()} == before


def test_an_empty_file_is_a_store_without_pages(tmp_path: Path) -> None:
    file = index_file(tmp_path)
    file.parent.mkdir()
    file.touch()
    look_through(file)
    assert PageStore(tmp_path).last_id() == 0


def test_what_only_the_log_has_is_looked_through_too(tmp_path: Path) -> None:
    """While somebody is at work the newest pages are in SQLite's log, and the file alone is none of anything."""
    store = PageStore(tmp_path)
    store.set_walk("users", {"names": ["ann"]})
    file = index_file(tmp_path)
    assert file.with_name("index.sqlite-wal").stat().st_size > file.stat().st_size
    look_through(file)
    assert store.walk("users") == {"names": ["ann"]}
    assert PageStore(tmp_path).walk("users") == {"names": ["ann"]}
