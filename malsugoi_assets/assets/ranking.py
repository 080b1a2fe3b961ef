"""The order of the recommendations: the ranking weights, and the learnt ranking over such scores."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from malsugoi_assets.assets import previews
from malsugoi_assets.assets.config import config_of
from malsugoi_assets.assets.table_asset import table_asset, table_result
from malsugoi_assets.recommend.item_weights import ItemWeightsSettings, learn_item_weights
from malsugoi_assets.recommend.items import align_items
from malsugoi_assets.recommend.people import not_merely_planned
from malsugoi_assets.recommend.ranking import (
    BriefRankingSettings,
    LearntOrder,
    NothingToLearnError,
    learn_order,
    ranking_memory_gib,
    why_no_order,
)
from malsugoi_assets.recommend.ratings import IntArray, count_titles, index_batches, index_parts
from malsugoi_assets.recommend.weights import WeightsError
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.batches import Batches
from malsugoi_assets.warehouse.registered import ForeignFileError, registered_file
from malsugoi_assets.warehouse.schema import polars_schema
from malsugoi_assets.warehouse.tables import TABLES


class PipelineRankingSettings(BriefRankingSettings):
    """The learnt order's settings in the pipeline."""

    seed: int = Field(default=0, ge=0, description="Seed of what is hidden and of the network's training.")


ItemWeightsConfig = config_of(ItemWeightsSettings)
RankingConfig = config_of(PipelineRankingSettings)
_FILES_KEPT = 2


@table_asset("item_weights", code_version="2", kinds=["numpy", "numba"])
def item_weights(  # noqa: D103
    config: ItemWeightsConfig,  # type: ignore[valid-type]
    rating_matrix: Batches,
    user_lists: Batches,
) -> dg.MaterializeResult[Any]:
    # Unrated entries say what a user chooses to watch as much as rated ones do; merely planned ones less.
    lists = [batch.filter(not_merely_planned()) for batch in user_lists.values()]
    anime_ids, listed = count_titles(lists)
    learnt = learn_item_weights(listed, index_parts(lists, anime_ids), config.settings)  # type: ignore[attr-defined]
    frame = pl.concat(
        pl.DataFrame(
            {
                "anime_id": anime_ids[weights.item],
                "neighbour_id": anime_ids[weights.neighbour],
                "weight": weights.weight,
            }
        ).with_columns(method=pl.lit(method))
        for method, weights in learnt.weights.items()
    )
    known = pl.DataFrame({"anime_id": anime_ids, "len": listed})
    return table_result(
        "item_weights",
        frame,
        {
            "titles": frame["anime_id"].n_unique(),
            "methods": ", ".join(learnt.weights),
            "left_out": learnt.left_out or "nothing",
            "gib_needed": previews.rounded(learnt.gib_needed, 2),
        },
        shown=previews.neighbours(
            frame.filter(pl.col("method") == list(learnt.weights)[-1]),
            "weight",
            known,
            previews.names_of(user_lists.values(), pl.concat([frame["anime_id"], frame["neighbour_id"]]).unique()),
        ),
    )


@table_asset("ranking_model", code_version="4", kinds=["pytorch", "numba"])
def ranking_model(  # noqa: D103
    config: RankingConfig,  # type: ignore[valid-type]
    warehouse: Warehouse,
    rating_matrix: Batches,
    user_lists: Batches,
    anime_features: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    chosen: PipelineRankingSettings = config.settings  # type: ignore[attr-defined]
    settings = BriefRankingSettings.model_validate(chosen.model_dump(exclude={"seed"}))
    ratings, anime_ids = index_batches(lists.filter(not_merely_planned()) for lists in user_lists.values())
    needed = ranking_memory_gib(ratings.n_users, ratings.n_items, len(ratings), settings)
    told = {"gib_needed": previews.rounded(needed, 2), "list_rows": len(ratings)}
    order, why_not = None, why_no_order(ratings, settings)
    began = time.monotonic()
    if not why_not:
        try:
            items = align_items(anime_ids, anime_features.collect(), anime_relations.collect())
            order = learn_order(ratings, items, settings, chosen.seed)
        except NothingToLearnError as error:
            why_not = str(error)
    if order is None:
        nothing = pl.DataFrame(schema=polars_schema(TABLES["ranking_model"]))
        return table_result("ranking_model", nothing, told | {"learnt": f"no, the weights rank: {why_not}"})
    seconds = time.monotonic() - began
    path, sha256, size = _write(warehouse, order, anime_ids)
    row = pl.DataFrame(
        {
            "model_id": f"ranking-{sha256[:12]}",
            "created_at": datetime.now(UTC),
            "path": str(path),
            "sha256": sha256,
            "bytes": size,
            "config": chosen.model_dump_json(),
            "titles": len(anime_ids),
            "list_rows": len(ratings),
            "learn_seconds": seconds,
        }
    )
    return table_result(
        "ranking_model",
        row,
        told | {"learnt": "yes", "mib": previews.rounded(size / 2**20, 1), "learn_seconds": round(seconds, 1)},
        shown=row.select("titles", "list_rows", "learn_seconds", "bytes"),
    )


def _write(warehouse: Warehouse, order: LearntOrder, anime_ids: IntArray) -> tuple[Path, str, int]:
    """The file's path (relative to the data dir, by its content), SHA-256 and size; the build before it stays."""
    from malsugoi_assets.recommend.ranking_file import save_order

    data_dir = warehouse.dir
    fresh = data_dir.models / f"ranking-{id(order)}.new"
    sha256 = save_order(fresh, order, anime_ids)
    path = data_dir.models / f"ranking-{sha256[:12]}.safetensors"
    fresh.replace(path)
    builds = sorted(data_dir.models.glob("ranking-*.safetensors"), key=lambda p: (p.stat().st_mtime_ns, p.name))
    for old in builds[:-_FILES_KEPT]:
        old.unlink(missing_ok=True)
    return path.relative_to(data_dir.root), sha256, path.stat().st_size


def load_ranking(root: Path, builds: pl.DataFrame) -> tuple[LearntOrder, IntArray] | str:
    """The learnt order and the titles that it knows; in words, why there is none.

    `builds`: rows of `ranking_model`. A `Failure` in one sentence where the file is not the registered one.
    """
    from malsugoi_assets.recommend.ranking_file import load_order

    try:
        path = registered_file(root, builds, "ranking_model")
        if path is None:
            return "no order was learnt" if builds.is_empty() else f"{builds['path'][0]} is not there"
        return load_order(path)
    except (ForeignFileError, WeightsError) as error:
        raise dg.Failure(str(error)) from error
