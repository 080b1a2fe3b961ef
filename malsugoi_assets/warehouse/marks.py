"""What people said of titles for good: seen, or not interested. Kept beside the lists, which are the site's.

`state/marks.json`: user → title → mark. `malsugoi recommend` and `explain` go by it; the table `title_marks` has what the
stored recommendations go by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from malsugoi_assets.disk import file_lock, replace_file
from malsugoi_assets.usernames import canonical
from malsugoi_assets.warehouse.forgotten import Forgotten

Mark = Literal["seen", "not interested"]


class MarksError(RuntimeError):
    """The file cannot be read; the message says what to do."""


class Marks:
    """The marks of a data dir."""

    def __init__(self, root: Path) -> None:
        self._path = root / "state" / "marks.json"
        self._lock = root / "locks" / "marks.lock"
        self._forgotten = Forgotten(root)

    def of(self, username: str) -> dict[int, Mark]:
        """A user's marks by title."""
        return {int(title): mark for title, mark in self._read().get(username, {}).items()}

    def rows(self, usernames: Iterable[str]) -> list[tuple[str, int, Mark]]:
        """(username, anime_id, mark) of those users who said something, sorted."""
        known = self._read()
        return sorted(
            (name, int(title), mark) for name in known.keys() & set(usernames) for title, mark in known[name].items()
        )

    def put(self, username: str, anime_id: int, mark: Mark | None) -> None:
        """Set a title's mark, or take it away (None). `MarksError` for somebody who asked to be forgotten."""
        with file_lock(self._lock, what="marking titles"):
            # Within the lock: whoever forgets takes the marks away after having noted the name.
            if self._forgotten.has(username):
                raise MarksError(f"{username} asked to be forgotten here; nothing was noted")
            known = self._read()
            own = known.get(username, {})
            own.pop(str(anime_id), None)
            if mark is not None:
                own[str(anime_id)] = mark
            self._write({**known, username: own})

    def forget(self, username: str) -> None:
        """Take away all that the user said, however the name is written."""
        if self._path.exists():
            with file_lock(self._lock, what="marking titles"):
                gone = canonical(username)
                self._write({name: own for name, own in self._read().items() if canonical(name) != gone})

    def _read(self) -> dict[str, dict[str, Mark]]:
        try:
            found = json.loads(self._path.read_text())
            if not all(isinstance(own, dict) and all(t.lstrip("-").isdigit() for t in own) for own in found.values()):
                raise ValueError("not titles by user")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as error:
            raise MarksError(f"{self._path} cannot be read ({error}): mend or delete it") from error
        return dict(found)

    def _write(self, marks: dict[str, dict[str, Mark]]) -> None:
        with replace_file(self._path) as draft:
            draft.write_text(json.dumps({name: own for name, own in sorted(marks.items()) if own}, sort_keys=True))
