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
from malsugoi_assets.recommend.people import with_seen
from malsugoi_assets.recommend.ranking import LearntOrder
from malsugoi_assets.recommend.ratings import IntArray, count_titles, index_ratings
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Predictions, Recommender
from malsugoi_assets.recommend.scoring import preferred_method
from malsugoi_assets.resources.compute import Compute
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.batches import Batches, ByBatch
from malsugoi_assets.warehouse.lake import content_hash
from malsugoi_assets.warehouse.marks import Marks, MarksError
from malsugoi_assets.warehouse.schema import polars_schema
from malsugoi_assets.warehouse.tables import TABLES

_MARKS = {name: kind for name, kind in polars_schema(TABLES["title_marks"]).items() if name != "user_batch"}
RecommendationConfig = config_of(RecommendationSettings)


@table_asset("title_marks", code_version="1")
def title_marks(warehouse: Warehouse, user_lists: Batches) -> dg.MaterializeResult[Any]:  # noqa: D103
    marks, counted = Marks(warehouse.dir.root), Counter[str]()

    def make(key: str) -> dict[str, pl.DataFrame]:
        listed = user_lists[key].select("username").unique().collect()["username"]
        try:
            said = pl.DataFrame(marks.rows(listed), schema=_MARKS, orient="row")
        except MarksError as error:
            raise dg.Failure(str(error)) from error
        counted.update(dict(said["mark"].value_counts().iter_rows()))
        return {"title_marks": said.select(pl.lit(key).alias("user_batch"), pl.all())}

    def summary() -> dict[str, Any]:
        shown = pl.DataFrame(sorted(counted.items()), schema={"mark": pl.String, "titles": pl.Int64}, orient="row")
        return {"preview": dg.MetadataValue.md(previews.table(shown)), **counted}

    return by_batch_result(ByBatch(make, summary), user_lists.version)


@table_asset("recommendations", code_version="12", kinds=["pytorch"])
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
    title_marks: Batches,
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
    listed = pl.DataFrame(dict(zip(("anime_id", "lists"), count_titles(user_lists.values()), strict=True)))
    recommender = Recommender(chosen, features, relations, listed, ranking)
    counted, reasons = PredictedRatings(), Counter[str]()

    def make(key: str) -> dict[str, pl.DataFrame]:
        context.log.info(f"recommendations: batch {counted.batches + 1} of {len(user_lists)}")
        lists = user_lists[key].select("username", "anime_id", "title", "score", "status").collect()
        history, index = index_ratings(lists, anime_ids=ids)

        def predictions(pairs: pl.DataFrame) -> pl.Series:
            user = index.usernames.search_sorted(pairs["username"]).to_numpy().astype(np.int32)
            item = np.searchsorted(ids, pairs["anime_id"].to_numpy()).astype(np.int32)
            return pl.Series(network.predict(history, user, item))

        said = title_marks[key].select("username", "anime_id", "mark").collect()
        made = _recommended(recommender, lists, said, features, predictions, config.settings)  # type: ignore[attr-defined]
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
    version = sha256(repr((user_lists.version, title_marks.version, made_from, config)).encode()).hexdigest()
    return by_batch_result(ByBatch(make, summary), version[:32])


def _recommended(
    recommender: Recommender,
    lists: pl.DataFrame,
    said: pl.DataFrame,
    features: pl.DataFrame,
    predictions: Predictions,
    settings: RecommendationSettings,
) -> pl.DataFrame:
    """`Recommender.recommend`, for who marked titles by the marks: one by one, since what is barred is their own.

    A title that is marked as seen is no reason: it stands on no list.
    """
    made = [recommender.recommend(lists.join(said, on="username", how="anti"), predictions, settings)]
    for (name,), own in said.partition_by("username", as_dict=True).items():
        listed = lists.filter(username=name)
        seen = own.filter(mark="seen")["anime_id"]
        barred = frozenset(own.filter(mark="not interested")["anime_id"])
        found = recommender.recommend(with_seen(listed, features, str(name), seen), predictions, settings, barred)
        on_list = pl.element().struct.field("anime_id").is_in(listed["anime_id"].to_list())
        made.append(found.with_columns(pl.col("because").list.eval(pl.element().filter(on_list))))
    return pl.concat(made).sort("username", "rank")


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
