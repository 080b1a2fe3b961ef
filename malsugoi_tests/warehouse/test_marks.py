"""What people said of titles, kept beside the lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from malsugoi_assets.warehouse.forgotten import Forgotten
from malsugoi_assets.warehouse.marks import Marks, MarksError


def test_a_mark_lasts_until_it_is_taken_back(tmp_path: Path) -> None:
    Marks(tmp_path).put("ann", 5, "seen")
    Marks(tmp_path).put("ann", 7, "not interested")
    assert Marks(tmp_path).of("ann") == {5: "seen", 7: "not interested"}
    Marks(tmp_path).put("ann", 5, None)
    assert Marks(tmp_path).rows(["ann", "ben"]) == [("ann", 7, "not interested")]


def test_of_somebody_who_was_forgotten_nothing_is_noted_again(tmp_path: Path) -> None:
    """A page that still shows the old state may send a mark while the person is being forgotten."""
    Marks(tmp_path).put("Ann", 5, "seen")
    Forgotten(tmp_path).add("ann")
    Marks(tmp_path).forget("ann")
    with pytest.raises(MarksError, match="asked to be forgotten"):
        Marks(tmp_path).put("Ann", 6, "seen")
    assert Marks(tmp_path).of("Ann") == {}
