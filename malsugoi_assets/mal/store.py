"""Every answer as it was received, so that nothing is asked twice and everything can be parsed again.

`DATA_DIR/pages/` holds the bodies (gzip, named by their sha256, written under another name first) and `index.sqlite`,
which says what was asked when and what came. Several processes may read and write at once; a process that is killed
leaves at most a file that nobody knows, never a record without its file.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from malsugoi_assets.disk import file_lock, replace_file, sweep_drafts
from malsugoi_assets.mal.client import Answer
from malsugoi_assets.mal.page_index import index_file, open_index
from malsugoi_assets.mal.redaction import without_forgotten, without_name
from malsugoi_assets.usernames import canonical

PageKind = Literal["anime", "top", "users", "list", "list_json"]
ListStatus = Literal["ok", "empty", "private", "missing", "error"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pages (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, url TEXT NOT NULL, fetched_at TEXT NOT NULL,
    http_status INTEGER, sha256 TEXT, bytes INTEGER, path TEXT, good INTEGER NOT NULL, note TEXT);
CREATE INDEX IF NOT EXISTS pages_by_key ON pages (kind, key, id);
CREATE INDEX IF NOT EXISTS pages_by_body ON pages (sha256);
CREATE TABLE IF NOT EXISTS lists (
    user_key TEXT PRIMARY KEY, username TEXT NOT NULL, list_status TEXT NOT NULL, fetched_at TEXT,
    tried_at TEXT NOT NULL, error TEXT, pages TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS validators (page_id INTEGER PRIMARY KEY, headers TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS walks (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_PAGE = "id, kind, key, url, fetched_at, http_status, sha256, bytes, path, good, note"


class MissingBody(Exception):
    """A record whose file is gone or broken; the page has to be fetched again."""


@dataclass(frozen=True)
class StoredPage:
    """One answer in the store. `path` is relative to the data dir; without an answer there is none, nor a status."""

    id: int
    kind: str
    key: str
    url: str
    fetched_at: datetime
    http_status: int | None
    sha256: str | None
    bytes: int | None
    path: str | None
    good: bool
    """The answer was the page that was asked for."""
    note: str | None
    """What a fetch that failed ended with; for a good page what its reader noted."""


@dataclass(frozen=True)
class ListOutcome:
    """What became of a user's list. `fetched_at` is when the rows that we have were fetched; `pages` make them up."""

    username: str
    list_status: ListStatus
    fetched_at: datetime | None
    tried_at: datetime
    error: str | None
    pages: tuple[int, ...]


