"""What this process may use of the machine: what its container allows, not what the host has."""

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


def available_threads(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """CPU cores this process may use: the least of its affinity and its cgroup's quota (v2, then v1), at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_cores(cgroup)
    return max(1, min(cores, int(quota)) if quota else cores)


def _cgroup_cores(cgroup: Path) -> float | None:
    """The quota in cores, None where there is none; less than one core counts as one."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        return None if quota in ("max", "-1") else max(1.0, int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return None
