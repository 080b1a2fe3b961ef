"""Drafts that killed writers left are swept away, whatever else happens in the folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from malsugoi_assets.disk import sweep_drafts


def test_only_the_drafts_of_the_dead_are_swept(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "table").mkdir()
    dead, alive, file = (
        tmp_path / "table" / name
        for name in (f".a.parquet.1.draft-{gone.pid}", f".b.parquet.1.draft-{os.getpid()}", "c.parquet")
    )
    for path in (dead, alive, file):
        path.touch()
    assert sweep_drafts(tmp_path) == [dead]
    assert sorted(path.name for path in (tmp_path / "table").iterdir()) == sorted((alive.name, file.name))


def test_there_may_be_nothing_to_sweep(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert sweep_drafts(tmp_path) == sweep_drafts(tmp_path / "nothing") == []


def test_a_folder_that_goes_meanwhile_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process takes its own folder away between the look at the root and the look into the folder."""
    (tmp_path / "others").mkdir()
    listed = Path.glob

    def losing(self: Path, pattern: str) -> Iterator[Path]:
        found = list(listed(self, pattern))
        if self == tmp_path:
            shutil.rmtree(tmp_path / "others")
        elif not self.exists():
            raise FileNotFoundError(self)
        return iter(found)

    monkeypatch.setattr(Path, "glob", losing)
    assert sweep_drafts(tmp_path) == []