class PageStore:
    """The pages of one data dir. Objects may be shared by threads; each process makes its own."""

    def __init__(self, data_dir: Path, *, is_forgotten: Callable[[str], bool] = lambda username: False) -> None:
        """`is_forgotten` says of a username whether that person is to be left out of whatever is kept.

        Whatever is asked of it raises `DamagedStore` where the index is damaged, or no database.
        """
        self.data_dir = data_dir
        self.is_forgotten = is_forgotten
        self._dir = data_dir / "pages"
        self._dir.mkdir(parents=True, exist_ok=True)
        self._local = threading.local()
        with file_lock(self._dir / "lock", what="preparing the page store"):
            sweep_drafts(self._dir)
            self._sql.execute("PRAGMA journal_mode = WAL")
            self._sql.executescript(_SCHEMA)

    def add(self, kind: PageKind, key: str, answer: Answer, *, good: bool, note: str | None = None) -> StoredPage:
        """Keep an answer; a body that is there already, whole, is not written again."""
        body = without_forgotten(answer.body, self.is_forgotten)
        if body is not answer.body:
            answer = replace(answer, body=body, sha256=hashlib.sha256(body).hexdigest())
        path = self._write(answer)
        page = self._insert(
            (
                kind,
                key,
                answer.url,
                answer.fetched_at,
                answer.status,
                answer.sha256,
                len(answer.body),
                path,
                good,
                note,
            )
        )
        return self._validated(page, answer.validators) if good else page

    def validators(self, page: StoredPage) -> dict[str, str]:
        """The headers that ask whether this page still holds; {} where the site gave none."""
        row = self._sql.execute("SELECT headers FROM validators WHERE page_id = ?", (page.id,)).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def confirm(self, page: StoredPage, *, at: datetime, note: str | None) -> StoredPage:
        """Note that the site was asked again and that the page still holds: a new record of the same file."""
        values = (page.kind, page.key, page.url, at, page.http_status, page.sha256, page.bytes, page.path, True, note)
        return self._validated(self._insert(values), self.validators(page))

    def _validated(self, page: StoredPage, headers: Mapping[str, str]) -> StoredPage:
        if headers:
            with self._sql:
                values = (page.id, json.dumps(dict(headers)))
                self._sql.execute("INSERT OR REPLACE INTO validators VALUES (?, ?)", values)
        return page

    def add_failure(
        self, kind: PageKind, key: str, url: str, *, at: datetime, http_status: int | None, note: str
    ) -> StoredPage:
        """Note a request that brought no answer, and why."""
        return self._insert((kind, key, url, at, http_status, None, None, None, False, note))

    def latest(self, kind: PageKind, key: str) -> StoredPage | None:
        """The newest record of a page, good or not."""
        return self._one("kind = ? AND key = ? ORDER BY id DESC LIMIT 1", kind, key)

    def last_good(self, kind: PageKind, key: str) -> StoredPage | None:
        """The newest good record of a page."""
        return self._one("kind = ? AND key = ? AND good ORDER BY id DESC LIMIT 1", kind, key)

    def get(self, page_id: int) -> StoredPage | None:
        """The record with that id."""
        return self._one("id = ?", page_id)

    def newest(self, kind: PageKind, *, good: bool = False) -> dict[str, StoredPage]:
        """The newest record (the newest good one) of every key of a kind."""
        only = " AND good" if good else ""
        found = self._sql.execute(
            f"SELECT {_PAGE} FROM pages WHERE id IN (SELECT max(id) FROM pages WHERE kind = ?{only} GROUP BY key)",  # noqa: S608
            (kind,),
        )
        return {page.key: page for page in map(_page, found)}

    def last_id(self) -> int:
        """The newest record's id; 0 in an empty store. What is added later has a greater one, whatever the clock says."""
        return int(self._sql.execute("SELECT coalesce(max(id), 0) FROM pages").fetchone()[0])

    def body(self, page: StoredPage) -> bytes:
        """The body as received. Raises `MissingBody` where its file is gone or is not what was stored."""
        if page.path is None:
            raise MissingBody(f"{page.url}: no answer was stored ({page.note})")
        try:
            body = gzip.decompress((self.data_dir / page.path).read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise MissingBody(f"{page.path} of {page.url}: {error}") from error
        if hashlib.sha256(body).hexdigest() != page.sha256:
            raise MissingBody(f"{page.path} of {page.url}: not the bytes that were stored")
        return body

    def has_body(self, page: StoredPage) -> bool:
        """Whether the body's file is there (its bytes are only looked at by `body`)."""
        return page.path is not None and (self.data_dir / page.path).is_file()

    def reject(self, page: StoredPage, note: str) -> None:
        """Take back a record's good mark: its file is broken, or its reader found it is another page."""
        with self._sql:
            self._sql.execute("UPDATE pages SET good = 0, note = ? WHERE id = ?", (note, page.id))
        if page.path is not None:
            with contextlib.suppress(MissingBody):
                self.body(page)
                return
            (self.data_dir / page.path).unlink(missing_ok=True)

    def outcome(self, username: str) -> ListOutcome | None:
        """What became of a user's list; None where it was never asked for."""
        row = self._sql.execute(
            "SELECT username, list_status, fetched_at, tried_at, error, pages FROM lists WHERE user_key = ?",
            (canonical(username),),
        ).fetchone()
        if row is None:
            return None
        name, status, fetched_at, tried_at, error, pages = row
        fetched = datetime.fromisoformat(fetched_at) if fetched_at else None
        return ListOutcome(name, status, fetched, datetime.fromisoformat(tried_at), error, tuple(json.loads(pages)))

    def set_outcome(self, outcome: ListOutcome) -> None:
        """Keep what became of a user's list."""
        fetched = outcome.fetched_at.isoformat() if outcome.fetched_at else None
        values = (
            canonical(outcome.username), outcome.username, outcome.list_status, fetched, outcome.tried_at.isoformat(),
            outcome.error, json.dumps(outcome.pages),
        )  # fmt: skip
        with self._sql:
            self._sql.execute("INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def walk(self, name: str) -> dict[str, Any]:
        """What is known of a walk over ranking or search pages; {} before its first."""
        row = self._sql.execute("SELECT value FROM walks WHERE name = ?", (name,)).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def set_walk(self, name: str, value: dict[str, Any]) -> None:
        """Keep what is known of a walk."""
        with self._sql:
            self._sql.execute("INSERT OR REPLACE INTO walks VALUES (?, ?)", (name, json.dumps(value)))

    def forget_user(self, username: str) -> int:
        """Remove a user's list pages, with the files that nobody else needs, and the outcome; the pages removed.

        What other pages say of the user is `redact`'s.
        """
        key = canonical(username)
        prefix = f"{key}?"
        rows = self._sql.execute(
            f"SELECT {_PAGE} FROM pages WHERE kind IN ('list', 'list_json') AND (key = ? OR substr(key, 1, ?) = ?)",  # noqa: S608
            (key, len(prefix), prefix),
        )
        pages = [_page(row) for row in rows]
        with self._sql:
            self._sql.execute("DELETE FROM lists WHERE user_key = ?", (key,))
            self._sql.executemany("DELETE FROM pages WHERE id = ?", [(page.id,) for page in pages])
        for page in pages:
            used = self._sql.execute("SELECT 1 FROM pages WHERE sha256 = ? LIMIT 1", (page.sha256,)).fetchone()
            if page.path is not None and used is None:
                (self.data_dir / page.path).unlink(missing_ok=True)
        return len(pages)

    def knows_user(self, username: str) -> bool:
        """Whether a list of the user was asked for, or the last walk of the search found the name."""
        found = {canonical(name) for name in self.walk("users").get("names", ())}
        return canonical(username) in found or self.outcome(username) is not None

    def redact(
        self, username: str, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> dict[str, str]:
        """Take the name out of every page that is kept, and out of the index; old path → new path of what changed.

        A page keeps its place with a stand-in for the name, under the hash of what it is then; bodies without a record
        are deleted. Nobody else may write meanwhile. Doing it again, also after it was broken off, finishes it.
        """
        walk = self.walk("users")
        if walk.get("names"):
            kept = [name for name in walk["names"] if canonical(name) != canonical(username)]
            self.set_walk("users", {**walk, "names": kept})
        changed: dict[str, str] = {}
        paths = [str(row[0]) for row in self._sql.execute("SELECT DISTINCT path FROM pages WHERE path IS NOT NULL")]
        for number, path in enumerate(paths):
            progress(number, len(paths))
            try:
                body = gzip.decompress((self.data_dir / path).read_bytes())
            except (OSError, EOFError, zlib.error):
                continue
            redacted = without_name(body, username)
            if redacted is body:
                continue
            sha256 = hashlib.sha256(redacted).hexdigest()
            changed[path] = self._keep_body(redacted, sha256)
            with self._sql:
                self._sql.execute(
                    "UPDATE pages SET sha256 = ?, bytes = ?, path = ? WHERE path = ?",
                    (sha256, len(redacted), changed[path], path),
                )
            (self.data_dir / path).unlink(missing_ok=True)
        for row in self._sql.execute("SELECT id, url, note FROM pages").fetchall():
            url, note = (without_name(str(text or "").encode(), username).decode() for text in row[1:])
            if (url, note) != (row[1], row[2] or ""):
                with self._sql:
                    self._sql.execute("UPDATE pages SET url = ?, note = ? WHERE id = ?", (url, note or None, row[0]))
        with self._sql:
            self._sql.execute("DELETE FROM validators WHERE page_id NOT IN (SELECT id FROM pages)")
        # Rows that were deleted lie on in the file, until it is written anew.
        self._sql.execute("VACUUM")
        self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        known = {str(row[0]) for row in self._sql.execute("SELECT DISTINCT path FROM pages WHERE path IS NOT NULL")}
        for file in self._dir.glob("??/*.gz"):
            if file.relative_to(self.data_dir).as_posix() not in known:
                file.unlink()
        return changed

    @property
    def _sql(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None or self._local.pid != os.getpid():
            connection = open_index(index_file(self.data_dir))
            self._local.connection, self._local.pid = connection, os.getpid()
        return connection

    def _write(self, answer: Answer) -> str:
        return self._keep_body(answer.body, answer.sha256)

    def _keep_body(self, body: bytes, sha256: str) -> str:
        target = self._dir / sha256[:2] / f"{sha256}.gz"
        if not _holds(target, body):
            # A page that a power cut takes is fetched again; waiting for the disk at every page is not worth that.
            with replace_file(target, durable=False) as draft:
                draft.write_bytes(gzip.compress(body, 6, mtime=0))
        return target.relative_to(self.data_dir).as_posix()

    def _insert(self, values: tuple[Any, ...]) -> StoredPage:
        kind, key, url, at, status, sha256, size, path, good, note = values
        row = (kind, key, url, at.astimezone(UTC).isoformat(), status, sha256, size, path, int(good), note)
        columns = _PAGE.removeprefix("id, ")
        with self._sql:
            cursor = self._sql.execute(f"INSERT INTO pages ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
        return _page((cursor.lastrowid, *row))

    def _one(self, condition: str, *values: object) -> StoredPage | None:
        row = self._sql.execute(f"SELECT {_PAGE} FROM pages WHERE {condition}", values).fetchone()  # noqa: S608
        return _page(row) if row else None


def _holds(path: Path, body: bytes) -> bool:
    try:
        return gzip.decompress(path.read_bytes()) == body
    except (OSError, EOFError, zlib.error):
        return False


def _page(row: tuple[Any, ...]) -> StoredPage:
    number, kind, key, url, at, status, sha256, size, path, good, note = row
    return StoredPage(
        number, kind, key, url, datetime.fromisoformat(at), status, sha256, size, path, bool(good), note
    )
