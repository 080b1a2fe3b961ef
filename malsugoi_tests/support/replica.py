"""A replica for tests, with a data dir of its own, in a thread of this process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from malsugoi_assets.mal.replica import replica_status, serve, stop_replica


@contextlib.contextmanager
def running_replica(tmp_path: Path, n_anime: int = 60, n_users: int = 30, seed: int = 0) -> Iterator[str]:
    """The base URL of a replica whose data dir is `tmp_path`; it ends with the block."""
    started, failures = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            serve(tmp_path, n_anime=n_anime, n_users=n_users, seed=seed, started=started)
        except BaseException as error:
            failures.append(error)
            started.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(120), "the replica did not start in 120 s"
    if failures:
        raise failures[0]
    try:
        # Started, it listens; asked for the first time, it may still be on its way into its loop, and answers then.
        status = replica_status(tmp_path)
        assert status is not None
        yield status["url"]
    finally:
        stop_replica(tmp_path)
        thread.join(10)
