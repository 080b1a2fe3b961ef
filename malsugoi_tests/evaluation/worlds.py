"""Small worlds with a known answer for the tests of evaluation."""

from __future__ import annotations

import numpy as np
import polars as pl

from malsugoi_assets.evaluation.data import EvaluationRows, evaluation_rows
from malsugoi_assets.files.catalogue import FEATURES, RELATIONS


def world(frame: pl.DataFrame, ids: dict[str, int] | None = None) -> EvaluationRows:
    """From rows (username, key, score); keys get ids 1, 2 … in their order, or those of `ids`."""
    keys = frame["key"].unique().sort().to_list()
    ids = ids or {key: n for n, key in enumerate(keys, 1)}
    nothing = [pl.lit(None, kind).alias(c) for c, kind in FEATURES.items() if c not in ("anime_id", "title")]
    catalogue = pl.DataFrame(
        {"anime_id": [ids[k] for k in keys], "title": keys}, schema_overrides={"anime_id": pl.Int32}
    )
    catalogue = catalogue.with_columns(nothing).select(FEATURES.keys())
    catalogue = catalogue.with_columns(key=pl.col("title"), names=pl.concat_list("title"))
    rows = frame.with_columns(
        item=pl.col("key").replace_strict({k: n for n, k in enumerate(keys)}, return_dtype=pl.Int32),
        anime_id=pl.col("key").replace_strict(ids, return_dtype=pl.Int32),
    )
    return evaluation_rows(rows, catalogue, pl.DataFrame(schema=RELATIONS))


def checkerboard(n_users: int = 30, n_titles: int = 16, seed: int = 0) -> pl.DataFrame:
    """Even users love even titles (9) and dislike odd ones (3), odd users the other way round; 70 % of pairs."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{user:02}", f"t{title:02}", 9 if (user + title) % 2 == 0 else 3)
        for user in range(n_users)
        for title in range(n_titles)
        if rng.random() < 0.7
    ]
    return pl.DataFrame(rows, schema={"username": pl.String, "key": pl.String, "score": pl.Int8}, orient="row")
