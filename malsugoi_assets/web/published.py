"""The published states: each opened once, read-only, and left for the next one as soon as that is made ready.

A state is a file of its own that nobody changes, so a request sees one state from beginning to end, whatever is
published meanwhile; one that still works on the old state ends on it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.warehouse.publish import Publisher
from malsugoi_assets.warehouse.schema import polars_type
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_assets.web.problems import Problem

T = TypeVar("T")
_LOOK_SECONDS = 1.0
log = logging.getLogger("malsugoi.web")


class Published:
    """One published state. Values go into SQL as parameters only; SQL reads no other file."""

    def __init__(self, path: Path, before: Published | None = None) -> None:
        """`before`: the state before this one; what is known of tables that both were given is not looked at again."""
        self.path = path
        self._connection = duckdb.connect(str(path), read_only=True)
        # Set afterwards: a process may open a file only once with settings of its own, and a publisher opens it too.
        self._connection.execute("SET threads = 2")
        self._connection.execute("SET enable_external_access = false")
        self._columns: dict[str, set[str]] = {}
        self._made_from = self._read_made_from()
        self._contents: dict[str, Hashable] = {
            table: content
            for table, content in (before._contents if before else {}).items()
            if before and table in self._made_from and self._made_from[table] == before._made_from.get(table)
        }

    def _read_made_from(self) -> dict[str, str]:
        """What each table was made from, as the publisher notes it; nothing in files of older versions."""
        try:
            return {row["table_name"]: row["state"] for row in self.rows("FROM internal.made_from")}
        except duckdb.CatalogException:
            return {}

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """The result's rows as dictionaries."""
        with self._connection.cursor() as cursor:
            result = cursor.execute(sql, list(values))
            names = [column[0] for column in result.description or []]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def table(self, name: str, columns: Sequence[str], where: str = "TRUE", *values: object) -> pl.DataFrame:
        """Columns of a declared table, with its types; `where` is SQL of ours, its values are parameters.

        A column that the state was published without, by an older version, is unknown throughout.
        """
        types = {column.name: column.type for column in TABLES[name].columns}
        there = self._columns_of(name)
        wanted = ", ".join(c if c in there or not there else f"NULL AS {c}" for c in columns)
        with self._connection.cursor() as cursor:
            relation = f"SELECT {wanted} FROM {name} WHERE {where}"  # noqa: S608 (our own words)
            rows = cursor.execute(relation, list(values)).fetchall()
        return pl.DataFrame(rows, schema={c: polars_type(types[c]) for c in columns}, orient="row")

    def _columns_of(self, table: str) -> set[str]:
        if table not in self._columns:
            rows = self.rows("FROM duckdb_columns() WHERE table_name = ?", table)
            self._columns[table] = {row["column_name"] for row in rows}
        return self._columns[table]

    def arrays(self, sql: str, *values: object) -> list[npt.NDArray[Any]]:
        """The result's columns, numbers without NULL, as arrays: for millions of rows."""
        with self._connection.cursor() as cursor:
            return [np.asarray(column) for column in cursor.execute(sql, list(values)).fetchnumpy().values()]

    def contents(self, *tables: str) -> tuple[Hashable, ...]:
        """What tells the tables' rows from others: as long as this is the same, so are they. None for a table not there."""
        return tuple(self._content(table) for table in tables)

    def _content(self, table: str) -> Hashable:
        if table not in self._contents:
            if table not in TABLES:
                raise KeyError(table)
            try:
                [found] = self.rows(
                    f"SELECT count(*) AS n, bit_xor(hash(t)) AS folded, sum(hash(t)) AS added FROM {table} t"  # noqa: S608
                )
                self._contents[table] = tuple(found.values())
            except duckdb.CatalogException:
                self._contents[table] = None
        return self._contents[table]


class Parts:
    """Things made of published tables, kept while the tables stay the same; each is made once, by one thread."""

    def __init__(self) -> None:
        self._locks: dict[str, threading.Lock] = {}
        self._kept: dict[str, list[tuple[object, object]]] = {}
        self._lock = threading.Lock()

    def get(self, name: str, key: object, make: Callable[[], T]) -> T:
        """The part of this name and key; of the keys of a name the last two are kept (the state in use and the next)."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            kept = self._kept.setdefault(name, [])
            for known, value in kept:
                if known == key:
                    return value  # type: ignore[return-value]
            made = make()
            self._kept[name] = [*kept[-1:], (key, made)]
            return made


class States(Generic[T]):
    """The state in use. `open_state` makes ready a published file; it is asked for the next one by a thread of its own."""

    def __init__(
        self,
        publisher: Publisher,
        open_state: Callable[[Published], T],
        ready: Callable[[T], None],
        succeed: Callable[[T, T], None] = lambda state, before: None,
    ) -> None:
        """`succeed` is told of each state that came into use after another one."""
        self._publisher = publisher
        self._open_state = open_state
        self._ready = ready
        self._succeed = succeed
        self._published: Published | None = None
        self._state: T | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether a state is in use already."""
        return self._state is not None

    def current(self) -> T:
        """The state in use; `Problem` (503) before anything is published."""
        if self._state is None:
            self.refresh()
        state = self._state
        if state is None:
            raise Problem(
                503,
                f"Nothing is in {self._publisher.root} yet.",
                "Run `malsugoi run` first; this page works as soon as something is published.",
            )
        return state

    def refresh(self) -> None:
        """Take what is published now, where that is another state than the one in use: the first at once, another as
        soon as it is ready.
        """
        with self._lock:
            path = self._publisher.current()
            if path is None or (self._published and path == self._published.path):
                return
            try:
                published = Published(path, self._published)
                state = self._open_state(published)
            except duckdb.IOException:
                return  # Published and replaced in between: the next look finds the newer one.
            before = self._state
            if before is not None:
                self._ready(state)
            self._published, self._state = published, state
            if before is not None:
                self._succeed(state, before)

    def watch(self) -> None:
        """Look for a new state every second until `close`."""
        self._thread = threading.Thread(target=self._watch, name="published states", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _watch(self) -> None:
        self._look(self.refresh)
        self._look(self._make_ready)
        while not self._ended.wait(_LOOK_SECONDS):
            self._look(self.refresh)

    def _make_ready(self) -> None:
        # Apart from `_watch`, which lasts as long as the page: a name there would hold the first state for good.
        if self._state is not None:
            self._ready(self._state)

    def _look(self, do: Callable[[], None]) -> None:
        """A state that cannot be opened or made ready must not end the looking: the one in use goes on."""
        try:
            do()
        except Exception:
            log.exception("the state published last cannot be used yet")
