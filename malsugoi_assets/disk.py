"""Files that are whole or absent, and locks that a killed process lets go of. Every room may use it; it uses none."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LockedError(RuntimeError):
    """Somebody else holds the lock; the message names the process where it is known."""


@contextmanager
def replace_file(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a draft's path; when the block ends well it replaces `path` in one step, else it is deleted.

    `durable` waits until the disk has it; without, a power cut may leave less (not a killed process).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{threading.get_ident()}.draft-{os.getpid()}")
    try:
        yield draft
        if durable:
            with draft.open("rb") as file:
                os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def sweep_drafts(root: Path) -> list[Path]:
    """Delete the drafts that killed writers left in the folders of `root`; those of living ones stay."""
    drafts = [path for folder in root.glob("*") for path in _drafts(folder) if not _is_alive(path)]
    for draft in drafts:
        draft.unlink(missing_ok=True)
    return drafts


def _drafts(folder: Path) -> list[Path]:
    """Of a folder that may go meanwhile, as another writer's own does."""
    try:
        return list(folder.glob(".*.draft-*"))
    except OSError:
        return []


def _is_alive(draft: Path) -> bool:
    try:
        os.kill(int(draft.name.rsplit("-", 1)[1]), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def file_lock(path: Path, *, what: str, wait_seconds: float | None = None) -> Iterator[None]:
    """Hold the lock file; the kernel frees it when the process dies, however it dies.

    Waits for ever by default; with `wait_seconds` raises `LockedError` saying what is being done, as its holder said, and
    by whom.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        started = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait_seconds is None else fcntl.LOCK_NB))
                break
            except BlockingIOError:
                if wait_seconds is not None and time.monotonic() - started >= wait_seconds:
                    file.seek(0)
                    holder, _, doing = file.read().strip().partition(" ")
                    raise LockedError(
                        f"{doing or what} is already under way (process {holder or 'unknown'})"
                    ) from None
                time.sleep(0.05)
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()} {what}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
