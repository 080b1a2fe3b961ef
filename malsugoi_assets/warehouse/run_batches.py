"""Which batches of users a run works on, read from its tags, however it was started.

Dagster takes any string for a key of a dynamic partition, and a range that starts after its end for an empty one that
succeeds; here both end in a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from malsugoi_assets.warehouse.ledger import batch_key
from malsugoi_assets.warehouse.tables import BATCH_PATTERN

FIRST_BATCH = batch_key(0)
"""Stands ready on a new instance, before any user is known."""
ONE, FIRST, LAST = "dagster/partition", "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class BatchError(ValueError):
    """A run's batches that are none of ours; one sentence that says which and what to do."""


def named_batches(tags: Mapping[str, str]) -> tuple[str, str] | None:
    """The first and the last key that the run's tags name; None for a run without partitions."""
    if ONE in tags:
        return tags[ONE], tags[ONE]
    if FIRST in tags or LAST in tags:
        return tags.get(FIRST, tags.get(LAST, "")), tags.get(LAST, tags.get(FIRST, ""))
    return None


def batches_of(tags: Mapping[str, str], registered: Sequence[str], known: Collection[str]) -> list[str]:
    """The batches that a run works on, in canonical order.

    `registered` are Dagster's keys in their order, by which ranges go; `known` are the batches that have users.
    Raises `BatchError` where a key is missing, malformed, not registered or nobody's, or the range is empty.
    """
    named = named_batches(tags)
    if named is None:
        raise BatchError(f"This works on batches of users: name one partition, e.g. {FIRST_BATCH}.")
    for key in named:
        if not re.fullmatch(BATCH_PATTERN, key):
            raise BatchError(f"{key!r} is not a batch of users: a key looks like {FIRST_BATCH}.")
        if key not in registered and key in known:
            raise BatchError(
                f"{key!r} has users, and is not registered in this instance of Dagster: discover users again, "
                "with the data dir's DAGSTER_HOME set."
            )
        if key not in registered:
            raise BatchError(f"{key!r} is not registered: discover users first, or choose one of user_batches.")
    first, last = (registered.index(key) for key in named)
    keys = list(registered[first : last + 1])
    if not keys:
        raise BatchError(f"The range of partitions is empty: {named[0]} comes after {named[1]}.")
    for key in keys:
        if key not in known and key != FIRST_BATCH:
            raise BatchError(f"{key!r} has no users: discover users first, or choose another of user_batches.")
    return sorted(keys)
