"""What is known of the titles apart from their ratings, lined up with a `Ratings`' item index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from malsugoi_assets.recommend.ratings import IntArray


@dataclass(frozen=True)
class Items:
    """One entry per title index.

    `anime_id`: int32 (n_items,), may repeat where several list titles mean one anime;
    `features`: n_items rows with the columns of the table `anime_features` (NULL = unknown);
    `names`: every known name of each title, the first its main title;
    `relations`: rows (anime_id, relation, related_kind, related_id), not limited to these titles.
    """

    anime_id: IntArray
    features: pl.DataFrame
    names: list[list[str]]
    relations: pl.DataFrame

    def __len__(self) -> int:
        return len(self.anime_id)


def align_items(anime_ids: IntArray, anime_features: pl.DataFrame, relations: pl.DataFrame) -> Items:
    """Line `anime_features` (one row an anime_id) up with `anime_ids`; titles without a row get NULLs."""
    wanted = pl.DataFrame({"anime_id": pl.Series(np.asarray(anime_ids, dtype=np.int32))})
    features = wanted.join(
        anime_features.with_columns(pl.col("anime_id").cast(pl.Int32)),
        on="anime_id",
        how="left",
        maintain_order="left",
    )
    columns = [c for c in ("title", "title_english", "title_japanese") if c in features.columns]
    names = [
        list(dict.fromkeys(name for name in (*row[:-1], *(row[-1] or ())) if name))
        for row in features.select(*columns, "synonyms").iter_rows()
    ]
    return Items(np.asarray(anime_ids, dtype=np.int32), features, names, relations)
