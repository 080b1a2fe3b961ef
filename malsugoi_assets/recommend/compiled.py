"""Compiled kernels and the plain threads that they run on. Imported only where a kernel is needed: loading takes a moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from numba import njit

from malsugoi_assets.machine import available_threads

# Kernels let go of the interpreter's lock; they are kept on disk, so that only the first run compiles.
compiled: Any = njit(cache=True, nogil=True, error_model="numpy")
# The same for kernels whose time goes into sums: they may add up in whatever order the processor likes best.
compiled_sums: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


_FEW = 24
"""More than the lists on which the reasons of one are tried, which are many short calls."""


def threads_for(lists: int) -> int:
    """How many threads so many lists are worth: starting some takes as long as a few lists."""
    return 1 if lists < _FEW else available_threads()


def on_threads(work: Callable[[int], None], threads: int) -> None:
    """Call `work` with 0 … threads - 1, at the same time."""
    if threads == 1:
        work(0)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, t) for t in range(threads)]:
            done.result()
