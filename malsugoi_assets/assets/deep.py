"""The network: trained on what is not held out, measured on what is."""

import time
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from malsugoi_assets.assets.builds import build_row, judged, load_network, said_of
from malsugoi_assets.assets.config import config_of
from malsugoi_assets.assets.evaluation import (
    build_id,
    error_along,
    error_in,
    measured,
    metrics_metadata,
    metrics_shown,
    reliability,
)
from malsugoi_assets.assets.lists import held_out
from malsugoi_assets.assets.plots import curves
from malsugoi_assets.assets.table_asset import table_asset, table_result
from malsugoi_assets.disk import sweep_drafts
from malsugoi_assets.evaluation.hold_out import HoldOut
from malsugoi_assets.evaluation.segments import hold_out_segments
from malsugoi_assets.recommend.blend_settings import KIND as BLEND_KIND
from malsugoi_assets.recommend.blend_settings import BlendSettings
from malsugoi_assets.recommend.devices import forget_memory_peak, memory_peak_bytes
from malsugoi_assets.recommend.dnn_settings import KIND, DnnSettings
from malsugoi_assets.resources.compute import Compute
from malsugoi_assets.resources.source import Log
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.batches import Batches
from malsugoi_assets.warehouse.builds import Builds, current_build, with_build


class PipelineDnnSettings(DnnSettings):
    """The network's settings in the pipeline, where a run should not take longer than a person waits."""

    most_row_passes: int | None = Field(
        default=4_000_000,
        ge=1,
        description="Rows times members times epochs at most: fewer epochs where there are more rows; none = no limit.",
    )
    members: int = Field(
        default=2, ge=1, le=32, description="Networks whose mean predicts; two of them cost half of four."
    )
    near_titles: int = Field(
        default=12,
        ge=0,
        le=64,
        description="Nearest titles of a list that the network attends to. 0 = none: on the 2016 lists a training takes a "
        "seventh less, and errs .005 more.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of everything random in training.")
    tolerance: float = Field(
        default=0.01,
        ge=0,
        description="How much higher the mean squared error of a new build may be than that of the current one.",
    )
    kept_builds: int = Field(
        default=5, ge=1, description="Builds whose weights are kept, the newest, so that one can go back to them."
    )


_CODE_VERSION = f"5 {KIND} {BLEND_KIND}"
"""Part of a build's name too: what another version of the code learnt of the same data is another build, to be judged. What a
file is said to hold belongs to it: a build that the code cannot read any more has to count as outdated.
"""
_NOT_LEARNT_WITH = {"tolerance", "kept_builds"}
"""Settings that change nothing in what is learnt."""


DnnConfig = config_of(PipelineDnnSettings)


