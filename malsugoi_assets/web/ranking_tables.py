"""What ranking needs of a published state, as `Recommender` takes it."""

from __future__ import annotations

import polars as pl

from malsugoi_assets.web.published import Published


def methods_of(published: Published) -> list[str]:
    """Whose ranking weights are stored."""
    return [row["method"] for row in published.rows("SELECT DISTINCT method FROM item_weights ORDER BY 1")]


def weights_of(published: Published, method: str) -> pl.DataFrame:
    """anime_id, neighbour_id, weight of one method; no row where it has none."""
    found = published.arrays("SELECT anime_id, neighbour_id, weight FROM item_weights WHERE method = ?", method)
    return pl.DataFrame(dict(zip(("anime_id", "neighbour_id", "weight"), found, strict=True)))


def lists_a_title(published: Published) -> pl.DataFrame:
    """anime_id, lists: how many lists hold the title."""
    return pl.DataFrame(
        published.rows("SELECT anime_id, count(*) AS lists FROM user_lists GROUP BY 1"),
        schema={"anime_id": pl.Int32(), "lists": pl.UInt32()},
    )
