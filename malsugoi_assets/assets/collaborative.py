"""Collaborative filtering: baselines, similarity, ranking weights, predictions, and how good they are."""

from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from malsugoi_assets.assets.config import config_of
from malsugoi_assets.assets.evaluation import build_id, measured, metrics_metadata, predictions_of
from malsugoi_assets.assets.table_asset import preview, table_asset, table_result
from malsugoi_assets.evaluation.hold_out import hold_out
from malsugoi_assets.recommend.ease import EaseSettings, ease_top_weights
from malsugoi_assets.recommend.neighbourhood import (
    ItemNeighbourhood,
    PredictionSettings,
    TitleBaselines,
    predict_top,
)
from malsugoi_assets.recommend.neighbourhood import title_baselines as learn_baselines
from malsugoi_assets.recommend.ratings import index_ratings
from malsugoi_assets.recommend.similarity import Neighbours, SimilaritySettings, similar_titles

SimilarityConfig = config_of(SimilaritySettings)
EaseConfig = config_of(EaseSettings)
PredictionConfig = config_of(PredictionSettings)


@table_asset("title_baselines", code_version="1", kinds=["numpy"])
def title_baselines(config: PredictionConfig, rating_matrix: pl.LazyFrame) -> dg.MaterializeResult[Any]:  # type: ignore[valid-type]  # noqa: D103
    ratings, index = index_ratings(rating_matrix.collect(), rating="rating")
    learnt = learn_baselines(ratings, config.settings)  # type: ignore[attr-defined]
    frame = pl.DataFrame(
        {
            "anime_id": index.anime_ids,
            "ratings": learnt.ratings,
            "mean": learnt.mean,
            "shrunk_mean": learnt.shrunk_mean,
            "bias": learnt.bias,
            "global_mean": np.full(len(index.anime_ids), learnt.global_mean, dtype=np.float32),
        }
    )
    return table_result("title_baselines", frame, {"global_mean": learnt.global_mean})


@table_asset("similarity_matrix", code_version="1", kinds=["scipy"])
def similarity_matrix(  # noqa: D103
    config: SimilarityConfig,  # type: ignore[valid-type]
    rating_matrix: pl.LazyFrame,
    anime_features: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    ratings, index = index_ratings(rating_matrix.collect(), rating="rating")
    found = similar_titles(ratings, config.settings)  # type: ignore[attr-defined]
    frame = pl.DataFrame(
        {
            "anime_id": index.anime_ids[found.item],
            "neighbour_id": index.anime_ids[found.neighbour],
            "rank": found.rank,
            "similarity": found.similarity,
            "support": found.support,
        }
    )
    titles = anime_features.select("anime_id", "title").collect()
    return table_result(
        "similarity_matrix",
        frame,
        {
            "titles_with_neighbours": frame["anime_id"].n_unique(),
            "neighbours_of_the_most_rated": dg.MetadataValue.md(_well_known(rating_matrix, frame, titles)),
        },
    )


def _well_known(rating_matrix: pl.LazyFrame, similarity: pl.DataFrame, titles: pl.DataFrame) -> str:
    """The nearest neighbours of the most rated titles, by name."""
    most = (
        rating_matrix.group_by("anime_id").len().sort("len", "anime_id", descending=[True, False]).head(8).collect()
    )
    near = similarity.filter(pl.col("rank") <= 3).join(most, on="anime_id").join(titles, on="anime_id")
    near = near.join(titles.rename({"anime_id": "neighbour_id", "title": "neighbour"}), on="neighbour_id")
    near = near.sort("len", "anime_id", "rank", descending=[True, False, False])
    return preview(
        near.group_by("title", maintain_order=True)
        .agg(nearest=pl.col("neighbour").str.join(" · "))
        .select("title", "nearest")
    )


@table_asset("item_weights", code_version="1", kinds=["numpy"])
def item_weights(  # noqa: D103
    config: EaseConfig,  # type: ignore[valid-type]
    rating_matrix: pl.LazyFrame,
    user_lists: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    # Unrated entries say what a user chooses to watch as much as rated ones do; merely planned ones less.
    chosen = user_lists.filter((pl.col("status") != "plan_to_watch").fill_null(True) | pl.col("score").is_not_null())
    ratings, index = index_ratings(chosen.select("username", "anime_id", "score").collect())
    weights = ease_top_weights(ratings, config.settings)  # type: ignore[attr-defined]
    frame = pl.DataFrame(
        {
            "anime_id": index.anime_ids[weights.item],
            "neighbour_id": index.anime_ids[weights.neighbour],
            "weight": weights.weight,
        }
    ).with_columns(method=pl.lit("ease"))
    return table_result("item_weights", frame, {"titles": frame["anime_id"].n_unique()})


@table_asset("cf_metrics", code_version="1")
def cf_metrics(  # noqa: D103
    rating_matrix: pl.LazyFrame,
    user_lists: pl.LazyFrame,
    anime_features: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    held = hold_out(user_lists.collect(), anime_features.collect(), anime_relations.collect())
    rows = measured(held, predictions_of(held, {"cf": ItemNeighbourhood}), build_id("cf", held, "default"))
    return table_result("cf_metrics", rows, metrics_metadata(rows))


@table_asset("cf_predictions", code_version="1", kinds=["scipy"])
def cf_predictions(  # noqa: D103
    config: PredictionConfig,  # type: ignore[valid-type]
    rating_matrix: pl.LazyFrame,
    user_lists: pl.LazyFrame,
    similarity_matrix: pl.LazyFrame,
    title_baselines: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    baselines, neighbours, anime_ids = _learnt(title_baselines.collect(), similarity_matrix.collect())
    taken = user_lists.filter((pl.col("status") != "plan_to_watch").fill_null(True) | pl.col("score").is_not_null())
    history, index = index_ratings(taken.select("username", "anime_id", "score").collect(), anime_ids=anime_ids)
    rated_users = rating_matrix.select("username", "user_batch").unique().collect()
    top = predict_top(history, baselines, neighbours, config.settings)  # type: ignore[attr-defined]
    frame = pl.DataFrame(
        {
            "username": index.usernames.gather(top.user),
            "anime_id": index.anime_ids[top.item],
            "rank": top.rank,
            "score": top.score,
            "predicted_rating": top.predicted_rating,
            "support": top.support,
        }
    ).join(rated_users, on="username")
    spread = frame["predicted_rating"].std()
    return table_result(
        "cf_predictions", frame, {"users": frame["username"].n_unique(), "spread_of_predictions": spread}
    )


def _learnt(baselines: pl.DataFrame, similarity: pl.DataFrame) -> tuple[TitleBaselines, Neighbours, Any]:
    """The stored tables as the arrays that they were, over the titles that have ratings."""
    baselines = baselines.sort("anime_id")
    ids = baselines["anime_id"].to_numpy()
    global_mean = float(baselines["global_mean"][0]) if len(ids) else 5.5
    columns = {name: baselines[name].to_numpy() for name in ("ratings", "mean", "shrunk_mean", "bias")}
    known = similarity.filter(pl.col("anime_id").is_in(ids.tolist()) & pl.col("neighbour_id").is_in(ids.tolist()))
    neighbours = Neighbours(
        np.searchsorted(ids, known["anime_id"].to_numpy()).astype(np.int32),
        np.searchsorted(ids, known["neighbour_id"].to_numpy()).astype(np.int32),
        known["rank"].to_numpy(),
        known["similarity"].to_numpy(),
        known["support"].to_numpy(),
    )
    return TitleBaselines(**columns, global_mean=global_mean), neighbours, ids
