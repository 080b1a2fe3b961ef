"""Collaborative filtering: baselines, similarity, predictions, and how good they are."""

from hashlib import sha256
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from malsugoi_assets.assets import previews
from malsugoi_assets.assets.config import config_of
from malsugoi_assets.assets.evaluation import build_id, error_along, measured, metrics_metadata, metrics_shown
from malsugoi_assets.assets.lists import held_out, rows_of
from malsugoi_assets.assets.plots import bars
from malsugoi_assets.assets.predicted_ratings import PredictedRatings
from malsugoi_assets.assets.table_asset import by_batch_result, table_asset, table_result
from malsugoi_assets.evaluation.results import Bounds, buckets
from malsugoi_assets.recommend.items import align_items
from malsugoi_assets.recommend.joint import JointNeighbourhood, learn_titles
from malsugoi_assets.recommend.neighbourhood import (
    ItemNeighbourhood,
    PredictionSettings,
    Spread,
    predict_top,
    title_baselines_of,
)
from malsugoi_assets.recommend.people import not_merely_planned
from malsugoi_assets.recommend.ratings import count_titles, index_batches, index_parts, index_ratings, nobody
from malsugoi_assets.recommend.similarity import SimilaritySettings
from malsugoi_assets.recommend.stored_titles import baselines_of, learnt_titles_of, neighbours_of, stored_baselines
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.batches import Batches, ByBatch
from malsugoi_assets.warehouse.lake import content_hash
from malsugoi_assets.warehouse.tables import TABLES

SimilarityConfig = config_of(SimilaritySettings)
PredictionConfig = config_of(PredictionSettings)
NEIGHBOURS: Bounds = ((0, 0), (1, 4), (5, 14), (15, 39), (40, None))
"""Similar titles on a user's list, for the error along them."""


