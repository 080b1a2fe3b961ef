"""Dagster's events of a run over hundreds of batches, written together.

Such a run tells an event a batch and asset before it begins, another one when the asset is made, and a third one when
it was checked. Dagster's SQLite storage opens four connections for each and waits for the disk. Here events that come
together are written in one transaction a file, by the same statements, so that every other Dagster process reads them
as ever.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.events import ASSET_EVENTS, DagsterEventType
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

_TOGETHER = "1000"
"""Events that are written together at most."""
_STORED_ELSEWHERE = ("storage", "event_log_storage", "run_storage", "schedule_storage", "instance_class")


_TAKEN_TOGETHER = ASSET_EVENTS | {DagsterEventType.ASSET_CHECK_EVALUATION}


class BatchedEventLog(SqliteEventLogStorage):
    """Dagster's own event log, but for events of assets and evaluations of checks that come together."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        """As Dagster's."""
        self._thread = threading.local()
        self._held: dict[str, sqlite3.Connection] | None = None
        # Of `_held`, and never while a file is opened: who writes one may wait for it.
        self._holding = threading.Lock()
        super().__init__(*args, **settings)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchedEventLog:
        """One of this class: Dagster's own makes its own."""
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store all of them, or none in a file; events of another kind, of which there are few, one by one."""
        super().store_event_batch([event for event in events if event.dagster_event_type not in _TAKEN_TOGETHER])
        events = [event for event in events if event.dagster_event_type in _TAKEN_TOGETHER]
        if not events:
            return
        inserts = [self.prepare_insert_event(event) for event in events]
        # The index last, as Dagster does: where a file cannot be written, all come again one by one.
        for run_id in dict.fromkeys(event.run_id for event in events):
            with self.run_connection(run_id) as conn:
                for event, insert in zip(events, inserts, strict=True):
                    if event.run_id == run_id:
                        conn.execute(insert)
        with self.index_transaction() as conn:
            ids = [int(conn.execute(insert).lastrowid) for insert in inserts]
            of_assets = [place for place, event in enumerate(events) if event.dagster_event_type in ASSET_EVENTS]
            self._store_asset_event_tags(conn, [events[p] for p in of_assets], [ids[p] for p in of_assets])
            latest = {events[place].get_dagster_event().asset_key: place for place in of_assets}
            for place in latest.values():
                self._store_asset_event(conn, events[place], ids[place])
            self._thread.connection = conn
            try:
                for place in sorted(set(range(len(events))) - set(of_assets)):
                    self.store_asset_check_event(events[place], ids[place])
            finally:
                del self._thread.connection

    @contextmanager
    def held_open(self) -> Iterator[None]:
        """Within the block a connection to each file that is written stays open.

        Dagster opens one an event, and what closes as the last one writes SQLite's log back into the file and waits for it.
        """
        with self._holding:
            is_outermost = self._held is None
            if is_outermost:
                self._held = {}
        try:
            yield
        finally:
            if is_outermost:
                with self._holding:
                    held, self._held = self._held or {}, None
                for connection in held.values():
                    connection.close()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Any]:
        with super()._connect(shard) as conn:
            self._hold(shard)
            yield conn

    def _hold(self, shard: str) -> None:
        """Open a connection that stays, where the file has none yet and the block has not ended meanwhile."""
        with self._holding:
            if self._held is None or shard in self._held:
                return
        connection = sqlite3.connect(self.path_for_shard(shard), check_same_thread=False)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opened by the first look only
        with self._holding:
            if self._held is not None and self._held.setdefault(shard, connection) is connection:
                return
        connection.close()

    def index_connection(self) -> AbstractContextManager[Any]:
        """As Dagster's; within `store_event_batch` the connection that is open there."""
        if (conn := getattr(self._thread, "connection", None)) is not None:
            return nullcontext(conn)
        return super().index_connection()


@contextmanager
def events_held_open(instance: dg.DagsterInstance) -> Iterator[None]:
    """As `BatchedEventLog.held_open`, where the instance has one."""
    log = instance.event_log_storage
    with log.held_open() if isinstance(log, BatchedEventLog) else nullcontext():
        yield


def open_batched(home: Path) -> dg.DagsterInstance:
    """The instance of a Dagster home, its event log a `BatchedEventLog` where `dagster.yaml` names no storage."""
    named = (home / "dagster.yaml").read_text().splitlines()
    if any(line.startswith(tuple(f"{key}:" for key in _STORED_ELSEWHERE)) for line in named):
        return dg.DagsterInstance.from_config(str(home))
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", _TOGETHER)
    events = {
        "module": BatchedEventLog.__module__,
        "class": BatchedEventLog.__name__,
        "config": {"base_dir": str(home / "history" / "runs")},
    }
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides={"event_log_storage": events}))
