"""What collaborative filtering keeps of the titles in tables, as frames and back as the arrays that it was."""

from __future__ import annotations

import numpy as np
import polars as pl

from malsugoi_assets.recommend.joint import LearntTitles
from malsugoi_assets.recommend.neighbourhood import TitleBaselines
from malsugoi_assets.recommend.ratings import IntArray
from malsugoi_assets.recommend.similarity import Neighbours


def stored_baselines(anime_ids: IntArray, learnt: TitleBaselines, titles: LearntTitles | None) -> pl.DataFrame:
    """Rows of `title_baselines`; `baselines_of` and `learnt_titles_of` are the way back."""
    frame = pl.DataFrame(
        {
            "anime_id": anime_ids,
            "ratings": learnt.ratings,
            "mean": learnt.mean,
            "shrunk_mean": learnt.shrunk_mean,
            "bias": learnt.bias,
            "global_mean": np.full(len(anime_ids), learnt.global_mean, dtype=np.float32),
        }
    )
    if titles is None:
        return frame.with_columns(effect=None, listing=None)
    return frame.with_columns(effect=pl.Series(titles.effect), listing=pl.Series(titles.listing).arr.to_list())


def baselines_of(known: pl.DataFrame) -> TitleBaselines:
    """The stored table as the arrays that it was; sorted by title."""
    global_mean = float(known["global_mean"][0]) if len(known) else 5.5
    columns = {name: known[name].to_numpy() for name in ("ratings", "mean", "shrunk_mean", "bias")}
    return TitleBaselines(**columns, global_mean=global_mean)


def learnt_titles_of(known: pl.DataFrame) -> LearntTitles | None:
    """What jointly weighted neighbours need of the titles; None where there were too many ratings for it, or none."""
    if known.is_empty() or known["effect"].null_count():
        return None
    mean, effect = float(known["global_mean"][0]), known["effect"].to_numpy()
    return LearntTitles(mean, effect, np.stack(known["listing"].to_list()).astype(np.float32))


def neighbours_of(similarity: pl.DataFrame, anime_ids: IntArray) -> Neighbours:
    """The stored table as the arrays that it was, over the given titles (sorted)."""
    ids = anime_ids.tolist()
    known = similarity.filter(pl.col("anime_id").is_in(ids) & pl.col("neighbour_id").is_in(ids))
    return Neighbours(
        np.searchsorted(anime_ids, known["anime_id"].to_numpy()).astype(np.int32),
        np.searchsorted(anime_ids, known["neighbour_id"].to_numpy()).astype(np.int32),
        known["rank"].to_numpy(),
        known["similarity"].to_numpy(),
        known["support"].to_numpy(),
    )
