"""The partitions: batches of users, registered when their users are discovered."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from malsugoi_assets.warehouse.ledger import batch_key

USER_BATCHES = dg.DynamicPartitionsDefinition(name="user_batches")
FIRST_BATCH = batch_key(0)
_PER_CALL = 10_000


def register_batches(instance: dg.DagsterInstance, keys: Sequence[str]) -> list[str]:
    """Register what is not registered yet, in canonical order; returns those that were new."""
    known = set(instance.get_dynamic_partitions("user_batches"))
    new = sorted(set(keys) - known)
    for start in range(0, len(new), _PER_CALL):
        instance.add_dynamic_partitions("user_batches", new[start : start + _PER_CALL])
    return new


def batch_keys(context: dg.AssetExecutionContext, known: Sequence[str]) -> list[str]:
    """The run's partition keys, sorted; a `Failure` in one sentence where a key is not one of ours.

    `known` are the batches that have users; the first one is always allowed, since it stands ready on a new instance.
    """
    if not context.has_partition_key and not context.has_partition_key_range:
        raise dg.Failure(f"{context.asset_key.to_user_string()} works on user batches: name one, e.g. {FIRST_BATCH}.")
    keys = sorted(context.partition_keys)
    if not keys:
        raise dg.Failure("The range of partitions is empty: its start lies after its end.")
    registered = set(context.instance.get_dynamic_partitions("user_batches"))
    if wrong := [key for key in keys if key not in registered or (key not in known and key != FIRST_BATCH)]:
        raise dg.Failure(
            f"{wrong[0]!r} is not a batch of users: discover users first, or choose one of user_batches."
        )
    return keys
