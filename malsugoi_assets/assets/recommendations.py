"""The recommendations: ranked by the learnt order, rated by the network, explained by the user's own list."""

from collections import Counter
from hashlib import sha256
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from malsugoi_assets.assets import previews
from malsugoi_assets.assets.builds import load_network
from malsugoi_assets.assets.config import config_of
from malsugoi_assets.assets.plots import bars
from malsugoi_assets.assets.predicted_ratings import PredictedRatings
from malsugoi_assets.assets.ranking import load_ranking
from malsugoi_assets.assets.table_asset import by_batch_result, table_asset
from malsugoi_assets.recommend.items import align_items
from malsugoi_assets.recommend.ranking import LearntOrder
from malsugoi_assets.recommend.ratings import IntArray, index_ratings
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender
from malsugoi_assets.recommend.scoring import preferred_method
from malsugoi_assets.resources.compute import Compute
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.batches import Batches, ByBatch
from malsugoi_assets.warehouse.lake import content_hash
from malsugoi_assets.warehouse.tables import TABLES

RecommendationConfig = config_of(RecommendationSettings)


@table_asset("recommendations", code_version="3", kinds=["pytorch"])
def recommendations(  # noqa: D103
    context: dg.AssetExecutionContext,
    config: RecommendationConfig,  # type: ignore[valid-type]
    warehouse: Warehouse,
    compute: Compute,
    cf_predictions: pl.LazyFrame,
    user_lists: Batches,
    item_weights: pl.LazyFrame,
    ranking_model: pl.LazyFrame,
    dnn_model: pl.LazyFrame,
    anime_features: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    features, relations = anime_features.collect().sort("anime_id"), anime_relations.collect()
    ids = features["anime_id"].to_numpy()
    builds, weights, orders = (
        dnn_model.filter("is_current").collect(),
        item_weights.collect(),
        ranking_model.collect(),
    )
    network = load_network(warehouse, builds, align_items(ids, features, relations), compute.resolve())
    chosen, ranking, ranked_by = _ranker(warehouse, orders, weights)
    recommender = Recommender(chosen, features, relations, _listed(user_lists), ranking)
    counted, reasons = PredictedRatings(), Counter[str]()

    def make(key: str) -> dict[str, pl.DataFrame]:
        context.log.info(f"recommendations: batch {counted.batches + 1} of {len(user_lists)}")
        lists = user_lists[key].select("username", "anime_id", "title", "score", "status").collect()
        history, index = index_ratings(lists, anime_ids=ids)

        def predictions(pairs: pl.DataFrame) -> pl.Series:
            user = index.usernames.search_sorted(pairs["username"]).to_numpy().astype(np.int32)
            item = np.searchsorted(ids, pairs["anime_id"].to_numpy()).astype(np.int32)
            return pl.Series(network.predict(history, user, item))

        made = recommender.recommend(lists, predictions, config.settings)  # type: ignore[attr-defined]
        counted.add(made)
        reasons.update(titles=made.height, reasons=int(made["because"].list.len().sum()))
        return {
            "recommendations": made.with_columns(user_batch=pl.lit(key)).select(
                TABLES["recommendations"].column_names
            )
        }

    def summary() -> dict[str, Any]:
        return {
            "preview": counted.preview(previews.names(features)),
            "users": counted.users,
            "ranked_by": ranked_by,
            "rated_by": network.in_words,
            "reasons_a_title": previews.rounded(reasons["reasons"] / max(reasons["titles"], 1), 1),
            "predicted_ratings": bars(counted.histogram, "predicted rating, 1–10", "recommendations"),
        }

    tables = {"dnn_model": builds, "item_weights": weights, "ranking_model": orders}
    tables |= {"anime_features": features, "anime_relations": relations}
    made_from = [content_hash(TABLES[name], table) for name, table in tables.items()]
    version = sha256(repr((user_lists.version, made_from, config)).encode()).hexdigest()
    return by_batch_result(ByBatch(make, summary), version[:32])


def _listed(user_lists: Batches) -> pl.DataFrame:
    """How many lists hold each title: anime_id, lists."""
    counts = [lists.group_by("anime_id").len("lists").collect() for lists in user_lists.values()]
    return pl.concat(counts).group_by("anime_id").agg(pl.col("lists").sum())


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
