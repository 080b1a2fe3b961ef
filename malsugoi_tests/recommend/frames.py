"""Small tables by hand, as recommending takes them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Predictions, Recommender


def lists_frame(rows: Sequence[tuple[str, int, int | None, str | None]]) -> pl.DataFrame:
    """Rows of `user_lists` from (username, anime_id, score, status)."""
    return pl.DataFrame(
        [(user, anime_id, f"title {anime_id}", score, status) for user, anime_id, score, status in rows],
        schema={
            "username": pl.String,
            "anime_id": pl.Int32,
            "title": pl.String,
            "score": pl.Int8,
            "status": pl.String,
        },
        orient="row",
    )


def weights_frame(rows: Sequence[tuple[int, int, float]]) -> pl.DataFrame:
    """Weights of one method from (anime_id, neighbour_id, weight)."""
    schema = {"anime_id": pl.Int32, "neighbour_id": pl.Int32, "weight": pl.Float32}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def relations_frame(rows: Sequence[tuple[int, str, str, int]]) -> pl.DataFrame:
    """Rows of `anime_relations` from (anime_id, relation, related_kind, related_id)."""
    schema = {"anime_id": pl.Int32, "relation": pl.String, "related_kind": pl.String, "related_id": pl.Int32}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def recommend(
    lists: pl.DataFrame,
    weights: pl.DataFrame,
    features: pl.DataFrame,
    relations: pl.DataFrame,
    predictions: Predictions,
    settings: RecommendationSettings | None = None,
) -> pl.DataFrame:
    """What everybody is recommended by weights; the lists' own rows are what makes titles popular."""
    listed = lists.group_by("anime_id").len("lists")
    return Recommender(weights, features, relations, listed).recommend(lists, predictions, settings)
