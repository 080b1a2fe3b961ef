"""The network: trained on what is not held out, measured on what is."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from malsugoi_assets.assets.config import config_of
from malsugoi_assets.assets.evaluation import build_id, measured, metrics_metadata, metrics_shown
from malsugoi_assets.assets.plots import curves
from malsugoi_assets.assets.table_asset import table_asset, table_result
from malsugoi_assets.disk import sweep_drafts
from malsugoi_assets.evaluation.hold_out import hold_out
from malsugoi_assets.recommend.devices import forget_memory_peak, memory_peak_bytes
from malsugoi_assets.recommend.dnn_settings import DnnSettings
from malsugoi_assets.resources.compute import Compute
from malsugoi_assets.resources.warehouse import Warehouse


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
    seed: int = Field(default=0, ge=0, description="Seed of everything random in training.")


DnnConfig = config_of(PipelineDnnSettings)


@table_asset("dnn_model", code_version="2", kinds=["pytorch"])
def dnn_model(  # noqa: D103
    context: dg.AssetExecutionContext,
    config: DnnConfig,  # type: ignore[valid-type]
    warehouse: Warehouse,
    compute: Compute,
    rating_matrix: pl.LazyFrame,
    anime_features: pl.LazyFrame,
    user_lists: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    from malsugoi_assets.recommend.dnn import train
    from malsugoi_assets.recommend.training import TrainingError

    chosen: PipelineDnnSettings = config.settings  # type: ignore[attr-defined]
    settings = DnnSettings.model_validate(chosen.model_dump(exclude={"seed"}))
    held = hold_out(user_lists.collect(), anime_features.collect(), anime_relations.collect())
    model_id = build_id("dnn", held, chosen.model_dump_json())
    path = Path("models") / f"{model_id}.safetensors"
    device = compute.resolve()

    def report(epoch: int, train_loss: float, valid_loss: float) -> None:
        context.log.info(f"epoch {epoch}: mse {train_loss:.4f} (train), {valid_loss:.4f} (validation)")

    with compute.slot(warehouse.dir, device, context.log.info):
        started = time.monotonic()
        sweep_drafts(warehouse.dir.root)
        forget_memory_peak(device)
        # One file a device: whatever training was cut off there last. It knows which one it was.
        state = warehouse.dir.checkpoints / f"{device.replace(':', '')}.safetensors"
        try:
            model = train(
                held.train, held.items, settings, device, report, seed=chosen.seed, keep=state, tell=context.log.info
            )
        except TrainingError as error:
            raise dg.Failure(f"The network could not be trained: {error}.") from error
        sha256 = model.save(warehouse.dir.root / path)
        state.unlink(missing_ok=True)
    row = pl.DataFrame(
        {
            "model_id": model_id,
            "created_at": datetime.now(UTC),
            "run_id": context.run_id,
            "path": str(path),
            "sha256": sha256,
            "config": chosen.model_dump_json(),
            "device": model.device,
            "parameters": model.parameters,
            "epochs": model.epochs,
            "best_epoch": model.best_epoch,
            "train_rows": model.train_rows,
            "train_seconds": time.monotonic() - started,
            "is_current": True,
        }
    )
    losses = {
        "train": [(e.epoch, e.train_loss) for e in model.curve],
        "validation": [(e.epoch, e.valid_loss) for e in model.curve],
    }
    return table_result(
        "dnn_model",
        row,
        {
            "stopped": model.stopped,
            **({"notes": "; ".join(model.notes)} if model.notes else {}),
            **({"resumed_after_epoch": model.resumed_after} if model.resumed_after else {}),
            "device": model.device,
            "precision": settings.precision,
            "memory_peak_mib": round(memory_peak_bytes(device) / 2**20),
            "loss": curves(losses, "epoch", "mean squared error"),
        },
        shown=row.select("epochs", "best_epoch", "parameters", "train_rows", "train_seconds", "device"),
    )


@table_asset("dnn_metrics", code_version="2", kinds=["pytorch"])
def dnn_metrics(  # noqa: D103
    warehouse: Warehouse,
    compute: Compute,
    dnn_model: pl.LazyFrame,
    rating_matrix: pl.LazyFrame,
    anime_features: pl.LazyFrame,
    user_lists: pl.LazyFrame,
    anime_relations: pl.LazyFrame,
) -> dg.MaterializeResult[Any]:
    current = dnn_model.filter("is_current").collect()
    held = hold_out(user_lists.collect(), anime_features.collect(), anime_relations.collect())
    network = load_network(warehouse, current, held.items, compute.resolve())
    predicted = {"dnn": network.predict(held.train, held.user, held.item)}
    rows = measured(held, predicted, str(current["model_id"][0]))
    return table_result("dnn_metrics", rows, metrics_metadata(rows), shown=metrics_shown(rows))


def load_network(warehouse: Warehouse, current: pl.DataFrame, items: Any, device: str) -> Any:
    """The current build over the given titles. A `Failure` in one sentence where its file is not the registered one."""
    import hashlib

    from malsugoi_assets.recommend.dnn import load
    from malsugoi_assets.recommend.weights import WeightsError

    if current.is_empty():
        raise dg.Failure("No network is current yet: materialise dnn_model first.")
    path = warehouse.dir.root / str(current["path"][0])
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != current["sha256"][0]:
            raise dg.Failure(f"{path} is not the file that was registered: materialise dnn_model again.")
        return load(path, items, device)
    except (OSError, WeightsError) as error:
        raise dg.Failure(f"{path} cannot be used ({error}): materialise dnn_model again.") from error
