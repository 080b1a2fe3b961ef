"""The catalogue: pages are fetched and stored, features and relations are parsed from what is stored."""

from typing import Any

import dagster as dg
import polars as pl

from malsugoi_assets.assets import previews
from malsugoi_assets.assets.plots import bars
from malsugoi_assets.assets.table_asset import table_asset, table_result
from malsugoi_assets.resources.source import SourceResource


@table_asset("raw_anime_pages", code_version="1", kinds=["html"])
def raw_anime_pages(context: dg.AssetExecutionContext, source: SourceResource) -> dg.MaterializeResult[Any]:  # noqa: D103
    harvest = source.open().pages(context.log.info)
    shown = harvest.frame.select(
        "url",
        pl.col("http_status").alias("status"),
        kB=pl.col("bytes") / 1000,
        fetched=pl.col("fetched_at").dt.date(),
    )
    return table_result("raw_anime_pages", harvest.frame, harvest.metadata, shown=shown)


@table_asset("anime_features", code_version="3")
def anime_features(  # noqa: D103
    context: dg.AssetExecutionContext, source: SourceResource, raw_anime_pages: pl.LazyFrame
) -> dg.MaterializeResult[Any]:
    harvest = source.open().features(raw_anime_pages.collect(), context.log.info)
    features = harvest.frame
    shown = features.sort("members", descending=True, nulls_last=True).select(
        "title", "type", "season", "score", "members"
    )
    figures = {
        **{f"with_{name}_percent": previews.percent(features[name]) for name in ("score", "type", "aired_from")},
        "scores": bars(
            previews.histogram(features["score"], [1, 5, 6, 6.5, 7, 7.5, 8, 9]), "mean score on the site", "titles"
        ),
    }
    return table_result("anime_features", features, figures | harvest.metadata, shown=shown, added=harvest.added)


@table_asset("anime_relations", code_version="1")
def anime_relations(  # noqa: D103
    context: dg.AssetExecutionContext, source: SourceResource, raw_anime_pages: pl.LazyFrame
) -> dg.MaterializeResult[Any]:
    harvest = source.open().relations(raw_anime_pages.collect(), context.log.info)
    shown = harvest.frame.group_by("relation", "related_kind").agg(rows=pl.len()).sort("rows", descending=True)
    return table_result("anime_relations", harvest.frame, harvest.metadata, shown=shown)
