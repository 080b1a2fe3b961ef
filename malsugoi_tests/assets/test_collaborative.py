"""The collaborative assets as functions from frames to frames: what is stored is what `cf` predicts."""

from __future__ import annotations

import tempfile
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from malsugoi_assets.assets import collaborative as assets
from malsugoi_assets.recommend.neighbourhood import ItemNeighbourhood, PredictionSettings
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.batches import Batches, ByBatch
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

ITEMS, RATINGS = small_items(), small_ratings(30)
FEATURES = ITEMS.features.with_columns(
    anime_id=pl.col("anime_id").cast(pl.Int32), synonyms=pl.lit([], dtype=pl.List(pl.String))
)
RELATIONS = ITEMS.relations


def user_lists() -> pl.DataFrame:
    """The small world's lists, in two batches."""
    return pl.DataFrame(
        {
            "username": [f"user{u:02}" for u in RATINGS.user],
            "anime_id": ITEMS.anime_id[RATINGS.item],
            "score": pl.Series(RATINGS.rating, nan_to_null=True).cast(pl.Int8),
            "status": pl.Series([None] * len(RATINGS), dtype=pl.String),
            "user_batch": [f"batch-{u // 20:06}" for u in RATINGS.user],
        }
    )


def batches(rows: pl.DataFrame) -> Batches:
    """The rows of both batches; one may be empty."""
    keys = ("batch-000000", "batch-000001")
    parts = {key: rows.filter(pl.col("user_batch") == key).lazy() for key in keys}
    return Batches(parts, dict.fromkeys(parts, "some content"))


def made(asset: Any, name: str, *before: Any, **frames: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Any]]:
    """What the asset makes of the frames, and its metadata; lists and ratings come to it in batches."""
    inputs = {k: batches(v) if k in ("rating_matrix", "user_lists") else v.lazy() for k, v in frames.items()}
    result = asset(*before, **inputs)
    if isinstance(result.value, ByBatch):
        parts = [result.value.make(key)[name] for key in inputs["user_lists"]]
        return pl.concat(parts), dict(result.value.summary())
    return result.value[name], result.metadata


def similarities(ratings: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as data_dir:
        result: Any = assets.similarity_matrix(
            assets.SimilarityConfig(),
            Warehouse(database="", data_dir=data_dir),
            batches(ratings),
            FEATURES.lazy(),
        )
    return result.value["similarity_matrix"], result.metadata


def predictions(lists: pl.DataFrame, **settings: Any) -> tuple[pl.DataFrame, dict[str, Any]]:
    """`cf_predictions` of the given lists, after everybody's lists were learnt from."""
    every = user_lists()
    config, catalogue = (
        assets.PredictionConfig(**settings),
        {"anime_features": FEATURES, "anime_relations": RELATIONS},
    )
    ratings = every.filter(pl.col("score").is_not_null()).rename({"score": "rating"})
    baselines, _ = made(
        assets.title_baselines, "title_baselines", config, rating_matrix=ratings, user_lists=every, **catalogue
    )
    similar, _ = similarities(ratings)
    return made(
        assets.cf_predictions,
        "cf_predictions",
        dg.build_asset_context(),
        config,
        rating_matrix=lists.filter(pl.col("score").is_not_null()).rename({"score": "rating"}),
        user_lists=lists,
        similarity_matrix=similar,
        title_baselines=baselines,
        **catalogue,
    )


@pytest.mark.parametrize(("most_joint", "word"), [(10_000_000, "jointly"), (10, "similarity table alone")])
def test_the_stored_ratings_are_those_of_the_model_that_is_measured(most_joint: int, word: str) -> None:
    """Jointly weighted neighbours, and the similarity table alone where there are too many ratings for them."""
    stored, metadata = predictions(user_lists(), most_joint=most_joint)
    assert word in metadata["predicted_by"]
    model = ItemNeighbourhood(PredictionSettings(most_joint=most_joint)).fit(RATINGS, ITEMS)
    user = stored["username"].str.slice(4).cast(pl.Int32).to_numpy()
    item = (stored["anime_id"].to_numpy() - ITEMS.anime_id[0]).astype(np.int32)
    np.testing.assert_allclose(stored["predicted_rating"].to_numpy(), model.predict(user, item), atol=1e-4)
    assert len(stored) > 100


def test_a_batch_by_itself_has_the_predictions_that_it_has_among_all() -> None:
    lists = user_lists()
    batch = pl.col("user_batch") == "batch-000001"
    alone, _ = predictions(lists.filter(batch))
    together, _ = predictions(lists)
    assert alone.equals(together.filter(batch))


def test_nobody_is_offered_what_stands_on_the_list_and_the_best_score_comes_first() -> None:
    stored, _ = predictions(user_lists())
    assert stored.join(user_lists(), on=["username", "anime_id"]).is_empty()
    ordered = stored.sort("username", pl.col("score"), "anime_id", descending=[False, True, False])
    assert stored.sort("username", "rank")["score"].equals(ordered["score"])
    assert not stored["predicted_rating"].is_nan().any()


def test_the_metrics_show_the_error_along_neighbours_and_popularity() -> None:
    every = user_lists()
    ratings = every.filter(pl.col("score").is_not_null()).rename({"score": "rating"})
    stored, metadata = made(
        assets.cf_metrics,
        "cf_metrics",
        rating_matrix=ratings,
        user_lists=every,
        anime_features=FEATURES,
        anime_relations=RELATIONS,
    )
    kept = stored.filter((pl.col("model") == "cf") & (pl.col("metric") == "mse") & (pl.col("versus") == ""))
    along = kept.filter(pl.col("segment").str.starts_with("neighbours "))
    assert along["n"].sum() == kept.filter(pl.col("segment") == "all")["n"].item()
    for name in ("error_by_neighbours", "error_by_popularity"):
        assert "data:image/svg" in str(metadata[name].value)


def test_an_empty_batch_and_one_without_ratings_have_no_predictions() -> None:
    unrated = user_lists().head(3).with_columns(score=pl.lit(None, dtype=pl.Int8))
    stored, metadata = predictions(unrated)
    assert stored.is_empty()
    assert metadata["users"] == 0
