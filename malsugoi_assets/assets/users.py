"""The users: who there is, what is on their lists, and the ratings among it."""

from typing import Any

import dagster as dg
import polars as pl

from malsugoi_assets.assets.plots import bars
from malsugoi_assets.assets.table_asset import table_asset, table_result
from malsugoi_assets.automation.partitions import batch_keys, register_batches
from malsugoi_assets.resources.source import SourceResource
from malsugoi_assets.resources.warehouse import Warehouse


@table_asset("users", code_version="1")
def users(  # noqa: D103
    context: dg.AssetExecutionContext, source: SourceResource, warehouse: Warehouse
) -> dg.MaterializeResult[Any]:
    opened = source.open()
    found = opened.usernames(context.log.info)
    gaps = opened.discovery_gaps()
    ledger = warehouse.dir.ledger
    new = ledger.add(found, batch_size=source.load_settings().batch_size)
    known = ledger.users()
    register_batches(context.instance, known["user_batch"].unique().to_list())
    return table_result(
        "users",
        known,
        {
            "seen_now": len(found),
            "new_batches": new,
            "batches": known["user_batch"].n_unique(),
            "nobody_missed": not gaps,
            "searches_that_hide_somebody": gaps[:50],
        },
    )


@table_asset("user_lists", code_version="1")
def user_lists(  # noqa: D103
    context: dg.AssetExecutionContext,
    source: SourceResource,
    users: pl.LazyFrame,
    anime_features: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    members = users.select("username", "user_batch").collect()
    keys = batch_keys(context, members["user_batch"].unique().to_list())
    members = members.filter(pl.col("user_batch").is_in(keys))
    harvest = source.open().lists(members["username"].to_list(), context.log.info)
    lists = harvest.frame.join(members, on="username")
    outcomes = harvest.companions["list_outcomes"].join(members, on="username")
    unknown = lists.join(anime_features.select("anime_id").collect(), on="anime_id", how="anti")[
        "anime_id"
    ].n_unique()
    status = dict(outcomes["list_status"].value_counts().iter_rows())
    return table_result(
        "user_lists",
        lists,
        {"users_by_status": status, "titles_not_in_the_catalogue": unknown, **harvest.metadata},
        {"list_outcomes": outcomes},
    )


@table_asset("rating_matrix", code_version="1")
def rating_matrix(user_lists: pl.LazyFrame) -> dg.MaterializeResult[Any]:  # noqa: D103
    rated = user_lists.filter(pl.col("score").is_not_null())
    ratings = rated.select("user_batch", "username", "anime_id", rating="score").collect()
    return table_result(
        "rating_matrix",
        ratings,
        {
            "users": ratings["username"].n_unique(),
            "titles": ratings["anime_id"].n_unique(),
            "ratings": bars(dict(ratings["rating"].value_counts().sort("rating").iter_rows()), "rating", "ratings"),
        },
    )
