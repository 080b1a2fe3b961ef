"""What is wrong with a user's files: one class, whose message names the file, the place and what would do."""

from __future__ import annotations

from pathlib import Path


class FilesError(ValueError):
    """A file or folder cannot be used; nothing was written. `path` is the file, `line` its line where known."""

    def __init__(self, path: Path, problem: str, *, line: int | None = None, unit: str = "line") -> None:
        self.path = path
        self.line = line
        place = f"{path}, {unit} {line}" if line is not None else str(path)
        super().__init__(f"{place}: {problem}")
