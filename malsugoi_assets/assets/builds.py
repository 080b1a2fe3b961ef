"""A trained network as a build: judged beside the one that predicts, a row of `dnn_model`, and read back."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl

from malsugoi_assets.assets.evaluation import build_id
from malsugoi_assets.evaluation.gate import Verdict, compare, uncontested
from malsugoi_assets.evaluation.hold_out import HoldOut
from malsugoi_assets.recommend.ratings import FloatArray
from malsugoi_assets.recommend.weights import WeightsError
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.builds import ACCEPTED, REFUSED, WITHDRAWN, BuildError, Builds, current_build


def judged(
    held: HoldOut,
    model: Any,
    model_id: str,
    sha256: str,
    current: dict[str, Any] | None,
    builds: Builds,
    tolerance: float,
) -> Verdict:
    """Whether the build may predict: held against the current one on ratings that neither learnt from."""
    from malsugoi_assets.recommend.blend import load_predictor

    predicted = next(iter(said_of(held, model, sha256)[0].values()))
    if current is None:
        return uncontested(held, predicted, "accepted: it is the first build")
    if current["state"] == WITHDRAWN:
        why = f"accepted: it replaces {current['model_id']}, since {current['verdict']}"
        return uncontested(held, predicted, why)
    if current["model_id"] == model_id:
        # The same data and settings once more: what was found of it stands, so that nothing counts as changed.
        found = ("verdict", "held_out", "mse", "compared_with", "difference", "ci_low", "ci_high")
        return Verdict(True, *(current[name] for name in found))
    try:
        before = load_predictor(builds.file(current), held.items, model.device)
    except (BuildError, WeightsError) as error:
        return uncontested(held, predicted, f"accepted: nothing to compare with, since {builds.told(error)}")
    return compare(held, predicted, before.predict(held.train, held.user, held.item), current["model_id"], tolerance)


_LAST_SAID: dict[str, tuple[dict[str, FloatArray], FloatArray]] = {}
"""What the build that was asked last says of a hold-out, by the names of both: a run judges a build, then measures it."""


def said_of(held: HoldOut, model: Any, sha256: str) -> tuple[dict[str, FloatArray], FloatArray]:
    """`model.parts` of the targets, worked out once where a process asks again; `sha256`: of the model's file."""
    targets = hashlib.sha256(held.user.tobytes() + held.item.tobytes()).hexdigest()
    name = build_id("said", held, repr((sha256, model.device, targets)))
    if name not in _LAST_SAID:
        found = model.parts(held.train, held.user, held.item)
        _LAST_SAID.clear()
        _LAST_SAID[name] = found
    return _LAST_SAID[name]


def build_row(model: Any, model_id: str, verdict: Verdict, **more: object) -> pl.DataFrame:
    """The build's row of `dnn_model`; `more` are the columns that the model and the verdict do not know."""
    numbers = ("mse", "difference", "ci_low", "ci_high")
    return pl.DataFrame(
        {
            "model_id": model_id,
            "created_at": datetime.now(UTC),
            "device": model.device,
            "parameters": model.parameters,
            "epochs": model.dnn.epochs,
            "best_epoch": model.dnn.best_epoch,
            "train_rows": model.dnn.train_rows,
            "is_current": verdict.accepted,
            "state": ACCEPTED if verdict.accepted else REFUSED,
            "verdict": verdict.words,
            "compared_with": verdict.versus,
            "held_out": verdict.n,
            **{name: getattr(verdict, name) for name in numbers},
            **more,
        },
        schema_overrides={"compared_with": pl.String, **dict.fromkeys(numbers, pl.Float64)},
    )


def load_network(warehouse: Warehouse, current: pl.DataFrame, items: Any, device: str) -> Any:
    """The current build over the given titles. A `Failure` in one sentence where its file is not the registered one."""
    from malsugoi_assets.recommend.blend import load_predictor

    build = current_build(current)
    if build is None:
        raise dg.Failure("No network is current yet: materialise dnn_model first.")
    try:
        return load_predictor(Builds(warehouse.dir).file(build), items, device)
    except (BuildError, WeightsError) as error:
        raise dg.Failure(
            f"The network cannot be used ({error}): `malsugoi run` makes it anew (in Dagster: materialise dnn_model), or go "
            "back to an earlier build with `malsugoi models use ID`."
        ) from error
