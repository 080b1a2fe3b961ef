"""The sensors: events only ring; what is requested is decided from the state (`decisions`)."""

from collections.abc import Iterator

import dagster as dg

from malsugoi_assets.automation.decisions import (
    batches_to_predict,
    batches_to_read,
    batches_to_read_again,
    builds_to_measure,
    held_up,
    jobs_to_learn,
    jobs_to_repeat,
    unseen,
)
from malsugoi_assets.automation.jobs import JOBS
from malsugoi_assets.automation.partitions import register_batches
from malsugoi_assets.automation.state import read_state
from malsugoi_assets.resources.warehouse import Warehouse


@dg.asset_sensor(
    asset_key=dg.AssetKey("users"),
    job=JOBS["user_batch"],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="When users were discovered: registers their batches and requests the lists of every batch without any.",
)
def new_users(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request `user_batch` for each batch that has no lists and is not being read."""
    state = read_state(context.instance, warehouse.dir)
    register_batches(context.instance, [batch.key for batch in state.batches])
    wanted = batches_to_read(state)
    if not wanted:
        waiting = held_up(state, "user_batch")
        yield dg.SkipReason("; ".join(waiting) or "every known batch has its lists, or is being read")
    for key in wanted:
        failed = len(state.failures.get(("user_batch", key), ()))
        yield dg.RunRequest(run_key=f"{key}:{failed}", partition_key=key)


@dg.sensor(
    jobs=[job for name, job in JOBS.items() if name != "catalogue"],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Keeps the promise whatever was missed: failed batches and discoveries again, models when enough ratings are new, "
    "predictions that are older than what they are made from.",
)
def catch_up(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request what is missing or stale."""
    state = read_state(context.instance, warehouse.dir)
    registered = set(context.instance.get_dynamic_partitions("user_batches"))
    learn = jobs_to_learn(state)
    requests = [
        dg.RunRequest(job_name="user_batch", partition_key=key)
        for key in batches_to_read_again(state)
        if key in registered
    ]
    requests += [dg.RunRequest(job_name=job) for job in (*jobs_to_repeat(state), *learn)]
    if builds_to_measure(state):
        requests.append(dg.RunRequest(job_name="deep_model", asset_selection=[dg.AssetKey("dnn_metrics")]))
    if not learn:
        requests += [
            dg.RunRequest(job_name="batch_predictions", partition_key=key)
            for key in batches_to_predict(state)
            if key in registered
        ]
    waiting = held_up(state)
    if requests:
        yield from requests
    elif state.missing_models:
        yield dg.SkipReason(
            "; ".join([f"no predictions yet: {', '.join(state.missing_models)} is not there", *waiting])
        )
    else:
        said = [*waiting, *unseen(state)]
        yield dg.SkipReason("; ".join(said) or "everything is made from what there is, or is being made")
