"""How much memory and how many threads this process may use: what the container allows, not what the host has."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_bytes() -> int:
    """The memory that this process may use: the smaller of the machine's and its control group's, in bytes."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP_LIMITS:
        try:
            return min(machine, int(path.read_text()))
        except (OSError, ValueError):
            continue
    return machine


def threads() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def duckdb_limits(root: Path) -> dict[str, str | int | bool | float | list[str]]:
    """DuckDB settings: half of the memory, spilling into the data dir rather than dying."""
    spill = root / "tmp"
    spill.mkdir(parents=True, exist_ok=True)
    return {
        "memory_limit": f"{memory_bytes() // 2 // 2**20}MiB",
        "temp_directory": str(spill),
        "threads": threads(),
        "preserve_insertion_order": True,
    }