@table_asset("dnn_model", code_version=_CODE_VERSION, kinds=["pytorch"])
def dnn_model(  # noqa: D103
    context: dg.AssetExecutionContext,
    config: DnnConfig,  # type: ignore[valid-type]
    warehouse: Warehouse,
    compute: Compute,
    rating_matrix: Batches,
    anime_features: pl.LazyFrame,
    user_lists: Batches,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    chosen: PipelineDnnSettings = config.settings  # type: ignore[attr-defined]
    settings = DnnSettings.model_validate(chosen.model_dump(exclude={"seed", *_NOT_LEARNT_WITH}))
    learnt_with = chosen.model_dump_json(exclude=_NOT_LEARNT_WITH)
    held, learnt_from = held_out(user_lists, anime_features, anime_relations)
    whole = BlendSettings(network=settings)
    model_id = build_id(KIND, held, _CODE_VERSION + learnt_with + whole.model_dump_json(exclude={"network"}))
    builds = Builds(warehouse.dir)
    device = compute.resolve()
    with compute.slot(warehouse.dir, device, context.log.info):
        started = time.monotonic()
        forget_memory_peak(device)
        blend = _trained(held, whole, chosen.seed, device, warehouse, context.log.info)
        model, chosen_because = blend.better()
        sha256 = model.save(builds.path(model_id))
        _checkpoint(warehouse, device).unlink(missing_ok=True)
    seconds = time.monotonic() - started
    known = builds.rows()
    verdict = judged(held, model, model_id, sha256, current_build(known), builds, chosen.tolerance)
    context.log.info(f"{model_id} is {verdict.words}")
    row = build_row(
        model,
        model_id,
        verdict,
        run_id=context.run_id,
        path=str(builds.path(model_id).relative_to(warehouse.dir.root)),
        sha256=sha256,
        config=learnt_with,
        train_seconds=seconds,
    )
    rows = with_build(known, row, chosen.kept_builds)
    losses = {
        "train": [(e.epoch, e.train_loss) for e in model.curve],
        "validation": [(e.epoch, e.valid_loss) for e in model.curve],
    }
    return table_result(
        "dnn_model",
        rows,
        {
            "build": model_id,
            "learnt_from": learnt_from,
            "verdict": verdict.words,
            "predicts": chosen_because,
            "process_over_all_users": "yes"
            if blend.dnn.catalogue.process
            else f"no: over {settings.most_joint:,} ratings",
            "stopped": blend.dnn.stopped,
            **({"notes": "; ".join(blend.dnn.notes)} if blend.dnn.notes else {}),
            **({"resumed_after_epoch": blend.dnn.resumed_after} if blend.dnn.resumed_after else {}),
            "device": model.device,
            "precision": settings.precision,
            "memory_peak_mib": round(memory_peak_bytes(device) / 2**20),
            "loss": curves(losses, "epoch", "mean squared error"),
        },
        shown=rows.sort("created_at", descending=True).select(
            "model_id", "is_current", "state", "mse", "difference", "epochs", "train_rows", "train_seconds", "device"
        ),
    )


def _trained(held: HoldOut, settings: BlendSettings, seed: int, device: str, warehouse: Warehouse, tell: Log) -> Any:
    """The blend of what is not held out; a training of the same that was cut off here goes on. A `Failure` where it fails."""
    from malsugoi_assets.recommend.blend import train_blend
    from malsugoi_assets.recommend.training import TrainingError

    def report(epoch: int, train_loss: float, valid_loss: float) -> None:
        tell(f"epoch {epoch}: mse {train_loss:.4f} (train), {valid_loss:.4f} (validation)")

    sweep_drafts(warehouse.dir.root)
    keep = _checkpoint(warehouse, device)
    try:
        return train_blend(held.train, held.items, settings, device, report, seed=seed, keep=keep, tell=tell)
    except TrainingError as error:
        raise dg.Failure(f"The network could not be trained: {error}.") from error


def _checkpoint(warehouse: Warehouse, device: str) -> Path:
    """One file a device: whatever training was cut off there last. It knows which one it was."""
    return warehouse.dir.checkpoints / f"{device.replace(':', '')}.safetensors"


@table_asset("dnn_metrics", code_version="4", kinds=["pytorch"])
def dnn_metrics(  # noqa: D103
    warehouse: Warehouse,
    compute: Compute,
    dnn_model: pl.LazyFrame,
    rating_matrix: Batches,
    anime_features: pl.LazyFrame,
    user_lists: Batches,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    Builds(warehouse.dir).sweep()
    current = dnn_model.filter("is_current").collect()
    held, measured_on = held_out(user_lists, anime_features, anime_relations)
    network = load_network(warehouse, current, held.items, compute.resolve())
    predicted, deviation = said_of(held, network, str(current["sha256"][0]))
    name = next(iter(predicted))
    marks = hold_out_segments(held)
    rows = measured(
        held,
        predicted,
        str(current["model_id"][0]),
        marks,
        held.judge_intervals(name, predicted[name], deviation),
    )
    some = (*predicted, "bias")
    return table_result(
        "dnn_metrics",
        rows,
        {
            **metrics_metadata(rows),
            "measured_on": measured_on,
            "by_history": error_along(rows, "history", some, "ratings of the user to learn from"),
            "by_popularity": error_along(rows, "title", some, "ratings of the title to learn from"),
            "by_year": error_along(rows, "year", some, "year of the title"),
            "by_rating": error_along(rows, "rating", some, "the rating that was given"),
            "cold": error_in(rows, name, ("all", "cold users", "cold titles", "unknown year")),
            **reliability(rows, name),
        },
        shown=metrics_shown(rows),
    )
