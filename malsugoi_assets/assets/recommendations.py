"""The recommendations: ranked by the learnt order, rated by the network, explained by the user's own list."""

from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from malsugoi_assets.assets import previews
from malsugoi_assets.assets.builds import load_network
from malsugoi_assets.assets.config import config_of
from malsugoi_assets.assets.plots import bars
from malsugoi_assets.assets.ranking import load_ranking
from malsugoi_assets.assets.table_asset import table_asset, table_result
from malsugoi_assets.recommend.items import align_items
from malsugoi_assets.recommend.ranking import LearntOrder
from malsugoi_assets.recommend.ratings import IntArray, index_ratings
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import recommend
from malsugoi_assets.recommend.scoring import preferred_method
from malsugoi_assets.resources.compute import Compute
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.tables import TABLES

RecommendationConfig = config_of(RecommendationSettings)


@table_asset("recommendations", code_version="3", kinds=["pytorch"])
def recommendations(  # noqa: D103
    config: RecommendationConfig,  # type: ignore[valid-type]
    warehouse: Warehouse,
    compute: Compute,
    cf_predictions: pl.LazyFrame,
    user_lists: pl.LazyFrame,
    item_weights: pl.LazyFrame,
    ranking_model: pl.LazyFrame,
    dnn_model: pl.LazyFrame,
    anime_features: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    lists, features = user_lists.collect(), anime_features.collect().sort("anime_id")
    relations = anime_relations.collect()
    ids = features["anime_id"].to_numpy()
    network = load_network(
        warehouse, dnn_model.filter("is_current").collect(), align_items(ids, features, relations), compute.resolve()
    )
    history, index = index_ratings(lists, anime_ids=ids)

    def predictions(pairs: pl.DataFrame) -> pl.Series:
        user = index.usernames.search_sorted(pairs["username"]).to_numpy().astype(np.int32)
        item = np.searchsorted(ids, pairs["anime_id"].to_numpy()).astype(np.int32)
        return pl.Series(network.predict(history, user, item))

    weights, ranking, ranked_by = _ranker(warehouse, ranking_model.collect(), item_weights.collect())
    settings: RecommendationSettings = config.settings  # type: ignore[attr-defined]
    made = recommend(lists, weights, features, relations, predictions, settings, ranking)
    made = made.join(lists.select("username", "user_batch").unique(), on="username")
    made = made.select(TABLES["recommendations"].column_names)
    predicted = previews.histogram(made["predicted_rating"], [1, 5, 6, 7, 7.5, 8, 8.5, 9])
    return table_result(
        "recommendations",
        made,
        {
            "users": made["username"].n_unique(),
            "ranked_by": ranked_by,
            "rated_by": network.in_words,
            "reasons_a_title": previews.rounded(made["because"].list.len().mean(), 1),
            "predicted_ratings": bars(predicted, "predicted rating, 1–10", "recommendations"),
        },
        shown=previews.most_shown(made, previews.names(features), 10),
    )


def _ranker(
    warehouse: Warehouse, builds: pl.DataFrame, weights: pl.DataFrame
) -> tuple[pl.DataFrame, tuple[LearntOrder, IntArray] | None, str]:
    """The weights of one method, the learnt order where it can be had, and in words which of them ranks."""
    method = preferred_method(weights["method"].unique().to_list())
    chosen = weights.filter(pl.col("method") == method)
    found = load_ranking(warehouse.dir.root, builds)
    if isinstance(found, str):
        return chosen, None, f"the weights of {method}: {found}"
    return chosen, found, "the learnt order"
