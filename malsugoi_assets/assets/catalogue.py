"""The catalogue: pages are fetched and stored, features and relations are parsed from what is stored."""

from typing import Any

import dagster as dg
import polars as pl

from malsugoi_assets.assets.table_asset import table_asset, table_result
from malsugoi_assets.resources.source import SourceResource


@table_asset("raw_anime_pages", code_version="1", kinds=["html"])
def raw_anime_pages(context: dg.AssetExecutionContext, source: SourceResource) -> dg.MaterializeResult[Any]:  # noqa: D103
    harvest = source.open().pages(context.log.info)
    return table_result("raw_anime_pages", harvest.frame, harvest.metadata)


@table_asset("anime_features", code_version="1")
def anime_features(source: SourceResource, raw_anime_pages: pl.LazyFrame) -> dg.MaterializeResult[Any]:  # noqa: D103
    harvest = source.open().features(raw_anime_pages.collect())
    known = {name: 1 - harvest.frame[name].null_count() / max(harvest.frame.height, 1) for name in ("score", "type")}
    return table_result(
        "anime_features", harvest.frame, {**{f"share_with_{k}": v for k, v in known.items()}, **harvest.metadata}
    )


@table_asset("anime_relations", code_version="1")
def anime_relations(source: SourceResource, raw_anime_pages: pl.LazyFrame) -> dg.MaterializeResult[Any]:  # noqa: D103
    harvest = source.open().relations(raw_anime_pages.collect())
    return table_result("anime_relations", harvest.frame, harvest.metadata)
