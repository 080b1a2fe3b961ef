"""The partitions: batches of users, registered when their users are discovered."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from malsugoi_assets.warehouse.run_batches import FIRST_BATCH

USER_BATCHES = dg.DynamicPartitionsDefinition(name="user_batches")
_PER_CALL = 10_000

__all__ = ["FIRST_BATCH", "USER_BATCHES", "register_batches"]


def register_batches(instance: dg.DagsterInstance, keys: Sequence[str]) -> list[str]:
    """Register what is not registered yet, in canonical order; returns those that were new."""
    known = set(instance.get_dynamic_partitions("user_batches"))
    new = sorted(set(keys) - known)
    for start in range(0, len(new), _PER_CALL):
        instance.add_dynamic_partitions("user_batches", new[start : start + _PER_CALL])
    return new
