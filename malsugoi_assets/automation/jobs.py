"""The six jobs: which assets are made together."""

from __future__ import annotations

import dagster as dg

from malsugoi_assets.automation.partitions import USER_BATCHES

JOB_ASSETS: dict[str, tuple[str, ...]] = {
    "catalogue": ("raw_anime_pages", "anime_features", "anime_relations"),
    "discover_users": ("users",),
    "user_batch": ("user_lists", "rating_matrix"),
    "collaborative_filtering": (
        "title_baselines",
        "similarity_matrix",
        "item_weights",
        "ranking_model",
        "cf_metrics",
    ),
    "deep_model": ("dnn_model", "dnn_metrics"),
    "batch_predictions": ("cf_predictions", "title_marks", "recommendations"),
}
BATCH_JOBS = ("user_batch", "batch_predictions")
_DESCRIPTIONS = {
    "catalogue": "Fetch the titles' pages that are not fresh, and parse all that is stored.",
    "discover_users": "Find users; new ones fill new batches.",
    "user_batch": "Read the lists of one batch of users.",
    "collaborative_filtering": "Learn similarity, ranking weights and the order from all lists, and measure them.",
    "deep_model": "Train the network and measure it.",
    "batch_predictions": "Predict and recommend for one batch of users.",
}

JOBS = {
    name: dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*assets),
        description=_DESCRIPTIONS[name],
        partitions_def=USER_BATCHES if name in BATCH_JOBS else None,
    )
    for name, assets in JOB_ASSETS.items()
}
