"""What the assets that learn from lists have in common."""

from hashlib import sha256

import dagster as dg
import polars as pl

from malsugoi_assets.evaluation.hold_out import HoldOut, hold_out
from malsugoi_assets.warehouse.batches import Batches

MOST_LEARNT = 5_000_000
"""List rows, in whole batches, that a model is trained on and measured by at most: more teach it little and take hours."""


def held_out(user_lists: Batches, features: pl.LazyFrame, relations: pl.LazyFrame) -> tuple[HoldOut, str]:
    """The hold-out of as many batches as hold `MOST_LEARNT` rows, and in words how many they are.

    Raises `Failure` where no batch was read.
    """
    some = some_batches(user_lists, MOST_LEARNT)
    if not some:
        raise dg.Failure(
            "Nobody's list is there to learn from: discover users and read a batch of them (user_batch) first; "
            "of a folder, see that its ratings have rows."
        )
    wanted = (user_lists[key].select("username", "anime_id", "score") for key in some)
    held = hold_out(pl.concat(wanted).collect(), features.collect(), relations.collect())
    return held, f"{len(some):,} of {len(user_lists):,} batches"


def rows_of(batches: Batches) -> int:
    """Rows of all batches."""
    return sum(_rows(frame) for frame in batches.values())


def some_batches(batches: Batches, most_rows: int) -> list[str]:
    """Keys of as many batches as hold `most_rows` together, at least one, in canonical order.

    Which ones is decided by a hash of the key: batches that are added hardly change the choice.
    """
    chosen: list[str] = []
    rows = 0
    for key in sorted(batches, key=lambda key: sha256(key.encode()).digest()):
        rows += _rows(batches[key])
        if chosen and rows > most_rows:
            break
        chosen.append(key)
    return sorted(chosen)


def _rows(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())
