"""DuckDB's share of the machine."""

from __future__ import annotations

from pathlib import Path

from malsugoi_assets.machine import available_threads, memory_bytes


def spill_folder(root: Path) -> Path:
    """Where DuckDB puts what is more than its share of the memory, while it publishes."""
    return root / "tmp" / "publish"


def duckdb_limits(root: Path) -> dict[str, str | int | bool | float | list[str]]:
    """DuckDB settings: half of the memory, spilling into the data dir rather than dying."""
    spill = spill_folder(root)
    spill.mkdir(parents=True, exist_ok=True)
    return {
        "memory_limit": f"{memory_bytes() // 2 // 2**20}MiB",
        "temp_directory": str(spill),
        "threads": available_threads(),
        "preserve_insertion_order": True,
    }
