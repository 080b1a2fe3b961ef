"""The users: who there is, what is on their lists, and the ratings among it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from malsugoi_assets.assets import previews
from malsugoi_assets.assets.plots import bars
from malsugoi_assets.assets.table_asset import by_batch_result, table_asset, table_result
from malsugoi_assets.automation.partitions import register_batches
from malsugoi_assets.resources.source import SourceResource
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.batches import Batches, ByBatch


@table_asset("users", code_version="1")
def users(  # noqa: D103
    context: dg.AssetExecutionContext, source: SourceResource, warehouse: Warehouse
) -> dg.MaterializeResult[Any]:
    opened = source.open()
    found = opened.usernames(context.log.info)
    gaps = opened.discovery_gaps()
    ledger = warehouse.dir.ledger
    new = ledger.add(found, batch_size=source.load_settings().batch_size, ignore_case=opened.ignores_case)
    known = ledger.users()
    register_batches(context.instance, known["user_batch"].unique().to_list())
    sizes = known.group_by(batch=pl.col("user_batch")).agg(users=pl.len()).sort("batch", descending=True)
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
        shown=sizes,
    )


@table_asset("user_lists", code_version="1")
def user_lists(  # noqa: D103
    context: dg.AssetExecutionContext,
    source: SourceResource,
    users: pl.LazyFrame,
    anime_features: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    members = users.select("username", "user_batch").collect()
    keys = sorted(context.partition_keys)
    members = members.filter(pl.col("user_batch").is_in(keys))
    opened, catalogue = source.open(), anime_features.select("anime_id").collect()
    counted = _Counted(len(keys), catalogue)

    def lists_of(some: pl.DataFrame) -> dict[str, pl.DataFrame]:
        harvest = opened.lists(some["username"].to_list(), context.log.info)
        lists = _with_batches(harvest.frame, some)
        outcomes = harvest.companions["list_outcomes"].join(some, on="username")
        counted.add(lists, outcomes, harvest.metadata)
        return {"user_lists": lists, "list_outcomes": outcomes}

    if opened.in_parts:
        batches = members.partition_by("user_batch", as_dict=True)

        def make(key: str) -> dict[str, pl.DataFrame]:
            context.log.info(counted.progress())
            return lists_of(batches.get((key,), members.clear()))

        return by_batch_result(ByBatch(make, counted.summary), opened.in_parts)
    made = lists_of(members)
    return table_result("user_lists", made["user_lists"], counted.summary(), {"list_outcomes": made["list_outcomes"]})


def _with_batches(lists: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """The rows of members (username, user_batch), with their batch."""
    keys = members["user_batch"].unique()
    if len(keys) == 1 and lists["username"].unique().is_in(members["username"].implode()).all():
        return lists.with_columns(user_batch=pl.lit(keys[0]))
    return lists.join(members, on="username")


class _Counted:
    """What a person may want to know of the lists that were read, summed over the batches."""

    def __init__(self, batches: int, catalogue: pl.DataFrame) -> None:
        self.batches, self.read, self.catalogue = batches, 0, catalogue
        self.numbers: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.titles = previews.TitleCounts()

    def add(self, lists: pl.DataFrame, outcomes: pl.DataFrame, metadata: Mapping[str, Any]) -> None:
        self.read += 1
        self.outcomes.update(dict(outcomes["list_status"].value_counts().iter_rows()))
        self.states.update(dict(lists["status"].fill_null("not said").value_counts().iter_rows()))
        self.titles.add(lists.select("anime_id", "title", rating="score"))
        self.numbers.update({name: count for name, count in metadata.items() if isinstance(count, int)})

    def progress(self) -> str:
        return f"lists: batch {self.read + 1} of {self.batches}"

    def summary(self) -> dict[str, Any]:
        return {
            "preview": dg.MetadataValue.md(previews.table(self.titles.most_rated())),
            "users_by_list_status": bars(dict(self.outcomes.most_common()), "how reading the list ended", "users"),
            "entries_by_status": bars(dict(self.states.most_common()), "where on the list", "entries"),
            "titles_not_in_the_catalogue": len(set(self.titles.anime_ids) - set(self.catalogue["anime_id"])),
            **self.numbers,
        }


@table_asset("rating_matrix", code_version="1")
def rating_matrix(user_lists: Batches) -> dg.MaterializeResult[Any]:  # noqa: D103
    spread: Counter[int] = Counter()
    users: list[int] = []
    titles = previews.TitleCounts()

    def make(key: str) -> dict[str, pl.DataFrame]:
        rated = user_lists[key].filter(pl.col("score").is_not_null())
        ratings = rated.select("user_batch", "username", "anime_id", "title", rating="score").collect()
        spread.update(dict(ratings["rating"].value_counts().iter_rows()))
        users.append(ratings["username"].n_unique())
        titles.add(ratings)
        return {"rating_matrix": ratings.drop("title")}

    def summary() -> dict[str, Any]:
        return {
            "preview": dg.MetadataValue.md(previews.table(titles.most_rated())),
            "users": sum(users),
            "titles": len(titles),
            "ratings": bars({str(score): spread[score] for score in range(1, 11)}, "rating, 1–10", "ratings"),
        }

    return by_batch_result(ByBatch(make, summary), user_lists.version)
