"""Who imported a list themselves, as files beside the lake that carry no user's name; `resources.imported` writes them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl

from malsugoi_assets.usernames import canonical

FOLDER = "imported"


def own_list_file(root: Path, username: str, part: str) -> Path:
    """The file of a user's imported list, `part` rows or outcome; the same for all ways to write the name."""
    digest = hashlib.blake2b(canonical(username).encode(), digest_size=12).hexdigest()
    return root / FOLDER / f"{digest}-{part}.parquet"


def has_own_list(root: Path, username: str, *, ignore_case: bool = True) -> bool:
    """Whether the user's list was imported; with `ignore_case` however the name is written."""
    outcome = own_list_file(root, username, "outcome")
    if ignore_case or not outcome.exists():
        return outcome.exists()
    return bool(pl.read_parquet(outcome, memory_map=False)["username"].item() == username)


def without_own_lists(root: Path, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of those users who imported no list; `rows` has the column username, written as it was imported."""
    names = rows["username"].unique()
    own = [name for name in names if has_own_list(root, name, ignore_case=False)]
    return rows.filter(~pl.col("username").is_in(own)) if own else rows
