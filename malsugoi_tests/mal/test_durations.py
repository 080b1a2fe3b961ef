"""Durations as pages of 2012 to 2025 and the dumps made of them write them."""

from __future__ import annotations

import pytest

from malsugoi_assets.mal.durations import minutes_of


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("24 min. per ep.", 24),
        ("24 min per ep", 24),
        ("1 hr. 55 min.", 115),
        ("1 hr. 30 min. per ep.", 90),
        ("2 hr.", 120),
        ("1 hr. per ep.", 60),
        ("30 sec. per ep.", 0.5),
        ("1 min. 20 sec.", 1.33),
        ("Unknown", None),
        ("", None),
        ("0 min.", None),
        ("per ep.", None),
        ("24", None),
        ("about 24 min.", None),
    ],
)
def test_a_duration_in_minutes(text: str, minutes: float | None) -> None:
    assert minutes_of(text) == minutes
