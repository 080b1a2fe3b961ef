"""Who is known, and which batch they belong to for good: a file that discovery adds to and that forgetting takes from.

On a site a user is one whatever the case of the name, and the spelling that was seen first stays. A folder's reader has
made one of its spellings already; beside that its names are text: its "Ann" and an imported "ann" are two.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from malsugoi_assets.disk import file_lock, replace_file
from malsugoi_assets.usernames import canonical
from malsugoi_assets.warehouse.forgotten import Forgotten

_SCHEMA = pl.Schema({"username": pl.String(), "user_batch": pl.String(), "discovered_at": pl.Datetime("us", "UTC")})


def batch_key(number: int) -> str:
    """The partition key of the n-th batch, e.g. batch-000000."""
    return f"batch-{number:06d}"


class UserLedger:
    """The known users of a data dir."""

    def __init__(self, root: Path) -> None:
        self.file = root / "state" / "known_users.parquet"
        self._lock = root / "locks" / "known_users.lock"
        self.forgotten = Forgotten(root)

    def users(self) -> pl.DataFrame:
        """All known users: username, user_batch, discovered_at, in the order of their discovery."""
        return pl.read_parquet(self.file) if self.file.exists() else pl.DataFrame(schema=_SCHEMA)

    def add(self, usernames: Iterable[str], *, batch_size: int, ignore_case: bool = True) -> list[str]:
        """Add those not yet known (with `ignore_case` whatever their case), into new batches of at most `batch_size`.

        Whoever asked to be forgotten is left out. A user's batch never changes, and a batch never grows once it was
        made. Returns the new batches' keys.
        """
        one_name = canonical if ignore_case else str
        with file_lock(self._lock, what="adding users"):
            known = self.users()
            seen = set(map(one_name, known["username"]))
            new: list[str] = []
            for name in usernames:
                if one_name(name) not in seen and not self.forgotten.has(name):
                    seen.add(one_name(name))
                    new.append(name)
            if not new:
                return []
            last = known["user_batch"].max()
            first = int(str(last).removeprefix("batch-")) + 1 if last is not None else 0
            keys = [batch_key(first + i // batch_size) for i in range(len(new))]
            added = pl.DataFrame(
                {"username": new, "user_batch": keys, "discovered_at": [datetime.now(UTC)] * len(new)}, schema=_SCHEMA
            )
            with replace_file(self.file) as draft:
                pl.concat([known, added]).write_parquet(draft)
            return sorted(set(keys))

    def spelling(self, username: str) -> str | None:
        """The name as it is kept, however it is written; None for who is not known."""
        names = (name for name in self.users()["username"] if canonical(name) == canonical(username))
        return next(names, None)

    def remove(self, username: str) -> bool:
        """Take a user out; whether there was one. The batch stays with the others of it."""
        with file_lock(self._lock, what="removing a user"):
            known = self.users()
            kept = known.filter([canonical(name) != canonical(username) for name in known["username"]])
            if kept.height == known.height:
                return False
            with replace_file(self.file) as draft:
                kept.write_parquet(draft)
            return True
