"""The order of the recommendations: the ranking weights."""

from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from malsugoi_assets.assets import previews
from malsugoi_assets.assets.config import config_of
from malsugoi_assets.assets.lists import not_merely_planned
from malsugoi_assets.assets.table_asset import table_asset, table_result
from malsugoi_assets.recommend.item_weights import ItemWeightsSettings, learn_item_weights
from malsugoi_assets.recommend.ratings import index_batches
from malsugoi_assets.warehouse.batches import Batches

ItemWeightsConfig = config_of(ItemWeightsSettings)


@table_asset("item_weights", code_version="2", kinds=["numpy", "numba"])
def item_weights(  # noqa: D103
    config: ItemWeightsConfig,  # type: ignore[valid-type]
    rating_matrix: Batches,
    user_lists: Batches,
) -> dg.MaterializeResult[Any]:
    # Unrated entries say what a user chooses to watch as much as rated ones do; merely planned ones less.
    ratings, anime_ids = index_batches(not_merely_planned(lists) for lists in user_lists.values())
    learnt = learn_item_weights(ratings, config.settings)  # type: ignore[attr-defined]
    frame = pl.concat(
        pl.DataFrame(
            {
                "anime_id": anime_ids[weights.item],
                "neighbour_id": anime_ids[weights.neighbour],
                "weight": weights.weight,
            }
        ).with_columns(method=pl.lit(method))
        for method, weights in learnt.weights.items()
    )
    counts = np.bincount(ratings.item, minlength=ratings.n_items)
    known = pl.DataFrame({"anime_id": anime_ids, "len": counts})
    return table_result(
        "item_weights",
        frame,
        {
            "titles": frame["anime_id"].n_unique(),
            "methods": ", ".join(learnt.weights),
            "left_out": learnt.left_out or "nothing",
            "gib_needed": previews.rounded(learnt.gib_needed, 2),
        },
        shown=previews.neighbours(
            frame.filter(pl.col("method") == list(learnt.weights)[-1]),
            "weight",
            known,
            previews.names_of(user_lists.values()),
        ),
    )
