"""Collaborative filtering: baselines, similarity, predictions, and how good they are."""

from typing import Any

import dagster as dg
import polars as pl

from malsugoi_assets.assets import previews
from malsugoi_assets.assets.config import config_of
from malsugoi_assets.assets.evaluation import build_id, error_along, measured, metrics_metadata, metrics_shown
from malsugoi_assets.assets.lists import not_merely_planned
from malsugoi_assets.assets.plots import bars
from malsugoi_assets.assets.table_asset import table_asset, table_result
from malsugoi_assets.evaluation.hold_out import hold_out
from malsugoi_assets.evaluation.results import Bounds, buckets
from malsugoi_assets.recommend.content import encode, learn_code
from malsugoi_assets.recommend.items import align_items
from malsugoi_assets.recommend.joint import JointNeighbourhood, learn_titles
from malsugoi_assets.recommend.neighbourhood import (
    ItemNeighbourhood,
    PredictionSettings,
    predict_top,
)
from malsugoi_assets.recommend.neighbourhood import title_baselines as learn_baselines
from malsugoi_assets.recommend.ratings import index_ratings
from malsugoi_assets.recommend.similarity import SimilaritySettings
from malsugoi_assets.recommend.stored_titles import baselines_of, learnt_titles_of, neighbours_of, stored_baselines
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.batches import Batches

SimilarityConfig = config_of(SimilaritySettings)
PredictionConfig = config_of(PredictionSettings)
NEIGHBOURS: Bounds = ((0, 0), (1, 4), (5, 14), (15, 39), (40, None))
"""Similar titles on a user's list, for the error along them."""


@table_asset("title_baselines", code_version="2", kinds=["numpy"])
def title_baselines(  # noqa: D103
    config: PredictionConfig,  # type: ignore[valid-type]
    rating_matrix: pl.LazyFrame,
    user_lists: pl.LazyFrame,
    anime_features: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    settings: PredictionSettings = config.settings  # type: ignore[attr-defined]
    ratings, index = index_ratings(rating_matrix.collect(), rating="rating")
    learnt = learn_baselines(ratings, settings)
    titles = None
    if 0 < len(ratings) <= settings.most_joint:
        lists = user_lists.select("username", "anime_id", "score").collect()
        listed, _ = index_ratings(lists, anime_ids=index.anime_ids)
        items = align_items(index.anime_ids, anime_features.collect(), anime_relations.collect())
        titles = learn_titles(listed, encode(items, learn_code(items)))
    frame = stored_baselines(index.anime_ids, learnt, titles)
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


@table_asset("cf_metrics", code_version="3")
def cf_metrics(  # noqa: D103
    rating_matrix: pl.LazyFrame,
    user_lists: pl.LazyFrame,
    anime_features: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    held = hold_out(user_lists.collect(), anime_features.collect(), anime_relations.collect())
    model = ItemNeighbourhood(seed=0).fit(held.train, held.items)
    support = buckets("neighbours", model.support(held.user, held.item), NEIGHBOURS)
    predicted = {"cf": model.predict(held.user, held.item)}
    rows = measured(held, predicted, build_id("cf", held, "default"), support)
    beside = ("cf", "bias")
    plots = {
        "error_by_neighbours": error_along(rows, "neighbours", beside, "similar titles that the user rated"),
        "error_by_popularity": error_along(rows, "title", beside, "ratings of the title to learn from"),
    }
    return table_result("cf_metrics", rows, metrics_metadata(rows) | plots, shown=metrics_shown(rows))


@table_asset("cf_predictions", code_version="2", kinds=["scipy"])
def cf_predictions(  # noqa: D103
    config: PredictionConfig,  # type: ignore[valid-type]
    rating_matrix: pl.LazyFrame,
    user_lists: pl.LazyFrame,
    similarity_matrix: pl.LazyFrame,
    title_baselines: pl.LazyFrame,
    anime_features: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    known = title_baselines.collect().sort("anime_id")
    baselines, anime_ids = baselines_of(known), known["anime_id"].to_numpy()
    neighbours = neighbours_of(similarity_matrix.collect(), anime_ids)
    taken = not_merely_planned(user_lists).select("username", "anime_id", "score").collect()
    history, index = index_ratings(taken, anime_ids=anime_ids)
    better = None
    if titles := learnt_titles_of(known):
        items = align_items(anime_ids, anime_features.collect(), anime_relations.collect())
        better = JointNeighbourhood().with_titles(history, items, titles, neighbours).predict
    top = predict_top(history, baselines, neighbours, config.settings, better)  # type: ignore[attr-defined]
    rated_users = rating_matrix.select("username", "user_batch").unique().collect()
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
    predicted = previews.histogram(frame["predicted_rating"], [1, 5, 6, 7, 7.5, 8, 8.5, 9])
    return table_result(
        "cf_predictions",
        frame,
        {
            "users": frame["username"].n_unique(),
            "spread_of_predictions": previews.rounded(frame["predicted_rating"].std(), 3),
            "predicted_by": "jointly weighted neighbours" if better else "the similarity table alone",
            "predictions": bars(predicted, "predicted rating, 1–10", "predictions"),
        },
        shown=previews.most_shown(frame, previews.names(anime_features), 10),
    )
