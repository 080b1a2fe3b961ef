"""Several calls at a time, each in a process with a share of the cores of its own.

Networks this small keep one core busy, not many: side by side they take half the time on two cores.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any

from malsugoi_assets.machine import available_threads

Call = tuple[Any, Callable[[], Callable[[], Any] | None]]


class WorkerDied(RuntimeError):
    """A worker process ended before its call did; the message says what that usually means."""


def possible_workers() -> int:
    """How many processes can have a core each; 1 where cores cannot be told apart (macOS)."""
    return available_threads() if hasattr(os, "sched_setaffinity") else 1


def answers(calls: Iterable[Call], workers: int) -> Iterator[tuple[Any, Any]]:
    """(key, what its call returns or the exception that it raised), in the order in which they end.

    A call is (key, function that gives the picklable call when its turn comes, or None for "not wanted any more").
    With one worker everything happens in this process. Raises `WorkerDied`.
    """
    if workers <= 1:
        for key, prepare in calls:
            if (call := prepare()) is not None:
                yield key, _outcome(call)
        return
    context = multiprocessing.get_context("spawn")  # torch and Polars do not survive a fork
    # A container may use fewer cores than it sees: each worker counts those it is bound to.
    seen = sorted(os.sched_getaffinity(0))
    cores = random.sample(seen, min(len(seen), max(workers, available_threads())))
    shares = [set(cores[place::workers]) for place in range(workers)]
    pool = ProcessPoolExecutor(workers, context, _settle_in, (context.Value("i", 0), shares))
    try:
        yield from _spread(pool, iter(calls), workers)
    except BrokenProcessPool as error:
        raise WorkerDied("a worker process died, as happens where memory runs out: ask for fewer models") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _spread(pool: ProcessPoolExecutor, calls: Iterator[Call], workers: int) -> Iterator[tuple[Any, Any]]:
    """Keeps every worker busy with one call, so that a call's turn comes only when it can begin."""
    running: dict[Future[Any], Any] = {}
    while True:
        while len(running) < workers and (following := next(calls, None)) is not None:
            key, prepare = following
            if (call := prepare()) is not None:
                running[pool.submit(_outcome, call)] = key
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            key = running.pop(future)
            yield key, future.result()


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (ValueError, RuntimeError, MemoryError) as problem:
        return problem


def _settle_in(counter: Any, shares: list[set[int]]) -> None:
    """In a new worker: its cores, an end by Ctrl-C without a traceback, and none without the parent."""
    with counter.get_lock():
        place = counter.value
        counter.value += 1
    os.sched_setaffinity(0, shares[place % len(shares)])
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
