"""Compiled loops that put small dense blocks together: out of a sparse matrix, out of one half, into a large matrix."""

from __future__ import annotations

from typing import Any

from malsugoi_assets.recommend.compiled import compiled


@compiled  # type: ignore[untyped-decorator]
def fill_block(starts: Any, columns: Any, values: Any, rows: Any, place: Any, block: Any) -> None:
    """block[r, place[c]] = the sparse matrix at (rows[r], c), for each of its entries whose column has a place (≥ 0)."""
    for r in range(len(rows)):
        for k in range(starts[rows[r]], starts[rows[r] + 1]):
            at = place[columns[k]]
            if at >= 0:
                block[r, at] = values[k]


@compiled  # type: ignore[untyped-decorator]
def add_block(total: Any, place: Any, block: Any) -> None:
    """total[place[a], place[b]] += block[a, b], where both have a place (≥ 0)."""
    for a in range(len(place)):
        if place[a] >= 0:
            for b in range(len(place)):
                if place[b] >= 0:
                    total[place[a], place[b]] += block[a, b]


@compiled  # type: ignore[untyped-decorator]
def mirror(block: Any) -> None:
    """block[i, j] = block[j, i] for j < i, tile by tile: a column after the other would be slow to read."""
    n = len(block)
    for top in range(0, n, 16):
        for left in range(0, top + 1, 16):
            for i in range(top, min(top + 16, n)):
                for j in range(left, min(left + 16, i)):
                    block[i, j] = block[j, i]
