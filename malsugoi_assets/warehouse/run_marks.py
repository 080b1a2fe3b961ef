"""Which runs are alive: each run's process holds a lock that the kernel lets go of when the process dies.

A run killed with -9 stays STARTED in Dagster for good; the free lock is what tells it from one that works.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

_held: dict[str, IO[str]] = {}
_working: dict[Path, IO[str]] = {}


def _mark(root: Path, run_id: str) -> Path:
    return root / "locks" / "runs" / f"{run_id}.lock"


def hold_run(root: Path, run_id: str) -> None:
    """Mark the run as alive until this process ends."""
    if run_id in _held:
        return
    if root not in _working:
        # Shared with other runs; whoever must be alone with the data takes it for itself, and we wait for that.
        work = work_lock(root)
        work.parent.mkdir(parents=True, exist_ok=True)
        _working[root] = work.open("a")
        fcntl.flock(_working[root], fcntl.LOCK_SH)
    path = _mark(root, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Locked before it has its name: whoever looks in between would take the run for dead.
    draft = path.with_suffix(f".draft-{os.getpid()}")
    file = draft.open("w")
    fcntl.flock(file, fcntl.LOCK_SH)
    draft.replace(path)
    _held[run_id] = file


def work_lock(root: Path) -> Path:
    """A lock that every process with a run shares, until it ends."""
    return root / "locks" / "work.lock"


def is_marked(root: Path, run_id: str) -> bool:
    """Whether the run ever worked here."""
    return _mark(root, run_id).exists()


def is_dead(root: Path, run_id: str) -> bool:
    """Whether the run once worked here and no longer has a process. A run without a mark is not known to be dead."""
    return _is_free(_mark(root, run_id))


def marks(root: Path) -> list[str]:
    """The ids of the runs that have a mark."""
    return sorted(path.stem for path in (root / "locks" / "runs").glob("*.lock"))


def forget_runs(root: Path, run_ids: Iterable[str]) -> None:
    """Delete the marks of runs that have ended; one whose process is still there keeps its mark."""
    for path in (_mark(root, run_id) for run_id in run_ids):
        if _is_free(path):
            path.unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except (FileNotFoundError, BlockingIOError):
        return False
