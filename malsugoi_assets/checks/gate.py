"""The gate before the network's builds, as a check: the newest one is not worse than the one that predicts."""

import dagster as dg

from malsugoi_assets.resources.warehouse import Warehouse


@dg.asset_check(
    asset="dnn_model",
    blocking=True,
    description="The newest build is not worse on the held-out ratings than the one that predicted so far. One that is "
    "does not predict; `malsugoi models` shows it, `malsugoi models use ID` takes it all the same.",
)
def gate(warehouse: Warehouse) -> dg.AssetCheckResult:  # noqa: D103
    with warehouse.get_connection() as con:
        row = con.execute(
            "SELECT model_id, state, verdict, compared_with, mse, difference, ci_low, ci_high, held_out "
            "FROM dnn_model ORDER BY created_at DESC, model_id LIMIT 1"
        ).fetchone()
    if row is None:
        return dg.AssetCheckResult(passed=True, description="there is no build yet")
    names = (
        "build",
        "state",
        "verdict",
        "compared_with",
        "mse",
        "difference",
        "ci_low",
        "ci_high",
        "held_out_ratings",
    )
    found = dict(zip(names, row, strict=True))
    return dg.AssetCheckResult(
        passed=found["state"] != "refused",
        description=f"{found['build']} is {found['verdict']}",
        metadata={name: value for name, value in found.items() if value is not None},
    )
