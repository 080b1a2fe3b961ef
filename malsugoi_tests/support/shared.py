"""Where the real data lie that tests may read but the repo does not hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]


def shared_path(relative: str) -> Path:
    """The file or folder `relative` of the shared data; skips the test, saying why, where it is missing."""
    root = Path(os.environ.get("MALSUGOI_SHARED") or REPO.parent / "shared")
    for path in (root / "data" / relative, root / relative):
        if path.exists():
            return path
    pytest.skip(f"needs the shared data: {root / 'data' / relative} is not there (set MALSUGOI_SHARED)")