@table_asset("title_baselines", code_version="3", kinds=["numpy"])
def title_baselines(  # noqa: D103
    config: PredictionConfig,  # type: ignore[valid-type]
    rating_matrix: Batches,
    user_lists: Batches,
    anime_features: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    settings: PredictionSettings = config.settings  # type: ignore[attr-defined]
    anime_ids, counts = count_titles(rating_matrix.values())
    parts = index_parts(rating_matrix.values(), anime_ids, rating="rating")
    learnt = title_baselines_of(parts, len(anime_ids), settings)
    titles = None
    if 0 < int(counts.sum()) <= settings.most_joint:
        listed, _ = index_batches(user_lists.values(), anime_ids=anime_ids)
        items = align_items(anime_ids, anime_features.collect(), anime_relations.collect())
        titles = learn_titles(listed, items)
    frame = stored_baselines(anime_ids, learnt, titles)
    shown = frame.join(previews.names(anime_features), on="anime_id").sort(
        "ratings", "anime_id", descending=[True, False]
    )
    raters = bars(
        previews.histogram(frame["ratings"], [1, 2, 5, 10, 20, 50, 100, 1000]), "users who rated it", "titles"
    )
    return table_result(
        "title_baselines",
        frame,
        {"global_mean": previews.rounded(learnt.global_mean, 3), "ratings_a_title": raters},
        shown=shown.select("title", "ratings", "mean", "shrunk_mean", "bias"),
    )


@table_asset("similarity_matrix", code_version="1", kinds=["numba"])
def similarity_matrix(  # noqa: D103
    config: SimilarityConfig,  # type: ignore[valid-type]
    warehouse: Warehouse,
    rating_matrix: Batches,
    anime_features: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    from malsugoi_assets.recommend.kept_sums import KeptSums  # compiled code takes a moment to load

    with warehouse.dir.pair_sums() as folder:
        counted = KeptSums(folder).similar_titles(rating_matrix, config.settings)  # type: ignore[attr-defined]
    found = counted.neighbours
    frame = pl.DataFrame(
        {
            "anime_id": counted.anime_ids[found.item],
            "neighbour_id": counted.anime_ids[found.neighbour],
            "rank": found.rank,
            "similarity": found.similarity,
            "support": found.support,
        }
    )
    support = bars(
        previews.histogram(frame["support"], [1, 2, 3, 5, 10, 20, 50, 100]), "users who rated both", "pairs"
    )
    known = pl.DataFrame({"anime_id": counted.anime_ids, "len": counted.raters})
    return table_result(
        "similarity_matrix",
        frame,
        {
            "counted": counted.how,
            "titles_with_neighbours": frame["anime_id"].n_unique(),
            "pairs_by_support": support,
        },
        shown=previews.neighbours(frame, "similarity", known, previews.names(anime_features)),
    )


@table_asset("cf_metrics", code_version="4")
def cf_metrics(  # noqa: D103
    rating_matrix: Batches,
    user_lists: Batches,
    anime_features: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    held, measured_on = held_out(user_lists, anime_features, anime_relations)
    # What predicts all users is measured, also where some of them are enough to measure it.
    settings = PredictionSettings()
    if rows_of(rating_matrix) > settings.most_joint:
        settings = settings.model_copy(update={"most_joint": 0})
    model = ItemNeighbourhood(settings, seed=0).fit(held.train, held.items)
    support = buckets("neighbours", model.support(held.user, held.item), NEIGHBOURS)
    predicted, deviation = model.predict_with_deviation(held.user, held.item)
    sure = held.judge_intervals("cf", predicted, deviation) if np.isfinite(deviation).all() else []
    rows = measured(held, {"cf": predicted}, build_id("cf", held, "default"), support, sure)
    beside = ("cf", "bias")
    plots = {
        "error_by_neighbours": error_along(rows, "neighbours", beside, "similar titles that the user rated"),
        "error_by_popularity": error_along(rows, "title", beside, "ratings of the title to learn from"),
    }
    return table_result(
        "cf_metrics",
        rows,
        metrics_metadata(rows) | plots | {"measured_on": measured_on},
        shown=metrics_shown(rows),
    )


@table_asset("cf_predictions", code_version="2", kinds=["numba"])
def cf_predictions(  # noqa: D103
    context: dg.AssetExecutionContext,
    config: PredictionConfig,  # type: ignore[valid-type]
    rating_matrix: Batches,
    user_lists: Batches,
    similarity_matrix: pl.LazyFrame,
    title_baselines: pl.LazyFrame,
    anime_features: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    known, similar = title_baselines.collect().sort("anime_id"), similarity_matrix.collect()
    baselines, anime_ids = baselines_of(known), known["anime_id"].to_numpy()
    neighbours = neighbours_of(similar, anime_ids)
    spread, joint = Spread(neighbours, len(anime_ids)), None
    if titles := learnt_titles_of(known):
        items = align_items(anime_ids, anime_features.collect(), anime_relations.collect())
        joint = JointNeighbourhood().with_titles(nobody(len(anime_ids)), items, titles, neighbours)
    by = "jointly weighted neighbours" if joint else "the similarity table alone"
    counted = PredictedRatings()

    def make(key: str) -> dict[str, pl.DataFrame]:
        context.log.info(f"predictions: batch {counted.batches + 1} of {len(user_lists)}")
        taken = user_lists[key].filter(not_merely_planned()).select("username", "anime_id", "score").collect()
        history, index = index_ratings(taken, anime_ids=anime_ids)
        better = joint.for_lists(history).predict if joint else None
        top = predict_top(history, baselines, spread, config.settings, better)  # type: ignore[attr-defined]
        rated_users = rating_matrix[key].select("username", "user_batch").unique().collect()
        frame = pl.DataFrame(
            {
                "username": index.usernames.gather(top.user),
                "anime_id": anime_ids[top.item],
                "rank": top.rank,
                "score": top.score,
                "predicted_rating": top.predicted_rating,
                "support": top.support,
            }
        ).join(rated_users, on="username")
        counted.add(frame)
        return {"cf_predictions": frame}

    def summary() -> dict[str, Any]:
        return {
            "preview": counted.preview(previews.names(anime_features)),
            "users": counted.users,
            "spread_of_predictions": previews.rounded(counted.spread, 3),
            "predicted_by": by,
            "predictions": bars(counted.histogram, "predicted rating, 1–10", "predictions"),
        }

    made_from = (user_lists.version, content_hash(TABLES["title_baselines"], known), repr(config))
    version = sha256(repr((*made_from, content_hash(TABLES["similarity_matrix"], similar))).encode()).hexdigest()
    return by_batch_result(ByBatch(make, summary), version[:32])
