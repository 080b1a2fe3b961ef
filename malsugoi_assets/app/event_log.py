"""Dagster's events of a run over hundreds of batches, written together.

Such a run tells an event a batch and asset before it begins, and another one when the asset is made. Dagster's SQLite
storage opens four connections for each and waits for the disk. Here events that come together are written in one
transaction a file, by the same statements, so that every other Dagster process reads them as ever.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.events import ASSET_EVENTS
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

_TOGETHER = "1000"
"""Events that are written together at most."""
_STORED_ELSEWHERE = ("storage", "event_log_storage", "run_storage", "schedule_storage", "instance_class")


class BatchedEventLog(SqliteEventLogStorage):
    """Dagster's own event log, but for asset events that come together."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchedEventLog:
        """One of this class: Dagster's own makes its own."""
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store all of them, or none in a file; events of another kind, of which there are few, one by one."""
        super().store_event_batch([event for event in events if event.dagster_event_type not in ASSET_EVENTS])
        events = [event for event in events if event.dagster_event_type in ASSET_EVENTS]
        if not events:
            return
        inserts = [self.prepare_insert_event(event) for event in events]
        latest = {event.get_dagster_event().asset_key: place for place, event in enumerate(events)}
        with self.index_transaction() as conn:
            ids = [int(conn.execute(insert).lastrowid) for insert in inserts]
            self._store_asset_event_tags(conn, events, ids)
            for place in latest.values():
                self._store_asset_event(conn, events[place], ids[place])
        for run_id in dict.fromkeys(event.run_id for event in events):
            with self.run_connection(run_id) as conn:
                for event, insert in zip(events, inserts, strict=True):
                    if event.run_id == run_id:
                        conn.execute(insert)


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
