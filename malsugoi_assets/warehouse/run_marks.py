"""Which runs are alive: each run's process holds a lock that the kernel lets go of when the process dies.

A run killed with -9 stays STARTED in Dagster for good; the free lock is what tells it from one that works.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

_held: dict[str, IO[str]] = {}


def _mark(root: Path, run_id: str) -> Path:
    return root / "locks" / "runs" / f"{run_id}.lock"


def hold_run(root: Path, run_id: str) -> None:
    """Mark the run as alive until this process ends."""
    if run_id in _held:
        return
    path = _mark(root, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    fcntl.flock(file, fcntl.LOCK_SH)
    _held[run_id] = file


def release_run(root: Path, run_id: str) -> None:
    """Forget the mark of a run that has ended."""
    if file := _held.pop(run_id, None):
        file.close()
    _mark(root, run_id).unlink(missing_ok=True)


def is_dead(root: Path, run_id: str) -> bool:
    """Whether the run once worked here and no longer has a process. A run without a mark is not known to be dead."""
    try:
        with _mark(root, run_id).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return False
