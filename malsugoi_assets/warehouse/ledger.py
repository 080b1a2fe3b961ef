"""Who is known, and which batch they belong to for good: an append-only file that only discovery writes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from malsugoi_assets.disk import file_lock, replace_file

_SCHEMA = pl.Schema({"username": pl.String(), "user_batch": pl.String(), "discovered_at": pl.Datetime("us", "UTC")})


def batch_key(number: int) -> str:
    """The partition key of the n-th batch, e.g. batch-000000."""
    return f"batch-{number:06d}"


class UserLedger:
    """The known users of a data dir."""

    def __init__(self, root: Path) -> None:
        self._file = root / "state" / "known_users.parquet"
        self._lock = root / "locks" / "known_users.lock"

    def users(self) -> pl.DataFrame:
        """All known users: username, user_batch, discovered_at, in the order of their discovery."""
        return pl.read_parquet(self._file) if self._file.exists() else pl.DataFrame(schema=_SCHEMA)

    def add(self, usernames: Iterable[str], *, batch_size: int) -> list[str]:
        """Add those not yet known (whatever their case), into new batches of at most `batch_size`.

        A user's batch never changes, and a batch never grows once it was made. Returns the new batches' keys.
        """
        with file_lock(self._lock, what="adding users"):
            known = self.users()
            seen = set(known["username"].str.to_lowercase())
            new: list[str] = []
            for name in usernames:
                if name.lower() not in seen:
                    seen.add(name.lower())
                    new.append(name)
            if not new:
                return []
            last = known["user_batch"].max()
            first = int(str(last).removeprefix("batch-")) + 1 if last is not None else 0
            keys = [batch_key(first + i // batch_size) for i in range(len(new))]
            added = pl.DataFrame(
                {"username": new, "user_batch": keys, "discovered_at": [datetime.now(UTC)] * len(new)}, schema=_SCHEMA
            )
            with replace_file(self._file) as draft:
                pl.concat([known, added]).write_parquet(draft)
            return sorted(set(keys))
